"""A longer lease is asked for with its price, and costs what was agreed to."""

from __future__ import annotations

import json
import shlex
from datetime import datetime, timedelta
from pathlib import Path

from tests.cli.conftest import Cli, Sandbox


def test_an_extension_is_asked_for_with_its_price(
    cli: Cli, repository: Path, real_cloud: str, sandbox: Sandbox
) -> None:
    run = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json").document
    end = datetime.fromisoformat(run["cost"]["lease_end"])
    screen = cli.on_terminal("extend", run["run_id"], "6h")
    shown = screen.until("[y/N]")
    assert "Extend the lease of gpu_rtx_6000 by 6h, until " in shown
    assert "for 12 SU more?" in shown
    screen.type("n\n")
    assert screen.end() == 130
    assert "The lease was not extended." in screen.plain

    dear = cli("extend", run["run_id"], "6h", "--max-su", "11", "--yes")
    assert (dear.code, "costs 12 SU, more than the limit of 11 SU" in dear.err) == (5, True)
    nobody = cli("extend", run["run_id"], "6h", "--json")
    assert nobody.code == 2
    assert ("PUT", "lease") not in sandbox.writes(run["run_id"])
    pasted = shlex.split(nobody.document["error"]["hint"])
    assert pasted == ["envagent", "extend", run["run_id"], "6h", "--yes"]

    done = cli(*pasted[1:])
    assert done.code == 0, done.err
    assert f"the lease of run {run['run_id']} was extended" in done.out
    assert "60 SU for the whole lease (2 SU/h)" in done.out
    document = cli("status", run["run_id"], "--json").document
    assert datetime.fromisoformat(document["cost"]["lease_end"]) == end + timedelta(hours=6)
    info = json.loads(Path(run["info_file"]).read_text())
    assert info["lease_end"] == document["cost"]["lease_end"]
    assert [one["kind"] for one in document["resources"]] == [one["kind"] for one in run["resources"]]
    for wrong in ("0h", "8d", "soon", "-3h"):
        assert cli("extend", run["run_id"], "--", wrong).code == 2
    assert cli("teardown", run["run_id"], "--yes").code == 0
