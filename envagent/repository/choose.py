"""Choose the files of a listing that are worth reading.

Owns: the order in which to take them, and leaving out third-party code. Which names are worth it, and how many of each,
stands in `readers.registry`. Must not: open anything.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence

from envagent.repository.readers.registry import DEEPEST, KINDS, Kind, kind_of
from envagent.repository.readers.scopes import is_translation
from envagent.repository.results import Entry

_MAX_FILES = 120
MOST_PDF_BYTES = 6 << 20
_PICTURES = re.compile(r"(^|/)(fig(ure)?s?|plots?|graph(ic)?s?|images?|img|pictures?|results?)/")
"""Folders whose PDFs are pictures, whatever their names."""
# Folders of third-party code and data, whose files say nothing about this repository.
_FOREIGN = re.compile(
    r"(^|/)(third[-_]?party|3rdparty|vendor|vendored|node_modules|externals?|extern|submodules|site-packages|"
    r"testdata|fixtures|\.?venv|\.git|_build|dist)(/|$)"
)


def choose(entries: Sequence[Entry]) -> list[Entry]:
    """Return the files worth reading, most relevant first, at most 120.

    Within a kind, shallow files come first, so that a monorepo's own files win over those of its parts.
    """
    taken: dict[Kind, list[Entry]] = defaultdict(list)
    for kind, _, entry in sorted(_candidates(entries), key=lambda row: row[1]):
        if len(taken[kind]) < kind.most:
            taken[kind].append(entry)
    return [entry for kind in KINDS for entry in taken[kind]][:_MAX_FILES]


def _candidates(entries: Iterable[Entry]) -> Iterable[tuple[Kind, tuple[int, bool, str], Entry]]:
    """Yield the files of any kind with their place in the order: shallow first, translations last."""
    for entry in entries:
        depth = entry.path.count("/")
        if depth <= DEEPEST and entry.size != 0 and len(entry.path) < 300:
            path = entry.path.lower()
            kind = kind_of(path)
            if path.endswith(".pdf") and ((entry.size or 0) > MOST_PDF_BYTES or _PICTURES.search(path)):
                continue
            if kind is not None and not _FOREIGN.search(path):
                yield kind, (depth, is_translation(path), path), entry
