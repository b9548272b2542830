"""Run `openstack` commands one after another in this process: a JSON list of words a line in, a JSON object a line out.

It runs under the Python that has python-openstackclient and python-blazarclient, and imports nothing of envagent.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import sys


def run(words: list[str]) -> dict[str, object]:
    """Run one command as a process of its own would; return its exit code and what it printed."""
    from openstackclient import shell

    logging.getLogger().handlers.clear()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = shell.main(words)
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
    return {"code": code, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
