"""Named features of a mention: where it stands, and what its headings, its sentence and its neighbours say.

Owns: the names, to which the weights refer, and the stance that they make together. Must not: weigh.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache

from envagent.repository.documents.sentence import Sentence
from envagent.repository.prose.lexicon import concepts_of
from envagent.repository.prose.mentions import Mention
from envagent.repository.prose.readings import Reading
from envagent.repository.readers.scopes import README, is_readme, is_translation, scope_of

_NEAR = 6
_FAR = frozenset(("need", "recommend"))
_TOLD = {"pre": {"pre.need", "pre.recommend", "pre.least"}, "post": {"post.need", "post.recommend"}}
_REACH = 4
_HARDWARE = ("gpu", "gpu_model", "ram", "vram", "disk", "core")
_LISTING = frozenset((",", "(", ")", "or", "and", "/", "nor", "oder", "ou", "o", "或", "as", "such", "like"))
_BREAKS = frozenset((".", ";", "!", "?", "。", "；", "but", "so", "however", "whereas", "while"))
_SUBJECTS = frozenset(("you", "we", "it", "they", "i"))
_SAID = (
    "need", "least", "recommend", "tested", "used", "optional", "support", "if", "part", "enough", "takes", "most",
    "example", "each", "data", "time", "reduced", "container", "trains", "alternative_chip", "special.docker",
    "cpu_model", "machine", "cpu_will_do", "emulated", "having",
)  # fmt: skip
_NEARBY = frozenset((
    "need", "least", "recommend", "optional", "may", "most", "example", "each", "if", "takes", "enough", "data",
    "alternative_chip", "or", "container", "machine", "time",
))  # fmt: skip
_LEADS = ("need", "least", "recommend", "tested", "used")
_ALONE = ("gpu", "reduced")
_DOCS = re.compile(r"(?:[\w-]{1,40}-)?docs?/|documentation/|book/|\.github/")
_LINUX = re.compile(r"\b(?:linux|ubuntu)\b", re.IGNORECASE)
_DIGIT = re.compile(r"\d")
_GUIDE = re.compile(r"install|require|hardware|setup|build|prerequisite|start|manual")
# The page that the artifact tracks of some conferences ask for.
_NEEDS = re.compile(r"(?:(?:system|hardware|software)[_-])?(?:requirements|prerequisites|hardware)\.(?:md|rst|adoc)$")
_ARTIFACT = re.compile(r"(?:docs?/)?(?:ae|artifacts?|artefacts?)(?:[-_]?eval\w*)?/")

# Who needs it, in one word: the first row of which a feature holds.
STANCES: tuple[tuple[str, frozenset[str]], ...] = (
    ("need", frozenset(("if below",))),
    ("denied", frozenset(("denied",))),
    ("cpu", frozenset(("is.cpu_will_do",))),
    ("optional", frozenset((
        "say.optional", "near-head.optional", "near-head.elsewhere", "say.alternative_chip",
        "pre.optional", "post.optional", "say.support",
    ))),
    ("aside", frozenset(("head.aside", "near-head.results", "say.used"))),
    ("need", frozenset(("pre.need", "post.need", "pre.least", "denied twice", "col.least", "col.need", "row.least"))),
    ("recommend", frozenset((
        "pre.recommend", "post.recommend", "near-head.recommended", "lead.recommend", "col.recommend", "row.recommend",
    ))),
    ("listed", frozenset(("head.requirements", "lead.need"))),
    ("aside", frozenset(("near-head.faq",))),
    ("takes", frozenset(("pre.takes", "pre.enough", "post.enough"))),
    ("tested", frozenset(("say.tested", "lead.tested", "col.tested"))),
    ("sized", frozenset(("is.vram", "is.ram", "is.disk"))),
    ("purpose", frozenset(("is.purpose",))),
)  # fmt: skip
_OF_A_MACHINE = frozenset(("is.ram", "is.disk", "is.cores", "is.nodes"))
_OTHER_WAYS = frozenset(("say.optional", "say.alternative_chip", "say.support", "near-head.optional"))
"""What makes a GPU optional, but neither memory nor disk."""
_SYSTEMS = frozenset(
    ("ubuntu", "kernel", "python", "centos", "rhel", "rocky", "almalinux", "debian", "fedora", "opensuse")
)
_EITHER = frozenset(("pre.or", "post.or"))


def stance(found: frozenset[str]) -> str:
    """Return the stance of a mention with these features; `named` where nothing tells."""
    if {"pre.most", "say.support"} <= found and "is.disk" in found:
        # `ext4 only supports files up to 16 TB`
        return "aside"
    if found & _OF_A_MACHINE:
        found -= _OTHER_WAYS
        if "lead.used" in found and not found & {"pre.need", "post.need", "pre.least"}:
            # `Our experiments were run on six nodes with:`, and below it what these have.
            return "aside"
    if "near-head.requirements" in found:
        # `What is new`, and below it `System requirements`.
        found -= {"head.aside"}
    if found & {"pre.need", "post.need"} and "near-head.install" in found:
        # Steps to reproduce results begin with what must be there.
        found -= {"near-head.results"}
    if "is.cpu" in found or not found & _EITHER:
        found -= {"say.alternative_chip"}
    if found & {"pre.need", "post.need", "say.having"} or not found.isdisjoint(f"is.{name}" for name in _SYSTEMS):
        found -= {"say.support"}
        if "pre.container" in found and "say.machine" not in found and "is.ubuntu" in found:
            return "aside"
    return next((name for name, features in STANCES if found & features), "named")


def surroundings(reading: Reading, document: str) -> frozenset[str]:
    """Return the features that all mentions of a sentence share, in a document of this kind."""
    sentence = reading.sentence
    found = {document, f"in.{sentence.kind}", *of_headings(sentence)}
    if document == "doc.given":
        found.add("doc.main")
    elif sentence.order < 8 and document == "doc.main":
        found.add("early")
    if reading.column is None or reading.text != sentence.cells[0]:
        # The first cell of a row names what the others tell of.
        found |= {f"lead.{c}" for c in concepts_of(sentence.lead[-200:]) if c in _LEADS}
    if reading.column is not None:
        found |= {f"col.{c}" for c in concepts_of(reading.column) if c in _SAID}
        found |= {f"row.{c}" for c in concepts_of(sentence.cells[0]) if c in _SAID}
        others = sentence.cells[1:] if reading.text == sentence.cells[0] else ()
        if any({"no", "optional"} & concepts_of(cell) for cell in others if len(cell) < 20) and not _DIGIT.search(
            "".join(sentence.cells)
        ):
            # `NVIDIA GPU | experimental | no`
            found.add("say.optional")
    found |= {f"say.{c}" for c in _SAID if c in reading.concepts}
    if len(reading.words) > 40:
        found.add("long")
    return frozenset(found)


def features(mention: Mention, reading: Reading, around: frozenset[str]) -> frozenset[str]:
    """Return the names of what holds for the mention, given those of its surroundings."""
    found = {*around, f"is.{mention.subject}", f"from.{mention.origin}", *_nearby(mention, reading)}
    if mention.plain:
        found |= {"plain", *(f"plain&{c}" for c in _ALONE if c in reading.concepts)}
    if reading.has(mention.start - 1, "below") and any(word.text == "if" for word in reading.words[: mention.start]):
        # `If your GPU has less than 80 GB, change the batch size`: as it stands, it needs 80.
        found.add("if below")
    if denials := _denials(mention, reading):
        found.add("denied" if denials == 1 else "denied twice")
    if any(
        reading.has(p, "gpu_model")
        for p in (*range(max(0, mention.start - 3), mention.start), mention.end, mention.end + 1)
    ):
        found.add("of a model")
    return frozenset({*found, f"as.{stance(frozenset(found))}"})


def of_headings(sentence: Sentence) -> frozenset[str]:
    """Return the features that the headings above a sentence give it."""
    return _of_headings(sentence.headings, sentence.path)


def _nearby(mention: Mention, reading: Reading) -> set[str]:
    found = set[str]()
    for step, side, place in ((-1, "pre", mention.start - 1), (1, "post", mention.end)):
        for far in range(3 * _NEAR):
            if not 0 <= place < len(reading.words) or reading.words[place].text in _BREAKS:
                break
            if far and reading.words[place].is_number and found & _TOLD[side]:
                # What stands beyond another number tells of that one: `16 GB are required, ideally 32 GB`.
                break
            if side == "post" and far and reading.has(place, "no"):
                break
            if (one := reading.phrase_at(place)) is not None:
                found |= {f"{side}.{c}" for c in one.concepts if c in (_NEARBY if far < _NEAR else _FAR)}
            place += step
    return found


def _denials(mention: Mention, reading: Reading) -> int:
    """Count the negations that reach the mention: over `or` and lists, up to `beyond` and the end of the clause.

    `No GPU` denies at once; `not` only what is needed or used: `does not need a GPU`, but not `will not start on
    old GPUs`.
    """
    count, distance, colon = 0, 0, False
    # A system is there to be supported too, which says nothing of a GPU: `AMD GPUs are not supported`.
    used = ("need", "takes", "tested", "support") if mention.subject in _SYSTEMS else ("need", "takes")
    needed = any(reading.has(place, "need") for place in _clause(reading, mention.end))
    for place in range(mention.start - 1, -1, -1):
        if reading.words[place].text in _BREAKS or reading.has(place, "beyond") or count > 1:
            break
        if reading.words[place].text in _SUBJECTS and place and reading.words[place - 1].text == ",":
            # `If you are not a reviewer, you will need a GPU.`
            break
        colon = colon or reading.words[place].text == ":"
        if colon and reading.has(place, *_HARDWARE):
            # `No GPU is needed: 6 GB of RAM will do`, unlike `not needed: GPUs`.
            break
        distance += reading.words[place].text not in _LISTING
        needed = needed or reading.has(place, *used)
        one = reading.phrase_at(place)
        if one is None or one.start != place:
            continue
        if "no" in one.concepts:
            count += needed or distance <= _REACH
        elif "without" in one.concepts:
            count += distance <= _REACH
        elif "not" in one.concepts:
            count += needed or count > 0
    if count:
        return count
    for place in _clause(reading, mention.end):
        if reading.words[place].text == ",":
            return 0
        if reading.has(place, "no", "not"):
            return int(any(reading.has(p, *used) for p in range(place, place + 5)))
    return 0


def _clause(reading: Reading, place: int) -> Iterator[int]:
    """Yield the next places up to the end of the clause."""
    for at in range(place, min(place + 8, len(reading.words))):
        if reading.words[at].text in _BREAKS:
            return
        yield at


@lru_cache(maxsize=2048)
def _of_headings(headings: tuple[str, ...], path: str) -> frozenset[str]:
    """Return what the headings announce, and what the nearest of them does."""
    # The title of the main readme names the repository; that of another page names its subject.
    inner = headings[1:] if is_readme(path) and len(headings) > 1 else headings
    found = {c for heading in inner for c in concepts_of(heading) if c.startswith("head.")}
    if inner:
        nearest = concepts_of(inner[-1])
        if _LINUX.search(inner[-1]):
            # `Linux & Windows`
            nearest -= {"head.elsewhere"}
        found |= {f"near-{c}" for c in nearest if c.startswith("head.")}
        if "least" in nearest:
            found.add("near-head.least")
    return frozenset(found or {"head.none"})


@lru_cache(maxsize=512)
def document_of(path: str) -> str:
    """Return which kind of document it is, as the name of a feature."""
    low = path.lower()
    name, depth = low.rpartition("/")[2], low.count("/")
    scope = scope_of(path)
    if low.startswith("given-document-") or low.endswith(".pdf"):
        return "doc.given"
    if is_translation(path):
        return "doc.translation"
    if scope is None:
        return "doc.foreign"
    if depth == 0:
        if scope in ("optional", "development"):
            return "doc.variant"
        return "doc.main" if name.startswith(README) or _NEEDS.match(name) else "doc.top"
    if _ARTIFACT.match(low):
        return "doc.artifact"
    if _DOCS.match(low):
        return "doc.install" if _GUIDE.search(name) else "doc.docs"
    if scope in ("development", "optional"):
        return "doc.side"
    return "doc.part" if depth == 1 else "doc.deep"
