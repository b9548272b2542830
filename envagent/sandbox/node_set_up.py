"""The set-up of a repository on a simulated node: its jobs end at once, and show what would have been carried out.

Files say what there is: the script that was sent, and one for each job with its number's digest and its output.
"""

from __future__ import annotations

import posixpath
import re

from envagent.sandbox.node_files import Refused
from envagent.sandbox.node_shell import Answer, Shell

SUPERVISOR = "supervise.sh"


def supervise(shell: Shell, arguments: list[str]) -> Answer:
    """Answer as the supervisor of a set-up does; its path is the first argument."""
    folder = posixpath.dirname(shell.files.absolute(arguments[0], shell.folder))
    match arguments[1:]:
        case ["start", name, number, _, digest]:
            path = f"{folder}/jobs/{name}"
            try:
                if not shell.files.exists(path):
                    script = shell.files.read(f"{folder}/setup.sh")
                    shell.files.write(path, f"{digest}\n{_would_run(script, number)}")
                return Answer(_state(shell, path))
            except Refused as reason:
                return Answer(err=f"{name}: {reason}\n", code=1)
        case ["look"] if shell.files.is_folder(f"{folder}/jobs"):
            return Answer("".join(_state(shell, f"{folder}/jobs/{one}") for one in shell.files.list(f"{folder}/jobs")))
        case ["read", name] if shell.files.exists(f"{folder}/jobs/{name}"):
            return Answer(shell.files.read(f"{folder}/jobs/{name}").partition("\n")[2])
        case ["look" | "read", *_]:
            return Answer()
    return Answer(code=2)


def _state(shell: Shell, path: str) -> str:
    digest, _, output = shell.files.read(path).partition("\n")
    last = output.rstrip("\n").rpartition("\n")[2]
    return f"job {posixpath.basename(path)} ended 0 {digest} 0 {last[:200]}\n"


def _would_run(script: str, number: str) -> str:
    """Return the lines of a step, each as what it would have run."""
    body = re.search(rf"(?ms)^step_{re.escape(number)}\(\) \{{\n(.*?)^\}}$", script)
    lines = body[1].splitlines() if body else []
    return "".join(f"(simulated) {line.strip()}\n" for line in lines)
