"""Text of strangers made harmless for a terminal: the one function that everything printed passes through.

Servers, repositories and models choose names and messages; an escape sequence among them could retitle the window,
hide a line or fake one, a bidirectional override could swap what is read. Nothing is dropped in silence: what could
act on a terminal is shown as its escape, such as `\\x1b`.
"""

from __future__ import annotations

import unicodedata

# Controls, formats (bidirectional, zero-width, tags), surrogates, private use, unassigned, line separators.
_ACTING = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
_BLANKS = str.maketrans({"\n": " ", "\r": " ", "\t": " "})

LONGEST = 2000
"""Characters of one text that are shown; a server's page of HTML is no message."""


def printable(text: object, *, limit: int = LONGEST) -> str:
    r"""Make one harmless line of any text.

    >>> printable("a\x1b[31mb")
    'a\\x1b[31mb'
    >>> printable("two\nlines")
    'two lines'
    """
    line = str(text).translate(_BLANKS)
    if len(line) > limit:
        line = line[: limit - 1] + "…"
    if line.isascii() and line.isprintable():
        return line
    return "".join(_escaped(one) if unicodedata.category(one) in _ACTING else one for one in line)


def _escaped(one: str) -> str:
    code = ord(one)
    if code < 0x100:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
