"""The JSON documents: what each command prints fits its model, and the schema in docs/ is what the models say."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from envagent.cli.documents.json_models import ErrorDocument, OrphansDocument, RunsDocument
from envagent.cli.documents.run_document import StoredRun, run_document
from envagent.cli.documents.run_list import StoredRequest, state_of
from envagent.cli.documents.run_models import AnalysisDocument, RunDocument
from envagent.cli.documents.sandbox_models import LogDocument
from envagent.engine.step import Output
from envagent.engine.tables import IntentRecord, ResourceRecord, RunRecord, StageRecord
from envagent.steps import PROVISIONING
from envagent.steps.find_network import FoundNetwork
from envagent.steps.request import RunRequest
from envagent.steps.verify import Verified
from tests.cli.conftest import ROOT, Cli, Sandbox


def test_the_schema_in_docs_is_current() -> None:
    spec = importlib.util.spec_from_file_location("schema", ROOT / "docs" / "schema.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert (ROOT / "docs" / "json-schema.json").read_text() == module.document(), "run: python docs/schema.py"


def test_what_commands_print_fits_the_models(cli: Cli, repository: Path, sandbox: Sandbox) -> None:
    run = cli.run(repository)
    assert RunDocument.model_validate(run).model_dump(mode="json") == run
    listed = cli("status", "--json").document
    assert RunsDocument.model_validate(listed).model_dump(mode="json") == listed
    analyzed = cli("analyze", str(repository), "--json", "--no-ai").document
    assert AnalysisDocument.model_validate(analyzed).model_dump(mode="json") == analyzed
    log = json.loads(cli("sandbox", "log", "--json").out)
    assert LogDocument.model_validate(log).model_dump(mode="json") == log
    orphans = cli("teardown", "--orphans", "--cloud", "sandbox", "--json").document
    assert OrphansDocument.model_validate(orphans).model_dump(mode="json") == orphans
    error = cli("status", "nosuchrun", "--json").document
    assert ErrorDocument.model_validate(error).model_dump(mode="json") == error


def test_an_analysis_tells_its_evidence_and_touches_no_cloud(cli: Cli, repository: Path) -> None:
    document = cli("analyze", str(repository), "--json").document
    assert document["repository"]["url"] == str(repository)
    assert document["requirements"].keys() >= {
        "cpu_cores",
        "ram_gb",
        "gpu_required",
        "gpu_memory_gb",
        "disk_gb",
        "os_type",
        "os_version",
        "cuda_required",
        "python_version",
        "special_requirements",
    }
    assert document["requirements"]["gpu_required"] is True
    assert any(one["path"] == "README.md" and one["line"] == 3 for one in document["evidence"])
    assert document["decision"]["source"] == "rules"
    text = cli("analyze", str(repository)).out
    assert "README.md:3" in text
    assert "GPU memory" in text
    assert cli("analyze", "ext::sh", "--json").code == 9


@pytest.mark.parametrize(
    ("stored", "teardown_at", "working", "told"),
    [
        ("running", None, True, "running"),
        ("running", None, False, "interrupted"),
        ("interrupted", None, False, "interrupted"),
        ("interrupted", None, True, "running"),
        ("failed", None, False, "failed"),
        ("succeeded", None, False, "succeeded"),
        ("succeeded", "2026-11-23T12:00:00+00:00", False, "interrupted"),
        ("succeeded", "2026-11-23T12:00:00+00:00", True, "running"),
        ("torn_down", "2026-11-23T12:00:00+00:00", False, "torn_down"),
    ],
)
def test_the_state_of_a_run(stored: str, teardown_at: str | None, working: bool, told: str) -> None:
    assert state_of(record(stored, teardown_at), working=working) == told


def record(state: str, teardown_at: str | None = None) -> RunRecord:
    at = "2026-11-23T12:00:00.000000+00:00"
    return RunRecord(
        run_id="k3j9x2m4qa",
        pipeline="provisioning",
        state=state,
        created_at=at,
        updated_at=at,
        request='{"repository": "/x", "cloud": null}',
        teardown_at=teardown_at,
    )


def stages(**known: str | Output) -> list[StageRecord]:
    """Make the rows of all stages, each with its state or its output."""
    rows = []
    for position, stage in enumerate(PROVISIONING.stages.values()):
        row = StageRecord(run_id="k3j9x2m4qa", step=stage.step, stage=stage.name, position=position)
        match known.get(stage.name):
            case Output() as output:
                row.state, row.output = "succeeded", output.model_dump_json()
                row.model, row.model_version = type(output).__name__, output.version
            case str(state):
                row.state = state
        rows.append(row)
    return rows


def test_a_request_without_an_answer_is_a_resource_of_unknown_state() -> None:
    intent = IntentRecord(
        run_id="k3j9x2m4qa",
        stage="reserve_hardware.reserve",
        kind="lease",
        number=1,
        name="envagent-k3j9x2m4qa-1-toy",
        request="{}",
        state="sent",
        attempt=1,
        sent_at="2026-11-23T12:00:00+00:00",
    )
    document = run_document(StoredRun(row=record("running"), working=False, stages=stages(), intents=[intent]))
    [unknown] = document.resources
    assert (unknown.kind, unknown.id, unknown.state) == ("lease", None, "unknown")
    assert document.lease is None


def test_a_step_is_the_sum_of_its_stages() -> None:
    def step(working: bool, **states: str) -> str:
        rows = StoredRun(row=record("running"), working=working, stages=stages(**states))
        return next(one.state for one in run_document(rows).steps if one.name == "reserve_hardware")

    assert step(True) == "pending"
    assert step(True, plan="running") == "running"
    assert step(True, plan="succeeded") == "waiting"
    assert step(True, plan="succeeded", approve="waiting") == "waiting"
    assert step(False, plan="succeeded", approve="waiting") == "interrupted"
    assert step(False, plan="succeeded", approve="succeeded", reserve="failed") == "failed"
    assert step(False, plan="succeeded", approve="succeeded", reserve="succeeded") == "succeeded"


def test_what_is_removed_is_said_to_be() -> None:
    gone = [
        ResourceRecord(
            run_id="k3j9x2m4qa",
            stage="x",
            kind=kind,
            cloud_id=f"{kind}-id",
            name=kind,
            ownership="owned",
            state="absent",
            created_at="2026-11-23T12:00:00+00:00",
            removed_at="2026-11-23T13:00:00+00:00",
        )
        for kind in ("lease", "server", "floating_ip")
    ]
    verified = Verified(
        server_status="ACTIVE",
        fixed_ip="10.0.0.1",
        floating_ip="1.2.3.4",
        ssh_user="cc",
        ssh_command="ssh",
        logged_in=True,
    )
    rows = StoredRun(row=record("torn_down"), working=False, stages=stages(check=verified), resources=gone)
    document = run_document(rows)
    assert document.lease is not None
    assert document.server is not None
    assert (document.lease.status, document.server.status) == ("DELETED", "DELETED")
    assert (document.ssh, document.floating_ip, document.fixed_ip) == (None, None, None)
    assert document.next == ["envagent status k3j9x2m4qa"]


def test_what_another_version_stored_hides_nothing_else() -> None:
    verified = Verified(
        server_status="ACTIVE", fixed_ip=None, floating_ip=None, ssh_user="cc", ssh_command="ssh", logged_in=True
    )
    rows = stages(
        check=verified, find=FoundNetwork(network_id="n", network_name="x", external_id=None, external_name="")
    )
    for one in rows:
        if one.model == "FoundNetwork":
            one.output = '{"network": "in other words"}'
        elif one.model == "Verified":
            one.model_version = Verified.version + 1
    document = run_document(StoredRun(row=record("succeeded"), working=False, stages=rows))
    assert (document.network_id, document.ssh_verified, document.state) == (None, None, "succeeded")


def test_what_the_list_reads_of_a_request_is_in_it() -> None:
    assert set(StoredRequest.model_fields) <= set(RunRequest.model_fields)


def test_a_finished_step_says_what_it_came_to(cli: Cli, repository: Path) -> None:
    document = cli.run(repository)
    assert [one["summary"] == "" for one in document["steps"]] == [False] * len(PROVISIONING.steps)
    [lease] = [one["summary"] for one in document["steps"] if one["name"] == "reserve_hardware"]
    assert lease == f"{document['node_type']} for {document['plan']['hours']} h"
    told = [one["kind"] for one in document["timeline"]]
    assert (told[0], told[-1], told.count("resource_owned")) == ("run_started", "run_succeeded", 4)
    shown = cli("status", document["run_id"]).out
    assert lease in shown and "plan approved" in shown
