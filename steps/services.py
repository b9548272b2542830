"""What the steps work with: settings, the cloud, the advisor. The last two are created at their first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias

from envagent.config import Settings
from envagent.engine.context import Context
from envagent.engine.step import NotYet

if TYPE_CHECKING:
    from envagent.advice.advisor import Advisor
    from envagent.advice.decisions import Decision
    from envagent.cloud.port import Cloud

Dearer: TypeAlias = Literal["ask", "refuse", "take"]
"""What happens to an alternative that costs more than the plan's first choice."""


class Admission(Protocol):
    """Says whether a run may request something now; many runs may share a site and a budget."""

    def lease(self, number: int, site: str, su: float) -> str | None:
        """Return why it may not request a lease yet, or None.

        Raises:
            QuotaExceeded: it never may.
        """

    def build(self, number: int, site: str) -> str | None:
        """Return why it may not request a server yet, or None."""


class Unlimited:
    """Lets a run that is alone request what it needs."""

    def lease(self, number: int, site: str, su: float) -> None:
        """Agree."""

    def build(self, number: int, site: str) -> None:
        """Agree."""


TURN_PAUSE = timedelta(minutes=5)
"""When a run without a turn looks again; whoever grants turns wakes it before."""


def not_its_turn(context: StepContext, what: str, why: str | None) -> NotYet | None:
    """Return the wait of a run for its turn; None if it has it."""
    return None if why is None else NotYet(f"a turn to {what}", context.now() + TURN_PAUSE, status=why)


class Services:
    """The services of one run; safe to use from several threads.

    Args:
        run_folder: the run's own folder under ENVAGENT_HOME (0700).
        key_folder: where the private keys that envagent creates are kept (0700).
        connect: opens the cloud.
        advise: creates the advisor.
        dearer: what happens to an alternative that costs more than the plan's first choice: a person is asked, it
            is refused, or (where nothing is charged) it is used.
        admission: whether it may request something now.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        run_folder: Path,
        key_folder: Path,
        connect: Callable[[], Cloud],
        advise: Callable[[], Advisor],
        dearer: Dearer = "refuse",
        admission: Admission | None = None,
    ) -> None:
        self.settings = settings
        self.run_folder = run_folder
        self.key_folder = key_folder
        self.dearer = dearer
        self.admission = admission or Unlimited()
        self._connect = connect
        self._advise = advise
        self._lock = threading.Lock()
        self._cloud: Cloud | None = None
        self._advisor: Advisor | None = None

    @property
    def cloud(self) -> Cloud:
        """The cloud, connected at the first use."""
        with self._lock:
            if self._cloud is None:
                self._cloud = self._connect()
            return self._cloud

    @property
    def advisor(self) -> Advisor:
        """The advisor."""
        with self._lock:
            if self._advisor is None:
                self._advisor = self._advise()
            return self._advisor

    def close(self) -> None:
        """Close the connections to the cloud and the AI."""
        if self._cloud is not None:
            self._cloud.close()
        if self._advisor is not None:
            self._advisor.close()


StepContext: TypeAlias = Context[Services]


def record(context: StepContext, decision: Decision) -> None:
    """Store a decision with its stage, and show its warnings."""
    context.decide(decision.name, decision.source, decision.reason, decision.model_dump(mode="json"))
    for warning in decision.warnings:
        context.warn(warning)
