"""Every text that the services are known to give maps to its own error, exit code and next step."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from envagent import errors
from envagent.cli.render.hint_text import hint_text
from envagent.cloud import classify
from envagent.cloud.error_response import ErrorResponse
from envagent.cloud.failures import lease_failed, server_failed
from envagent.cloud.port import Lease, Server, ServerFault
from envagent.wire import seconds_to_wait

DATA = Path(__file__).parent / "data"


def rows(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text("utf-8").splitlines()]


def judge(row: dict[str, Any], **headers: str) -> errors.EnvagentError:
    body = row["body"] if isinstance(row["body"], str) else json.dumps(row["body"])
    response = requests.Response()
    response.status_code, response._content, response.encoding = row["status"], body.encode(), "utf-8"
    response.headers.update(headers)
    response.url = "http://cloud/path?query"
    answer = ErrorResponse.read(row["service"], row["method"], response)
    return classify.refused(answer, "do the thing")


@pytest.mark.parametrize("row", rows("refusals.jsonl"), ids=lambda row: row["what"])
def test_refusal(row: dict[str, Any]) -> None:
    error = judge(row, **{"x-openstack-request-id": "req-1"})
    assert type(error).__name__ == row["error"]
    assert error.exit_code == row["exit"]
    assert error.message.startswith("cannot do the thing: ")
    assert row["hint"] is None or row["hint"] in hint_text(error.hint, "RUN_ID")
    assert error.request_id == "req-1"


@pytest.mark.parametrize("row", rows("refusals.jsonl"), ids=lambda row: row["what"])
def test_the_service_is_quoted_without_its_envelope(row: dict[str, Any]) -> None:
    said = judge(row).service_said or ""
    assert "{" not in said or "query {" in said or "Object with {" in said or "Value: {" in said
    assert "<" not in said


@pytest.mark.parametrize("row", rows("faults.jsonl"), ids=lambda row: row["text"][:40] or "none")
def test_fault(row: dict[str, Any]) -> None:
    fault = ServerFault(message=row["text"], code=500) if row["text"] else None
    error = server_failed(Server(id="1", name="s", status="ERROR", fault=fault))
    assert type(error).__name__ == row["error"]
    assert error.exit_code == row["exit"]
    assert row["hint"] in hint_text(error.hint, "RUN_ID")
    assert error.service_said == (row["text"] or None)


def test_a_lease_in_error_names_itself_and_the_way_out() -> None:
    now = datetime.now(UTC)
    error = lease_failed(Lease(id="1", name="mine", status="ERROR", start=now, end=now))
    assert error.exit_code == 6
    assert "mine" in error.message
    assert "--node-type" in hint_text(error.hint, "RUN_ID")


def test_no_two_refusals_of_one_error_class_read_alike_unless_they_mean_the_same() -> None:
    """A table in which everything falls into the general rows would pass the rows above for 400 and 404."""
    meanings = {judge(row).message for row in rows("refusals.jsonl")}
    assert len(meanings) > 40


@pytest.mark.parametrize("write", ["POST", "PUT", "DELETE"])
@pytest.mark.parametrize("status", [500, 501, 502, 503, 504, 507, 599, 408])
def test_unknown_words_of_a_failing_service_leave_a_write_open(write: str, status: int) -> None:
    row = {"service": "reservation", "method": write, "status": status, "body": "something new"}
    assert isinstance(judge(row), errors.OutcomeUnknown)
    assert isinstance(judge({**row, "method": "GET"}), errors.CloudUnreachable)


@pytest.mark.parametrize("body", ["<html><body><h1>404 Not Found</h1></body></html>", "404 page not found", "", "[]"])
def test_a_404_that_is_not_the_services_own_proves_no_absence(body: str) -> None:
    row = {"service": "reservation", "method": "GET", "status": 404, "body": body}
    assert isinstance(judge(row), errors.CloudUnreachable)
    assert isinstance(judge({**row, "method": "DELETE"}), errors.OutcomeUnknown)
    assert isinstance(judge({**row, "body": '{"error_message": "not found"}'}), errors.NotFound)


def test_retry_after_in_seconds_as_a_date_and_as_nonsense() -> None:
    row = {"service": "compute", "method": "GET", "status": 503, "body": ""}
    assert judge(row, **{"retry-after": "120"}).retry_after == 120
    then = format_datetime(datetime.now(UTC) + timedelta(seconds=60), usegmt=True)
    assert 55 < (seconds_to_wait(then) or 0) <= 60
    for nonsense in ("", "soon", "-3", "inf", "nan"):
        assert seconds_to_wait(nonsense) is None


def test_control_characters_and_endless_texts_are_cut() -> None:
    body = json.dumps({"error_message": "a\x00b\x1b[31mc" + "x" * 100_000})
    said = judge({"service": "reservation", "method": "GET", "status": 500, "body": body}).service_said or ""
    assert said.startswith("ab[31mc")
    assert len(said) <= 2000
