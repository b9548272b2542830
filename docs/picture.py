"""Write docs/demo.svg, a picture of `envagent demo` on a terminal: python docs/picture.py [--check].

A real session is recorded: the command runs in a pseudoterminal, and a terminal emulator keeps what a person would see.
`--check` records another one and compares their words; ids, times and amounts differ from session to session.
"""

from __future__ import annotations

import html
import os
import pty
import re
import subprocess
import sys
import tempfile
from itertools import groupby
from pathlib import Path

import pyte
from rich.console import Console
from rich.style import Style
from rich.text import Text

ROOT = Path(__file__).parents[1]
PICTURE = ROOT / "docs" / "demo.svg"
COLUMNS, ROWS = 100, 200
COMMAND = "envagent demo"
COLORS = {"brown": "yellow", "default": None}
"""pyte's names of colors, as rich names them."""


def recorded() -> pyte.Screen:
    """Run the demo, and return the screen as it is at the end.

    Raises:
        RuntimeError: the demo failed.
    """
    screen = pyte.Screen(COLUMNS, ROWS)
    stream = pyte.ByteStream(screen)
    with tempfile.TemporaryDirectory(prefix="demo") as home:
        # Nothing of the user's own settings may be in the picture.
        environment = {"PATH": os.environ["PATH"], "HOME": home, "ENVAGENT_HOME": f"{home}/envagent", "TZ": "UTC"}
        environment |= {"TERM": "xterm-256color", "COLUMNS": str(COLUMNS), "LINES": "50", "LANG": "C.UTF-8"}
        command = [sys.executable, "-m", "envagent", "demo"]
        leader, follower = pty.openpty()
        child = subprocess.Popen(command, stdin=follower, stdout=follower, stderr=follower, env=environment, cwd=ROOT)
        os.close(follower)
        try:
            while part := os.read(leader, 65536):
                stream.feed(part)
        except OSError:  # how Linux says the end
            pass
        os.close(leader)
        code = child.wait()
        subprocess.run([sys.executable, "-m", "envagent", "sandbox", "reset"], env=environment, cwd=ROOT, check=True)
    if code != 0:
        raise RuntimeError(f"{COMMAND} ended with {code}:\n" + "\n".join(screen.display).rstrip())
    return screen


def lines(screen: pyte.Screen) -> list[Text]:
    """Return what the screen shows, with its colors."""
    shown = []
    for number in range(screen.cursor.y + 1):
        cells = [screen.buffer[number][column] for column in range(COLUMNS)]
        line = Text()
        for (color, bold), same in groupby(cells, lambda cell: (cell.fg, cell.bold)):
            text = "".join(cell.data for cell in same)
            line.append(text, Style(color=COLORS.get(color, color), bold=bold))
        line.rstrip()
        shown.append(line)
    return shown


def drawn(shown: list[Text]) -> str:
    """Return the picture as SVG."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=COLUMNS, file=nowhere, force_terminal=True, color_system="truecolor")
        console.print(Text.assemble(("$ ", "green"), (COMMAND, "bold")))
        for line in shown:
            console.print(line, soft_wrap=True)
        return console.export_svg(title="envagent", unique_id="demo")


def words(svg: str) -> list[str]:
    """Return the words of a picture, without what differs from session to session: ids, paths, numbers and dates."""
    text = " ".join(html.unescape(one) for one in re.findall(r"<text[^>]*>([^<]*)</text>", svg)).replace("\xa0", " ")
    [run_id] = re.findall(r"\brun (\w{10})\b", text)
    kept = (one for one in text.split() if run_id not in one and not re.search(r"[\d/]", one))
    return [word for one in kept for word in re.findall(r"[A-Za-z]{2,}", one) if word not in DATES]


DATES = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"} | {
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
}

if __name__ == "__main__":
    svg = drawn(lines(recorded()))
    if "--check" in sys.argv:
        same = words(PICTURE.read_text(encoding="utf-8")) == words(svg)
        sys.exit(0 if same else "docs/demo.svg is stale: python docs/picture.py")
    PICTURE.write_text(svg, encoding="utf-8")
