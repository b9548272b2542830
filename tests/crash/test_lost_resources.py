"""What a cloud and its people do to leases, servers, addresses and deletes: each is found, reported and survived.

Each scenario is a function; what it promises is its name. All end with a teardown that leaves the project as it was.
"""

from __future__ import annotations

import json
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from tests.crash.child import Ended, Home
from tests.crash.hooks import Exchange, Strike
from tests.crash.oracle import Judge, Outcome
from tests.crash.world import CLOUD, World

SPEED = 2000.0
FAULT_TEXTS = {
    "no valid host": "No valid host was found. There are not enough hosts available.",
    "deployment failed": "Exceeded maximum number of retries. Exhausted all hosts available for retrying build "
    "failures for instance {id}.",
    "no fixed address": "Build of instance {id} aborted: Failed to allocate the network(s) with error No fixed IP "
    "addresses available for network: x, not rescheduling.",
    "image": "Image a0b1 is unacceptable: Image is too large",
    "unknown": "a text that nobody has seen before",
}
DELETES = {
    "floating_ip": ("neutron", "/floatingips/"),
    "server": ("nova", "/servers/"),
    "lease": ("blazar", "/leases/"),
    "keypair": ("nova", "/os-keypairs/"),
}
SECOND_LOOK = Exchange("GET", "/uc/compute/v2.1/servers/*", 2)
"""By then the server is in the journal."""
AFTER_LAUNCH = Strike("before", Exchange("POST", "/uc/network/v2.0/floatingips", 1))
IN_BUILD = Strike("committed", SECOND_LOOK)
AFTER_ADDRESS = Strike("committed", Exchange("PUT", "/uc/network/v2.0/floatingips/*", 1))


@dataclass
class Stage:
    """Where a scenario plays: the world, a home, the judge, and the commands so far."""

    world: World
    home: Home
    judge: Judge
    commands: list[Ended]
    most: int = 3
    """How many of a kind may be made in all, one after the other."""

    def run(self, *more: str, strike: Strike | None = None, **environment: str) -> Ended:
        """Start a run; it must be killed where a strike says so."""
        strikes = () if strike is None else (strike,)
        ended = self.home.call(*self.home.run_arguments(*more), strikes=strikes, environment=environment)
        self.commands.append(ended)
        if strike is not None:
            self.judge.expect(ended.struck, f"not killed: {ended}")
        return ended

    @property
    def run_id(self) -> str:
        """The run's id."""
        return self.home.run_id() or ""

    def go_on(self, verb: str = "resume", **environment: str) -> Ended:
        """Resume, or tear down."""
        ended = self.home.call(verb, self.run_id, "--yes", environment=environment)
        self.commands.append(ended)
        return ended

    def ends(self, ended: Ended, code: int, *words: str) -> None:
        """Require an exit code and what is said."""
        self.judge.expect(ended.code == code, f"not exit {code}: {ended}")
        said = " ".join(ended.err.split())
        for word in words:
            self.judge.expect(word in said, f"{word!r} is not said: {ended}")
        self.judge.expect("Traceback" not in ended.err, f"a traceback: {ended}")

    def fails(self, ended: Ended, code: int, *words: str) -> None:
        """Require a failure with its fixed block: what exists, how to go on and how to remove it."""
        ways = (f"envagent resume {self.run_id}", f"envagent teardown {self.run_id}")
        self.ends(ended, code, *words, *ways)
        for kind, ids in self.judge.at_most_one(self.run_id).items():
            for one in ids if kind != "keypair" else ():
                self.judge.expect(one in ended.err, f"{kind} {one} exists and is not named: {ended}")

    def theirs(self, kind: str) -> dict[str, Any]:
        """Return the run's object of a kind."""
        return self.judge.new()[kind][0]

    def colleague_deletes(self, kind: str) -> None:
        """Let a colleague delete the run's object."""
        service, path = DELETES[kind]
        prefix = "/v2.0" if service == "neutron" else ""
        self.world.act("mate", service, "DELETE", f"{prefix}{path}{self.theirs(kind)['id']}")
        time.sleep(0.05)


Scenario = Callable[[Stage], None]
SCENARIOS: dict[str, Scenario] = {}


def scenario(play: Scenario) -> Scenario:
    """Register a scenario under its name in words."""
    SCENARIOS[play.__name__.strip("_").replace("_", " ")] = play
    return play


# Leases


@scenario
def a_lease_in_error_is_removed_and_the_resume_reserves_anew(stage: Stage) -> None:
    stage.world.faults({"action": "lease_error", "nth": [1, 2, 3, 4]})
    stage.most = 5
    stage.fails(stage.run(), 6, "compute_skylake")
    stage.judge.expect(not stage.judge.new()["lease"], "the failed lease is still there")
    stage.ends(stage.go_on(), 0)
    stage.judge.complete(stage.run_id)


@scenario
def a_lease_that_never_starts_is_removed(stage: Stage) -> None:
    stage.world.faults({"action": "lease_stuck", "nth": 1})
    stage.fails(stage.run(ENVAGENT_LEASE__TIMEOUT_SECONDS="0.6"), 6, "did not become ACTIVE")
    stage.judge.expect(not stage.judge.new()["lease"], "the lease that did not start is still there")
    stage.ends(stage.go_on(), 0)
    stage.judge.complete(stage.run_id)


@scenario
def no_node_free_makes_no_lease(stage: Stage) -> None:
    stage.world.faults({"action": "no_capacity"})
    stage.fails(stage.run(), 5)
    stage.judge.expect(not stage.judge.new()["lease"], "a lease without a node")
    stage.world.faults()
    stage.ends(stage.go_on(), 0)
    stage.judge.complete(stage.run_id)


@scenario
def a_lease_deleted_by_a_colleague_is_found_on_resume(stage: Stage) -> None:
    stage.run(strike=AFTER_LAUNCH)
    stage.colleague_deletes("lease")
    stage.ends(stage.go_on(), 6, "was deleted, but not by this run", f"envagent teardown {stage.run_id}")


@scenario
def a_lease_deleted_while_a_server_builds_is_found(stage: Stage) -> None:
    stage.run(strike=IN_BUILD)
    stage.colleague_deletes("lease")
    stage.ends(stage.go_on(), 6, "was deleted, but not by this run")


@scenario
def a_lease_that_has_ended_is_found_on_resume(stage: Stage) -> None:
    stage.run("--hours", "1", strike=AFTER_LAUNCH)
    stage.world.control("clock", {"seconds": 7200.0})
    time.sleep(0.1)
    stage.ends(stage.go_on(), 6, "has ended")
    stage.ends(stage.go_on("teardown"), 0)
    stage.world.control("clock", {"seconds": -7200.0})


# Servers


def _server_error(text: str, times: int) -> Scenario:
    def play(stage: Stage) -> None:
        fault = {"action": "server_error", "text": text, "after": 60, "nth": list(range(1, times + 1))}
        stage.world.faults(fault)
        ended = stage.run()
        said = text.split("{")[0].strip()
        if times == 1 or "No valid host" in text:  # that node is being cleaned, so its cleaning is waited for
            stage.ends(ended, 0, said)
        else:
            stage.fails(ended, 5 if "fixed IP" in text else 6, said)
            stage.ends(stage.go_on(), 0)
        stage.judge.complete(stage.run_id)

    return play


for _name, _text in FAULT_TEXTS.items():
    SCENARIOS[f"a server in ERROR ({_name}) is replaced on another node"] = _server_error(_text, 1)
    SCENARIOS[f"two servers in ERROR ({_name}) end the run or wait, and are replaced"] = _server_error(_text, 2)


@scenario
def a_build_beyond_the_deadline_is_waited_for_by_the_resume(stage: Stage) -> None:
    stage.world.control("settings", {"speed": 200.0})
    stage.fails(stage.run(ENVAGENT_SERVER__TIMEOUT_SECONDS="0.6"), 6, "still BUILD")
    kept = stage.judge.at_most_one(stage.run_id)
    stage.judge.expect(len(kept["server"]) == 1, "the server that builds was removed")
    stage.ends(stage.go_on(), 0)
    stage.judge.complete(stage.run_id, kept=kept)
    stage.world.control("settings", {"speed": SPEED})


@scenario
def a_server_that_never_builds_stays_and_is_removed_by_teardown(stage: Stage) -> None:
    stage.world.faults({"action": "server_stuck"})
    for ended in (
        stage.run(ENVAGENT_SERVER__TIMEOUT_SECONDS="0.5"),
        stage.go_on(ENVAGENT_SERVER__TIMEOUT_SECONDS="0.5"),
    ):
        stage.fails(ended, 6, "still BUILD")


@scenario
def a_server_deleted_by_a_colleague_is_found_on_resume(stage: Stage) -> None:
    stage.run(strike=AFTER_LAUNCH)
    stage.colleague_deletes("server")
    stage.ends(stage.go_on(), 6, "was deleted, but not by this run", f"envagent teardown {stage.run_id}")


@scenario
def a_server_deleted_while_it_builds_is_launched_again(stage: Stage) -> None:
    stage.run(strike=IN_BUILD)
    stage.colleague_deletes("server")
    stage.ends(stage.go_on(), 0, "is gone")
    stage.judge.complete(stage.run_id)


@scenario
def the_server_quota_is_said_and_got_over(stage: Stage) -> None:
    stage.world.control("settings", {"quotas": {"instances": 1}})
    stage.fails(stage.run(), 5, "quota")
    stage.world.control("settings", {"quotas": {}})
    stage.ends(stage.go_on(), 0)
    stage.judge.complete(stage.run_id)


# Addresses


def _no_address(action: str) -> Scenario:
    def play(stage: Stage) -> None:
        stage.world.faults({"action": action})
        stage.ends(stage.run(), 0, "no floating IP is left")
        stage.judge.complete(stage.run_id, kinds=("lease", "server", "keypair"))

    return play


SCENARIOS["no address in the pool: the run goes on without"] = _no_address("fip_pool_empty")
SCENARIOS["no address in the quota: the run goes on without"] = _no_address("fip_quota")


@scenario
def an_address_released_by_a_colleague_is_taken_again_on_resume(stage: Stage) -> None:
    stage.run(strike=Strike("checkpoint", AFTER_ADDRESS.exchange))
    stage.colleague_deletes("floating_ip")
    stage.ends(stage.go_on(), 0, "is gone")
    stage.judge.complete(stage.run_id)


# Other credentials


def _other_credentials(entry: str, verb: str) -> Scenario:
    def play(stage: Stage) -> None:
        stage.run(strike=AFTER_LAUNCH)
        kept = stage.judge.at_most_one(stage.run_id)
        clouds = yaml.safe_load(stage.world.clouds_file.read_text("utf-8"))["clouds"]
        swapped = stage.home.folder / "swapped.yaml"
        swapped.write_text(yaml.safe_dump({"clouds": {CLOUD: clouds[entry]}}), "utf-8")
        stage.ends(stage.go_on(verb, OS_CLIENT_CONFIG_FILE=str(swapped)), 10, "belongs to")
        stage.judge.expect(stage.judge.at_most_one(stage.run_id) == kept, "something was removed")
        stage.ends(stage.go_on(), 0)
        stage.judge.complete(stage.run_id, kept=kept)

    return play


for _entry, _what in (("chi-other", "project"), ("chi-tacc", "site"), ("chi-mate", "user")):
    for _verb in ("resume", "teardown"):
        SCENARIOS[f"{_verb} with credentials of another {_what} is refused"] = _other_credentials(_entry, _verb)


# Teardown


def _empty_delete(kind: str) -> Scenario:
    def play(stage: Stage) -> None:
        service, path = DELETES[kind]
        stage.ends(stage.run(), 0)
        one = stage.theirs(kind)
        stage.world.faults({"action": "ignore_delete", "service": service, "path": path})
        ended = stage.go_on("teardown", ENVAGENT_REMOVAL_TIMEOUT_SECONDS="0.5")
        stage.ends(ended, 11, str(one.get("id") or one["name"]), f"envagent teardown {stage.run_id}")
        stage.world.faults()
        stage.ends(stage.go_on("teardown"), 0)

    return play


def _refused_delete(kind: str, status: int) -> Scenario:
    def play(stage: Stage) -> None:
        service, path = DELETES[kind]
        stage.ends(stage.run(), 0)
        at = {"service": service, "path": path, "method": "DELETE"}
        stage.world.faults({"action": "fail", "status": status, **at})
        ended = stage.go_on("teardown", ENVAGENT_REMOVAL_TIMEOUT_SECONDS="0.5")
        stage.judge.expect(ended.code in (7, 11), f"not exit 7 or 11: {ended}")
        stage.world.faults()
        stage.ends(stage.go_on("teardown"), 0)

    return play


for _kind in DELETES:
    SCENARIOS[f"a delete of a {_kind} that does nothing ends with 11 and the id"] = _empty_delete(_kind)
    for _status in (409, 500):
        SCENARIOS[f"a delete of a {_kind} that returns {_status} is not a success"] = _refused_delete(_kind, _status)


@scenario
def what_others_have_removed_already_is_no_obstacle(stage: Stage) -> None:
    stage.ends(stage.run(), 0)
    for kind in ("floating_ip", "server", "lease"):
        stage.colleague_deletes(kind)
    stage.world.act("user", "nova", "DELETE", f"/os-keypairs/envagent-{stage.run_id}")
    stage.ends(stage.go_on("teardown"), 0)


@scenario
def three_teardowns_in_a_row_end_well(stage: Stage) -> None:
    stage.ends(stage.run(), 0)
    for _ in range(3):
        stage.ends(stage.go_on("teardown"), 0)
        stage.judge.gone()
    stage.judge.expect(stage.go_on().code == 10, "a run that is torn down was resumed")


@scenario
def a_failure_with_teardown_leaves_nothing(stage: Stage) -> None:
    stage.world.faults({"action": "server_error", "text": "broken", "after": 1})
    ended = stage.run("--on-failure", "teardown")
    stage.ends(ended, 6, "broken")
    stage.judge.gone()


@scenario
def orphans_are_removed_without_a_journal(stage: Stage) -> None:
    stage.ends(stage.run(), 0)
    stage.home.database.lose()
    shutil.rmtree(stage.home.home)
    ended = stage.home.call("teardown", "--orphans", "--yes", "--json")
    stage.ends(ended, 0)
    removed = json.loads(ended.out)["orphans"]
    stage.judge.expect(len(removed) >= 4, f"listed: {removed}")


@scenario
def orphans_are_asked_for(stage: Stage) -> None:
    stage.ends(stage.run(), 0)
    kept = stage.judge.at_most_one(stage.run_id)
    ended = stage.home.call("teardown", "--orphans", "--all")
    stage.ends(ended, 2, "--yes")
    stage.judge.complete(stage.run_id, kept=kept)


@scenario
def a_run_killed_in_the_lost_creation_of_a_lease_leaves_no_orphan(stage: Stage) -> None:
    stage.run(strike=Strike("committed", Exchange("POST", "/uc/reservation/v1/leases", 1)))
    stage.home.database.lose()
    ended = stage.home.call("teardown", "--orphans", "--yes")
    stage.ends(ended, 0)


@pytest.mark.sweep(points=lambda plan: list(SCENARIOS), bounded=8)
def test_found_and_survived(world: World, point: str, check: Callable[[Outcome], None]) -> None:
    """Play a scenario, then tear down and judge."""
    home = Home.make(world, "scenario")
    stage = Stage(world, home, Judge(world), [])
    SCENARIOS[point](stage)
    world.faults()
    if home.run_id() is not None:
        stage.ends(stage.go_on("teardown"), 0)
    time.sleep(0.03)
    stage.judge.gone()
    judge = stage.judge
    judge.log_is_clean(most=stage.most)
    if home.database.exists:
        judge.sends_are_intended(home, stage.commands)
    world.mate.list("lease")
    home.remove()
    resumed = sum(one.argv[0] == "resume" and one.code == 0 for one in stage.commands)
    check(judge.verdict(resumed=resumed))
