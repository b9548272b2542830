"""Move a run from one journal to another: `export` gives it up, `import` continues it.

Exactly one journal may act on a run. An export takes the run, so that a process that still works on it can neither
write nor send; the file is on disk before the run is marked as moved, and gets its name after that. An export of a run
that is marked already writes the same again. A record that comes back must not be older than the one it replaces.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from envagent import keys, ssh
from envagent.cli.documents.json_models import ErrorPart
from envagent.cli.documents.log_models import event_entry
from envagent.cli.documents.moving_models import ExportedDocument, ImportedDocument
from envagent.cli.documents.run_document import StoredRun, next_commands, run_document, stored_output
from envagent.cli.documents.run_list import Labels, state_of
from envagent.cli.home import Home
from envagent.cli.inputs import writable_folder
from envagent.cli.render import times
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.terminal import err
from envagent.cli.run_file import (
    CARRIED,
    LARGEST_CARRIED,
    PrivateKeyPart,
    RunFile,
    check_target,
    read_run_file,
    refused,
    written,
)
from envagent.config import KEY_NAME, load
from envagent.drafts import write_whole
from envagent.engine.clock import to_text
from envagent.engine.exported import ExportedRun, mark_moved
from envagent.engine.journal import Journal
from envagent.engine.loaded_run import Run
from envagent.engine.tables import (
    OVER,
    DecisionRecord,
    EventRecord,
    IntentRecord,
    Record,
    ResourceRecord,
    RunRecord,
    RunState,
    StageRecord,
)
from envagent.errors import ConfigurationError, RunMismatch, RunStateError, UsageError, first_problem
from envagent.hints import Command, Hint, Option, Shell, status
from envagent.steps import PROVISIONING
from envagent.steps.ensure_keypair import ChosenKey, EnsuredKeypair
from envagent.steps.request import RunRequest
from envagent.steps.resources import registered_keys
from envagent.steps.verify import Verified

if TYPE_CHECKING:
    from envagent.engine.step import Output


def export_run(
    run_id: str,
    output: Path | None,
    *,
    with_key: bool = False,
    copy: bool = False,
    config: Sequence[Path] | None = None,
) -> ExportedDocument:
    """Write a run to a file and, unless it is a copy, give it up.

    Raises:
        UsageError: the file cannot be written, or there is no key to export.
        RunLocked: another process is working on the run.
        RunMoved: the run is a copy, which another journal acts on.
    """
    home = Home.of(load(files=config or ()))
    with home.opened_journal(to_read=True) as journal:
        found = journal.run(run_id)
        path = output or Path(f"envagent-{found.run_id}.json")
        check_target(path)
        with home.working_on(found.run_id):
            row = journal.run(found.run_id)
            given_up = row.state == RunState.MOVED
            key = _key_to_export(home, journal, row.run_id) if with_key else None
            now = to_text(times.now())
            if not copy and not given_up:
                journal.take(row)
            run = _read(journal, row)
            marked = None
            if not copy and not given_up:
                marked = mark_moved(journal, row, now, str(path.absolute()))
                run = run.with_event(marked)
            content = RunFile(
                exported_at=now, moved=not copy, run=run, files=_carried(home.run(row.run_id)), private_key=key
            )
            with written(path, content):
                if marked is not None:
                    with journal.transaction() as transaction:
                        transaction.save(row, marked)
    again = command_text(Command("import", (str(path),)))
    return ExportedDocument(
        run_id=row.run_id, file=str(path), moved=not copy, private_key=key is not None, next=[again]
    )


def import_run(path: Path, *, config: Sequence[Path] | None = None) -> ImportedDocument:
    """Insert an exported run into the journal.

    Raises:
        UsageError: the file is not an exported run.
        RunStateError: the run is in the journal already, and was not moved away.
    """
    content = read_run_file(path)
    folder = writable_folder()
    home = Home.of(load(files=config or ()))
    run = content.run
    with home.opened_journal() as journal:
        _check_new(journal, run)
        with home.starting(journal, run.run_id):
            there = _check_new(journal, run)
            source = str(path.absolute())
            row, others = run.records(copy=not content.moved, at=to_text(times.now()), source=source)
            row.owner = None if there is None else there.owner
            if row.name is not None and row.state not in OVER and journal.named(row.name, everyone=True) is not None:
                err().line(f"note: another run here has the name {row.name}; the imported one has none")
                row.name = None
            stored = _stored(row, others)
            with _explained(path):
                private_key = _settle_here(home, content, stored, folder)
                _check(stored)
            if content.private_key is not None:
                _keep_key(home.keys / content.private_key.name, content.private_key)
            for name, text in content.files.items():
                _keep(home.run(run.run_id) / name, text)
            with journal.transaction() as transaction:
                if there is not None:
                    transaction.forget(run.run_id, run.epoch)
                transaction.save(row, *others)
    return ImportedDocument(
        run_id=row.run_id,
        state=state_of(row, working=False),
        private_key=None if private_key is None else str(private_key),
        next=_next(row),
    )


def _read(journal: Journal, row: RunRecord) -> ExportedRun:
    try:
        return ExportedRun.read(journal, row)
    except ValidationError as error:
        raise RunMismatch(
            f"run {row.run_id} was stored by another version of envagent ({first_problem(error)})",
            hint=Hint("export it with the version that created it"),
        ) from None


def _carried(folder: Path) -> dict[str, str]:
    """Read what the run's folder has for other commands."""
    found = {}
    for name in CARRIED:
        with contextlib.suppress(FileNotFoundError), (folder / name).open("rb") as file:
            text = file.read(LARGEST_CARRIED + 1).decode(errors="replace")
            if len(text) <= LARGEST_CARRIED:
                found[name] = text
    return found


def _key_to_export(home: Home, journal: Journal, run_id: str) -> PrivateKeyPart:
    """Read the private key that envagent created; the user's own stay where they are."""
    stages = journal.stages(run_id)
    chosen, ensured = stored_output(stages, ChosenKey), stored_output(stages, EnsuredKeypair)
    used = None if ensured is None else ensured.private_key
    if used is None and chosen is not None:
        used = home.keys / chosen.name if chosen.origin == "created" else chosen.private_key
    if used is None or not used.exists():
        raise UsageError(
            f"there is no private key of run {run_id} on this machine", hint=Hint("leave out", Option("with_key"))
        )
    if used.parent != home.keys:
        raise UsageError(
            f"run {run_id} uses your own key {used}, which is never exported",
            hint=Hint("copy it yourself, and leave out", Option("with_key")),
        )
    keys.check_private_key(used)
    return PrivateKeyPart(name=used.name, content=used.read_text("ascii"))


def _check_new(journal: Journal, run: ExportedRun) -> RunRecord | None:
    """Return the record that the import replaces: that of a run which was moved away, no later than this export."""
    there = next(iter(journal.selected(RunRecord, [run.run_id])), None)
    if there is None:
        return None
    error = None
    if there.state != RunState.MOVED:
        error = RunStateError(f"run {run.run_id} is in this journal already", hint=Hint(status()))
    elif there.epoch > run.epoch:
        error = RunStateError(
            f"the run was worked on since this export: this journal has a later record of run {run.run_id}",
            hint=Hint("export it again, from the journal that has it now"),
        )
    if error is not None:
        error.run_id = run.run_id
        raise error
    return there


def _stored(row: RunRecord, others: Sequence[Record]) -> StoredRun:
    return StoredRun(
        row=row,
        working=False,
        stages=[one for one in others if isinstance(one, StageRecord)],
        intents=[one for one in others if isinstance(one, IntentRecord)],
        resources=[one for one in others if isinstance(one, ResourceRecord)],
        decisions=[one for one in others if isinstance(one, DecisionRecord)],
        events=[one for one in others if isinstance(one, EventRecord)],
    )


@contextlib.contextmanager
def _explained(path: Path) -> Iterator[None]:
    """Refuse the file for whatever keeps a command from reading the records in it."""
    try:
        yield
    except RunMismatch as error:
        raise refused(path, error.message) from None
    except ValidationError as error:
        raise refused(path, f"{error.title}: {first_problem(error)}") from None
    except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError, RecursionError) as error:
        raise refused(path, f"{type(error).__name__}: {error}") from None


def _settle_here(home: Home, content: RunFile, stored: StoredRun, folder: Path) -> Path | None:
    """Put this machine's paths into the records; return the private key's, if it will be here.

    Args:
        home: where the run's files will be.
        content: the file.
        stored: its records, which are changed.
        folder: where the run writes from now on.
    """
    row = stored.row
    request = RunRequest.model_validate_json(row.request)
    row.request = request.model_copy(update={"output_folder": folder}).model_dump_json()
    chosen, verified = stored.output(ChosenKey), stored.output(Verified)
    private_key = None if chosen is None else _key_here(home, content, chosen, stored.intents)
    known_hosts = home.run(row.run_id) / "known_hosts"
    for stage in stored.stages:
        here: Output
        match stage.model:
            case ChosenKey.__name__ if chosen is not None:
                here = chosen.model_copy(update={"private_key": None if chosen.origin == "created" else private_key})
            case EnsuredKeypair.__name__:
                ensured = EnsuredKeypair.model_validate_json(stage.output or "")
                here = ensured.model_copy(update={"private_key": private_key})
            case Verified.__name__ if verified is not None:
                address, user, port = verified.floating_ip or verified.fixed_ip, verified.ssh_user, verified.ssh_port
                command = ssh.command_line(address, user, private_key, known_hosts, port) if address else None
                here = verified.model_copy(update={"ssh_command": command})
            case _:
                continue
        stage.output = here.model_dump_json()
    return private_key


def _key_here(home: Home, content: RunFile, chosen: ChosenKey, intents: Sequence[IntentRecord]) -> Path | None:
    """Return where the run's private key is, or will be, on this machine."""
    if re.fullmatch(KEY_NAME, chosen.name) is None:
        raise ValueError("the keypair's name cannot be a file's")
    registered = registered_keys(intents).get(chosen.name)
    public = chosen.public_key if registered is None else registered[1]
    carried = content.private_key
    if carried is not None:
        if public is None or carried.name != chosen.name or not _belongs(carried, public):
            raise ValueError("the private key in it is not the run's")
        return home.keys / carried.name
    return None if public is None else keys.find_private_key(public, [home.keys / chosen.name, *keys.own_keys()])


def _belongs(carried: PrivateKeyPart, public: str) -> bool:
    """Return whether a private key is that of a public one."""
    with tempfile.TemporaryDirectory(prefix="envagent-") as folder:  # 0700
        draft = Path(folder) / "key"
        write_whole(draft, carried.content)
        return keys.find_private_key(public, [draft]) is not None


def _keep_key(path: Path, carried: PrivateKeyPart) -> None:
    """Write the private key, unless it is here; another one of that name is never overwritten."""
    if path.exists():
        if path.read_bytes() != carried.content.encode():
            raise ConfigurationError(
                f"there is another private key {path}",
                hint=Hint("if nothing needs that one:", Shell("rm", str(path)), ", then repeat the command"),
            )
        return
    _keep(path, carried.content)


def _keep(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise ConfigurationError(f"cannot write {path}: {error.strerror}") from None


def _check(stored: StoredRun) -> None:
    """Check that every command can work on the records: that they have what each of them reads."""
    row = stored.row
    if row.teardown_at is None:
        Run.of(PROVISIONING, row, stored.stages)
    Labels.of(row)
    run_document(stored)
    registered_keys(stored.intents)
    for event in stored.events:
        event_entry(event)
    if row.error is not None:
        ErrorPart.stored(row.error, row.run_id)


def _next(row: RunRecord) -> list[str]:
    if row.state == RunState.SUCCEEDED and row.teardown_at is None:
        return [command_text(status(refresh=True), row.run_id), *next_commands(row, working=False)]
    return next_commands(row, working=False)
