"""The five pictures, built from the code: its imports, its pipeline, its states and the exchanges of a recorded run.

What a picture says beyond the code (layers, branches, names of parties) is in the tables here; a table that no longer
fits the code is an error, so no picture can be out of date without a failing test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import resources
from pathlib import Path
from typing import TypeAlias

from pydantic import BaseModel

import envagent
from envagent.cloud.port import LEASE_ENDING, LEASE_STARTING, LeaseStatus, ServerStatus
from envagent.diagrams.graphs import Edge, Graph, Kind, Node
from envagent.diagrams.sequences import Message, Sequence
from envagent.engine.tables import IntentState, ResourceState, RunState, StageState
from envagent.steps import PROVISIONING

Picture: TypeAlias = Graph | Sequence

LAYERS = {
    "User": ("diagrams", "api", "web", "cli"),
    "Application": ("fleet", "migrations", "engine", "steps", "ssh", "environment", "repository"),
    "Intelligence": ("advice",),
    "Integration": ("cloud", "catalog"),
    "Infrastructure": ("sandbox",),
    "Used by all": ("keys", "config", "drafts", "provenance", "children", "wire", "errors", "hints"),
}
"""The layers from top to bottom, with the rooms in them."""

OUTSIDE = {
    "Intelligence": ("ai", "any OpenAI-compatible API"),
    "Infrastructure": ("openstack", "Chameleon (OpenStack)"),
}

PARTIES = {
    "user": "User",
    "envagent": "envagent",
    "git": "git",
    "ai": "AI service",
    "Keystone": "Keystone",
    "Glance": "Glance",
    "Neutron": "Neutron",
    "Blazar": "Blazar",
    "Nova": "Nova",
}
"""Who takes part in a run, by id."""

BRANCHES = {
    "ensure_keypair.choose": "key exists: used; else created",
    "reserve_hardware.approve": "declined: nothing is reserved",
    "reserve_hardware.reserve": "refused: next node type",
    "launch_server.launch": "ERROR: removed, tried again",
    "assign_floating_ip.allocate": "none left: goes on without",
    "verify.check": "no login: failed, resumable",
}
"""What a stage does if it does not simply succeed."""

LEASE_CHANGES = (
    ("start", LeaseStatus.CREATING, ""),
    (LeaseStatus.CREATING, LeaseStatus.PENDING, "submitted"),
    (LeaseStatus.PENDING, LeaseStatus.STARTING, "start time"),
    (LeaseStatus.STARTING, LeaseStatus.ACTIVE, "node is ready"),
    (LeaseStatus.ACTIVE, LeaseStatus.TERMINATING, "end time"),
    (LeaseStatus.TERMINATING, LeaseStatus.TERMINATED, "released"),
    (LeaseStatus.ACTIVE, LeaseStatus.UPDATING, "extended"),
    (LeaseStatus.UPDATING, LeaseStatus.ACTIVE, ""),
    (LeaseStatus.STARTING, LeaseStatus.ERROR, "cannot start"),
    (LeaseStatus.TERMINATING, LeaseStatus.ERROR, ""),
    (LeaseStatus.PENDING, LeaseStatus.DELETING, "removed"),
    (LeaseStatus.ACTIVE, LeaseStatus.DELETING, "teardown"),
    (LeaseStatus.ERROR, LeaseStatus.DELETING, "next node type"),
)
LEASE_ORDER = (
    LeaseStatus.CREATING,
    LeaseStatus.PENDING,
    LeaseStatus.STARTING,
    LeaseStatus.UPDATING,
    LeaseStatus.ACTIVE,
    LeaseStatus.TERMINATING,
    LeaseStatus.TERMINATED,
    LeaseStatus.ERROR,
    LeaseStatus.DELETING,
)
"""The lease's states from left to right."""

SERVER_CHANGES = (
    ("start", ServerStatus.BUILD, ""),
    (ServerStatus.BUILD, ServerStatus.ACTIVE, "deployed"),
    (ServerStatus.BUILD, ServerStatus.ERROR, "fault"),
    (ServerStatus.ERROR, ServerStatus.DELETED, "removed; another is tried"),
    (ServerStatus.ACTIVE, ServerStatus.SHUTOFF, "stopped by somebody"),
    (ServerStatus.SHUTOFF, ServerStatus.ACTIVE, "started"),
    (ServerStatus.ACTIVE, ServerStatus.DELETED, "teardown, or the lease ends"),
)


class Exchange(BaseModel):
    """A request of a recorded run.

    Attributes:
        stage: the stage that made it, such as `launch_server.launch`.
        party: who was asked (a key of PARTIES).
        text: what for.
        repeated: whether it was sent again until it was answered as hoped.
    """

    stage: str
    party: str
    text: str
    repeated: bool = False


@cache
def exchanges() -> tuple[Exchange, ...]:
    """Return what was requested in the recorded run, in order."""
    stored = resources.files("envagent.diagrams").joinpath("exchanges.json").read_text("utf-8")
    return tuple(Exchange.model_validate(one) for one in json.loads(stored))


def architecture() -> Graph:
    """Draw the rooms in layers with their imports; those that other imports imply are left out."""
    groups = {
        layer: (
            *(
                (Node(*OUTSIDE[layer], kind="ai" if layer == "Intelligence" else "outside"),)
                if layer in OUTSIDE
                else ()
            ),
            *(Node(room, room, "outside" if room == "sandbox" else "box") for room in rooms),
        )
        for layer, rooms in LAYERS.items()
    }
    imports = _imports()
    unplaced = imports.keys() ^ {room for rooms in LAYERS.values() for room in rooms}
    if unplaced:
        raise AssertionError(f"rooms without a layer, or the reverse: {sorted(unplaced)}")
    shown = {room: others - set(LAYERS["Used by all"]) for room, others in imports.items()}
    shown["migrations"] = set()  # the engine and its migrations import each other
    arrows = [
        Edge(room, other)
        for room, others in shown.items()
        if room not in LAYERS["Used by all"]
        for other in sorted(others - set().union(*(_reachable(shown, one) for one in others)))
    ]
    arrows += [Edge("advice", "ai", dashed=True), Edge("cloud", "openstack", dashed=True)]
    return Graph("Rooms and their imports, in layers", groups, tuple(arrows), "bands")


def _imports() -> dict[str, set[str]]:
    """Read which room imports which from the installed files."""
    package = Path(envagent.__file__).parent
    found: dict[str, set[str]] = {}
    pattern = re.compile(r"^\s*(?:from|import) envagent(?:\.(\w+)| import (.+))", re.MULTILINE)
    for path in sorted(package.rglob("*.py")):
        room = path.relative_to(package).parts[0].removesuffix(".py")
        if room in ("__init__", "__main__"):
            continue
        others = found.setdefault(room, set())
        for dotted, named in pattern.findall(path.read_text("utf-8")):
            others |= {dotted} if dotted else {one.split(" as ")[0].strip() for one in named.split(",")}
    for folder in ("steps", "migrations"):  # links in a checkout, which rglob does not follow
        for path in sorted((package / folder).glob("**/*.py")):
            for dotted, named in pattern.findall(path.read_text("utf-8")):
                others = found.setdefault(folder, set())
                others |= {dotted} if dotted else {one.split(" as ")[0].strip() for one in named.split(",")}
    return {room: {one for one in others if one in found and one != room} for room, others in found.items()}


def _reachable(edges: dict[str, set[str]], start: str) -> set[str]:
    """Return what is reached from a place in one step or more."""
    found: set[str] = set()
    open_ends = list(edges.get(start, ()))
    while open_ends:
        one = open_ends.pop()
        if one not in found:
            found.add(one)
            open_ends += edges.get(one, ())
    return found


def workflow() -> Graph:
    """Draw the stages of all steps, with those that ask the AI and what they do if something is refused."""
    unknown = BRANCHES.keys() - PROVISIONING.stages.keys()
    if unknown:
        raise AssertionError(f"branches of stages that do not exist: {sorted(unknown)}")
    asking = {one.stage for one in exchanges() if one.party == "ai"}
    groups = {
        step.name: tuple(_stage(f"{step.name}.{name}", asking) for name in step.stages)
        for step in PROVISIONING.steps.values()
    }
    upstream = {key: set(PROVISIONING.upstream[key]) for key in PROVISIONING.order}
    arrows = [
        Edge(_id(source), _id(key))
        for key in PROVISIONING.order
        for source in sorted(upstream[key] - set().union(*(_reachable(upstream, one) for one in upstream[key])))
    ]
    return Graph("The workflow: steps, their stages and their branches", groups, tuple(arrows), "lanes")


def _stage(key: str, asking: Iterable[str]) -> Node:
    name = key.partition(".")[2]
    kind: Kind = "ai" if key in asking else "person" if key == "reserve_hardware.approve" else "box"
    label = f"{name} (asks the AI)" if kind == "ai" else name
    return Node(_id(key), f"{label}\n{BRANCHES[key]}" if key in BRANCHES else label, kind)


def _id(key: str) -> str:
    return key.replace(".", "_")


def sequence() -> Sequence:
    """Draw the requests of one run, recorded against the cloud of the simulation; most answers are left out."""
    return Sequence("The exchanges of one run", PARTIES, tuple(_messages()))


def _messages() -> Iterator[Message]:
    yield Message("user", "envagent", "envagent run REPO")
    before = ""
    for one in exchanges():
        step = one.stage.partition(".")[0]
        if one.stage == "reserve_hardware.reserve" and before != one.stage:
            yield Message("envagent", "user", "the plan and its price", "reserve_hardware")
            yield Message("user", "envagent", "approved", "reserve_hardware")
        before = one.stage if one.stage == "reserve_hardware.reserve" else before
        yield Message("envagent", one.party, one.text, step, repeated=one.repeated)
    yield Message("envagent", "user", "how to log in", "save_state", reply=True)


def states() -> Graph:
    """Draw the state machines: of lease and server as the services have them, and of what envagent keeps."""
    unknown = {*LEASE_STARTING, *LEASE_ENDING} - set(LEASE_ORDER)
    if unknown or set(LEASE_ORDER) != set(LeaseStatus):
        raise AssertionError("the lease's states are not those of the code")
    machines: dict[str, tuple[tuple[str, ...], tuple[tuple[str, str, str], ...]]] = {
        "lease": (LEASE_ORDER, LEASE_CHANGES),
        "server": (
            (ServerStatus.BUILD, ServerStatus.ERROR, ServerStatus.ACTIVE, ServerStatus.SHUTOFF, ServerStatus.DELETED),
            SERVER_CHANGES,
        ),
        "run": (
            tuple(RunState),
            (
                ("start", RunState.RUNNING, ""),
                (RunState.RUNNING, RunState.INTERRUPTED, "stop, kill"),
                (RunState.RUNNING, RunState.FAILED, "error"),
                (RunState.RUNNING, RunState.SUCCEEDED, "all steps done"),
                (RunState.INTERRUPTED, RunState.RUNNING, "resume"),
                (RunState.FAILED, RunState.RUNNING, "resume"),
                *((one, RunState.TORN_DOWN, "teardown") for one in (RunState.SUCCEEDED, RunState.FAILED)),
                (RunState.INTERRUPTED, RunState.TORN_DOWN, "teardown"),
                *((one, RunState.MOVED, "export") for one in (RunState.SUCCEEDED, RunState.FAILED)),
                (RunState.INTERRUPTED, RunState.MOVED, "export"),
            ),
        ),
        "stage": (
            (StageState.PENDING, StageState.RUNNING, StageState.WAITING, StageState.SUCCEEDED, StageState.FAILED),
            (
                ("start", StageState.PENDING, ""),
                (StageState.PENDING, StageState.RUNNING, "inputs exist"),
                (StageState.RUNNING, StageState.WAITING, "not yet"),
                (StageState.WAITING, StageState.RUNNING, "look again"),
                (StageState.RUNNING, StageState.SUCCEEDED, "output"),
                (StageState.RUNNING, StageState.FAILED, "error"),
                (StageState.FAILED, StageState.RUNNING, "resume"),
            ),
        ),
        "intent": (
            (IntentState.SENT, IntentState.DONE, IntentState.REFUSED),
            (
                ("start", IntentState.SENT, "on disk before the request"),
                (IntentState.SENT, IntentState.DONE, "confirmed, or adopted"),
                (IntentState.SENT, IntentState.REFUSED, "the service refused"),
                (IntentState.SENT, IntentState.SENT, "nothing found after the settle window: sent again"),
            ),
        ),
        "resource": (
            (ResourceState.PRESENT, ResourceState.REMOVING, ResourceState.ABSENT),
            (
                ("start", ResourceState.PRESENT, ""),
                (ResourceState.PRESENT, ResourceState.REMOVING, "removal requested"),
                (ResourceState.REMOVING, ResourceState.ABSENT, "no longer found"),
                (ResourceState.PRESENT, ResourceState.ABSENT, "lost"),
            ),
        ),
    }
    groups: dict[str, tuple[Node, ...]] = {}
    arrows: list[Edge] = []
    for name, (order, changes) in machines.items():
        start = Node(f"{name}_start", "", "start")
        groups[name] = (start, *(Node(f"{name}_{one}", one, "state") for one in order))
        arrows += [Edge(f"{name}_{source}", f"{name}_{target}", label) for source, target, label in changes]
    return Graph("State machines", groups, tuple(arrows), "machines")


def data() -> Graph:
    """Draw what data flows between the nine parties of a run, there and back."""
    to: dict[str, dict[str, None]] = {}
    for one in exchanges():
        to.setdefault(one.party, {})[one.text] = None
    services = ("Blazar", "Nova", "Neutron", "Glance")
    groups: dict[str, tuple[Node, ...]] = {
        "who asks": (Node("user", "User", "person"),),
        "what decides": (Node("ai", "AI service", "ai"), Node("envagent", "envagent"), Node("git", "git", "outside")),
        "how it asks": (Node("sdk", "OpenStack SDK\nand Blazar client"),),
        "who is asked": tuple(Node(one, one, "outside") for one in (*services, "Keystone")),
        "what runs it": (Node("hardware", "Chameleon\nhardware", "outside"),),
    }
    analysis, plan, verified = (name for name in ("requirements", "plan, price, progress", "ssh command, info file"))
    arrows = [
        Edge("user", "envagent", f"URL, approval\n← {plan},\n{verified}"),
        Edge("envagent", "sdk", "typed requests\n← typed results"),
        Edge("envagent", "ai", f"files, lists\n← {analysis}, choices"),
        Edge("envagent", "git", "clone\n← files of a commit"),
        *(Edge("sdk", party, _abridged(to[party])) for party in (*services, "Keystone")),
        Edge("Blazar", "hardware", "allocates a node\n← node, its status", dashed=True),
        Edge("Nova", "hardware", "deploys an image\n← power, status", dashed=True),
    ]
    return Graph("What data flows between the parties", groups, tuple(arrows), "columns")


def _abridged(texts: Iterable[str]) -> str:
    """Join the requests to a service: what is read, then what is written."""
    by_verb: dict[str, list[str]] = {}
    for text in texts:
        verb, _, what = text.partition(" ")
        by_verb.setdefault(verb, []).append(what)
    return "\n".join(f"{verb} {', '.join(what)}" for verb, what in by_verb.items())


PICTURES: dict[str, Callable[[], Picture]] = {
    "architecture": architecture,
    "workflow": workflow,
    "sequence": sequence,
    "states": states,
    "data": data,
}
"""The pictures by the names that `envagent diagram` knows."""
