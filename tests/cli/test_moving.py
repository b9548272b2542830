"""A run moves between journals, a SQLite file and a PostgreSQL database: one of them acts on it, never two."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from envagent.cli.home import Home
from envagent.cli.run_file import RunFile
from envagent.engine.exported import _PARTS, ExportedRun
from envagent.engine.journal import REVISION, Journal
from envagent.engine.tables import EventRecord, RunRecord
from envagent.errors import RunTakenOver
from tests.cli.conftest import Cli
from tests.kit.commands import Ended
from tests.kit.postgres import QUICK, Postgres, programs


@pytest.fixture(scope="module")
def database() -> Iterator[str]:
    if programs() is None:
        pytest.skip("no PostgreSQL is installed")
    server = Postgres(*QUICK)
    yield server.database("moves")
    server.close()


def child(cli: Cli, *arguments: str) -> Ended:
    started = cli.start(*arguments)
    return Ended(started.wait(), started.out, started.err)


def test_a_run_moves_to_a_database_and_back(
    cli: Cli, repository: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = cli.run(repository, "--name", "moving")["run_id"]
    key, hosts = cli.home / "keys" / f"envagent-{run_id}", cli.home / "runs" / run_id / "known_hosts"
    known = (key.read_bytes(), hosts.read_bytes())
    assert child(cli, "export", run_id, "--with-key", "-o", "/dev/stdout").code == 2
    stale = Journal.open(cli.home / "journal.db")
    row = stale.run(run_id)
    stale.take(row)  # as a process that is stopped now

    assert cli("export", run_id, "--with-key", "-o", "-").code == 2
    moved = cli("export", run_id, "--with-key", "-o", "there.json", "--json")
    assert moved.code == 0, moved.err
    file = cli.work / "there.json"
    assert (stat.S_IMODE(file.stat().st_mode), list(cli.work.glob("*.part"))) == (0o600, [])
    assert "PRIVATE KEY" in file.read_text("utf-8") and "PRIVATE KEY" not in moved.out + moved.err
    with pytest.raises(RunTakenOver):
        stale.check_taken(run_id)
    with pytest.raises(RunTakenOver), stale.transaction() as transaction:
        transaction.save(EventRecord(run_id=run_id, at="1", kind="late"))
    stale.close()

    for words in (["resume"], ["teardown"], ["status", "--refresh"], ["ssh"], ["extend"]):
        refused = cli(words[0], run_id, *words[1:], *(["6h"] if words == ["extend"] else []))
        assert (refused.code, "was moved to another journal" in refused.err) == (10, True), words
        assert "envagent import FILE" in refused.err
    shown = cli("status", run_id, "--json").document
    assert (shown["state"], shown["cost"], shown["ssh"]) == ("moved", None, None)
    assert run_id not in (cli.home / "ssh_config").read_text("utf-8")
    assert [one["run_id"] for one in cli("status", "--state", "moved", "--json").document["runs"]] == [run_id]
    orphans = cli("teardown", "--orphans", "--all", "--dry-run", "--cloud", "sandbox", "--json").document["orphans"]
    assert {one["offered"] for one in orphans if one["run_id"] == run_id} == {False}

    key.unlink()
    hosts.unlink()
    monkeypatch.setenv("ENVAGENT_JOURNAL", database)
    arrived = child(cli, "import", "there.json", "--json")
    assert arrived.code == 0, arrived.err
    assert (arrived.document["state"], arrived.document["private_key"]) == ("succeeded", str(key))
    assert (key.read_bytes(), hosts.read_bytes()) == known
    assert {stat.S_IMODE(one.stat().st_mode) for one in (key, hosts)} == {0o600}
    assert cli("import", "there.json").code == 10  # it is here
    there = cli("resume", "moving", "--json").document
    moves = [one["kind"] for one in there["timeline"] if one["kind"] in ("run_exported", "run_imported")]
    assert (there["state"], moves) == ("succeeded", ["run_exported", "run_imported"])
    assert str(key) in there["ssh"] and run_id in (cli.home / "ssh_config").read_text("utf-8")

    assert cli("export", run_id, "-o", "back.json").code == 0
    assert cli("import", "there.json").code == 10  # older than what was moved away
    monkeypatch.delenv("ENVAGENT_JOURNAL")
    returned = child(cli, "import", "back.json", "--json")
    assert (returned.code, returned.document["private_key"]) == (0, str(key)), returned.err
    assert cli("status", "moving", "--json").document["state"] == "succeeded"
    assert child(cli, "teardown", run_id, "--delete-key").code == 0
    assert cli("status", run_id, "--json").document["state"] == "torn_down"


def test_a_killed_export_is_repeated_and_a_copy_is_only_looked_at(
    cli: Cli, repository: Path, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = cli.run(repository, "--server-name", "copied")["run_id"]
    assert cli("export", run_id, "--copy", "-o", "copy.json").code == 0
    assert cli("status", run_id, "--json").document["state"] == "succeeded"  # it is still this journal's
    monkeypatch.setenv("ENVAGENT_JOURNAL", database)
    assert cli("import", "copy.json").code == 0
    assert cli("status", run_id, "--json").document["state"] == "moved"
    assert {cli(word, run_id).code for word in ("resume", "teardown", "export")} == {10}
    monkeypatch.delenv("ENVAGENT_JOURNAL")

    with monkeypatch.context() as broken:  # a kill after the mark, and before the file has its name
        broken.setattr(Path, "replace", lambda *_: (_ for _ in ()).throw(OSError(5, "killed")))
        assert cli("export", run_id, "-o", "one.json").code == 2
    assert cli("status", run_id, "--json").document["state"] == "moved"
    [draft] = cli.work.glob(".one.json-*.part")
    assert cli("export", run_id, "-o", "two.json").code == 0
    first, second = (json.loads(one.read_text("utf-8")) for one in (draft, cli.work / "two.json"))
    assert first["run"] == second["run"]
    assert cli("import", "two.json").code == 0  # undone
    assert cli("status", run_id, "--json").document["state"] == "succeeded"


def test_what_is_exported_is_all_that_the_tables_have() -> None:
    kept = {"run_id", "id", "seq"}
    for name, record in _PARTS.items():
        [part] = ExportedRun.model_fields[name].annotation.__args__[:1]  # type: ignore[union-attr]
        assert set(part.model_fields) == set(record.model_fields) - kept
    assert set(ExportedRun.model_fields) - set(_PARTS) == set(RunRecord.model_fields) - {"owner"}


Change = Callable[[dict[str, Any]], object]


def stage(document: dict[str, Any], model: str) -> dict[str, Any]:
    found: dict[str, Any] = next(one for one in document["run"]["stages"] if one["model"] == model)
    return found


def renamed_key(document: dict[str, Any]) -> None:
    one = stage(document, "ChosenKey")
    one["output"] = json.dumps(json.loads(one["output"]) | {"name": "../../.ssh/id_rsa"})


HOSTILE: dict[str, Change] = {
    "unknown field": lambda it: it.update(more=1),
    "another schema": lambda it: it.update(schema_version=2),
    "a run id that is a path": lambda it: it["run"].update(run_id="../../../x"),
    "a key that is a path": renamed_key,
    "a private key of somebody else": lambda it: it.update(private_key={"name": "x", "content": "y"}),
    "another file of the run's folder": lambda it: it["files"].update({"../x": "y"}),
    "a time that is none": lambda it: it["run"]["events"][0].update(at="today"),
    "a stage twice": lambda it: it["run"]["stages"].append(it["run"]["stages"][0]),
    "a missing step": lambda it: it["run"]["stages"].pop(),
    "labels that a database refuses": lambda it: it["run"].update(labels='{"cloud": "\\u0000"}'),
    "labels that are not": lambda it: it["run"].update(labels='{"yes": {}}'),
    "a request that is not": lambda it: it["run"].update(request="{}"),
    "an error that is not": lambda it: it["run"].update(error="{}"),
    "an epoch beyond the column": lambda it: it["run"].update(epoch=1 << 40),
}


def test_nothing_in_a_file_is_trusted(
    cli: Cli, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = cli.run(repository, "--server-name", "hostile")["run_id"]
    assert cli("export", run_id, "--copy", "-o", "good.json").code == 0
    good = (cli.work / "good.json").read_text("utf-8")
    RunFile.model_validate_json(good)
    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "elsewhere"))
    for name, change in HOSTILE.items():
        document = json.loads(good) | {"moved": True}
        change(document)
        (cli.work / "bad.json").write_text(json.dumps(document), "utf-8")
        ended = cli("import", "bad.json")
        assert (ended.code, "can import (" in ended.err) == (2, True), (name, ended.err)
        assert "Traceback" not in ended.err
    for content in ("", "[]", "[" * 100_000, good[:-20]):
        (cli.work / "bad.json").write_text(content, "utf-8")
        assert cli("import", "bad.json").code == 2
    assert cli("import", "/dev/zero").code == 2
    home = Home(tmp_path / "elsewhere")
    assert not home.keys.exists() and not list(home.runs.glob("*"))


def test_migrate_says_what_it_did(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sqlite3

    monkeypatch.setenv("ENVAGENT_HOME", str(tmp_path / "fresh"))
    path = tmp_path / "fresh" / "journal.db"
    assert cli("migrate", "--dry-run", "--json").document["found"] is None
    assert not path.exists()
    assert cli("migrate", "--json").document["upgraded"] is True
    assert "nothing to do" in cli("migrate").out
    with sqlite3.connect(path) as connection:
        for index in ("runs_by_owner", "runs_by_name", "names_in_use"):
            connection.execute(f"DROP INDEX {index}")
        for column in ("epoch", "owner", "name"):
            connection.execute(f"ALTER TABLE runs DROP COLUMN {column}")
        connection.execute("UPDATE alembic_version SET version_num = '0002'")
    connection.close()
    shown = cli("migrate", "--dry-run", "--json").document
    assert (shown["found"], shown["head"], shown["upgraded"]) == ("0002", REVISION, False)
    done = cli("migrate", "--json").document
    assert (done["found"], done["upgraded"], Path(done["copy_kept"]).exists()) == ("0002", True, True)
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    newer = cli("migrate", "--dry-run")
    assert (newer.code, "newer envagent" in newer.err) == (10, True)
