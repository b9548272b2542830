"""The specification's seven failure points: each provoked, with its message, its exit code and what is left.

Where the specification is wrong about Chameleon the facts win: a lease that does not start does not delete itself.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.failures.conftest import Shell
from tests.kit.git import make_repository
from tests.kit.servers import HttpServer, QuietHandler

pytestmark = pytest.mark.scenario

Check = Callable[[], None]


def test_the_happy_end(shell: Shell, nothing_left: Check) -> None:
    done = shell.run()
    assert done.code == 0, done.err
    assert done.document["state"] == "succeeded"
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
    assert done.document["ssh"].endswith(f"cc@{done.document['floating_ip']}")
    info = shell.home / f"{done.document['server']['name']}_info.json"
    assert info.stat().st_mode & 0o777 == 0o600
    nothing_left()
    again = shell("teardown", "last", "--yes")
    assert again.code == 0


# Point 1: the clone fails


def test_a_repository_that_is_not_there(shell: Shell) -> None:
    shell.repository = shell.home / "nowhere"
    done = shell.run()
    assert done.code == 9
    assert "nowhere" in done.document["error"]["message"]
    assert set(shell.live().values()) == {0}


class Hub(QuietHandler):
    """A host that fails."""

    def do_GET(self) -> None:
        self.send_error(503)


@pytest.fixture
def failing_port() -> Iterator[int]:
    server = HttpServer(Hub)
    yield server.server_port
    server.close()


def test_a_host_that_does_not_answer_is_tried_twice_and_named(shell: Shell) -> None:
    done = shell("run", "https://localhost.invalid/a/b", "--cloud", "sandbox")
    assert done.code == 9
    assert "localhost.invalid" in done.document["error"]["message"]
    assert done.document["error"]["hint"]
    assert set(shell.live().values()) == {0}


# Point 2: the AI fails


def test_a_dead_ai_leaves_the_decisions_to_the_rules(shell: Shell, nothing_left: Check) -> None:
    done = shell.run(
        ENVAGENT_AI__BASE_URL="http://127.0.0.1:9/v1", ENVAGENT_AI__API_KEY="key", ENVAGENT_AI__TIMEOUT_SECONDS="2"
    )
    assert done.code == 0, done.err
    assert {one["source"] for one in done.document["decisions"]} == {"rules"}
    assert "AI" in done.err
    nothing_left()


def test_an_ai_that_is_demanded_and_fails_ends_the_run_before_anything_is_made(shell: Shell) -> None:
    done = shell.run(
        ENVAGENT_AI__BASE_URL="http://127.0.0.1:9/v1",
        ENVAGENT_AI__API_KEY="key",
        ENVAGENT_AI__TIMEOUT_SECONDS="2",
        ENVAGENT_AI__REQUIRED="true",
    )
    assert done.code == 8
    assert set(shell.live().values()) == {0}


def test_an_ai_that_answers_errors_is_warned_of(shell: Shell, failing_port: int, nothing_left: Check) -> None:
    done = shell.run(
        ENVAGENT_AI__BASE_URL=f"http://127.0.0.1:{failing_port}/v1",
        ENVAGENT_AI__API_KEY="key",
        ENVAGENT_AI__RETRIES="0",
    )
    assert done.code == 0, done.err
    assert {one["source"] for one in done.document["decisions"]} == {"rules"}
    nothing_left()


# Point 3: nothing is free


def test_no_node_of_the_named_type_is_free(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "no_capacity", "node_types": ["gpu_rtx_6000"]})
    done = shell.run("--node-type", "gpu_rtx_6000")
    assert done.code == 5
    assert "gpu_rtx_6000" in done.document["error"]["message"]
    assert "--node-type" in done.document["error"]["hint"]
    assert shell.live()["lease"] == 0
    nothing_left()


def test_a_refused_node_type_is_followed_by_the_next(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "no_capacity", "node_types": ["compute_skylake"]})
    done = shell.run()
    assert done.code == 0, done.err
    assert done.document["node_type"] not in (None, "compute_skylake")
    assert shell.live()["lease"] == 1
    nothing_left()


# Point 4: the lease does not start


def test_a_lease_that_stays_pending_is_removed_and_said(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "lease_stuck", "nth": 1})
    done = shell.run(ENVAGENT_LEASE__TIMEOUT_SECONDS="1")
    assert done.code == 6
    assert "has been removed" in done.document["error"]["message"]
    assert shell.live()["lease"] == 0
    resumed = shell("resume", "last")
    assert resumed.code == 0, resumed.err
    assert shell.live() == {"lease": 1, "server": 1, "floating_ip": 1, "keypair": 1}
    nothing_left()


def test_a_lease_in_error_is_asked_for_once_more(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "lease_error", "nth": 1})
    done = shell.run("--node-type", "compute_skylake")
    assert done.code == 0, done.err
    assert shell.live()["lease"] == 1
    assert "ERROR" in done.err
    nothing_left()


def test_a_second_lease_in_error_gives_way_to_the_next_node_type(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "lease_error", "nth": [1, 2]})
    done = shell.run()
    assert done.code == 0, done.err
    assert done.document["node_type"] != done.document["plan"]["candidates"][0]["node_type"]
    assert shell.live()["lease"] == 1
    nothing_left()


def test_where_there_is_no_other_type_it_is_asked_for_again(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "lease_error", "nth": [1, 2, 3]})
    done = shell.run("--node-type", "compute_skylake")
    assert done.code == 0, done.err
    assert shell.live()["lease"] == 1
    nothing_left()


def test_leases_that_all_go_to_error_are_no_lack_of_capacity(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "lease_error"})
    done = shell.run("--node-type", "compute_skylake")
    assert done.code == 6
    assert "removed" in done.document["error"]["message"]
    assert shell.live()["lease"] == 0
    nothing_left()


# Point 5: the server goes to ERROR


def test_a_server_in_error_is_tried_once_more_in_the_same_lease(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "server_error", "nth": 1, "text": "Failed to provision instance"})
    done = shell.run()
    assert done.code == 0, done.err
    assert "Failed to provision instance" in done.err
    assert shell.live()["server"] == 1
    assert shell.live()["lease"] == 1
    nothing_left()


def test_a_server_that_keeps_failing_ends_the_run_with_novas_words(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "server_error", "text": "No valid host was found."})
    done = shell.run()
    assert done.code == 6
    assert "No valid host was found." in done.document["error"]["service_said"]
    kept = {one["kind"]: one["state"] for one in done.document["resources"]}
    assert kept["lease"] == "present"
    assert "teardown" in done.err
    assert "resume" in done.err
    shell.faults()
    resumed = shell("resume", "last")
    assert resumed.code == 0, resumed.err
    assert shell.live()["server"] == 1
    nothing_left()


# Point 6: the server stays in BUILD


def test_a_server_that_stays_in_build_is_kept_and_waited_for_again(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "server_stuck", "nth": 1})
    done = shell.run(ENVAGENT_SERVER__TIMEOUT_SECONDS="1")
    assert done.code == 6
    assert "BUILD" in done.document["error"]["message"]
    assert shell.live()["server"] == 1
    again = shell("resume", "last", ENVAGENT_SERVER__TIMEOUT_SECONDS="1")
    assert again.code == 6
    assert shell.live()["server"] == 1
    nothing_left()


# Point 7: no floating IP is left


@pytest.mark.parametrize("action", ["fip_pool_empty", "fip_quota"])
def test_without_a_floating_ip_the_run_goes_on_and_warns(shell: Shell, nothing_left: Check, action: str) -> None:
    shell.faults({"action": action})
    done = shell.run()
    assert done.code == 0, done.err
    assert done.document["floating_ip"] is None
    assert done.document["fixed_ip"] is not None
    assert "no floating IP is left" in done.err
    assert shell.live()["floating_ip"] == 0
    nothing_left()


def test_on_a_network_without_a_way_out_the_run_goes_on_and_warns(shell: Shell, nothing_left: Check) -> None:
    """At Chameleon the fabric networks are such."""
    done = shell.run("--network", "fabnetv4")
    assert done.code == 0, done.err
    assert done.document["floating_ip"] is None
    assert done.document["fixed_ip"] is not None
    assert "no floating IP can lead to network fabnetv4" in done.err
    assert shell.live()["floating_ip"] == 0
    nothing_left()


def test_a_passing_refusal_for_quota_is_asked_again(shell: Shell, nothing_left: Check) -> None:
    shell.faults({"action": "fip_quota", "nth": 1})
    done = shell.run()
    assert done.code == 0, done.err
    assert done.document["floating_ip"] is not None
    assert shell.live()["floating_ip"] == 1
    nothing_left()


# Repositories at the edge


def test_an_empty_repository_is_said(shell: Shell, tmp_path: Path) -> None:
    shell.repository = make_repository(tmp_path / "empty")
    done = shell("analyze", str(shell.repository))
    assert done.code == 0
    assert done.document["assumptions"]


# Removal


def test_a_proxy_that_knows_nothing_is_no_proof_that_a_lease_is_gone(shell: Shell, nothing_left: Check) -> None:
    shell.run()
    shell.faults({"action": "fail", "status": 404, "body": "<html>404</html>", "service": "blazar", "path": "/leases/"})
    done = shell("teardown", "last", "--yes", ENVAGENT_REMOVAL_TIMEOUT_SECONDS="1")
    assert done.code == 7
    assert shell.live()["lease"] == 1
    nothing_left()
