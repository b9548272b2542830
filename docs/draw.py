"""Write docs/diagrams.md and the exchanges of a recorded run that it draws: python docs/draw.py [--check].

The exchanges are recorded from a run of the real steps against the in-memory cloud of the simulation.
"""

from __future__ import annotations

import inspect
import json
import sys
import tempfile
from pathlib import Path
from typing import Any
from unittest import mock

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from envagent.advice.advisor import Advisor  # noqa: E402
from envagent.engine.context import Context  # noqa: E402
from envagent.repository import fetch as fetching  # noqa: E402
from envagent.steps import PROVISIONING  # noqa: E402
from envagent.steps.request import RunRequest  # noqa: E402
from tests.kit.git import make_repository  # noqa: E402
from tests.simulation import story  # noqa: E402
from tests.simulation.cloud import CALM  # noqa: E402

DIAGRAMS = ROOT / "docs" / "diagrams.md"
EXCHANGES = ROOT / "envagent" / "diagrams" / "exchanges.json"

SERVICES = {
    "identity": "Keystone",
    "image": "Glance",
    "images": "Glance",
    "flavors": "Nova",
    "server": "Nova",
    "servers": "Nova",
    "keypair": "Nova",
    "keypairs": "Nova",
    "networks": "Neutron",
    "ports": "Neutron",
    "floating ip": "Neutron",
    "floating ips": "Neutron",
    "hosts": "Blazar",
    "occupations": "Blazar",
    "lease": "Blazar",
    "leases": "Blazar",
}
QUESTIONS = {
    "requirements": "requirements?",
    "node_type": "node type?",
    "duration": "duration?",
    "image_candidates": "image candidates?",
    "image": "image?",
}
"""What the advisor asks an AI, by its method."""


def stage_at_work() -> str:
    """Return the key of the stage whose code is running."""
    for frame in inspect.stack(0):
        context = frame.frame.f_locals.get("context")
        if isinstance(context, Context):
            return context.stage
    return ""


def record() -> str:
    """Run once, and return what was requested as JSON."""
    found: list[dict[str, Any]] = []

    def note(party: str, text: str) -> None:
        one = {"stage": stage_at_work(), "party": party, "text": text}
        if found and {**found[-1], "repeated": False} == {**one, "repeated": False}:
            found[-1]["repeated"] = True
        elif one["stage"]:
            found.append({**one, "repeated": False})

    class Trail(list[str]):
        def append(self, line: str) -> None:
            call = line.split(" ", 1)[1]
            method, name = call.split(" ", 1) if call.split()[0].isupper() else ("GET", call)
            note(SERVICES[name], f"{method} {name}")

    class Asked(Advisor):
        def __getattribute__(self, name: str) -> Any:
            if name in QUESTIONS:
                note("ai", QUESTIONS[name])
            return super().__getattribute__(name)

    fetch = fetching.fetch

    def fetched(*arguments: Any, **options: Any) -> Any:
        note("git", "clone")
        return fetch(*arguments, **options)

    with tempfile.TemporaryDirectory() as folder:
        repository = make_repository(Path(folder) / "thing", {"requirements.txt": "numpy\n"})
        told = story.Story(1, Path(folder))
        told.cloud.mischief = CALM
        told.cloud.trail = Trail()
        request = RunRequest(repository=str(repository), output_folder=Path(folder))
        with (
            mock.patch.object(story, "PIPELINE", PROVISIONING),
            mock.patch.object(story, "Advisor", Asked),
            mock.patch.object(story, "RunRequest", lambda **_: request),
            mock.patch.object(fetching, "fetch", fetched),
        ):
            told._life(begin=True)
    return json.dumps(found, indent=1) + "\n"


def document() -> str:
    """Return docs/diagrams.md."""
    from envagent.diagrams.pictures import PICTURES

    parts = ["# Diagrams\n\nDrawn from the code by `python docs/draw.py`; a test keeps them current.\n"]
    for name, draw in PICTURES.items():
        picture = draw()
        said = f"`envagent diagram {name}`: {(draw.__doc__ or '').strip()}"
        parts.append(f"## {picture.title}\n\n{said}\n\n```mermaid\n{picture.mermaid()}```\n")
    return "\n".join(parts)


if __name__ == "__main__":
    recorded = record()
    if "--check" in sys.argv:
        current = (EXCHANGES.read_text("utf-8"), DIAGRAMS.read_text("utf-8")) == (recorded, document())
        sys.exit(0 if current else "the diagrams are stale: python docs/draw.py")
    EXCHANGES.write_text(recorded, encoding="utf-8")
    DIAGRAMS.write_text(document(), encoding="utf-8")
