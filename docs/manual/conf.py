"""The manual, built with Sphinx: scripts/docs. Tables and pictures are generated from the code before each build."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

from envagent import __version__  # noqa: E402

project, author, release = "envagent", "the envagent authors", __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["generated"]
html_theme = "furo"
html_title = f"envagent {release}"
myst_heading_anchors = 3
autodoc_typehints = "description"
autodoc_typehints_format = "short"
default_role = "code"

HERE = Path(__file__).parent
GENERATED = HERE / "generated"


def table(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    """Return a table in Markdown."""
    lines = [list(head), ["---"] * len(list(head)), *([str(cell) for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in line)} |" for line in lines) + "\n"


def generate(*_: Any) -> None:
    """Write what the pages include."""
    from envagent.catalog.packaged import sites
    from envagent.cli.documents.settings_text import every_setting
    from envagent.cli.render.topics import exit_codes
    from envagent.diagrams.pictures import PICTURES

    GENERATED.mkdir(exist_ok=True)
    settings = [(f"`{one.name}`", f"`{one.variable}`", one.field.description or "") for one in every_setting()]
    codes = [(code, f"`{name.strip()}`", meaning) for code, name, meaning in exit_codes()]
    places = [(f"`{one.region}`", f"`{one.auth_url}`", one.kind) for one in sites()]
    texts = {
        "settings.md": table(("setting", "variable", "meaning"), settings),
        "exit-codes.md": table(("code", "error", "meaning"), codes),
        "sites.md": table(("region", "address of Keystone", "kind"), places),
        **{f"{name}.svg": draw().svg() for name, draw in PICTURES.items()},
    }
    for name, text in texts.items():
        (GENERATED / name).write_text(text, encoding="utf-8")


def setup(app: Any) -> None:
    """Generate before Sphinx reads the pages."""
    app.connect("builder-inited", generate)
