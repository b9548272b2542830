"""The simulated Chameleon: an HTTP server that speaks the protocols of the five OpenStack services.

It owns the simulation and its process, and knows nothing of the rest of envagent but its error tree: clients reach
it only as they would reach a real cloud, with openstacksdk and python-blazarclient over HTTP.
"""

from envagent.sandbox.process import Endpoint, ensure_running, read_log, reset, serve

__all__ = ["Endpoint", "ensure_running", "read_log", "reset", "serve"]
