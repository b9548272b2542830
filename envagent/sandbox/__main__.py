"""Entry of the server process: python -m envagent.sandbox HOME [options]."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path


def main() -> int:
    """Serve until stopped or idle."""
    parser = argparse.ArgumentParser(prog="python -m envagent.sandbox", description="The simulated Chameleon.")
    parser.add_argument("home", type=Path)
    parser.add_argument("--port", type=int)
    parser.add_argument("--settings", type=json.loads, default={})
    parser.add_argument("--faults", type=Path)
    parser.add_argument("--idle-seconds", type=float)
    options = parser.parse_args()

    from envagent.errors import UsageError
    from envagent.sandbox import server

    chosen = server.Options(options.settings, options.port, options.faults, options.idle_seconds)
    try:
        server.run(options.home, chosen)
    except UsageError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
