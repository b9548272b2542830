"""The diagrams are what the code draws, and the architecture describes every room."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.unit.test_house import ROOMS

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_diagrams_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "draw.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_table_of_rooms_is_complete() -> None:
    table = ARCHITECTURE.partition("| room | owns |\n")[2].partition("\n\n")[0]
    rooms = re.findall(r"^\| `([^`]+)` \|", table, re.MULTILINE)
    assert sorted(rooms) == sorted([*ROOMS, "cli"])


@pytest.mark.parametrize("name", ["docs/architecture.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_the_files_that_a_document_names_exist(name: str) -> None:
    """A path is written from the top of the checkout, or from the package or its command line; a test by its name."""
    named = re.findall(r"`([a-z.][\w.]*/[\w./]*|\w+\.(?:py|md))`", (ROOT / name).read_text("utf-8"))
    assert named
    places = (ROOT, ROOT / "envagent", ROOT / "envagent" / "cli")
    tests = {path.name for path in ROOT.glob("tests/**/test_*.py")}
    assert [one for one in named if one not in tests and not any((place / one).exists() for place in places)] == []
