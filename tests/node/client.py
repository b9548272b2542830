"""A process that works on a set-up of a node, and can kill itself at any exchange with it.

    python -m tests.node.client FOLDER [before|after N]

FOLDER has request.json (the set-up) and target.json (the login), and keeps the journal. With ai.json (an address), an
AI is asked how failed steps may be repaired.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from envagent import ssh
from envagent.advice.ai import Ai
from envagent.advice.repair import Repairer
from envagent.engine.execution import Outcome
from envagent.engine.journal import Journal
from envagent.engine.loop import run_until_idle
from envagent.engine.runner import Runner
from envagent.engine.runtime import Runtime
from envagent.engine.tables import EventRecord
from envagent.errors import RunNotFound
from envagent.steps.node_jobs import Node
from envagent.steps.setup_pipeline import SETUP, SetupRequest, SetupServices, setup_id


def deadly(when: str, number: int) -> Callable[..., ssh.Ran]:
    """Return what runs commands on a node, and kills this process before or after one of them."""
    calls = 0

    def run(*arguments: Any, **options: Any) -> ssh.Ran:
        nonlocal calls
        calls += 1
        if when == "before" and calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        ran = ssh.run_command(*arguments, **options)
        if when == "after" and calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return ran

    return run


def repairer(file: Path) -> Repairer | None:
    if not file.exists():
        return None
    return Repairer(Ai(base_url=json.loads(file.read_text())["url"], api_key=SecretStr("none"), model="m", retries=0))


def shown(event: EventRecord) -> None:
    print(event.at[11:19], event.kind, event.stage or "", event.message, file=sys.stderr, flush=True)


def work(folder: Path, run: Callable[..., ssh.Ran] = ssh.run_command) -> tuple[Outcome, Journal]:
    """Start the set-up or continue it, until it ends."""
    request = SetupRequest.model_validate_json((folder / "request.json").read_text())
    login = json.loads((folder / "target.json").read_text())
    target = ssh.Target(login["address"], login["user"], Path(login["key"]), Path(login["known_hosts"]), login["port"])
    services = SetupServices(Node(target, request.run_id, run), folder / "setup", repairer(folder / "ai.json"))
    journal = Journal.open(folder / "journal.db")
    runner: Runner[SetupServices] = Runner(SETUP, Runtime(journal, settle=timedelta(), listener=shown))
    try:
        execution = runner.resume(journal.run(setup_id(request.run_id)), services)
    except RunNotFound:
        execution = runner.begin(request, services, run_id=setup_id(request.run_id))
    outcome = run_until_idle(runner, [execution])[0].checked().outcome
    runner.close()
    return outcome, journal


def main() -> int:
    folder, when = Path(sys.argv[1]), sys.argv[2:]
    outcome, journal = work(folder, deadly(when[0], int(when[1])) if when else ssh.run_command)
    journal.close()
    return 0 if outcome is Outcome.SUCCEEDED else 1


if __name__ == "__main__":
    sys.exit(main())
