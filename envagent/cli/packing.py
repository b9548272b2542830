"""Pack a run: collect what somebody else needs to make the same again, without anything that is only this user's.

No secret, no e-mail address and no path of this machine gets into the folder: texts are masked, and of the records
only named fields are taken. Commands of the set-up are kept as they stand in the repository.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envagent import ssh
from envagent.advice.untrusted import clean, redact
from envagent.cli.clouds import is_sandbox
from envagent.cli.crate import crate_of
from envagent.cli.documents.pack_models import PackedDocument, PackedPlan, PackedRequirements, PackedResult
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.setup_document import current_setup
from envagent.cli.documents.setup_models import SetupDocument
from envagent.cli.home import Home, read_settings
from envagent.cli.logins import check_client, login_of
from envagent.cli.pack_folder import CRATE, PACK, README, SCRIPT, TROVI, check_target, pack_file, write_folder
from envagent.cli.render.hint_text import command_text
from envagent.cli.render.pack_readme import readme
from envagent.cli.setup_log import SetupLog
from envagent.cli.setup_session import check_clonable
from envagent.engine.journal import Journal
from envagent.engine.tables import IntentRecord, RunRecord
from envagent.environment.setup_plan import SetupPlan, SetupStep
from envagent.environment.setup_script import setup_script
from envagent.errors import EnvagentError, RunStateError, first_problem
from envagent.hints import Command, Hint, command, resume
from envagent.steps.analyze_repository import AnalyzedRepository
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.node_record import RECORD, SECTIONS, packages_command, sections_of
from envagent.steps.packed_run import PackedRun
from envagent.steps.plan import Plan
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.setup_pipeline import setup_id
from envagent.steps.setup_repairs import repaired, stored_repairs

RECORD_SECONDS = 90
LARGEST_OUTPUT = 256 << 10
"""Characters that are kept of what a proof has written: the end."""

MASKED = "[e-mail address]"
_ADDRESS = re.compile(r"(?<![\w.+-])(?!git@)[\w.+-]+@(?:[\w-]+\.)+[A-Za-z]{2,}")


@dataclass(frozen=True)
class Mask:
    """Takes out of texts what is only this user's.

    Attributes:
        folders: paths of this machine.
    """

    folders: tuple[str, ...]

    @classmethod
    def of(cls, home: Home) -> Mask:
        """Return the mask for a user: of a home such as /root nothing can be learned."""
        named = (home.path, Path.home(), Path.cwd())
        return cls(tuple(str(one) for one in named if len(one.parts) > 2))

    def text(self, text: str) -> str:
        """Mask a text."""
        for folder in self.folders:
            text = text.replace(folder, "~")
        return _ADDRESS.sub(MASKED, redact(clean(text)))

    def value(self, value: Any) -> Any:
        """Mask all texts of a JSON value."""
        if isinstance(value, str):
            return self.text(value)
        if isinstance(value, dict):
            return {name: self.value(one) for name, one in value.items()}
        return [self.value(one) for one in value] if isinstance(value, list) else value

    def plan(self, plan: SetupPlan) -> SetupPlan:
        """Mask what a plan says about its commands; the commands stay as they are."""
        masked = SetupPlan.model_validate(self.value(plan.model_dump(mode="json")))
        steps = tuple(_with_commands(shown, own) for shown, own in zip(masked.steps, plan.steps, strict=True))
        return masked.model_copy(update={"steps": steps, "url": plan.url, "name": plan.name, "folder": plan.folder})


def _with_commands(shown: SetupStep, own: SetupStep) -> SetupStep:
    return shown.model_copy(update={"name": own.name, "commands": own.commands, "done": own.done})


@dataclass
class _Contents:
    """The files of a pack, and what is missing."""

    mask: Mask
    files: dict[str, str] = field(default_factory=dict)
    missing: list[str] = field(default_factory=list)


def pack_run(run_id: str, output: Path | None, *, config: Sequence[Path] | None = None) -> PackedDocument:
    """Write a run to a folder from which somebody else can make the same again.

    Raises:
        RunStateError: the run never had a server, or its repository is on this machine alone.
        UsageError: the folder cannot be written.
    """
    home = Home.of(read_settings(config))
    with home.opened_journal(to_read=True) as journal:
        row = journal.run(run_id)
        path = output or Path(f"envagent-{row.run_id}-pack")
        check_target(path, row.run_id)
        try:
            contents = _contents(home, journal, row)
        except EnvagentError as error:
            error.run_id = row.run_id
            raise
    write_folder(path, row.run_id, contents.files)
    return PackedDocument(
        run_id=row.run_id,
        folder=str(path),
        files=sorted(contents.files),
        missing=contents.missing,
        next=[command_text(Command("run", (), (("from_", str(path)),)))],
    )


def _contents(home: Home, journal: Journal, row: RunRecord) -> _Contents:
    run = StoredRun.load(journal, row, working=home.is_worked_on(row.run_id))
    mask = Mask.of(home)
    document, setup = run_document(run), current_setup(home, journal, row)
    packed = _packed(run, mask, setup, journal.intents(setup_id(row.run_id)))
    contents = _Contents(mask)
    contents.files[SCRIPT] = setup_script(packed.setup_plan)
    _record_node(home, run, packed, contents, has_packages=setup is not None and setup.ecosystem == "Python")
    if setup is None:
        contents.missing.append("a proof: the repository was not set up on the server")
    else:
        proofs = {one.number for one in setup.steps if one.phase == "proof"}
        for job in SetupLog(journal, row.run_id, home.run(row.run_id) / "setup", None).jobs():
            number = int(job.job.partition("-")[0])
            if number in proofs:
                contents.files[f"proof/{job.job}.txt"] = mask.text(job.text)[-LARGEST_OUTPUT:]
        if not setup.proved:
            why = ["the server is simulated"] if setup.simulated else setup.not_proved
            contents.missing += [f"a proof: {one}" for one in why]
    result = PackedResult(
        run_id=row.run_id,
        state=document.state,
        repository=document.repository,
        site=document.site,
        node_type=packed.node_type,
        image=document.image,
        hours=packed.hours,
        started_at=document.created_at,
        cost=document.cost,
        node=document.node,
        setup=setup,
        simulated=document.cloud is not None and is_sandbox(document.cloud),
        missing=contents.missing,
    )
    result = PackedResult.model_validate(mask.value(result.model_dump(mode="json")))
    analysis = packed.analyzed.analysis.model_dump(mode="json")
    requirements = {name: analysis[name] for name in ("requirements", "sizing", "evidence", "assumptions")}
    needs = PackedRequirements(**requirements, repository=document.repository, notes=list(packed.analyzed.notes))
    contents.files["requirements.json"] = f"{needs.model_dump_json(indent=1)}\n"
    if document.plan is not None:
        shown = {name: getattr(document.plan, name) for name in PackedPlan.model_fields if name != "decisions"}
        plan = mask.value(PackedPlan(**shown, decisions=document.decisions).model_dump(mode="json"))
        contents.files["plan.json"] = f"{PackedPlan.model_validate(plan).model_dump_json(indent=1)}\n"
    contents.files["result.json"] = f"{result.model_dump_json(indent=1)}\n"
    names = {*contents.files, README, PACK, CRATE, TROVI}
    contents.files[README] = readme(packed, result, sorted(names))
    contents.files |= {name: crate_of(packed, result, names, name) for name in (CRATE, TROVI)}
    contents.files[PACK] = pack_file(row.run_id, packed, contents.files)
    return contents


def _packed(
    run: StoredRun, mask: Mask, setup: SetupDocument | None, setup_intents: Sequence[IntentRecord]
) -> PackedRun:
    """Return what makes the same again: with the repairs that a step needed, each before that step."""
    from pydantic import ValidationError

    analyzed, plan = run.output(AnalyzedRepository), run.output(Plan)
    reserved, launched = run.output(ReservedHardware), run.output(LaunchedServer)
    if analyzed is None or plan is None or reserved is None or launched is None:
        raise RunStateError(
            f"run {run.row.run_id} never had a server: there is nothing to pack yet",
            hint=Hint("continue it:", resume()),
        )
    check_clonable(analyzed.url, "the repository is a folder of this machine, which nobody else has")
    site = next(one.region for one in plan.placement.candidates if one.node_type.name == reserved.node_type)
    planned = analyzed.setup
    if planned is not None and setup is not None:
        helped = {one.number for one in setup.steps if one.state == "succeeded"}
        stored = stored_repairs(planned, setup_intents)
        planned = repaired(planned, [one for one in stored if one.request.step in helped])
    masked = AnalyzedRepository.model_validate(mask.value(analyzed.model_dump(mode="json")))
    try:
        return PackedRun(
            repository=analyzed.url,
            commit=analyzed.commit or "",
            site=site,
            node_type=reserved.node_type,
            image_id=launched.image_id,
            image_name=launched.image_name,
            hours=reserved.hours,
            setup=setup is not None,
            analyzed=masked.model_copy(
                update={"url": analyzed.url, "setup": None if planned is None else mask.plan(planned)}
            ),
        )
    except ValidationError as error:
        problem = first_problem(error)
        raise RunStateError(
            f"run {run.row.run_id} cannot be packed: {problem}", hint=Hint("start another:", command("run", "URL"))
        ) from None


def _record_node(home: Home, run: StoredRun, packed: PackedRun, contents: _Contents, *, has_packages: bool) -> None:
    """Ask the node what it is, over the login that was verified; where it cannot be asked, say why."""
    try:
        login = login_of(home, run)
        check_client(run, login)
    except EnvagentError as error:
        contents.missing.append(f"what the node shows of itself: {contents.mask.text(error.message)}")
        return
    ran = ssh.run_command(login.target, RECORD, seconds=RECORD_SECONDS)
    if ran.code != 0:
        contents.missing.append("what the node shows of itself: the server did not answer by SSH")
        return
    shown = sections_of(ran.output)
    contents.files |= {f"node/{name}.txt": contents.mask.text(text) for name, text in shown.items()}
    needs_gpu = packed.analyzed.analysis.requirements.gpu_required
    wanted = [name for name in SECTIONS if name != "nvidia-smi" or needs_gpu]
    contents.missing += [f"{name}: the node printed nothing" for name in wanted if name not in shown]
    if has_packages:
        listed = ssh.run_command(login.target, packages_command(packed.setup_plan), seconds=RECORD_SECONDS)
        if listed.code == 0 and listed.output.strip():
            contents.files["node/python-packages.txt"] = contents.mask.text(listed.output)
