"""How much a sentence counts where it stands.

Owns: the weight of documents and headings, and the words for needing, optional, tested and denied.
Must not: know a subject.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from envagent.repository.documents.sentence import Sentence
from envagent.repository.patterns import any_of
from envagent.repository.readers.scopes import is_translation, scope_of, words

_REQUIREMENTS = any_of(
    r"require|prerequisit|hardware|dependenc|\benvironments?\b|\bspecifications?\b",
    r"\b(?:tested|supported|target) (?:on|with|platforms?|systems?|operating|os\b|environments?|distributions?|"
    r"configurations?)",
    r"\b(?:minimum|needed|needs)\b|^tested\b",
    r"before you (?:begin|start)|you need\b",
    r"configuration (?:matérielle|requise|minimale|recommandée)|pré-?requis|voraussetzung|anforderung|requisitos|"
    r"требовани",
    r"需求|要求|环境|依赖|配置|環境|要件|必要|요구",
)
_NEWS = r"\b(?:news|change.?log|release|what'?s new|updates?\b|history|blog|press\b|talks|roadmap|todo)"
_ASIDE = any_of(
    _NEWS,
    r"citation|\bciting|\bcite|acknowledg|publication|paper|licen[cs]e|credits",
    # Not the genome that reads are compared with.
    r"\breferences?\b(?! (?:annotation|assembl|bundle|data|file|genome|index|panel|sequence|set|transcript))",
    r"\brelated|contribut|sponsor|community|ecosystem|projects using|trusted by|adopters|about us|team",
    r"leaderboard|results?\b|performance|benchmarks?\b|comparison",
    r"faq|troubleshoot|known issues",
)
_IS_NEWS = any_of(_NEWS)
_STATED = any_of(r"\b(?:requirements|prerequisites)\b")
_ALTERNATIVE = any_of(
    r"optional|alternative|advanced|experimental|extra|low.?(?:memory|vram)|colab",
    r"\bcpu\b|\bmps\b|\bwsl\b",
    r"(?:for|with|using|on) (?:the )?(?:amd|intel|nvidia|gpus?|cuda|rocm|tpu|xpu|npu)\b",
    r"\b(?:gpu|cuda) (?:support|acceleration|version|backend|build)",
    r"^\W*(?:gpus?|cuda|nvidia|rocm|amd|intel|tpu|docker|aws|azure|gcp|cloud)\W*$",
    r"\b(?:using|with|via|from|in|through) (?:a |the )?(?:docker|containers?)\b|\bdocker (?:image|container|install)",
)
_OTHER_PLATFORM = any_of(r"\bmac(?:book)?\b|macos|\bos ?x\b|apple|windows|\bmetal\b(?<!bare metal)")
_COMMON_PLATFORM = any_of(r"linux|ubuntu|unix")
_ELSEWHERE = any_of(
    r"\b(?:was|were|has been|have been) (?:collected|measured|recorded|obtained|trained|generated|produced|gathered|"
    r"run|performed|done|"
    r"conducted|evaluated|carried out)\b",
    r"\b(?:in|for|(?<!implementation )(?<!code )of) (?:the|our) (?:paper|article|publication|evaluation|"
    r"manuscript)\b",
    r"\bour (?:experiments|results|measurements|cluster|evaluation)\b",
    r"\bwe (?:trained|ran|measured|evaluated|used|conducted|performed|report)\b",
    r"\btook (?:about |around |roughly |us )?\d",
)
_REDUCED = any_of(
    r"\b(?:reduced|smaller|toy|demo|lite|low[- ]memory|tiny|minimal example|mini|4-?bits?|8-?bits?|int4|int8|"
    r"quanti[sz]\w*)(?![a-z])"
)

NEED = any_of(
    r"\b(?:requires?|required|requirements?|requiring|needs?|needed|must|necessary|mandatory|compulsory)\b",
    r"\b(?:minimum|at least|not? (?:less|fewer) than|prerequisites?|assumes?|assumed|"
    r"depends? on|relies on|rely on|expects?)\b",
    r"\bonly (?:works?|runs?|supports?|tested|available|compatible)\b",
    r"\b(?:make|be) sure\b[^.;]{0,40}\b(?:has|have)\b",
    r"\byou(?:'ll| will) (?:want|need)\b",
    r"\b(?:au moins|requise?|nécessaire|mindestens|benötigt|se requiere)\b",
    r"至少|需要|最低|必须|必要|必須|[\dBG]\s?以上|>=|≥",
)
RECOMMEND = any_of(
    r"\b(?:recommend\w*|ideally|should have|suggest\w*|prefer\w*|advis\w+|conseillés?|empfohlen)\b", r"推荐|建议|推奨"
)
TESTED = any_of(
    r"\b(?:tested|validated|verified|developed|confirmed|test(?:é|ed)? (?:on|with)|known to work|"
    r"works? (?:well )?(?:on|with))\b",
    r"\b(?:runs? on|(?:was|were|we) used|equipped|assum\w+)\b",
    r"测试|動作確認",
)
OPTIONAL = any_of(
    r"\boptional(?:ly)?\b|\bexperimental\b|\bextra\b|\beither\b|\badded support\b|\bin case\b",
    r"\bif (?:you|your|a|an|the|one|any|there|they|it|available|present|possible|desired|supported)\b",
    r"\bwhen(?:ever)? (?:available|possible|present|using|enabled)\b",
    r"\b(?:can|could|may|might) (?:also |optionally |then |be |even |either )*(?:use|used|run|leverage|benefit|"
    r"accelerat\w+|"
    r"utili[sz]ed?|take advantage|enabled?|built|compiled|configured)\b",
    r"(?<!x )(?<!times )\b(?:speed[- ]?ups?|faster)\b|\baccelerated? by\b|\bdefaults? to\b",
    r"\bor (?:a |the |on )?cpus?\b|\bcpus?(?: and|,|/| or| as well as| to)\s*(?:the )?(?:multi-?)?gpus?\b",
    r"\bgpus?\s*(?:/|,|or|and)\s*(?:\w+\s*(?:/|,|or|and)\s*)?cpus?\b|\bgpu/tpu\b|\balso (?:supports?|works?|runs?|"
    r"available|possible)\b.{0,30}\bgpus?\b",
    r"\b(?:to|for) (?:use|using|run|running|enable|enabling)\b.{0,40}\b(?:gpus?|cuda)\b",
    r"\b(?:gpu|cuda|rocm) (?:support|acceleration|backend|version|build|users?|awareness)\b",
    r"\bsupport(?:s|ed)? (?:for |of )?(?:\w+,? ){0,3}(?:gpus?|cuda|rocm)\b",
    r"^\W*(?:for|with|on|under|using|to) (?:the |an? )?[\w-]*(?:gpus?|cuda|nvidia|rocm)\b",
    r"\bwant (?:to|gpu)\b|\bwish(?:es)? to\b|\bfor (?:those|users)\b",
)


@dataclass(frozen=True)
class Standing:
    """Where a sentence stands.

    Attributes:
        weight: of its document; 1 in the main readme.
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
    """Return how much a document speaks for the whole repository."""
    name = path.rsplit("/", 1)[-1].lower()
    depth = path.count("/")
    scope = scope_of(path)
    if scope is None:
        return 0.1
    if is_translation(path):
        return 0.2
    if scope == "optional":
        # `README_sycl.md`: one way beside the main one.
        return 0.15 if depth else 0.3
    if depth == 0:
        return 1.0
    if re.match(r"(?:[\w-]{1,40}-)?docs?/|documentation/|book/|\.github/", path.lower()) and depth <= 3:
        if re.search(r"install|require|hardware|manual|start|setup|build|prerequisite", name):
            return 0.8
        return 0.4 if depth <= 2 else 0.2
    if re.match(r"docs?/", path.lower()) and re.match(r"(?:system.)?requirements|hardware", name):
        return 0.8
    if scope in ("development", "optional") or {"third", "extern", "subprojects", "plugins"} & set(words(path)):
        return 0.15
    # Who reproduces a paper runs its artifact.
    if re.match(r"(?:ae|artifacts?|artefacts?)(?:[-_]?eval\w*)?/readme", path.lower()):
        return 0.6
    return 0.3 if depth == 1 else 0.2


def standing(sentence: Sentence) -> Standing:
    """Judge a sentence by its headings, its own words of place, and its document."""
    weight, required, aside, alternative = _section(sentence.path, sentence.headings)
    return Standing(
        weight=weight,
        required=required,
        aside=aside or _ELSEWHERE.search(sentence.text) is not None,
        alternative=alternative,
        reduced=_REDUCED.search(sentence.block) is not None,
        intro=sentence.order < 8 and sentence.kind in ("heading", "prose", "bullet"),
    )


@lru_cache(maxsize=1024)
def _section(path: str, headings: tuple[str, ...]) -> tuple[float, bool, bool, bool]:
    """Return the weight, and whether its headings announce requirements, an aside, or one way among others."""
    # The title of the main readme names the repository; that of another page names its subject.
    inner = headings[1:] if "/" not in path else headings
    trail = " / ".join(headings if len(headings) == 1 else inner)
    required = _REQUIREMENTS.search(trail) is not None
    used = required and re.search(r"\b(?:used|paper|our)\b", trail) is not None
    # Where the title is a picture, the first heading is a section's.
    untitled = len(headings) > 0 and _ASIDE.fullmatch(headings[0]) is not None
    # Requirements that stand below news, where sections begin anew without saying so, are no news.
    stated = max((n for n, h in enumerate(inner) if _STATED.search(h)), default=0)
    aside = (
        used
        or untitled
        or any(
            _ASIDE.search(h) and not _REQUIREMENTS.search(h) and not (n < stated and _IS_NEWS.search(h))
            for n, h in enumerate(inner)
        )
    )
    return document_weight(path), required and not used, aside, any(_is_alternative(h) for h in inner)


def _is_alternative(heading: str) -> bool:
    if _ALTERNATIVE.search(heading):
        return True
    return _OTHER_PLATFORM.search(heading) is not None and _COMMON_PLATFORM.search(heading) is None
