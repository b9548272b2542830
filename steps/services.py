"""What the steps work with: settings, the cloud, the advisor. The last two are created at their first use."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

from envagent.config import Settings
from envagent.engine.context import Context

if TYPE_CHECKING:
    from envagent.advice.advisor import Advisor
    from envagent.advice.decisions import Decision
    from envagent.cloud.port import Cloud

Dearer: TypeAlias = Literal["ask", "refuse", "take"]
"""What happens to an alternative that costs more than the plan's first choice."""


class Services:
    """The services of one run; safe to use from several threads.

    Args:
        run_folder: the run's own folder under ENVAGENT_HOME (0700).
        key_folder: where the private keys that envagent creates are kept (0700).
        connect: opens the cloud.
        advise: creates the advisor.
        dearer: what happens to an alternative that costs more than the plan's first choice: a person is asked, it
            is refused, or (where nothing is charged) it is used.
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
    ) -> None:
        self.settings = settings
        self.run_folder = run_folder
        self.key_folder = key_folder
        self.dearer = dearer
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
