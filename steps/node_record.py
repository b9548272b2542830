"""What a node was, in its own words: the text that a packed run keeps of it."""

from __future__ import annotations

import shlex

from envagent.environment.setup_plan import SetupPlan

RECORD = """LC_ALL=C sh -c '
echo "@lscpu"; lscpu
echo "@nvidia-smi"; timeout 15 nvidia-smi
echo "@lsblk"; lsblk -o NAME,SIZE,TYPE,ROTA,MODEL,MOUNTPOINTS
echo "@versions"; cat /etc/os-release; uname -srvm; ldd --version | head -n 1; python3 --version
gcc --version | head -n 1; cmake --version | head -n 1; nvcc --version | tail -n 2; node --version
cargo --version; go version; R --version | head -n 1; git --version
exit 0' 2>/dev/null"""
"""The command that records a node; it changes nothing there."""

SECTIONS = ("lscpu", "nvidia-smi", "lsblk", "versions")
LARGEST = 64 << 10
"""Characters that are kept of a section."""


def sections_of(output: str) -> dict[str, str]:
    """Split what `RECORD` printed (untrusted) at its headings; a section without a line is left out."""
    found: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in output.splitlines():
        if line.startswith("@") and line[1:] in SECTIONS:
            lines = found.setdefault(line[1:], [])
        else:
            lines.append(line)
    texts = {name: "\n".join(lines)[:LARGEST].rstrip() for name, lines in found.items()}
    return {name: f"{text}\n" for name, text in texts.items() if text}


def packages_command(plan: SetupPlan) -> str:
    """Return the command that lists the Python packages of the environment that a set-up has made."""
    return f"cd {shlex.quote(plan.name)} && ~/.local/share/envagent/bin/uv pip freeze --python .venv/bin/python"
