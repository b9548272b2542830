"""The diagrams are what the code draws, and the architecture describes every room."""

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from envagent.diagrams.canvas import FILLS
from envagent.diagrams.graphs import Graph
from envagent.diagrams.pictures import PICTURES
from tests.unit.test_house import ROOMS

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "docs" / "architecture.md").read_text("utf-8")


def test_the_diagrams_are_current() -> None:
    done = subprocess.run([sys.executable, ROOT / "docs" / "draw.py", "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", PICTURES)
def test_a_picture_is_readable(name: str) -> None:
    """As SVG: everything is inside the drawing, no box covers another, and each label of the picture is there."""
    picture = PICTURES[name]()
    drawing = ElementTree.fromstring(picture.svg())
    width, height = float(drawing.attrib["width"]), float(drawing.attrib["height"])
    fills = {fill for kind, (fill, _) in FILLS.items() if kind != "band"}
    boxes = [
        [float(one.attrib[side]) for side in ("x", "y", "width", "height")]
        for one in drawing.findall(".//{*}rect")
        if one.attrib.get("fill") in fills
    ]
    assert len(boxes) > 5
    for x, y, wide, high in boxes:
        assert 0 <= x <= width - wide
        assert 0 <= y <= height - high
    for number, (x, y, wide, high) in enumerate(boxes):
        for other in boxes[number + 1 :]:
            apart = x + wide <= other[0] or other[0] + other[2] <= x or y + high <= other[1] or other[1] + other[3] <= y
            assert apart
    texts = [(one.text or "", one.attrib) for one in drawing.findall(".//{*}text")]
    for _, place in texts:
        assert 0 <= float(place["x"]) <= width
        assert 0 <= float(place["y"]) <= height
    said = {text for text, _ in texts}
    wanted = picture.nodes.values() if isinstance(picture, Graph) else ()
    labels = {line for node in wanted for line in node.label.split("\n") if line}
    assert labels <= said
    parties = set() if isinstance(picture, Graph) else {*picture.parties.values(), *(m.text for m in picture.messages)}
    assert {one for one in parties if not any(text.startswith(one) for text in said)} == set()


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
