"""Two small repositories, set up on a node from nothing: packages come from the indexes that this machine reaches."""

from __future__ import annotations

from pathlib import Path

import pytest

from envagent.cli.documents.setup_document import setup_document
from envagent.engine.execution import Outcome
from envagent.environment.planner import plan_setup
from envagent.repository.analyzer import analyze
from envagent.repository.fetch import fetch
from envagent.steps.setup_pipeline import setup_id
from tests.kit.git import make_repository
from tests.node.client import work
from tests.node.conftest import begin
from tests.node.debian import Node, served

PYTHON = {
    "pyproject.toml": '[project]\nname = "toy"\nversion = "1"\ndependencies = ["iniconfig"]\n'
    '[build-system]\nrequires = ["setuptools"]\nbuild-backend = "setuptools.build_meta"\n',
    "toy/__init__.py": "import iniconfig\n\nNAME = iniconfig.__name__\n",
    "tests/test_toy.py": "import six\nimport toy\n\ndef test_it():\n    assert six.PY3 and toy.NAME == 'iniconfig'\n",
    "tox.ini": "[testenv]\ndeps =\n    six\ncommands = pytest\n",
}
"""Its test needs what only tox names."""

C = {
    "Makefile": "all: toy\ntoy: toy.c\n\tcc -o toy toy.c -lz\ncheck: toy\n\t./toy\n",
    "toy.c": "#include <zlib.h>\n#include <stdio.h>\nint main(void) { puts(zlibVersion()); return 0; }\n",
    "README.md": "# toy\n\n## Build\n\n    sudo apt install zlib1g-dev\n    make\n",
}
"""Its build needs what only the readme names."""

REPOSITORIES = {
    "python": (
        PYTHON,
        ["toy can be imported", "the tests of tests/test_toy.py pass", "all its tests can be collected"],
    ),
    "c": (C, ["its own checks pass"]),
}


@pytest.mark.timeout(900)
@pytest.mark.sweep(points=lambda plan: list(REPOSITORIES), bounded=2)
def test_a_repository_is_set_up_and_proved(point: str, node: Node, tmp_path: Path) -> None:
    files, proved = REPOSITORIES[point]
    repository = make_repository(tmp_path / "served" / point, files)
    with served(tmp_path / "served") as url:
        snapshot = fetch(str(repository))
        planned = plan_setup(snapshot, analyze(snapshot))
        set_up = begin(tmp_path / "one", node, point, planned.model_copy(update={"url": f"{url}/{point}/.git"}))
        outcome, journal = work(set_up.folder)
        document = setup_document(journal, journal.run(setup_id(point)), working=False, simulated=False)
        journal.close()
    logs = {one.name: one.read_text() for one in (set_up.folder / "setup").glob("*.log")}
    assert outcome is Outcome.SUCCEEDED, logs
    assert document.proved == proved
    assert document.not_proved == []
