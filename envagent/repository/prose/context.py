"""How much a sentence counts where it stands.

Owns: the weight of documents and headings, and the words for needing, optional, tested and denied.
Must not: know a subject.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from envagent.repository.choose import is_translation
from envagent.repository.documents import Sentence
from envagent.repository.readers.scopes import scope_of, words

REQUIREMENT_HEADING = re.compile(
    r"require|prerequisit|hardware|system|dependenc|environment|platform|configuration matérielle|voraussetzung|"
    r"需求|要求|环境|依赖|before you (begin|start)|what you need|you need|need(ed|s)\b|minimum|specification",
    re.IGNORECASE,
)
INSTALL_HEADING = re.compile(
    r"install|set.?up|getting started|quick.?start|build|compil|usage|running|run\b|安装|使用", re.IGNORECASE
)
_ASIDE_HEADING = re.compile(
    r"news|change.?log|release|what'?s new|updates?\b|history|citation|citing|cite|acknowledg|related|roadmap|contribut|"
    r"reference|licen[cs]e|sponsor|publication|paper|leaderboard|results?\b|performance|benchmarks?\b|comparison|credits|"
    r"projects using|ecosystem|community|todo|faq|troubleshoot|known issues|blog|press|talks|about us|team|trusted by|adopters",
    re.IGNORECASE,
)
_ALTERNATIVE_HEADING = re.compile(
    r"optional|alternative|advanced|cpu|mac|apple|windows|wsl|metal|mps\b|low.?(memory|vram)|extra|experimental|colab|"
    r"(for|with|using|on) (the )?(amd|intel|nvidia|gpus?|cuda|rocm|tpu|xpu|npu)|gpu (support|acceleration|version|backend|build)|cuda (support|version|build)|"
    r"^\W*(gpus?|cuda|nvidia|rocm|amd|intel|tpu|docker|aws|azure|gcp|cloud)\W*$",
    re.IGNORECASE,
)
_ELSEWHERE = re.compile(
    r"\b(was|were|has been|have been) (collected|measured|recorded|obtained|trained|generated|produced|gathered|run|performed|conducted|evaluated|carried out)\b|"
    r"\b(in|for|of) (the|our) (paper|article|publication|evaluation|manuscript)\b|\bour (experiments|results|measurements|cluster|evaluation)\b|"
    r"\bwe (trained|ran|measured|evaluated|used|conducted|performed|report)\b|\btook (about |around |roughly |us )?\d",
    re.IGNORECASE,
)
_REDUCED = re.compile(
    r"\b(reduced|smaller|toy|demo|lite|low[- ]memory|tiny|minimal example|mini|4-?bit|8-?bit|int4|int8|quanti[sz])",
    re.IGNORECASE,
)

NEED = re.compile(
    r"\b(requires?|required|requirements?|requiring|needs?|needed|must|necessary|mandatory|minimum|at least|prerequisites?|assumes?|assumed|"
    r"depends? on|relies on|rely on|expects?|compulsory|only (?:works?|runs?|supports?|tested|available|compatible)|"
    r"au moins|requise?|nécessaire|mindestens|benötigt|se requiere|至少|需要|最低|必须)\b|(?:至少|需要|最低|必须)|>=|≥|you'll want|you will want",
    re.IGNORECASE,
)
RECOMMEND = re.compile(
    r"\b(recommend\w*|ideally|should have|suggest\w*|prefer\w*|advis\w+|conseillés?|empfohlen|推荐|建议)|推荐|建议",
    re.IGNORECASE,
)
TESTED = re.compile(
    r"\b(tested|validated|verified|developed|test(é|ed)? (on|with)|known to work|works? (well )?(on|with)|runs? on|(?:was|were|we) used|equipped|confirmed|assum\w+)\b|测试",
    re.IGNORECASE,
)
OPTIONAL = re.compile(
    r"\boptional(ly)?\b|\bif (you|your|a|an|the|one|any|there|available|present|possible|desired|supported)\b|\bwhen(ever)? (available|possible|present|using|enabled)\b|"
    r"\b(can|could|may|might) (also |optionally |then |be |even |either )*(use|used|run|leverage|benefit|accelerat\w+|utili[sz]ed?|take advantage|enabled?|built|compiled|configured)\b|"
    r"\bexperimental\b|\bspeed[- ]?ups?\b|\bfaster\b|\baccelerated? by\b|\beither\b|\bor (a |the |on )?cpus?\b|\bcpus?( and|,|/| or| as well as| to)\s*(the )?(multi-?)?gpus?\b|"
    r"\bgpus?\s*(/|,|or|and)\s*(\w+\s*(/|,|or|and)\s*)?cpus?\b|\bgpu/tpu\b|\b(to|for) (use|using|run|running|enable|enabling)\b.{0,40}\b(gpus?|cuda)\b|"
    r"\b(gpu|cuda|rocm) (support|acceleration|backend|version|build|users?|awareness)\b|\bsupport(s|ed)? (for |of )?(\w+,? ){0,3}(gpus?|cuda|rocm)\b|\bdefault(s)? to\b|\bextra\b|"
    r"\bwant (to|gpu)\b|\bwish(es)? to\b|\bin case\b|\bfor (those|users)\b|\balso\b.{0,20}\bgpus?\b",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Standing:
    """Where a sentence stands.

    Attributes:
        weight: of its document and heading; 1 in the requirements of the main readme.
        required: its heading announces requirements.
        aside: it tells of news, results or other people's machines.
        alternative: its heading announces one way among others.
        reduced: it speaks of a cut-down variant.
        intro: it belongs to what the repository says of itself first.
    """

    weight: float
    required: bool
    aside: bool
    alternative: bool
    reduced: bool
    intro: bool


def document_weight(path: str) -> float:
    """How much a document speaks for the whole repository."""
    name = path.rsplit("/", 1)[-1].lower()
    depth = path.count("/")
    scope = scope_of(path)
    if scope is None:
        return 0.1
    if is_translation(path):
        return 0.2
    if depth == 0:
        return 1.0
    if re.match(r"docs?/|documentation/|\.github/", path.lower()) and depth <= 3:
        return 0.8 if re.search(r"install|require|hardware|manual|start|build|prerequisite", name) else 0.4
    if scope in ("development", "optional") or {"third", "extern", "subprojects", "plugins"} & set(words(path)):
        return 0.15
    return 0.3 if depth == 1 else 0.2


def standing(sentence: Sentence) -> Standing:
    """Judge a sentence by its headings, its own words of place, and its document."""
    inner = sentence.headings[1:] if len(sentence.headings) > 1 else sentence.headings
    trail = " / ".join(inner)
    required = REQUIREMENT_HEADING.search(trail) is not None
    aside = _ELSEWHERE.search(sentence.text) is not None or any(
        _ASIDE_HEADING.search(h) and not REQUIREMENT_HEADING.search(h) for h in inner
    )
    used = re.search(r"\b(used|paper|our)\b", trail) is not None and required
    return Standing(
        weight=document_weight(sentence.path),
        required=required and not used,
        aside=aside or used,
        alternative=any(_ALTERNATIVE_HEADING.search(h) for h in inner),
        reduced=_REDUCED.search(sentence.block) is not None,
        intro=sentence.order < 8 and sentence.kind in ("heading", "prose", "bullet"),
    )
