"""Sentences about GPUs: needed, recommended, optional or denied.

Owns: the words of accelerators and how sentences tell the four apart. Must not: sum up.
"""

from __future__ import annotations

import re
from typing import Literal

from envagent.repository.documents.sentence import Sentence
from envagent.repository.facts import CudaSign, Facts, GpuSign, Spot, Vendor, quote
from envagent.repository.patterns import any_of
from envagent.repository.prose.context import NEED, OPTIONAL, RECOMMEND, Standing

_Kind = Literal["statement", "purpose", "optional"]

MODEL = (
    r"\b(?:nvidia |tesla |quadro |geforce )?"
    r"(?:[ahv]100|h200|b200|p100|[ml]40s?|t4|a10g?|a30|a40|a6000|k80|rtx[- ]?(?:a?\d{4}|titan)|"
    r"gtx[- ]?\d{3,4}|titan (?:x|v|xp|rtx)|mi\d{2,3}x?a?)(?: ?ti)?s?\b"
)
# Not the company's name on licences, links and network cards.
_NVIDIA_NAME = (
    r"\bnvidia\b(?!(?:\s|/)*(?:research|corporation|corp|developer|mellanox|networking|nics?|bluefield|connectx|mlnx|mlx\d|ofed|"
    r"source|"
    r"license))"
)
GPU = any_of(
    r"\bgpus?\b",
    r"\bgpgpu\b",
    r"graphics? (?:cards?|processors?|processing|hardware)",
    r"\bcuda\b",
    _NVIDIA_NAME,
    r"\brocm\b",
    r"\bradeon\b",
    r"\bvram\b",
    r"cartes? graphiques?",
    r"grafikkarten?",
    r"显卡|显存",
    r"\bcudnn\b",
    MODEL,
)
_AMD = any_of(r"\brocm\b", r"\bamd\b", r"\bradeon\b", r"\bhip\b", r"\brccl\b", r"\brocblas\b", r"\bmi\d{2,3}x?\b")
_NVIDIA = any_of(r"\bcuda\b", _NVIDIA_NAME, r"\bcudnn\b", r"\bnccl\b", r"\btensorrt\b", r"\bjetson\b", MODEL)
_THING = (
    r"(?:(?:an?|any|the|nvidia|dedicated|special|powerful|discrete|amd|cuda) )*"
    r"(?:gpus?|graphics? cards?|cuda|video cards?|accelerators?|special(?:i[sz]ed)? hardware)"
)
_DENIAL = any_of(
    rf"\bno {_THING}(?: (?:is|are|was))?\s*(?:needed|required|necessary|used|involved|at all|whatsoever|dependenc|$|"
    rf"[.,;)])",
    rf"\b{_THING}\b[^.;]{{0,25}}\b(?:(?:is|are|was)n't|(?:is|are) not|not) (?:\w+ly )?(?:\w+ )?(?:required|needed|"
    rf"necessary|mandatory|used)\b",
    rf"\b(?:does|do|did|is|are|will)(?:n't| not) (?:\w+ )?(?:require|need|use|rely|depend|"
    rf"have to)\b[^.;]{{0,30}}\b{_THING}",
    rf"\b(?:without|needs? no|requires? no|no need (?:for|of)) {_THING}\b(?! (?:support|it|the|you|this|training|"
    rf"will))",
    r"\baucune? (?:carte graphique|gpu)",
    r"\bkeine? (?:gpu|grafikkarte)",
    r"\bno (?:se )?(?:requiere|necesita)[^.]{0,20}gpu",
    r"(?:不需要|无需)[^。]{0,12}(?:gpu|显卡)",
)
_CPU_ONLY = any_of(
    r"\bcpu[- ]only\b",
    r"\bonly (?:uses? |needs? |runs? on |on )?(?:the |a )?cpus?\b",
    r"\bruns? on (?:the |a |any |your |an )?(?:\w+ )?(?:laptop|cpu|desktop|raspberry)s?\b",
    r"\bcpu code\b",
    r"\b(?:on|with) a (?:single )?(?:laptop|cpu)\b",
    r"\bcpu (?:is|are) (?:enough|sufficient|fine)",
    r"\bdesigned (?:for|to run on) cpus?\b",
    r"\bany laptop\b",
)
_NO_NEED = any_of(r"(?:\bnot|n't) (?:\w+ )?(?:require|need)s?\b")
_PURPOSE = any_of(
    r"\bgpu[- ](?:accelerated|optimi[sz]ed|native|based|powered|enabled|first|resident)\b",
    r"\b(?:on|for|of|across|to|using|targeting|with) (?:multiple |modern |many |several |nvidia |amd |large |"
    r"thousands of |hundreds of )*"
    r"(?:gpus|nvidia gpus?|amd gpus?|cuda)\b",
    r"\bcuda (?:c\+\+|c/c\+\+|kernels?|library|libraries|templates?|implementation|toolkit|programming|samples?|code|"
    r"python|programs?)\b",
    r"\bmulti-?gpu\b",
    r"\b(?:nccl|rccl|cudnn|cublas|tensorrt|rocblas|rocm|hip|cutlass)\b",
    r"\bgpu (?:kernels?|clusters?|programming|computing|implementation|library|memory|performance|benchmarks?|"
    r"inference|rendering|serving)\b",
    r"\bjetson\b",
    r"\b(?:pytorch|torch|pt|tensorflow|tf|jax) ?[/+] ?gpus?\b",
)
_FRAMEWORK_NAME = r"(?:pytorch|tensorflow|jax|flax|paddlepaddle)"
_FRAMEWORK = any_of(
    rf"\b{_FRAMEWORK_NAME}\b.{{0,40}}\b(?:implementation|code|re-?implementation|repository|native|release|models?)\b",
    rf"\b(?:implementation|code|repository|implemented|written|built)\b.{{0,60}}\b(?:in|with|on|using) "
    rf"{_FRAMEWORK_NAME}\b",
)
_RUN_ON = any_of(
    r"\b(?:train|run|pre-?train|fine-?tun|sampl|infer|evaluat|reproduc)\w*\b.{0,80}?"
    r"\b(?:on|with|using|to) (?:an? |one |a single |\d+ ?x? ?)(?:[\w-]+ ){0,3}gpus?\b",
    rf"\b(?:train|fine-?tun)\w*\b.{{0,60}}?\bon (?:an? |one |a single )(?:{MODEL})",
)
_BROAD = any_of(
    r"\bcpus?\b",
    r"\btpus?\b",
    r"\bmps\b",
    r"\bmetal\b",
    r"\bfpgas?\b",
    r"\boptional",
    r"\bsupports?\b",
    r"\bcross-platform",
    r"\bheterogeneous",
    r"\bbackends?\b",
    r"\bintegrat",
)
_SEVERAL = any_of(
    r"\b(?:multiple|several|more|two|many|all|which|other|different|single|one|specific) gpus?\b",
    r"\bmulti-?gpu\b",
    r"\bgpu ids?\b",
)
_CONTAINER = any_of(r"\bdocker", r"\bcontainers?\b", r"\bimages?\b", r"\bnotebook\b", r"\bcolab\b")
_PARTLY = any_of(
    r"\b(?:this|that|these|those|one|first|some|each|following) (?:parts?|steps?|stages?|phases?|modes?|scripts?|"
    r"commands?|tools?|options?|"
    r"features?|notebooks?|examples?|demos?|tests?|variants?|models?)\b",
    r"\b(?:demo|notebook|colab|tutorial)s?\b",
)
_POSSIBLY = any_of(r"\b(?:can|could|may|might|possible|also|even|still|able)\b")
_MAIN_README = re.compile(r"readme[^/]*$", re.IGNORECASE)
_ANAPHOR = re.compile(r"\W*(?:this|it|that|these|those|which|requires)\b", re.IGNORECASE)
_NOTHING_MORE = any_of(
    r"\bno (?:\w+ )?(?:action|installation|changes?|steps?|configuration) (?:is |are )?(?:required|needed|necessary)"
)
_NAMED = re.compile(
    r"\bcuda\s*(?:toolkit|version|sdk|driver|runtime|v)?\s*(?P<bound>>=|≥|>|==?|"
    r"~)?\s*v?(?P<version>\d{1,2}\.\d)(?:\.\d+)?"
    r"(?P<newer>\s*(?:\+|or (?:newer|later|higher|above|greater)|and (?:above|later|newer|up)|以上))?",
    re.IGNORECASE,
)
_NOT_CUDA = re.compile(r"\b(?:driver|cudnn)\b", re.IGNORECASE)
_NEEDED = any_of(
    rf"\b(?:requires?|requiring|needs?|must have|have to have|you'll want|you will want|you will need|depends? on|"
    rf"relies on|rely on|assumes?|"
    rf"expects?|at least|minimum(?: of)?|prerequisites?|mandatory|necessary|only (?:works?|runs?|supports?|tested|"
    rf"available|compatible) (?:on|with)?|"
    rf"au moins|mindestens|needed|required)\b[^.;]{{0,45}}?(?:{GPU.pattern})(?! (?:support|users?|"
    rf"version|build))",
    rf"(?:{GPU.pattern})[^.;]{{0,45}}\b(?:is|are|be|with|of)? ?(?:also )?(?:absolutely |strictly |"
    rf"currently )?(?:required|needed|necessary|mandatory|a must|at least|minimum)\b",
    rf"(?:至少|需要|最低|必须)[^。；]{{0,25}}(?:{GPU.pattern})|(?:{GPU.pattern})[^。；]{{0,20}}(?:至少|需要|最低|必须)",
)


def vendor_of(text: str) -> Vendor | None:
    """Return the vendor if the text names only one."""
    amd, nvidia = _AMD.search(text), _NVIDIA.search(text)
    return "amd" if amd and not nvidia else "nvidia" if nvidia and not amd else None


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """Read what the sentence says of GPUs, and which CUDA it names."""
    text = sentence.text
    spot = Spot(sentence.path, sentence.line, quote(text))
    if _CPU_ONLY.search(text) and not NEED.search(_NO_NEED.sub("", _CPU_ONLY.sub("", text))):
        weight = -0.8 if place.alternative or _PARTLY.search(text) or GPU.search(text) else -2.0
        facts.gpu.append(GpuSign("denial", weight * place.weight, None, spot, "says that a CPU will do"))
    if place.intro and _MAIN_README.match(sentence.path) and _FRAMEWORK.search(text):
        # What a readme says of itself first may name a framework that no manifest does.
        facts.gpu.append(GpuSign("dependency", 0.8, None, spot, "introduces itself as deep learning code"))
    denied = _DENIAL.search(text)
    if not (denied or GPU.search(text) or (place.intro and _PURPOSE.search(text))):
        return
    if denied:
        weak = place.alternative or _PARTLY.search(text) or _POSSIBLY.search(text[: denied.start()])
        weight = -1.0 if weak else -3.5
        facts.gpu.append(GpuSign("denial", weight * place.weight, None, spot, "says that no GPU is needed"))
        return
    kind, weight, note = _judge(sentence, place)
    if weight:
        facts.gpu.append(GpuSign(kind, weight * place.weight, vendor_of(text), spot, note))
    _cuda(text, place, spot, facts)


def _judge(sentence: Sentence, place: Standing) -> tuple[_Kind, float, str]:
    text = sentence.text
    if place.aside:
        return "statement", 0.2, "tells of a machine that was used"
    optional = place.alternative or OPTIONAL.search(text) is not None or _follows_option(sentence)
    if place.intro and _MAIN_README.match(sentence.path) and _PURPOSE.search(text):
        if not optional and not _BROAD.search(text) and not text.endswith("?"):
            return "purpose", 2.5 if sentence.order < 5 else 1.5, "its purpose is work on GPUs"
        return "purpose", 0.3, "GPUs are among what it works on"
    if optional:
        return "optional", 0.0 if _SEVERAL.search(text) else -0.6, "names a GPU as one way"
    if asks_for_one(text):
        return "statement", 1.0 if _CONTAINER.search(text) else 3.0, "says that it needs one"
    # A heading announces its own requirements only in what stands below it.
    if place.required and sentence.kind != "heading" and len(text) < 220 and not _NOTHING_MORE.search(text):
        listed = "/" not in sentence.path and sentence.kind != "prose"
        return "statement", 2.5 if listed else 1.5, "stands among its requirements"
    if RECOMMEND.search(text):
        return "statement", 1.5, "recommends one"
    if _RUN_ON.search(text):
        return "statement", 1.0, "says on how many it is run"
    return "statement", 0.2, "names one"


def _follows_option(sentence: Sentence) -> bool:
    """Return whether the sentence before makes this one optional: `we also support GPUs. This requires a GPU`."""
    before = sentence.block.partition(sentence.text)[0].rstrip()
    previous = re.split(r"[.!?]\s", before)[-1]
    return bool(_ANAPHOR.match(sentence.text) and GPU.search(previous) and OPTIONAL.search(previous))


def asks_for_one(text: str) -> bool:
    """Return whether a GPU is the object of a word of needing, or the subject of being needed."""
    return _NOTHING_MORE.search(text) is None and _NEEDED.search(text) is not None


def _cuda(text: str, place: Standing, spot: Spot, facts: Facts) -> None:
    for found in _NAMED.finditer(text):
        newer = found["newer"] or (found["bound"] or "") in (">=", "≥", ">")
        weight = place.weight * (0.3 if place.aside or place.alternative else 1.0)
        if not _NOT_CUDA.search(text[max(0, found.start() - 12) : found.start()]):
            facts.cuda.append(CudaSign(f">={found['version']}" if newer else found["version"], weight, spot))
