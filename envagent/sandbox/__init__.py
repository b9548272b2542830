"""The simulated Chameleon: an HTTP server that speaks the protocols of the five OpenStack services.

It imports nothing of the rest of envagent, and clients reach it only as they would reach a real cloud: with
openstacksdk and python-blazarclient over HTTP. The manual is README.md in this folder.
"""

from envagent.sandbox.process import Endpoint, control, ensure_running, read_log, reset, serve, stop
from envagent.sandbox.sandbox_errors import SandboxError, SetupError

__all__ = [
    "Endpoint",
    "SandboxError",
    "SetupError",
    "control",
    "ensure_running",
    "read_log",
    "reset",
    "serve",
    "stop",
]
