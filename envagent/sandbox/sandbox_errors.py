"""The errors of starting and controlling a sandbox; whoever embeds it translates them to its own."""

from __future__ import annotations


class SandboxError(Exception):
    """The sandbox cannot be started, reached or controlled.

    Attributes:
        message: what failed, one sentence.
        output: the last lines that the server printed, None where it printed nothing.
    """

    def __init__(self, message: str, output: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.output = output


class SetupError(SandboxError):
    """A folder, a port, a setting or a fault schedule cannot be used."""
