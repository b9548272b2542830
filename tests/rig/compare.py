"""The sandbox against a real OpenStack: the same `openstack` commands on both, and what differs.

    python -m venv /tmp/client && /tmp/client/bin/pip install python-openstackclient python-blazarclient
    ENVAGENT_TEST_CLOUD=mycloud .venv/bin/python -m tests.rig.compare --client /tmp/client/bin/python

A command is the same when its exit code, its error text and its answer are: the keys and kinds of values of what the
clouds have of their own, the values too of what the commands make (`cmp-...`). Ids, dates and addresses are masked.
What the sandbox refuses as not simulated is counted apart: it claims nothing there.
"""

from __future__ import annotations

import argparse
import json
import operator
import os
import re
import shlex
import subprocess
import tempfile
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import yaml

from tests.kit.by_hand import public_key

COMMANDS = Path(__file__).with_name("commands.txt")
OWN = "cmp-"
NOT_SIMULATED = "The sandbox does not simulate"
JSON_VERBS = {"list", "show", "create", "issue"}
PATIENCE = 120.0
UNSHARED = ("standard_attr_id", "adminPass")
"""Fields that hold a database's own numbers, or a secret that each cloud draws."""
MASKS = [
    (r"^Could not load '.*\n", ""),
    (r"https?://[\w.:-]+[^\s\"',)]*", "URL"),
    (r"req-[0-9a-f-]{36}", "REQUEST"),
    (r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", "ID"),
    (r"\b[0-9a-f]{32}\b", "ID"),
    (r"\b[0-9a-f]{56}\b", "HOST"),
    (r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d(:\d\d)?(\.\d+)?(Z|\+00:?00)?", "DATE"),
    (r"\b[\w-]{80,}", "SECRET"),
    (r"([0-9a-f]{2}:){5}[0-9a-f]{2}", "MAC"),
    (r"\b\d{1,3}(\.\d{1,3}){3}\b", "ADDRESS"),
]


@dataclass
class Answer:
    """The result of a command: its exit code, its output (parsed if it is JSON), its error text."""

    code: int
    out: Any
    err: str

    @property
    def claimed(self) -> bool:
        """Whether the cloud simulates or provides this at all."""
        return NOT_SIMULATED not in self.err


@dataclass
class Side:
    """One of the two clouds, with the clouds.yaml entry and the ids that commands have stored."""

    cloud: str
    clouds_file: Path
    python: str
    stored: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Start the process that runs the commands."""
        auth = yaml.safe_load(self.clouds_file.read_text("utf-8"))["clouds"][self.cloud]["auth"]
        self.stored |= {**moments(), "PROJECT": auth["project_name"], "USER": auth["username"]}
        environment = {**os.environ, "OS_CLIENT_CONFIG_FILE": str(self.clouds_file)}
        script = Path(__file__).with_name("client_process.py").read_text("utf-8")
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(
            [self.python, "-W", "ignore", "-c", script],
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )

    def close(self) -> None:
        """End the process."""
        self._process.communicate()

    def run(self, line: str) -> Answer:
        """Run a line of the list: `NAME = COMMAND` stores the id, `STATUS ? COMMAND` waits for a status."""
        name, _, command = line.rpartition(" = ")
        status, _, command = command.rpartition(" ? ")
        words = [word.format_map(self.stored) for word in shlex.split(command)]
        deadline = time.monotonic() + PATIENCE
        while True:
            answer = self._ask(words)
            if not status or status in (_field(answer, "status"), f"exit {answer.code}"):
                break
            if time.monotonic() > deadline:
                break
            time.sleep(0.5)
        if name:
            self.stored[name] = str(_field(answer, "id"))
            reservations = _field(answer, "reservations")
            if reservations:
                self.stored[f"{name}_reservation"] = str(json.loads(reservations)["id"])
        return answer

    def _ask(self, words: list[str]) -> Answer:
        assert self._process.stdin is not None and self._process.stdout is not None
        json_wanted = ["-f", "json"] if JSON_VERBS & set(words[:4]) and "-f" not in words else []
        full = ["--os-cloud", self.cloud, *words, *json_wanted]
        self._process.stdin.write(json.dumps(full) + "\n")
        self._process.stdin.flush()
        got = json.loads(self._process.stdout.readline())
        return Answer(got["code"], _parsed(got["out"].removeprefix("Created a new lease:\n")), got["err"])


def _parsed(text: str) -> Any:
    """Parse a text as JSON; return the text itself if it is not."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _field(answer: Answer, name: str) -> Any:
    return answer.out.get(name) if isinstance(answer.out, dict) else None


def moments() -> dict[str, str]:
    """Return the dates in commands, the same on both sides within a run."""
    base = datetime.now(UTC) + timedelta(days=300)
    days = {f"day{n}": (base + timedelta(days=n)).strftime("%Y-%m-%d 12:00") for n in range(9)}
    return {**days, "soon": (datetime.now(UTC) + timedelta(hours=3)).strftime("%Y-%m-%d %H:%M")}


def key_files(folder: Path) -> dict[str, str]:
    """Write the files that commands use as public keys: a valid one and an invalid one."""
    files = {"public_key": f"{public_key()} somebody\n", "not_a_key": "nothing\n"}
    for name, text in files.items():
        (folder / name).write_text(text, "ascii")
    return {name: str(folder / name) for name in files}


def masked(text: str) -> str:
    """Mask what two clouds cannot share: ids, dates, addresses."""
    for pattern, word in MASKS:
        text = re.sub(pattern, word, text)
    return text.strip()


def seen(value: Any, *, exact: bool) -> Any:
    """Return the compared part of an answer: masked values, or keys and kinds."""
    if isinstance(value, dict):
        return {key: seen(item, exact=exact and key not in UNSHARED) for key, item in sorted(value.items())}
    if isinstance(value, list):
        items = [seen(item, exact=exact) for item in value]
        return sorted({json.dumps(item, sort_keys=True) for item in items}) if items else []
    if isinstance(value, str) and value.startswith("{"):
        inner = _parsed("[" + value.replace("}\n{", "},{") + "]")
        return seen(inner, exact=exact) if isinstance(inner, list) else masked(value)
    if isinstance(value, str):
        return masked(value) if exact else "text"
    return value if exact else type(value).__name__


def differences(line: str, left: Answer, right: Answer) -> list[str]:
    """List the differences of two answers."""
    found = []
    if left.code != right.code:
        found.append(f"exit {left.code} / {right.code}")
    if masked(left.err) != masked(right.err):
        found.append(f"stderr {masked(left.err)!r} / {masked(right.err)!r}")
    exact = OWN in line
    agree = operator.eq if exact else _kinds_agree
    one, other = seen(left.out, exact=exact), seen(right.out, exact=exact)
    if isinstance(one, dict) and isinstance(other, dict):
        pairs = {key: (one.get(key, "absent"), other.get(key, "absent")) for key in sorted(one.keys() | other.keys())}
        found += [f"{key}: {ours!r} / {theirs!r}" for key, (ours, theirs) in pairs.items() if not agree(ours, theirs)]
    elif not agree(one, other):
        found.append(f"{one!r} / {other!r}")
    return found


def _kinds_agree(one: Any, other: Any) -> bool:
    """Return whether two shapes agree; an empty list and a null agree with any."""
    if "NoneType" in (one, other):
        return "absent" not in (one, other)
    if isinstance(one, list) and isinstance(other, list):
        return not one or not other or _kinds_agree(_row(one), _row(other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_kinds_agree(one[key], other[key]) for key in one)
    return bool(one == other)


def _row(rows: list[str]) -> Any:
    """Return the shape of a list's items, of several the most complete one."""
    shapes = [json.loads(row) for row in rows]
    if not all(isinstance(shape, dict) for shape in shapes):
        return shapes[0]
    known = [{key: value for key, value in shape.items() if value != "NoneType"} for shape in shapes]
    return {key: value for shape in [*shapes, *known] for key, value in shape.items()}


def commands(only: str) -> list[str]:
    """Return the lines of the list that contain a text, and those that store what these need."""
    lines = [line.strip() for line in COMMANDS.read_text("utf-8").splitlines()]
    lines = [line for line in lines if line and not line.startswith("#")]
    wanted = [line for line in lines if only in line]
    needed = {f"{name} = " for line in wanted for name in re.findall(r"{(\w+)}", line)}
    return [line for line in lines if line in wanted or line.startswith(tuple(needed))]


def main() -> int:
    """Run all commands on both sides, print the differences and the count."""
    parser = argparse.ArgumentParser(prog="python -m tests.rig.compare", description=__doc__)
    parser.add_argument("--client", required=True, help="a Python with python-openstackclient and python-blazarclient")
    parser.add_argument("--only", default="", help="commands that contain this, and those that they need")
    parser.add_argument("--verbose", action="store_true", help="print the commands that are the same, too")
    options = parser.parse_args()

    from envagent.sandbox import ensure_running
    from envagent.sandbox.process import stop

    name = os.environ["ENVAGENT_TEST_CLOUD"]
    real = Path(os.environ.get("OS_CLIENT_CONFIG_FILE", "~/.config/openstack/clouds.yaml")).expanduser()
    count: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        home = Path(folder)
        try:
            endpoint = ensure_running(home, speed=200, profile="upstream", idle_seconds=3600)
            files = key_files(home)
            sides = [
                Side("sandbox", endpoint.clouds_file, options.client, dict(files)),
                Side(name, real, options.client, dict(files)),
            ]
            for line in commands(options.only):
                ours, theirs = pool.map(lambda side: side.run(line), sides)  # noqa: B023 - called at once
                found = differences(line, ours, theirs) if ours.claimed else []
                verdict = "different" if found else "same" if ours.claimed else "not simulated"
                count[verdict] += 1
                if verdict != "same" or options.verbose:
                    print(f"{verdict}: {line}", *found, sep="\n    ", flush=True)
            for side in sides:
                side.close()
        finally:
            stop(home)
    claimed = count["same"] + count["different"]
    print(
        f"{count['same']} of {claimed} the same ({count['same'] / claimed:.1%}), {count['not simulated']} not simulated"
    )
    return 0 if count["same"] >= 0.95 * claimed else 1


if __name__ == "__main__":
    raise SystemExit(main())
