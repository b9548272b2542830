"""Sentences about GPUs: needed, recommended, optional or denied.

Owns: the words of accelerators and how sentences tell the four apart. Must not: sum up.
"""

from __future__ import annotations

import re
from typing import Literal

from envagent.repository.documents import Sentence
from envagent.repository.facts import CudaSign, Facts, GpuSign, Spot, Vendor, quote
from envagent.repository.prose.context import NEED, OPTIONAL, RECOMMEND, Standing

_MODEL = (
    r"\b(?:nvidia |tesla |quadro |geforce )?(?:[ahv]100|h200|b200|p100|[ml]40s?|t4|a10g?|a30|a40|a6000|k80|rtx[- ]?(?:a?\d{4}|titan)|"
    r"gtx[- ]?\d{3,4}|titan (?:x|v|xp|rtx)|mi\d{2,3}x?a?)(?: ?ti)?s?\b"
)
GPU = re.compile(
    rf"\bgpus?\b|\bgpgpu\b|graphics? (?:cards?|processors?|processing|hardware)|\bcuda\b|\bnvidia\b(?! (?:research|corporation|corp|developer))|\brocm\b|\bradeon\b|"
    rf"\bvram\b|cartes? graphiques?|grafikkarten?|显卡|显存|\bcudnn\b|{_MODEL}",
    re.IGNORECASE,
)
_Kind = Literal["statement", "purpose", "optional"]
_AMD = re.compile(r"\brocm\b|\bamd\b|\bradeon\b|\bhip\b|\brccl\b|\brocblas\b|\bmi\d{2,3}x?\b", re.IGNORECASE)
_NVIDIA = re.compile(rf"\bcuda\b|\bnvidia\b|\bcudnn\b|\bnccl\b|\btensorrt\b|\bjetson\b|{_MODEL}", re.IGNORECASE)
_THING = r"(?:(?:an?|any|the|nvidia|dedicated|special|powerful|discrete|amd|cuda) )*(?:gpus?|graphics? cards?|cuda|video cards?|accelerators?)"
_DENIAL = re.compile(
    rf"\bno {_THING}(?: (?:is|are|was))?\s*(?:needed|required|necessary|used|involved|at all|whatsoever|dependenc|$|[.,;)])|"
    rf"\b{_THING}\b[^.;]{{0,25}}\b(?:(?:is|are|was)n't|(?:is|are) not|not) (?:\w+ly )?(?:\w+ )?(?:required|needed|necessary|mandatory|used)\b|"
    rf"\b(?:does|do|did|is|are|will)(?:n't| not) (?:\w+ )?(?:require|need|use|rely|depend|have to)\b[^.;]{{0,30}}\b{_THING}|"
    rf"\b(?:without|needs? no|requires? no|no need (?:for|of)) {_THING}\b(?! (?:support|it|the|you|this|training|will))|"
    r"\baucune? (?:carte graphique|gpu)|\bkeine? (?:gpu|grafikkarte)|\bno (?:se )?(?:requiere|necesita)[^.]{0,20}gpu|(?:不需要|无需)[^。]{0,12}(?:gpu|显卡)",
    re.IGNORECASE,
)
_CPU_ONLY = re.compile(
    r"\bcpu[- ]only\b|\bonly (?:uses? |needs? |runs? on |on )?(?:the |a )?cpus?\b|\bruns? on (?:the |a |any |your |an )?(?:\w+ )?(?:laptop|cpu|desktop|raspberry)s?\b|"
    r"\bcpu code\b|\b(?:on|with) a (?:single )?(?:laptop|cpu)\b|\bcpu (?:is|are) (?:enough|sufficient|fine)|\bdesigned (?:for|to run on) cpus?\b|\bany laptop\b",
    re.IGNORECASE,
)
_PURPOSE = re.compile(
    r"\bgpu[- ](?:accelerated|optimi[sz]ed|native|based|powered|enabled|first|resident)\b|\b(?:on|for|of|across|to|using|targeting|with) (?:multiple |modern |many |several |nvidia |amd |large |thousands of |hundreds of )*(?:gpus|nvidia gpus?|amd gpus?|cuda)\b|"
    r"\bcuda (?:c\+\+|c/c\+\+|kernels?|library|libraries|templates?|implementation|toolkit|programming|samples?|code|python|programs?)\b|\bmulti-?gpu\b|\b(?:nccl|rccl|cudnn|cublas|tensorrt|rocblas|rocm|hip|cutlass)\b|"
    r"\bgpu (?:kernels?|clusters?|programming|computing|implementation|library|memory|performance|benchmarks?|inference|rendering|serving|communication)\b|\bjetson\b",
    re.IGNORECASE,
)
_BROAD = re.compile(
    r"\bcpus?\b|\btpus?\b|\bmps\b|\bmetal\b|\bfpgas?\b|\boptional|\bsupports?\b|\bcross-platform|\bheterogeneous|\bbackends?\b|\bintegrat",
    re.IGNORECASE,
)
_NAMED = re.compile(
    r"\bcuda\s*(?:toolkit|version|sdk|driver|runtime|v)?\s*(?P<bound>>=|≥|>|==?|~)?\s*v?(?P<version>\d{1,2}\.\d)(?:\.\d+)?(?P<newer>\s*(?:\+|or (?:newer|later|higher|above|greater)|and (?:above|later|newer|up)|以上))?",
    re.IGNORECASE,
)
_NOT_CUDA = re.compile(r"\b(?:driver|cudnn)\b", re.IGNORECASE)


def vendor_of(text: str) -> Vendor | None:
    """The vendor that the text names alone."""
    amd, nvidia = _AMD.search(text), _NVIDIA.search(text)
    return "amd" if amd and not nvidia else "nvidia" if nvidia and not amd else None


def read(sentence: Sentence, place: Standing, facts: Facts) -> None:
    """What the sentence says of GPUs, and which CUDA it names."""
    text = sentence.text
    spot = Spot(sentence.path, sentence.line, quote(text))
    if _CPU_ONLY.search(text) and not NEED.search(_CPU_ONLY.sub("", text)):
        weight = -1.0 if place.alternative or GPU.search(text) else -2.0
        facts.gpu.append(GpuSign("denial", weight * place.weight, None, spot, "says that a CPU will do"))
    if GPU.search(text) is None and not (place.intro and _PURPOSE.search(text)):
        return
    vendor = vendor_of(text)
    if _DENIAL.search(text):
        weight = -1.2 if place.alternative else -3.5
        facts.gpu.append(GpuSign("denial", weight * place.weight, None, spot, "says that no GPU is needed"))
        return
    kind, weight, note = _judge(sentence, place)
    if weight:
        facts.gpu.append(GpuSign(kind, weight * place.weight, vendor, spot, note))
    _cuda(text, place, spot, facts)


def _judge(sentence: Sentence, place: Standing) -> tuple[_Kind, float, str]:
    text = sentence.text
    if place.aside:
        return "statement", 0.2, "tells of a machine that was used"
    optional = OPTIONAL.search(text) is not None or place.alternative
    if place.intro and _PURPOSE.search(text):
        if not _BROAD.search(text) and not optional:
            return "purpose", 2.5 if sentence.order < 5 else 1.5, "its purpose is work on GPUs"
        return "purpose", 0.3, "GPUs are among what it works on"
    if optional:
        return "optional", -0.6, "names a GPU as one way"
    if NEED.search(text):
        return "statement", 3.0, "says that it needs one"
    if place.required and sentence.kind in ("bullet", "table", "prose") and len(text) < 220:
        return "statement", 2.5, "stands among its requirements"
    if RECOMMEND.search(text):
        return "statement", 1.5, "recommends one"
    return "statement", 0.2, "names one"


def _cuda(text: str, place: Standing, spot: Spot, facts: Facts) -> None:
    for found in _NAMED.finditer(text):
        newer = found["newer"] or (found["bound"] or "") in (">=", "≥", ">")
        weight = place.weight * (0.3 if place.aside or place.alternative else 1.0)
        if not _NOT_CUDA.search(text[max(0, found.start() - 12) : found.start()]):
            facts.cuda.append(CudaSign(f">={found['version']}" if newer else found["version"], weight, spot))
