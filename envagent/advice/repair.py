"""The repair of a failed step of a set-up: what the AI is shown, and which of its commands are accepted.

The step and its log come from the repository and the server: they are shown as data, redacted and cut. What comes
back is one command, which runs on the server alone; the checks here keep that server reachable, they cannot make a
command good.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from pydantic import JsonValue

from envagent.advice.ai import Ai, NoProposal, Role
from envagent.advice.decisions import Usage
from envagent.advice.proposals import Proposal
from envagent.advice.untrusted import clean, one_line, redact

LONGEST_COMMAND = 500
LONGEST_LOG = 8000
"""Characters of the log's end that the AI is shown."""
LONGEST_STEP = 3000

ROLE = Role(
    "You repair the set-up of a software project on one Linux server.",
    "- The command runs on that server alone, as a user who has `sudo -n` without a password. It must not prompt.",
)

_HARMS = re.compile(
    r"\b(?:reboot|shutdown|poweroff|halt|mkfs[\w.]*|fdisk|userdel|usermod|passwd|iptables|nft|ufw)\b"
    r"|\bsshd?\b|\.ssh\b|authorized_keys|\.envagent\b|\binit\s+[06]\b|\brm\s+-\w+\s+(?:--\S+\s+)*(?:/|~|\$HOME)/?(?:\s|\*|$)"
)
"""What could cut off the server, or the work on it."""


class RepairProposal(Proposal):
    """One command for the shell; empty where none can help."""

    task = """\
A step of the set-up has failed. The data has its commands, the end of what it wrote, and the repairs that were tried \
before. Give the one command for bash, on one line, that most likely removes the cause, so that the same step succeeds \
when it is repeated: such as installing a missing system package or a missing build tool. It starts in the folder of \
the repository, with the environment's programs on PATH. Do not repeat the step itself. Give an empty command where no \
single command can help."""
    command: str


@dataclass(frozen=True)
class FailedStep:
    """A step that failed; its texts are untrusted.

    Attributes:
        outcome: how it failed, such as `failed with exit status 2`.
        log: what it has written.
        earlier: the repairs that were tried before, each with its outcome.
    """

    title: str
    phase: str
    commands: Sequence[str]
    outcome: str
    log: str
    earlier: Sequence[str] = ()


@dataclass(frozen=True)
class Repair:
    """A command that may run on the server."""

    command: str
    reason: str
    usage: Usage


class NoRepair(Exception):
    """The AI gave no command that may run; the message says why."""


@dataclass
class Repairer:
    """Asks the AI for repairs.

    Attributes:
        unavailable: why it is not asked any more.
    """

    ai: Ai
    unavailable: str | None = field(default=None, init=False)

    def propose(self, failed: FailedStep) -> Repair:
        """Ask for one command.

        Raises:
            NoRepair: there is none that may run.
        """
        if self.unavailable is not None:
            raise NoRepair(self.unavailable)
        facts: dict[str, JsonValue] = {"phase": failed.phase, "outcome": failed.outcome}
        parts = ["The step:", clean(failed.title), *map(clean, failed.commands)]
        shown = redact("\n".join(parts))[:LONGEST_STEP]
        log = redact(clean(failed.log))[-LONGEST_LOG:]
        earlier = "".join(f"\n\nTried before: {redact(clean(one))}" for one in failed.earlier)
        try:
            answer = self.ai.ask(
                RepairProposal.task, RepairProposal, facts, f"{shown}{earlier}\n\nThe end of its log:\n{log}", ROLE
            )
        except NoProposal as error:
            if error.unavailable:
                self.unavailable = error.reason
            raise NoRepair(error.reason) from None
        command = self.ai.hide(answer.value.command.strip())
        return Repair(checked_command(command), one_line(self.ai.hide(answer.value.reasoning), 200), answer.usage)


def checked_command(command: str) -> str:
    """Return a command that may run.

    Raises:
        NoRepair: it may not; says why.
    """
    if not command:
        raise NoRepair("it knows no single command that helps")
    if len(command) > LONGEST_COMMAND:
        raise NoRepair(f"its command has {len(command)} characters; the maximum is {LONGEST_COMMAND}")
    if clean(command) != command or "\n" in command or "\t" in command:
        raise NoRepair("its command is not one line of plain text")
    if found := _HARMS.search(command):
        raise NoRepair(f"its command could cut off the server ({found[0].strip()}): {one_line(command, 80)}")
    return command
