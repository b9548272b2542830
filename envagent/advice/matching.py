"""Match what an AI calls a thing to an entry of the list it was given."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

_WITH_ID = re.compile(r"^(?P<name>.*?)\s*[\(\[]\s*(?:id\s*[:=]\s*)?(?P<id>[^()\[\]]*?)\s*[\)\]]$", re.IGNORECASE)
_MOST_SLIPS = 2


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def resolve(said: str, options: Mapping[str, str]) -> str | None:
    """Return the key of the option that an AI means, or None. Options map a key, the id if there is one, to a name.

    Accepts the name, the id, `name (ID: id)`, quotes, another case or other separators, and a typo if all digits
    are right and only one option is close.
    """
    text = said.strip().strip("`'\"* ").strip()
    pair = _WITH_ID.match(text)
    if pair and pair["id"] in options:
        return pair["id"]
    spoken = [text, pair["name"].strip("`'\" ")] if pair else [text]
    for name in spoken:
        if name in options:
            return name
        for same in (str.strip, str.casefold, _plain):
            found = [key for key, shown in options.items() if same(shown) == same(name)]
            if found and same(name):
                return found[0]
    return _near(spoken[-1], options)


def _near(name: str, options: Mapping[str, str]) -> str | None:
    """Return the one option that differs by a typo: a letter too many, too few, or two swapped.

    A replaced letter is not a typo: gpu_a100 is not gpu_v100.
    """
    plain, digits = _plain(name), re.findall(r"\d+", name)
    found = [
        key
        for key, shown in options.items()
        if re.findall(r"\d+", shown) == digits
        and abs(len(_plain(shown)) - len(plain)) <= 1
        and _slips(plain, _plain(shown)) <= _MOST_SLIPS
    ]
    return found[0] if len(found) == 1 else None


def _slips(a: str, b: str) -> int:
    """Count the letters inserted and removed between two names; a replaced letter exceeds the limit."""
    edits = difflib.SequenceMatcher(None, a, b, autojunk=False).get_opcodes()
    return sum(
        _MOST_SLIPS + 1 if tag == "replace" else (a1 - a0) + (b1 - b0)
        for tag, a0, a1, b0, b1 in edits
        if tag != "equal"
    )
