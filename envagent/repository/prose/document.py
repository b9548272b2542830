"""One document of prose, sentence by sentence.

Owns: turning every mention into a fact with its features, and the note about text for automated readers. Must not:
weigh.
"""

from __future__ import annotations

import re

from envagent.repository.documents.reading import sentences
from envagent.repository.documents.sentence import Sentence
from envagent.repository.facts import CudaSign, Facts, PythonSign, Said, Scope, Spot, quote
from envagent.repository.prose import system_names
from envagent.repository.prose.features import document_of, features, of_headings, stance, surroundings
from envagent.repository.prose.mentions import Mention, mentions
from envagent.repository.prose.readings import Reading, readings
from envagent.repository.readers.dependencies import listed_package
from envagent.repository.readers.shell_commands import read_command
from envagent.repository.workload import count_words

_WEIGHT = {
    "doc.main": 1.0, "doc.given": 1.0, "doc.top": 1.0, "doc.install": 0.8, "doc.artifact": 0.6, "doc.docs": 0.3,
    "doc.variant": 0.3, "doc.part": 0.3, "doc.translation": 0.2, "doc.deep": 0.2, "doc.side": 0.15, "doc.foreign": 0.1,
}  # fmt: skip
"""How much commands and versions of a document count; what its sentences count is fitted, see `conclusions.model`."""
_ONE_WAY = frozenset(
    ("near-head.optional", "near-head.elsewhere", "near-head.aside", "head.aside", "near-head.results")
)
_FIRM = frozenset(("need", "listed", "recommend", "tested", "takes"))
_SHOWN_INSTEAD = re.compile(r"(?:docs|\.github)/readme", re.IGNORECASE)
"""The readme that GitHub shows where the top has none."""
_PARAMETERS = re.compile(
    r"(?<![\w.])(?:[A-Za-z][\w.]{0,30}-)?(\d{1,3}(?:\.\d)?)b(?:-\w{1,20})?[- ](?:model|param|chat|instruct|base)",
    re.IGNORECASE,
)


def read(path: str, text: str, facts: Facts) -> None:
    """Read a readme or a guide."""
    found, addressed = sentences(path, text)
    for line in addressed[:3]:
        facts.notes.append(f"{path}:{line} addresses automated readers; what it says was not taken as evidence.")
    facts.workload += count_words(path, text, found)
    kind = document_of(path)
    if not facts.has_main_readme and (kind == "doc.translation" or _SHOWN_INSTEAD.match(path)):
        kind = "doc.main"
    weight = _WEIGHT[kind]
    for sentence in found:
        if sentence.kind == "code":
            _command(sentence, kind, facts)
        if weight > 0.5 and (pin := listed_package(sentence.text, path, sentence.line)):
            facts.packages.append(pin)
        for reading in readings(sentence):
            _say(reading, kind, facts)


def _command(sentence: Sentence, kind: str, facts: Facts) -> None:
    weight = _WEIGHT[kind] * (0.3 if of_headings(sentence) & _ONE_WAY else 1.0)
    scope: Scope = "documented" if weight > 0.5 else "optional"
    read_command(sentence.path, sentence.line, sentence.text, facts, scope=scope, weight=weight)


def _say(reading: Reading, kind: str, facts: Facts) -> None:
    sentence, weight = reading.sentence, _WEIGHT[kind]
    if not reading.found and not any(word.is_number for word in reading.words):
        return
    shown = " | ".join(cell for cell in sentence.cells if cell) or sentence.text
    spot = Spot(sentence.path, sentence.line, quote(shown))

    mentioned = list(mentions(reading))
    around = surroundings(reading, kind)
    if any(m.subject == "gpus" and m.value != 1 for m in mentioned):
        around |= {"among several"}

    def said(mention: Mention, newer: bool = False) -> Said:
        held = features(mention, reading, around)
        return Said(mention.subject, mention.value, held, stance(held), spot, newer)

    for mention in mentioned:
        one = said(mention)
        if not (mention.subject == "cpu_will_do" and one.stance == "denied"):
            facts.said.append(one)
    facts.said += [
        s for s in (said(mention, newer) for mention, newer in system_names.systems(reading)) if s.stance != "denied"
    ]
    for allowed, found in system_names.pythons(reading):
        one = said(Mention("python", found.named, found.start, found.end))
        if one.stance == "denied" or not (any("." in v for v in found.named) or one.stance in ("need", "listed")):
            continue
        firm = weight >= 0.8 and one.stance in _FIRM
        facts.pythons.append(PythonSign(allowed, 1 if firm else 0, spot, "what it documents"))
    for version, found in system_names.cudas(reading):
        one = said(Mention("cuda", version, found.start, found.end))
        factor = 0.3 if one.stance in ("optional", "aside", "denied") else 1.0
        facts.cuda.append(CudaSign(version, weight * factor, spot))
    if "research" in reading.concepts:
        facts.said.append(said(Mention("research", None, 0, 1)))
    if weight == 1.0:
        sizes = _PARAMETERS.finditer(reading.text)
        facts.said += [said(Mention("parameters", float(size[1]), 0, 1)) for size in sizes]
