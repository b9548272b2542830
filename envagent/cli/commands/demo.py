"""envagent demo: the whole way, on the simulated Chameleon; needs no account and no network."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from envagent.cli.commands.options import CONFIG, examples

if TYPE_CHECKING:
    from envagent.cli.home import Home
    from envagent.cli.render.terminal import Terminal
    from envagent.engine.journal import Journal
    from envagent.engine.runtime import Listener
    from envagent.engine.tables import EventRecord

EPILOG = examples("envagent demo", "envagent demo --kill-at launch_server")

REPOSITORY = {
    "README.md": """\
# Flower classifier

Fine-tunes a vision transformer on photographs of flowers.

## Requirements

- Ubuntu 22.04
- Needs an NVIDIA GPU with at least 16 GB of memory

## Train

    pip install -r requirements.txt
    python train.py --data flowers/ --epochs 20
""",
    "requirements.txt": "torch>=2.1\ntorchvision\npillow\n",
    "train.py": """\
import torch
from torchvision.models import vit_b_16

model = vit_b_16(weights="DEFAULT").to("cuda")
print(f"training on {torch.cuda.get_device_name()}")
""",
}
"""The repository of the demo: file names with their contents."""

_WRITTEN = {
    "ensure_keypair": "/os-keypairs",
    "reserve_hardware": "/leases",
    "launch_server": "/servers",
    "assign_floating_ip": "/floatingips",
}
"""How the paths of the requests end with which steps create something."""

SHOWN_ON_THE_SERVER = "hostname; nvidia-smi -L"


def demo(
    kill_at: Annotated[
        str | None, typer.Option(metavar="STEP", help="Kill the process (SIGKILL) in the middle of this step.")
    ] = None,
    setup: Annotated[
        bool, typer.Option("--setup", help="Then set the repository up on the server; simulated as well.")
    ] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Do not tear the run down at the end.")] = False,
    config: CONFIG = None,
) -> int:
    """Show a run from plan to teardown, on the simulated Chameleon.

    Writes a small repository that needs a GPU, launches a simulated server for it, logs in, and tears everything down.
    With --kill-at, continue as after a crash: `envagent resume last`.
    """
    from envagent.cli.audience import Audience
    from envagent.cli.clouds import reach
    from envagent.cli.home import Home, read_settings
    from envagent.cli.run_session import RunSession, close, show_setup_end
    from envagent.cli.setup_session import SetupSession
    from envagent.cli.teardown_session import TeardownSession
    from envagent.engine.tables import new_run_id
    from envagent.steps.request import RunRequest

    settings = read_settings(config, cloud="sandbox")
    home, audience = Home.of(settings), Audience()
    terminal = audience.terminal
    step = None if kill_at is None else _known_step(kill_at)
    repository = write_repository(home)
    access = reach("sandbox", settings)
    terminal.line(("A simulated Chameleon: nothing here is real or costs anything. The repository:", "bold"))
    terminal.field(repository.name, next(line for line in REPOSITORY["README.md"].splitlines() if "GPU" in line)[2:])
    request = RunRequest(repository=str(repository), cloud=access.name, ai=False, output_folder=repository.parent)
    with home.opened_journal() as journal:
        run_id = new_run_id()
        with home.starting(journal, run_id):
            watch = None if step is None else _killer(step, home, journal, terminal, run_id)
            session = RunSession(home, journal, access, audience, watch=watch)
            ended = session.go(run_id, request, lambda runner, services: runner.begin(request, services, run_id=run_id))
            close(ended, as_json=False)
            if ended.exit_code != 0:
                return ended.exit_code
            _log_in(home, journal, run_id, terminal)
            if setup:
                done = SetupSession(home, journal, access, audience).go(journal.run(run_id))
                show_setup_end(done.document, as_json=False)
            if keep:
                return 0
            removal = TeardownSession(home, journal, settings, audience)
            return removal.remove(journal.run(run_id), delete_key=True).exit_code


def write_repository(home: Home) -> Path:
    """Write the repository of the demo below the home folder, unless it is there; return its folder.

    Raises:
        ConfigurationError: git is not installed, or the folder cannot be written to.
    """
    from envagent import children
    from envagent.errors import ConfigurationError

    home.prepare()
    folder = home.path / "demo" / "flowers"
    if (folder / ".git" / "refs" / "heads" / "main").exists():
        return folder
    author = ("-c", "user.name=envagent", "-c", "user.email=demo@localhost", "-c", "commit.gpgsign=false")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in REPOSITORY.items():
            (folder / name).write_text(text)
        for words in (("init", "-q", "-b", "main"), ("add", "-A"), (*author, "commit", "-q", "-m", "Classify flowers")):
            done = children.run(["git", "-C", str(folder), *words], 10)
            if done is None or done.returncode != 0:
                raise OSError(f"git {words[0]} failed")
    except OSError as error:
        raise ConfigurationError(f"the repository of the demo cannot be created in {folder}: {error}") from None
    return folder


def _known_step(name: str) -> str:
    """Return the name of a step as it is registered. Raises UsageError."""
    from envagent.errors import UsageError
    from envagent.hints import Hint
    from envagent.steps import PROVISIONING

    names = list(PROVISIONING.steps)
    if name not in names:
        raise UsageError(f"a run has no step {name!r}", hint=Hint(f"the steps: {', '.join(names)}"))
    return name


def _killer(step: str, home: Home, journal: Journal, terminal: Terminal, run_id: str) -> Listener:
    """Return a listener that kills this process at the worst moment of a step.

    That is when the cloud has carried out a request and the journal does not know it yet; a step that requests nothing
    is killed as soon as it is recorded.
    """
    import os
    import signal

    from envagent.cli.render.hint_text import hint_text
    from envagent.engine.tables import EventKind
    from envagent.hints import Hint, resume
    from envagent.sandbox.process import read_log

    def writes() -> int:
        return sum(1 for one in read_log(home.path) if one["path"].endswith(_WRITTEN[step]))

    def die(when: str) -> None:
        terminal.line((f"kill -9 in {step}: ", "bold red"), when)
        terminal.line(hint_text(Hint("To continue, as after any crash:", resume()), run_id))
        terminal.show_cursor()
        os.kill(os.getpid(), signal.SIGKILL)

    def watch(event: EventRecord) -> None:
        if (event.stage or "").partition(".")[0] != step:
            return
        if event.kind == EventKind.INTENT_SENT and step in _WRITTEN:
            before = writes()

            def at_a_commit() -> None:
                if writes() > before:
                    die("the cloud has carried out its request, and nobody has recorded it.")

            journal.before_commit = at_a_commit
        elif event.kind == EventKind.STAGE_SUCCEEDED and step not in _WRITTEN:
            die("it is done and recorded.")

    return watch


def _log_in(home: Home, journal: Journal, run_id: str, terminal: Terminal) -> None:
    """Run a command on the server by SSH, and show it with its output."""
    from envagent import children
    from envagent.cli.documents.run_document import StoredRun
    from envagent.cli.logins import login_of
    from envagent.cli.render.hint_text import command_text
    from envagent.hints import Command

    login = login_of(home, StoredRun.load(journal, journal.run(run_id), working=False))
    shown = command_text(Command("ssh", (run_id,)))
    terminal.whole((f"$ {shown} -- '{SHOWN_ON_THE_SERVER}'", "bold"))
    done = children.run([*login.target.command(), "-o", "BatchMode=yes", SHOWN_ON_THE_SERVER], 10)
    for line in () if done is None else done.stdout.decode(errors="replace").splitlines():
        terminal.whole(f"  {line}")
