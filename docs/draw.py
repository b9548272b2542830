"""Draw docs/diagrams.md from the code: python docs/draw.py [--check].

Five Mermaid diagrams: rooms and their imports, the steps' workflow, the exchanges of one run, the state machines, and
what data flows between steps. The exchanges are recorded from a run against the in-memory cloud of the simulation.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from envagent.cloud.port import LEASE_ENDING, LEASE_STARTING  # noqa: E402
from envagent.engine.pipeline import Pipeline  # noqa: E402
from envagent.engine.tables import IntentState, ResourceState, RunState, StageState  # noqa: E402
from envagent.steps import PROVISIONING  # noqa: E402
from tests.simulation.cloud import CALM  # noqa: E402
from tests.simulation.story import Story  # noqa: E402
from tests.unit.test_house import ROOMS, imported, modules, room_of  # noqa: E402

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


def architecture() -> Iterator[str]:
    """Draw the rooms in layers and their imports; every room may import errors and hints, so no arrows lead there."""
    depths: dict[str, int] = {}

    def depth(room: str) -> int:
        if room not in depths:
            depths[room] = 0  # ends the one cycle: the engine and its migrations import each other
            depths[room] = 1 + max((depth(one) for one in ROOMS[room]), default=-1)
        return depths[room]

    layers: dict[int, list[str]] = {}
    for room in (one for one in ROOMS if one != "api"):
        layers.setdefault(depth(room), []).append(room)
    yield "flowchart TD"
    for number, rooms in enumerate([["api"], ["cli"], *(layers[one] for one in sorted(layers, reverse=True))]):
        yield f"  subgraph layer{number}[ ]"
        yield from (f"    {room}" for room in rooms)
        yield "  end"
    arrows: dict[str, None] = {}
    for path, tree in modules():
        room = room_of(path)
        for name in imported(tree):
            other = name.split(".")[1] if name.startswith("envagent.") else room
            if room in {*ROOMS, "cli"} and other in {*ROOMS, "cli"} - {room, "errors", "hints"}:
                arrows[f"  {room} --> {other}"] = None
    yield from sorted(arrows)
    yield '  cloud --> openstack["OpenStack and Blazar, over their SDKs"]'
    yield '  sandbox -.-> |"speaks the same protocols as"| openstack'
    yield '  advice --> ai["any OpenAI-compatible API"]'


def workflow(pipeline: Pipeline) -> Iterator[str]:
    yield "flowchart LR"
    for step in pipeline.steps.values():
        yield f"  subgraph {step.name}"
        for name in step.stages:
            yield f'    {step.name}_{name}["{name}"]'
        yield "  end"
    for key in pipeline.order:
        for source in sorted(pipeline.upstream[key] - _implied(pipeline, key)):
            yield f"  {source.replace('.', '_')} --> {key.replace('.', '_')}"


def _implied(pipeline: Pipeline, key: str) -> set[str]:
    """Find the sources that another source depends on: their arrows would only hide the others."""

    def above(one: str) -> set[str]:
        return set(pipeline.upstream[one]).union(*(above(source) for source in pipeline.upstream[one]))

    return set().union(*(above(source) for source in pipeline.upstream[key]))


def sequence() -> Iterator[str]:
    yield "sequenceDiagram"
    yield "  participant E as envagent"
    for service in dict.fromkeys(SERVICES.values()):
        yield f"  participant {service}"
    with tempfile.TemporaryDirectory() as folder:
        story = Story(1, Path(folder))
        story.cloud.mischief = CALM
        story._life(begin=True)
        before = ""
        for line in story.cloud.trail:
            call = line.split(" ", 1)[1]
            if call != before:
                method, name = call.split(" ", 1) if call.split()[0].isupper() else ("GET", call)
                yield f"  E->>{SERVICES[name]}: {method} {name}"
            before = call


def states() -> Iterator[str]:
    yield "stateDiagram-v2"
    yield "  state run {"
    yield f"    [*] --> {RunState.RUNNING}"
    for end in (RunState.SUCCEEDED, RunState.FAILED, RunState.INTERRUPTED):
        yield f"    {RunState.RUNNING} --> {end}"
        yield f"    {end} --> {RunState.TORN_DOWN}: teardown"
    for back in (RunState.FAILED, RunState.INTERRUPTED):
        yield f"    {back} --> {RunState.RUNNING}: resume"
    yield "  }"
    yield "  state stage {"
    yield f"    [*] --> {StageState.PENDING}"
    yield f"    {StageState.PENDING} --> {StageState.RUNNING}: inputs exist"
    yield f"    {StageState.RUNNING} --> {StageState.WAITING}: not yet"
    yield f"    {StageState.WAITING} --> {StageState.WAITING}: look again"
    for last in (StageState.SUCCEEDED, StageState.FAILED):
        yield f"    {StageState.RUNNING} --> {last}"
        yield f"    {StageState.WAITING} --> {last}"
    yield f"    {StageState.FAILED} --> {StageState.RUNNING}: resume"
    yield "  }"
    yield "  state intent {"
    yield f"    [*] --> {IntentState.SENT}: on disk before the request"
    yield f"    {IntentState.SENT} --> {IntentState.DONE}: confirmed, or adopted"
    yield f"    {IntentState.SENT} --> {IntentState.REFUSED}: the service refused"
    yield f"    {IntentState.SENT} --> {IntentState.SENT}: nothing found after the settle window, sent again"
    yield "  }"
    yield "  state resource {"
    yield f"    [*] --> {ResourceState.PRESENT}"
    yield f"    {ResourceState.PRESENT} --> {ResourceState.REMOVING}: removal requested"
    yield f"    {ResourceState.REMOVING} --> {ResourceState.ABSENT}: no longer found"
    yield "  }"
    yield "  state lease {"
    yield "    [*] --> PENDING"
    yield from (f"    {one} --> ACTIVE" for one in LEASE_STARTING if one in ("STARTING", "UPDATING"))
    yield "    PENDING --> STARTING: start time"
    yield "    STARTING --> ERROR"
    yield from (f"    ACTIVE --> {one}" for one in LEASE_ENDING if one != "TERMINATED")
    yield "    TERMINATING --> TERMINATED: end time"
    yield "  }"
    yield "  state server {"
    yield "    [*] --> BUILD"
    yield "    BUILD --> ACTIVE"
    yield "    BUILD --> ERROR: fault"
    yield "    ERROR --> DELETED: removed, then retried once"
    yield "    ACTIVE --> DELETED"
    yield "  }"


def data(pipeline: Pipeline) -> Iterator[str]:
    yield "flowchart LR"
    yield '  user(["user"]) -->|RunRequest| pipeline[["steps"]]'
    flows = {
        f"  {pipeline.stages[source].step} -->|{stage.reads[parameter].__name__}| {stage.step}": None
        for key, stage in pipeline.stages.items()
        for parameter, source in pipeline.sources[key].items()
        if source is not None and pipeline.stages[source].step != stage.step
    }
    yield from flows


def document() -> str:
    drawings = {
        "Rooms and their imports": architecture(),
        "The workflow: steps and their stages": workflow(PROVISIONING),
        "The exchanges of one run": sequence(),
        "State machines": states(),
        "What flows between steps": data(PROVISIONING),
    }
    parts = [f"## {title}\n\n```mermaid\n{chr(10).join(lines)}\n```\n" for title, lines in drawings.items()]
    return "\n".join(
        ["# Diagrams\n\nDrawn from the code by `python docs/draw.py`; a test keeps them current.\n", *parts]
    )


if __name__ == "__main__":
    target = ROOT / "docs" / "diagrams.md"
    if "--check" in sys.argv:
        sys.exit(
            0 if target.read_text(encoding="utf-8") == document() else "docs/diagrams.md is stale: python docs/draw.py"
        )
    target.write_text(document(), encoding="utf-8")
