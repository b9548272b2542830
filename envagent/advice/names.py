"""From what an AI calls a thing to the thing in the list that it was given, or to nothing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping

_WITH_ID = re.compile(r"^(?P<name>.*?)\s*[\(\[]\s*(?:id\s*[:=]\s*)?(?P<id>[^()\[\]]*?)\s*[\)\]]$", re.IGNORECASE)
_SIMILAR, _CLEARLY = 0.85, 0.03


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.casefold())


def resolve(said: str, options: Mapping[str, str]) -> str | None:
    """The key of `options` that is meant, or None.

    Accepts the name, the id, `name (ID: id)`, quotes, another case or other separators, and a slip of the pen as
    long as all digits are right and only one option is near.

    Args:
        said: the AI's word for it.
        options: the list it was given: key -> the name shown for it; the key is the id where there is one.
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
    digits = re.findall(r"\d+", name)
    scored = sorted(
        (
            (difflib.SequenceMatcher(None, _plain(name), _plain(shown)).ratio(), key)
            for key, shown in options.items()
            if re.findall(r"\d+", shown) == digits
        ),
        reverse=True,
    )
    if not scored or scored[0][0] < _SIMILAR:
        return None
    if len(scored) > 1 and scored[0][0] - scored[1][0] < _CLEARLY:
        return None
    return scored[0][1]
