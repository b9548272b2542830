"""Every block that a reader would type works: those of the manual, of the README and of the agents' page.

Each document is played in an empty folder, in order, against the sandbox. What a block needs beyond that (a real cloud,
the network) is marked there, and then its commands are only looked up.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

from envagent.errors import EnvagentError
from tests.cli.conftest import Cli
from tests.kit.git import make_repository
from tests.kit.manual import Block, blocks
from tests.unit.test_errors import defined
from tests.unit.test_published_files import exists

FILES = {"requirements.txt": "torch==2.1\n", "README.md": "# toy\n\nNeeds a GPU with 16 GB.\n"}


def play(cli: Cli, text: str) -> int:
    """Type the blocks of a document; return how many commands were run."""
    played = 0
    names: dict[str, object] = {"__name__": "__main__"}
    for block in blocks(text):
        if block.kind == "commands":
            for command in block.commands:
                if block.run:
                    type_in(cli, command)
                    played += 1
                elif command.startswith("envagent "):
                    assert exists(command), command
        elif block.run and block.kind == "file":
            (cli.work / block.name).parent.mkdir(parents=True, exist_ok=True)
            (cli.work / block.name).write_text(block.body)
        elif block.run and block.kind == "python":
            exec(compile(block.body, "<manual>", "exec"), names)
            played += 1
        else:
            compiles(block)
    return played


def type_in(cli: Cli, command: str) -> None:
    """Run a command: of envagent in this process, anything else in a shell."""
    if command.startswith("envagent ") and not re.search(r"[|<>$;&*]", command):
        ended = cli(*shlex.split(command)[1:])
        assert ended.code == 0, f"{command}\n{ended.err}"
        return
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", command],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"


def compiles(block: Block) -> None:
    if block.kind == "python":
        compile(block.body, "<manual>", "exec")


def test_the_page_for_agents(cli: Cli) -> None:
    make_repository(cli.work / "my-repo", FILES)
    page = cli("skill").out
    assert page.startswith("---\nname: envagent\n")
    assert play(cli, page) == 8
    assert {int(code) for code in re.findall(r"^\| ([\d, ]+) \|", page, re.MULTILINE) for code in code.split(",")} == {
        0,
        129,
        130,
        143,
        *(code for _, code in defined(EnvagentError).values()),
    }
