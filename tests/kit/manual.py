"""The blocks of a document that a reader would type: commands, files and Python, in order."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

FENCE = re.compile(
    r"^(?P<marker><!-- not run here: .+? -->\n)?(?P<fence>`{3,})(?P<language>[^\n`]*)\n(?P<body>.*?)^(?P=fence)$",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """What stands in one fence.

    Attributes:
        kind: `commands` are lines after `$ ` (or a whole bash block), `file` goes into the file `name`, and `python` is
            code of one program for the whole document; `other` is shown only.
        run: False after a comment `not run here: REASON`: its commands need a real cloud or the network.
    """

    kind: Literal["commands", "file", "python", "other"]
    body: str
    run: bool
    name: str = ""

    @property
    def commands(self) -> list[str]:
        """The commands, one a line."""
        lines = self.body.replace("\\\n", " ").splitlines()
        dollars = [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
        return dollars or [line for line in lines if line.strip() and not line.startswith("#")]


def blocks(text: str) -> Iterator[Block]:
    """Yield the blocks of a document."""
    for match in FENCE.finditer(text):
        language, body, run = match["language"].strip(), match["body"], match["marker"] is None
        caption = re.match(r":caption: (\S+)\n(?::.*\n)*\n?", body)
        if language.startswith("{code-block}") and caption is not None:
            yield Block("file", body[caption.end() :], run, caption[1])
        elif language in ("console", "bash"):
            yield Block("commands", body, run)
        elif language == "python":
            yield Block("python", body, run)
        else:
            yield Block("other", body, run)
