"""What scripts say of themselves: comments and docstrings.

Owns: telling comments from code, and comments that are code from those that are words. Must not: read code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import takewhile

from envagent.repository.documents.sentence import MAX_LINE, Block, clean

_MAX_COMMENTS = 400
_HEADER = 60
"""The lines of a program in which comments speak for all of it."""
_COMMENT = re.compile(r"\s{0,40}#+(?!!|SBATCH|PBS|BSUB|\$|\+)[ \t]?(.*)")
_LEGAL = re.compile(r"copyright|licen[cs]e|all rights reserved|spdx|warrant", re.IGNORECASE)
# A command or an assignment that was switched off.
_CODE = re.compile(
    r"\s*(?:[\w.\[\]]+\s*=(?!=)\S|[\w.]+\(|(?:export|import|from|source|python\d?|pip\d?|sudo|cd|echo|set|if|for|fi|done|"
    r"else|return|def|class|conda|docker|srun|module|git|mkdir|make|apt-get|apt)\b(?! [a-z]+ [a-z]+ [a-z]+ [a-z]+)|"
    r"-{1,2}[a-z]|///|[$@%]|[-*:\w]+:\s*$|coding[:=]|-\*-|vim?:|pylint|noqa|type:|[-=#*~_]{3,})"
)
_BULLET = re.compile(r"(?:[-*•]|\d{1,2}[.)])\s+")
_QUOTED = re.compile(r"\s*(?:[rRuU]?)(\"\"\"|''')")


def blocks(text: str) -> Iterator[Block]:
    """Read the comments that fill lines of their own in a shell script, a batch script, a Makefile or YAML."""
    yield from _comments(text.split("\n"))


def python_blocks(text: str) -> Iterator[Block]:
    """Read the comments above a program and its docstring."""
    lines = text.split("\n")
    header = _HEADER
    for number, line in enumerate(lines[:_HEADER]):
        if line.strip() and not line.startswith("#"):
            header = number
            break
    yield from _comments(_without_metadata(lines[:header]))
    yield from _docstring(lines, header)


def _without_metadata(lines: list[str]) -> list[str]:
    """Blank the blocks that declare what a script needs (PEP 723), which are no prose."""
    kept, within = [], False
    for line in lines:
        marks = line.startswith("# ///")
        kept.append("" if within or marks else line)
        within = within != marks
    return kept


def _docstring(lines: list[str], at: int) -> Iterator[Block]:
    """Read the string that begins at a line, up to its end."""
    opening = _QUOTED.match(lines[at]) if at < len(lines) else None
    if opening is None:
        return
    rest = [lines[at][opening.end() :], *lines[at + 1 : at + 1 + _MAX_COMMENTS]]
    kept: list[tuple[int, str]] = []
    for number, line in enumerate(rest, at + 1):
        text, end, _ = line.partition(opening[1])
        kept.append((number, text))
        if end:
            break
    yield from _paragraphs(kept)


def _comments(lines: list[str]) -> Iterator[Block]:
    kept: list[tuple[int, str]] = []
    count = 0
    for number, line in enumerate(lines, 1):
        found = _COMMENT.fullmatch(line[:MAX_LINE])
        if found is None:
            if kept:
                yield from _paragraphs(kept)
                kept = []
            continue
        count += 1
        if count > _MAX_COMMENTS:
            break
        kept.append((number, found[1]))
    yield from _paragraphs(kept)


def _paragraphs(lines: list[tuple[int, str]]) -> Iterator[Block]:
    """Yield the paragraphs of a comment that are words; one about copyright is left out with what follows it."""
    open_lines: list[tuple[int, str]] = []
    for number, text in [*takewhile(lambda line: not _LEGAL.search(line[1]), lines), (0, "")]:
        words = clean(text[:MAX_LINE]).strip(" #*\t─═━")
        is_prose = bool(words) and not _CODE.match(words)
        bullet = _BULLET.match(words)
        if open_lines and (bullet or not is_prose):
            yield Block("comment", tuple(open_lines))
            open_lines = []
        if is_prose:
            open_lines.append((number, words[bullet.end() :] if bullet else words))
