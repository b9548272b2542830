"""Who the run is: another project or cloud is refused on resume, and a token that expires on the way is replaced."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import yaml

from tests.rig.operator import Judge, Rig
from tests.rig.shell import Shell
from tests.rig.test_main_job import NODE_TYPE


def test_a_run_is_resumed_by_whom_it_belongs_to(rig: Rig, shell: Shell, judge: Judge, tmp_path: Path) -> None:
    """A clouds.yaml whose entry of the same name now is of another project."""
    clouds = {rig.name: rig.config.cloud_config["clouds"][f"{rig.name}-other"]}
    changed = tmp_path / "clouds.yaml"
    changed.write_text(yaml.safe_dump({"clouds": clouds}), "utf-8")
    started = shell.start_run("--node-type", NODE_TYPE)
    run_id = started.run_id()
    started.wait_for("waiting for the lease to start")
    started.kill()
    for command in (["resume", run_id], ["teardown", run_id, "--yes"]):
        refused = shell(*command, OS_CLIENT_CONFIG_FILE=str(changed))
        assert refused.code == 10, refused.err
        assert "project" in refused.document["error"]["message"]
        assert set(judge.held_by([run_id])[run_id]) >= {"lease"}
    gone = shell("teardown", run_id, "--yes")
    assert gone.code == 0, gone.err


def test_a_token_that_expires_during_a_wait_is_replaced_silently(rig: Rig, shell: Shell, judge: Judge) -> None:
    """The lease begins after the first token's end. Shorter lives than three minutes the services cannot bear."""
    life = rig.user.token_life()
    if life > timedelta(minutes=5):
        pytest.skip(f"tokens live {life} here; start the rig with RIG_TOKEN_SECONDS=180")
    begin = datetime.now(UTC) + life + timedelta(minutes=1)
    done = shell.run("--node-type", NODE_TYPE, "--start", f"{begin:%Y-%m-%dT%H:%MZ}")
    assert done.code == 0, done.err
    assert "waiting for the lease to start: PENDING" in done.err
    for word in ("401", "Unauthorized", "expired"):
        assert word not in done.err
    judge.complete([done.document["run_id"]])
    assert shell("teardown", done.document["run_id"], "--yes").code == 0
