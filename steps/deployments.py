"""What became of a run's leases and of the servers on them: the one record that reserving and launching share.

It is read from the run's intents and resources, so it is as true after a crash as before.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from envagent.advice.decisions import Candidate
from envagent.cloud.failures import Fault, FaultKind
from envagent.cloud.port import Cloud
from envagent.engine.intents import Ledger
from envagent.engine.kinds import Try
from envagent.steps.resources import LaunchRequest, LeaseRequest, lease_kind, server_kind

FAULT = "fault"
"""Under this key the fault of a server is recorded with it."""

REPLACED = "its node could not be deployed"
"""Why a lease was removed for which another had been granted."""

REMEMBERED = timedelta(hours=1)
"""How long a node whose deployment failed is left out of plans, if there are others."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A launch that ended in ERROR, with its fault."""

    launch: Try[LaunchRequest]
    fault: Fault

    @property
    def gone_at(self) -> datetime | None:
        """When its server was gone; None while it is there."""
        return self.launch.removed_at


@dataclass(frozen=True, slots=True)
class Deployments:
    """The record of one run."""

    leases: tuple[Try[LeaseRequest], ...]
    failed: tuple[Failed, ...]
    """Oldest first."""

    @classmethod
    def read(cls, ledger: Ledger, cloud: Cloud) -> Deployments:
        """Read it."""
        failed = [
            Failed(one, Fault.model_validate(one.detail[FAULT]))
            for one in ledger.tries(server_kind(cloud))
            if FAULT in one.detail
        ]
        return cls(tuple(ledger.tries(lease_kind(cloud))), tuple(failed))

    def on_lease(self, lease_id: str | None) -> tuple[Failed, ...]:
        """List the launches that failed on a lease because of its node."""
        found = (one for one in self.failed if one.fault.of_the_node and one.launch.removed)
        return tuple(one for one in found if lease_id is not None and one.launch.request.lease_id == lease_id)

    def launches(self, attempt: int) -> int:
        """Count the launches of an attempt that failed and whose servers are gone."""
        return len(self._of(attempt))

    def deployments(self, attempt: int) -> int:
        """Count those among them that Nova gave to a node."""
        return sum(one.fault.kind != FaultKind.NO_HOST for one in self._of(attempt))

    def nodes_tried(self, attempt: int) -> int:
        """Count the leases, each of one node, that they were on."""
        return len({one.launch.request.lease_id for one in self._of(attempt)})

    def unseen(self, node_type: str) -> int:
        """Count the leases of a type whose launches failed, where the site does not show which node it was."""
        leases = {one.cloud_id for one in self.leases if one.request.node_type == node_type}
        failed = {one.launch.request.lease_id for one in self.failed if one.fault.node_id is None}
        return len(leases & failed)

    def _of(self, attempt: int) -> tuple[Failed, ...]:
        return tuple(one for one in self.failed if one.launch.attempt == attempt and one.launch.removed)

    def first(self, attempt: int) -> Fault | None:
        """Return what went wrong first in an attempt."""
        return next((one.fault for one in self.failed if one.launch.attempt == attempt), None)

    @property
    def bad_nodes(self) -> tuple[str, ...]:
        """The nodes on which a launch failed."""
        return tuple(dict.fromkeys(one.fault.node_id for one in self.failed if one.fault.node_id is not None))

    def avoiding(self, candidate: Candidate) -> tuple[str, ...]:
        """Return the nodes to exclude from a reservation of this type."""
        return tuple(dict.fromkeys((*candidate.exclude_uids, *self.bad_nodes)))

    def spent(self, rates: Mapping[str, float], now: datetime) -> float:
        """Return what the leases have cost so far."""
        return sum(rates.get(one.request.node_type, 0.0) * _hours(one, now) for one in self.leases)


def _hours(lease: Try[LeaseRequest], now: datetime) -> float:
    """Return for how long a lease has been charged."""
    if "start_date" not in lease.detail:
        return 0.0
    end = min(lease.removed_at or now, datetime.fromisoformat(lease.detail["end_date"]))
    return max(0.0, (end - datetime.fromisoformat(lease.detail["start_date"])).total_seconds() / 3600)


def end_of(lease: Try[LeaseRequest]) -> datetime | None:
    """Return when a lease ends, as Blazar showed it last."""
    shown = lease.detail.get("end_date")
    return None if shown is None else datetime.fromisoformat(shown)


@dataclass(frozen=True, slots=True)
class Cleaning:
    """The cleaning of a node that takes no server: when to ask for one again, and until when.

    Attributes:
        look_again: when to launch again; nobody but an operator sees the node's state.
        deadline: when it should have been over.
    """

    look_again: datetime
    deadline: datetime

    @classmethod
    def after(cls, failed: tuple[Failed, ...], attempt: int, *, pause: float, longest: float) -> Cleaning | None:
        """Return the cleaning that the failures on one lease suggest; None before there is one in this attempt.

        It begins when the last server that was deployed, or at least tried, is gone; what Nova's scheduler refuses
        costs seconds, and only shows that it goes on.
        """
        ended = [one for one in failed if one.launch.attempt in (0, attempt) and one.gone_at is not None]
        if not ended:
            return None
        deployed = [n for n, one in enumerate(ended) if one.fault.kind != FaultKind.NO_HOST]
        since = ended[deployed[-1] if deployed else 0 :]
        gone = [one.gone_at for one in since if one.gone_at is not None]
        deadline = gone[0] + timedelta(seconds=longest)
        wait = timedelta(seconds=min(pause * 2 ** len(gone), longest / 4))
        return cls(min(gone[-1] + wait, max(deadline, gone[-1])), deadline)
