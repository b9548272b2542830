"""A journal does the same in a SQLite file and in PostgreSQL."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy.exc
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import Engine, event

from envagent.engine.journal import Journal
from envagent.engine.run_query import RunQuery
from envagent.engine.tables import (
    RECORDS,
    EventRecord,
    IntentRecord,
    ResourceRecord,
    RunRecord,
    StageRecord,
    all_tables,
)
from envagent.errors import JournalError, RunMoved, RunNotFound, RunStateError, RunTakenOver

pytestmark = pytest.mark.parametrize("place", ["sqlite", "postgresql"], indirect=True)

Open = Callable[[], Journal]


@pytest.fixture
def opened(place: Path | str) -> Iterator[Open]:
    """Open the journal; each call is another process."""
    with contextlib.ExitStack() as stack:
        yield lambda: stack.enter_context(contextlib.closing(Journal.open(place)))


def a_run(run_id: str = "abcdefghjk", **more: str | int | None) -> RunRecord:
    known = {"run_id": run_id, "pipeline": "p", "state": "running", "created_at": "1", "updated_at": "1"}
    return RunRecord.model_validate({**known, "request": "{}", **more})


def save(journal: Journal, *records: RunRecord | EventRecord | IntentRecord | ResourceRecord | StageRecord) -> None:
    with journal.transaction() as transaction:
        transaction.save(*records)


def a_line(run_id: str = "abcdefghjk", kind: str = "k") -> EventRecord:
    return EventRecord(run_id=run_id, at="1", kind=kind)


def an_intent(number: int) -> IntentRecord:
    return IntentRecord(
        run_id="abcdefghjk", stage="s", kind="lease", number=number, name="n", request="{}", state="sent", attempt=1,
        sent_at="1",
    )  # fmt: skip


def test_migrations_and_tables_agree(opened: Open) -> None:
    ours = {record.table_name for record in RECORDS}
    with opened().engine.connect() as connection:
        context = MigrationContext.configure(
            connection, opts={"include_name": lambda name, kind, _: kind != "table" or name in ours}
        )
        assert compare_metadata(context, all_tables()) == []


def test_an_upgrade_is_whole_or_nothing(place: Path | str) -> None:
    class PowerCut(BaseException):
        pass

    def cut(connection: object, cursor: object, statement: str, *_: object) -> None:
        if "CREATE TABLE events" in statement:
            raise PowerCut

    event.listen(Engine, "before_cursor_execute", cut)
    try:
        with pytest.raises(PowerCut):
            Journal.open(place)
    finally:
        event.remove(Engine, "before_cursor_execute", cut)
    with contextlib.closing(Journal.open(place)) as journal:
        assert journal.runs() == []


def test_a_transaction_is_whole_or_nothing(opened: Open) -> None:
    journal = opened()
    with pytest.raises(ZeroDivisionError), journal.transaction() as transaction:
        transaction.save(a_run())
        raise ZeroDivisionError
    assert journal.runs() == []
    with pytest.raises(JournalError, match=r"UNIQUE|unique"):
        save(journal, a_run(), an_intent(1), an_intent(1))
    assert journal.runs() == [] and journal.intents("abcdefghjk") == []
    save(journal, a_run(), an_intent(1))
    assert [one.number for one in journal.intents("abcdefghjk")] == [1]


def test_a_name_belongs_to_one_run_until_that_is_over(opened: Open) -> None:
    journal, other = opened(), opened()
    first, second = a_run(name="mine-1"), a_run("bbbbbbbbbb", name="mine-1", created_at="2")
    save(journal, first)
    with pytest.raises(JournalError, match=r"UNIQUE|unique"):
        save(other, second)
    save(other, a_run("cccccccccc"), a_run("dddddddddd"))  # to have no name is no name
    assert journal.run("mine-1").run_id == first.run_id
    first.state = "torn_down"
    save(journal, first)
    assert (other.named("mine-1"), other.run("mine-1").run_id) == (None, first.run_id)
    save(other, second)
    assert journal.run("mine-1").run_id == second.run_id
    assert journal.names() == ["mine-1"]
    save(other, a_run("eeeeeeeeee", name="theirs-1", owner="them"))
    journal.seen_by = "us"
    assert (journal.named("theirs-1"), journal.names()) == (None, ["mine-1"])
    assert journal.named("theirs-1", everyone=True) is not None


def test_what_could_not_be_committed_overwrites_nothing_when_it_is_saved_again(opened: Open) -> None:
    """Another process, or another step, has been given its keys in the meantime."""
    one, two = opened(), opened()
    save(one, a_run("aaaaaaaaaa"), a_run("bbbbbbbbbb"))
    ours = a_line("aaaaaaaaaa", "ours")

    def full() -> None:
        raise sqlalchemy.exc.DBAPIError("COMMIT", None, OSError("no space left"))

    one.before_commit = full
    with pytest.raises(JournalError, match="no space left"):
        save(one, ours)
    one.before_commit = None
    two.take(two.run("bbbbbbbbbb"))
    save(two, a_line("bbbbbbbbbb", "theirs"))
    save(one, ours)
    assert [line.kind for line in one.events("aaaaaaaaaa")] == ["ours"]
    assert [line.kind for line in one.events("bbbbbbbbbb")] == ["theirs"]


def test_surrogate_keys_are_set_once(opened: Open) -> None:
    journal, line = opened(), a_line()
    save(journal, a_run(), line)
    assert line.seq == 1
    line.message = "again"
    save(journal, line)
    assert [(one.seq, one.message) for one in journal.events("abcdefghjk")] == [(1, "again")]


@pytest.mark.parametrize("prefix", ["", "%", "_", "b"])
def test_a_prefix_that_names_nothing_finds_no_run(opened: Open, prefix: str) -> None:
    """An empty one, as from a script's unset variable, would name the only run there is."""
    journal = opened()
    save(journal, a_run("aaaaaaaaaa"))
    assert journal.run("aaa").run_id == "aaaaaaaaaa"
    with pytest.raises(RunNotFound):
        journal.run(prefix)


class TestEpoch:
    """Whoever took a run last writes to it and sends for it, and nobody else."""

    def test_a_process_that_wakes_after_its_run_was_taken_does_neither(self, opened: Open) -> None:
        one, two = opened(), opened()
        row = a_run()
        save(one, row, a_run("other"))
        one.check_taken(row.run_id)
        two.take(two.run(row.run_id))
        for late in (a_line(), row):
            with pytest.raises(RunTakenOver, match=row.run_id):
                save(one, late)
        with pytest.raises(RunTakenOver):
            one.check_taken(row.run_id)
        save(one, a_line("other"))  # its other runs are its own as before
        two.check_taken(row.run_id)
        save(two, a_line())
        assert len(one.events(row.run_id)) == 1
        one.take(row)
        save(one, a_line())
        with pytest.raises(RunTakenOver):
            save(two, a_line())

    def test_taking_a_run_brings_its_row_up_to_date(self, opened: Open) -> None:
        """Whoever had it may have written between the read and the taking."""
        one, two = opened(), opened()
        row = a_run()
        save(one, row)
        read_before = two.run(row.run_id)
        row.state, row.labels = "succeeded", '{"node_type": "new"}'
        save(one, row)
        two.take(read_before)
        assert (read_before.state, read_before.labels, read_before.epoch) == ("succeeded", row.labels, 2)

    def test_a_run_is_begun_once(self, opened: Open) -> None:
        one, two = opened(), opened()
        save(one, a_run())
        with pytest.raises(JournalError, match=r"UNIQUE|unique"):
            save(two, a_run())
        save(one, a_line())

    def test_nobody_writes_to_a_run_that_he_has_not_taken(self, opened: Open) -> None:
        one, two = opened(), opened()
        save(one, a_run())
        with pytest.raises(AssertionError, match="not taken"):
            save(two, a_line())

    def test_a_run_is_taken_before_or_after_a_transaction_and_never_within(self, opened: Open) -> None:
        one, two = opened(), opened()
        save(one, a_run())
        row, seen = two.run("abcdefghjk"), list[int]()
        taking = threading.Thread(target=lambda: two.take(row))
        with one.transaction() as transaction:
            transaction.save(a_line())
            taking.start()
            taking.join(0.2)
            assert taking.is_alive()
            seen.append(len(one.events("abcdefghjk")))
        taking.join(10)
        assert (seen, row.epoch, len(two.events("abcdefghjk"))) == ([0], 2, 1)


def test_queries_select_the_same_runs(opened: Open) -> None:
    journal = opened()
    labels = '{"repository": "https://x/Me/Toy_1", "cloud": "chi", "looked_at": "2"}'
    save(
        journal,
        a_run("a", created_at="1", labels=labels, subject="toy"),
        a_run("b", created_at="2", state="failed", updated_at="5"),
        a_run("c", created_at="3", teardown_at="4", state="torn_down", labels='{"cloud": "it\'s"}', subject="else"),
    )
    for run_id, ends in (("a", "2026"), ("b", "2024"), ("c", None)):
        detail = "{}" if ends is None else f'{{"end_date": "{ends}"}}'
        save(
            journal,
            ResourceRecord(
                run_id=run_id, stage="s", kind="lease", cloud_id=run_id, name="n", ownership="owned", state="present",
                created_at="1", detail=detail,
            ),
        )  # fmt: skip
    journal.archive(["b"], "9")

    def found(query: RunQuery) -> str:
        rows = [row.run_id for row in journal.runs(query)]
        assert journal.count(query) == len(rows)
        assert [run_id for run_id, _, _ in journal.run_states(query)] == rows
        return "".join(rows)

    everything = RunQuery(archived=True)
    assert found(RunQuery()) == "ca" and found(everything) == "cba"
    assert found(replace(everything, states=("failed", "running"))) == "ba"
    assert found(replace(everything, removing=True)) == "c" and found(replace(everything, removing=False)) == "ba"
    assert found(replace(everything, subject="toy")) == "ba"
    assert found(replace(everything, labels={"cloud": "it's"})) == "c"
    assert found(replace(everything, labels={"cloud": None})) == "b"
    assert found(replace(everything, containing={"repository": "toy_1"})) == "a"
    assert found(replace(everything, containing={"repository": "toy%"})) == ""
    assert found(replace(everything, holding="lease", at="2025")) == "ca"
    assert found(replace(everything, unchanged_since="5")) == "ca"
    assert [one.cloud_id for one in journal.selected(ResourceRecord, iter("ca"))] == ["a", "c"]
    assert [row.run_id for row in journal.selected(RunRecord, "ab")] == ["b", "a"]
    journal.archive("b", None)
    assert found(RunQuery()) == "cba"


def test_any_number_of_runs_can_be_named(opened: Open) -> None:
    journal = opened()
    save(journal, a_run(), StageRecord(run_id="abcdefghjk", step="s", stage="t", position=1, model="Plan"))
    many = ["abcdefghjk", *(str(number) for number in range(70_000))]
    assert [row.run_id for row in journal.selected(RunRecord, many)] == ["abcdefghjk"]
    assert [row.step for row in journal.outputs(many, "Plan", "Other")] == ["s"]


def test_a_run_that_was_moved_away_is_not_taken_and_is_replaced_by_a_later_record(opened: Open) -> None:
    one = opened()
    save(one, a_run(), an_intent(1), a_line())
    row = one.run("abc")
    one.take(row)
    row.state = "moved"
    save(one, row)
    with pytest.raises(RunMoved):
        opened().take(row)
    assert one.run("abc").epoch == 2
    for epoch, kinds in ((1, ["k"]), (2, ["back"])):
        back = a_run(epoch=epoch + 1)
        with contextlib.suppress(RunStateError), one.transaction() as transaction:
            transaction.forget(back.run_id, epoch)
            transaction.save(back, a_line(kind="back"))
        assert [line.kind for line in one.events("abcdefghjk")] == kinds
    assert (one.run("abc").epoch, one.intents("abcdefghjk")) == (3, [])
    with pytest.raises(RunStateError), one.transaction() as transaction:
        transaction.forget("abcdefghjk", 9)
