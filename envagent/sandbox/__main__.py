"""Run the simulated Chameleon in the foreground: python -m envagent.sandbox."""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path
from typing import Any

from envagent.sandbox.inventory import data
from envagent.sandbox.process import Endpoint, serve
from envagent.sandbox.profiles import PROFILES
from envagent.sandbox.sandbox_errors import SandboxError

DESCRIPTION = """\
Serve a simulated Chameleon Cloud on this machine, for any OpenStack client, until Ctrl-C.
Without --home it starts empty and leaves nothing behind."""


def _settings(text: str) -> dict[str, Any]:
    try:
        settings = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not valid JSON: {error}") from None
    if not isinstance(settings, dict):
        raise argparse.ArgumentTypeError("not a JSON object")
    return settings


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is not a port (0 to 65535)")


def _parser() -> argparse.ArgumentParser:
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m envagent.sandbox", description=DESCRIPTION, formatter_class=raw)
    parser.add_argument("--home", type=Path, metavar="DIR", help="keep the state in DIR/sandbox and continue with it")
    parser.add_argument("--port", type=_port, metavar="N", help="default: the last one of DIR, or any free one")
    parser.add_argument("--site", choices=sorted(data("sites.json")), default="uc", help="site that OS_CLOUD names")
    parser.add_argument("--speed", type=float, metavar="FACTOR", help="how many times faster than reality; default: 1")
    parser.add_argument("--profile", choices=PROFILES, help="policies: Chameleon's own (default) or plain OpenStack's")
    parser.add_argument("--faults", type=Path, metavar="FILE", help="fault schedule (JSON)")
    parser.add_argument("--settings", type=_settings, metavar="JSON", help="more settings: quotas, token_seconds, ...")
    parser.add_argument("--idle-seconds", type=float, metavar="S", help="stop after so long without a request")
    return parser


def _announce(endpoint: Endpoint, site: str, *, kept: bool) -> None:
    lines = [
        f"The simulated Chameleon is at {endpoint.url} (Ctrl-C stops it). To use it, in another shell:",
        "",
        f"    export OS_CLIENT_CONFIG_FILE={endpoint.clouds_file} OS_CLOUD=sandbox-{site}",
        "    openstack reservation lease list",
        "",
        f"Clouds in that file: {', '.join(endpoint.clouds)}.",
        f"State: {endpoint.clouds_file.parent}{'' if kept else ' (deleted on exit)'}.",
    ]
    sys.stdout.write("\n".join(lines) + "\n")
    sys.stdout.flush()


def main() -> int:
    """Serve until stopped or idle; return the exit code."""
    options = _parser().parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        with tempfile.TemporaryDirectory(prefix="envagent-sandbox-") as temporary:
            serve(
                options.home or Path(temporary),
                speed=options.speed,
                profile=options.profile,
                port=options.port,
                settings=options.settings,
                faults=options.faults,
                idle_seconds=options.idle_seconds,
                ready=lambda endpoint: _announce(endpoint, options.site, kept=options.home is not None),
            )
    except SandboxError as error:
        sys.stderr.write(f"error: {error}\n")
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
