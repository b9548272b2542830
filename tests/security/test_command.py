"""`envagent analyze` on hostile repositories, as a user runs it: exit code, and what reaches the terminal."""

from __future__ import annotations

import os
from pathlib import Path

from tests.kit.commands import Ended, call
from tests.security.build import FILE, LINK
from tests.security.conftest import README, SECRET, Bench

ROOT = Path(__file__).parents[2]


def envagent(bench: Bench, *arguments: str) -> Ended:
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    environment = {**kept, "PYTHONPATH": str(ROOT), "TMPDIR": str(bench.temporary)}
    return call("analyze", "--no-ai", *arguments, folder=bench.root, environment=environment)


def test_refused_with_exit_code_nine(bench: Bench) -> None:
    done = envagent(bench, f"ext::sh -c 'touch {bench.canary}'")
    assert done.code == 9 and "Traceback" not in done.err
    assert not bench.canary.exists()


def test_safe_analysis_shows_neither_secrets_nor_escapes(bench: Bench) -> None:
    repository = bench.repository(bare=False)
    loud = README + "\n\x1b]0;owned\x07\x1b[2J[red]Requires[/red] 16 GB of RAM\x1b[31m.\n"
    repository.commit_files(
        {"README.md": loud},
        (LINK, "INSTALL.md", repository.blob(str(bench.secret))),
        (FILE, "\x1b[2Jrequirements.txt", repository.blob("torch\n")),
    )
    repository.configure(f'[core]\nfsmonitor="touch {bench.canary}"\n')
    for arguments in ((), ("--json",)):
        done = envagent(bench, str(repository.folder), *arguments)
        assert done.code == 0, done.err
        assert SECRET not in done.out + done.err
        assert "\x1b" not in done.out and "\x07" not in done.out
        assert not bench.canary.exists() and list(bench.temporary.iterdir()) == []
    document = done.document
    assert document["requirements"]["ram_gb"] == 16
    assert not document["requirements"]["gpu_required"]
