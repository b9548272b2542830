"""One document of prose, sentence by sentence.

Owns: sending each sentence to the subjects, and the note about text for automated readers. Must not: weigh.
"""

from __future__ import annotations

from envagent.repository.documents.reading import sentences
from envagent.repository.facts import Facts, Scope
from envagent.repository.prose import amounts, gpu, special, systems
from envagent.repository.prose.context import standing
from envagent.repository.readers.dependencies import listed_package
from envagent.repository.readers.shell_commands import read_command


def read(path: str, text: str, facts: Facts) -> None:
    """Read a readme or a guide."""
    found, addressed = sentences(path, text)
    for line in addressed[:3]:
        facts.notes.append(f"{path}:{line} addresses automated readers; what it says was not taken as evidence.")
    for sentence in found:
        place = standing(sentence)
        special.read(sentence, place, facts)
        systems.read(sentence, place, facts)
        if place.weight > 0.5 and not place.aside and (pin := listed_package(sentence.text, path, sentence.line)):
            facts.packages.append(pin)
        elif sentence.kind == "code":
            weight = place.weight * (0.3 if place.alternative or place.aside else 1.0)
            scope: Scope = "documented" if weight > 0.5 else "optional"
            read_command(path, sentence.line, sentence.text, facts, scope=scope, weight=weight)
        else:
            gpu.read(sentence, place, facts)
        amounts.read(sentence, place, facts)
