"""Turn the printed lines of a document into Markdown.

Owns: headings, also those that run into their paragraph, bullets, code, footnotes, and sentences that are whole across
lines, columns and pages. Must not: know the file format, or what the text says of hardware.
"""

from __future__ import annotations

import itertools
import re
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median

_LONGEST = 1000
_NUMBERED = re.compile(r"(?P<number>(?:[A-Z]|\d{1,2})(?:\.\d{1,2}){0,4})\.?\s+(?P<title>\(?[^\W\d_].{1,110})")
# Sections as the IEEE prints them: I. INTRODUCTION, and in italics A. Hardware.
_ROMAN = re.compile(r"[IVX]{1,4}\. (?P<title>[A-Z][A-Z &:,-]{3,80})")
_LETTERED = re.compile(r"(?:[A-Z]|\d{1,2})[.)] +(?P<title>[A-Z].{2,80})")
_NUMBERED_RUN_IN = re.compile(
    r"(?P<number>(?:[A-Z]|\d{1,2})(?:\.\d{1,2}){1,4})\.?\s+(?P<title>[A-Z][^.:]{2,60})[.:]\s+(?P<rest>\S.*)"
)
_DOTTED_LETTER = re.compile(r"[A-Z](?:\.\d{1,2}){1,4}\.?\s+[A-Z]")
_MARKS = "•●▪■◦○‣∙·⁃◆➢❖\uf0a7\uf0b7\x0f"
_BULLET = re.compile(
    rf"(?:(?P<mark>[{_MARKS}])\s*|(?P<dash>[–—](?=\s|[A-Z])\s*|[*-]\s+)|(?P<number>\d{{1,2}}[.)])\s+)(?P<text>.*)"
)
_INNER_MARKS = "◦○–—-*"
_CLAIM = re.compile(r"\([A-Z]\d{1,2}\)")
_CAPTION = re.compile(r"(?:Table|Figure|Fig\.|Listing|Algorithm) ?\d{1,3}[:.]")
_END = re.compile(r"[.!?:;][)\]\"'”]?$")
_SENTENCES = re.compile(r"(?<=[.!?])(?<!\b[A-Z]\.)(?<!\bi\.e\.)(?<!\be\.g\.)\s+(?=[A-Z(\[\"“])")
_DIGITS = re.compile(r"\d+")
_RUN_IN = re.compile(
    r"(?P<title>(?:hardware|software|system|minimum|recommended|minimal|other)(?: and (?:hardware|software))? "
    r"(?:dependenc(?:y|ies)|requirements?|prerequisites?)|how to access|data ?sets|models|benchmarks|"
    r"security, privacy,? (?:and|&) ethical (?:concerns|considerations))\s?[.:]\s+(?P<rest>\S.*)",
    re.IGNORECASE,
)
_ADDRESS = re.compile(r"\d{0,2}(?:https?://|www\.)\S+$")
_CONTINUED_URL = re.compile(r"(?:https?://|www\.)\S*[/_=.-]$")
_SUFFIX = re.compile(r"(?:pl[ei]|ly|i[sz]|ing|ary|ment|an|er|ed|en)")
_TAIL = re.compile(r"(?:based|level|specific|intensive|oriented|addressable)\b")
# Words that keep their hyphen where a line ends after them, unless a suffix follows.
_PREFIXES = frozenset([
    "built", "cross", "deep", "double", "dual", "fine", "first", "full", "hard", "high", "large", "long", "low",
    "machine", "mid", "multi", "non", "open", "peer", "post", "quad", "real", "self", "semi", "server", "short", "side",
    "single", "six", "small", "stand", "state", "third", "three", "time", "two", "user", "well",
])  # fmt: skip


@dataclass(frozen=True)
class Line:
    """A printed line.

    Attributes:
        text: without spaces around it.
        page: from 1.
        x: where it begins, in points from the left.
        y: its baseline, in points from the bottom.
        size: of most of its letters, in points.
        bold: the share of letters in a bold typeface.
        mono: the share of letters in a typeface for code.
        lead: how many characters at its beginning are bold.
        italic: the share of letters in italics.
    """

    text: str
    page: int
    x: float
    y: float
    size: float
    bold: float = 0.0
    mono: float = 0.0
    lead: int = 0
    italic: float = 0.0


def to_markdown(lines: Sequence[Line]) -> tuple[str, list[int]]:
    """Return the text, and the line of it on which each page begins, counted from 1."""
    kept = [line for line in _without_running_heads(lines) if line.text]
    if not kept:
        return "", []
    writer = _Writer(_Measures.of(kept), Counter(_words(kept)))
    for number, line in enumerate(kept):
        writer.take(line, kept[number + 1] if number + 1 < len(kept) else None)
    writer.finish()
    pages = [page for _, page in writer.out]
    last = kept[-1].page
    begins = [next((n for n, at in enumerate(pages, 1) if at >= page), len(pages) + 1) for page in range(1, last + 1)]
    return "\n".join(text for text, _ in writer.out) + "\n", begins


def _without_running_heads(lines: Sequence[Line]) -> Iterator[Line]:
    """Drop page numbers, and what is printed at the top or bottom of most pages."""
    by_page: dict[int, list[Line]] = {}
    for line in lines:
        by_page.setdefault(line.page, []).append(line)
    edges = {page: {*_edge(found[:2]), *_edge(found[-2:])} for page, found in by_page.items()}
    often = Counter(text for texts in edges.values() for text in texts)
    for found in by_page.values():
        for number, line in enumerate(found):
            shape = _DIGITS.sub("#", line.text)
            at_edge = number < 2 or number >= len(found) - 2
            if at_edge and (shape == "#" or (often[shape] >= 3 and often[shape] * 2 > len(by_page))):
                continue
            yield line


def _edge(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        yield _DIGITS.sub("#", line.text)


def _words(lines: Iterable[Line]) -> Iterator[str]:
    for line in lines:
        yield from re.findall(r"[^\W\d_]+(?:-[^\W\d_]+)*(?![\w-])", line.text.lower())


@dataclass(frozen=True)
class _Measures:
    """What is usual in this document."""

    size: float
    step: float
    """From one line to the next, as a multiple of the size."""
    width: int
    """Characters of a full line."""
    styled: bool
    """Whether typefaces tell headings from text."""

    @classmethod
    def of(cls, lines: Sequence[Line]) -> _Measures:
        sizes = Counter[float]()
        for line in lines:
            sizes[line.size] += len(line.text)
        size = sizes.most_common(1)[0][0]
        steps = [
            (before.y - line.y) / size
            for before, line in itertools.pairwise(lines)
            if before.size == line.size == size and 0 < before.y - line.y < 3 * size
        ]
        widths = sorted(len(line.text) for line in lines if line.mono < 0.5)
        return cls(
            size=size,
            step=median(steps) if steps else 1.2,
            width=widths[len(widths) * 3 // 4] if widths else 80,
            styled=any(line.bold > 0.8 for line in lines),
        )


@dataclass
class _Writer:
    """Takes the lines one after the other, and writes Markdown."""

    measures: _Measures
    words: Counter[str]
    out: list[tuple[str, int]] = field(default_factory=list)
    _paragraph: list[Line] = field(default_factory=list)
    _prefix: str = ""
    _bullet_x: float = 0.0
    _code: list[Line] = field(default_factory=list)
    _heading: list[Line] = field(default_factory=list)
    _level: int = 0
    _depth: int = 1
    """Of the last numbered heading."""
    _begun: bool = False
    """Whether what stands under the title is over."""
    _held: list[Line] = field(default_factory=list)
    """Footnotes, until the sentence around them is whole."""

    def take(self, line: Line, following: Line | None) -> None:
        """Receive a line, and the one after it to look ahead."""
        if self._heading and self._continues_heading(line):
            self._heading.append(line)
            return
        self._close_heading()
        if self._is_footnote(line) or self._is_caption(line):
            self._close_code()
            self._held.append(line)
            return
        if line.text[0] not in _MARKS and self._is_code(line, following):
            self._close_paragraph()
            self._code.append(line)
            return
        self._close_code()
        if level := self._heading_level(line, following):
            self._close_paragraph()
            self._heading, self._level = [line], level
            return
        if bullet := self._bullet(line):
            self._close_paragraph()
            mark, text = bullet
            self._prefix, self._bullet_x = mark, line.x
            self._paragraph = [_retold(line, text)]
        elif self._paragraph and not self._begins_paragraph(line):
            self._paragraph.append(line)
        else:
            self._close_paragraph()
            self._open_paragraph(line)

    def finish(self) -> None:
        """Write what is still open."""
        self._close_heading()
        self._close_code()
        self._close_paragraph()
        self._close_paragraph()

    # What a line is

    def _continues_heading(self, line: Line) -> bool:
        last = self._heading[-1]
        near = 0 < last.y - line.y < 1.5 * last.size and line.page == last.page
        long = len(last.text) > 0.6 * self.measures.width * self.measures.size / last.size
        same = (line.bold > 0.8 or self._level == 1) and abs(line.size - last.size) < 0.2 and len(self._heading) < 4
        return near and same and (long or self._level == 1) and not _NUMBERED.match(line.text)

    def _is_code(self, line: Line, following: Line | None) -> bool:
        if line.mono < 0.9:
            return False
        if self._code or not self._paragraph or _END.search(self._paragraph[-1].text):
            return True
        # A long name, address or list of files in the middle of a sentence fills lines of its own.
        goes_on = following is not None and following.mono < 0.5 and following.text[:1].islower()
        full = len(self._paragraph[-1].text) > 0.85 * self.measures.width
        return " " in line.text and not goes_on and not full

    def _is_footnote(self, line: Line) -> bool:
        if line.size > 0.92 * self.measures.size or (line.mono > 0.9 and not _ADDRESS.match(line.text)):
            return False
        open_sentence = bool(self._paragraph) and not _END.search(self._paragraph[-1].text)
        return bool(self._held) or open_sentence or self._moved_down(line)

    def _is_caption(self, line: Line) -> bool:
        """Return whether a line belongs to a caption in the middle of a sentence."""
        if not self._paragraph or _END.search(self._paragraph[-1].text):
            return False
        if self._held and _CAPTION.match(self._held[0].text):
            last = self._held[-1]
            near = line.page == last.page and 0 < last.y - line.y < 1.5 * last.size
            return near and not _END.search(last.text)
        return not self._held and _CAPTION.match(line.text) is not None

    def _moved_down(self, line: Line) -> bool:
        return not self._paragraph or self._gap(line) > 1.4 * self.measures.step

    def _gap(self, line: Line) -> float:
        """Return the distance to the line above in sizes; 0 at the top of a column."""
        last = self._paragraph[-1]
        down = (last.y - line.y) / self.measures.size
        return down if line.page == last.page and down > 0 else 0.0

    def _at_top(self, line: Line) -> bool:
        last = self._paragraph[-1]
        return line.page != last.page or line.y > last.y + 2 * self.measures.size

    def _heading_level(self, line: Line, following: Line | None) -> int:
        """Return the level of a heading, 0 for any other line."""
        body = self.measures
        large, bold = line.size > 1.08 * body.size, line.bold > 0.8
        text = line.text
        if (large and line.size > 1.3 * body.size) and not self.out and not self._paragraph:
            return 1
        if (found := _NUMBERED.fullmatch(text)) and not text.endswith((",", ";")) and ". . ." not in text:
            dots = found["number"].count(".")
            plain = not body.styled and dots > 0 and len(text.split()) <= 10 and not text.endswith(".")
            if bold or large or plain or (_DOTTED_LETTER.match(text) and line.bold == 0 and not body.styled):
                self._depth, self._begun = min(dots + 2, 6), True
                return self._depth
        if _ROMAN.fullmatch(text):
            self._depth, self._begun = 2, True
            return 2
        if line.italic > 0.9 and _LETTERED.fullmatch(text) and not text.endswith(("-", ",", ".")):
            return 3
        if not ((bold and line.bold > 0.95) or (large and line.size > 1.15 * body.size)):
            return 0
        if not (bold or self._begun):
            return 0  # authors and their addresses
        if len(text) < 3 or len(text.split()) > 10 or text.endswith((",", ";", "-")) or not text[:1].isupper():
            return 0
        if text.endswith(".") and (line.bold <= 0.95 or len(text.split()) > 5):
            return 0
        if self._paragraph and not self._at_top(line) and self._gap(line) <= 1.2 * body.step:
            last = self._paragraph[-1]
            if not _END.search(last.text) and len(last.text) > 0.6 * body.width:
                return 0
        if following is not None and following.bold > 0.95 and following.size == line.size and not large:
            return 0
        return 2 if line.size > 1.15 * body.size else min(self._depth + 1, 6)

    def _bullet(self, line: Line) -> tuple[str, str] | None:
        """Return the Markdown mark and the text of an item of a list."""
        if _CLAIM.match(line.text):
            return ("- ", line.text) if self._may_begin(line) else None
        found = _BULLET.match(line.text)
        if found is None:
            return None
        mark, number = found["mark"] or (found["dash"] or "").strip(), found["number"]
        if number:
            # A number that happens to stand first in a line is none of a list.
            return (f"{number} ", found["text"]) if self._may_begin(line) and found["text"][:1].isalpha() else None
        if mark in "-–—*" and self._paragraph and not self._begins_paragraph(line):
            last = self._paragraph[-1]
            if not _END.search(last.text) and not self._prefix:
                return None
        inner = mark in _INNER_MARKS and self._prefix.strip() in ("-", "*") and line.x > self._bullet_x + 4
        inner = inner or (self._prefix == "  - " and mark in _INNER_MARKS)
        return ("  - " if inner else "- "), found["text"]

    def _may_begin(self, line: Line) -> bool:
        return not self._paragraph or _END.search(self._paragraph[-1].text) is not None or self._begins_paragraph(line)

    def _begins_paragraph(self, line: Line) -> bool:
        last, body = self._paragraph[-1], self.measures
        ended = _END.search(last.text) is not None
        low = line.text[:1].islower()
        if (
            _CAPTION.match(line.text)
            or (ended and _NUMBERED_RUN_IN.fullmatch(line.text))
            or (ended and 0 < line.lead < len(line.text) and _run_in(line)[0])
        ):
            return True
        if self._at_top(line):
            return ended and not low and not last.text.endswith(("-", ","))
        if self._gap(line) > 1.4 * body.step:
            return ended or not low
        if self._prefix and not last.text.endswith("-"):
            if line.x < self._bullet_x - 2:
                return ended or not low
            if line.x <= self._bullet_x + 2 and ended and not low and len(last.text) < 0.85 * body.width:
                return True
        elif ended and not low and line.x > last.x + 0.6 * body.size:
            return True
        short = len(last.text) < 0.6 * body.width * (body.size / max(last.size, 1))
        return (
            short
            and not low
            and not last.text.endswith(("-", ",", "(", "/"))
            and (ended or not self._prefix or line.x <= self._bullet_x + 2)
        )

    # Writing

    def _open_paragraph(self, line: Line) -> None:
        self._prefix = ""
        title, rest = _run_in(line)
        if found := _NUMBERED_RUN_IN.fullmatch(line.text):
            self._depth = min(found["number"].count(".") + 2, 6)
            self._write([(f"{'#' * self._depth} {_escaped(found['title'])}", line.page)])
            rest = found["rest"]
        elif title:
            self._write([(f"{'#' * min(self._depth + 1, 6)} {title}", line.page)])
        self._paragraph = [_retold(line, rest)]

    def _close_heading(self) -> None:
        if self._heading:
            page = self._heading[0].page
            text = self._joined(self._heading)[0]
            found = _ROMAN.fullmatch(text) or _LETTERED.fullmatch(text) or _NUMBERED.fullmatch(text)
            if found and self._level > 1:
                text = found["title"]
            self._write([(f"{'#' * self._level} {_escaped(text.strip(' :.'))}", page)])
            self._heading = []

    def _close_code(self) -> None:
        if self._code:
            fence = "```"
            shown = [(line.text.replace(fence, "'''"), line.page) for line in self._code]
            self._write([(fence, shown[0][1]), *shown, (fence, shown[-1][1])])
            self._code = []

    def _close_paragraph(self) -> None:
        if self._paragraph:
            self._begun = self._begun or _END.search(self._paragraph[-1].text) is not None
            self._write(list(self._sentences(self._paragraph, self._prefix)))
            self._paragraph, self._prefix = [], ""
        if self._held:
            held, self._held = self._held, []
            rows: list[list[Line]] = [[]]
            for line in held:
                # The rows of a table are short; a long note goes on in the next line.
                if rows[-1] and len(rows[-1][-1].text) < 0.8 * self.measures.width and not line.text[:1].islower():
                    rows.append([])
                rows[-1].append(line)
            for row in rows:
                self._write(list(self._sentences(row, "")))

    def _sentences(self, lines: list[Line], prefix: str) -> Iterator[tuple[str, int]]:
        """Yield the sentences of a paragraph, each on a line of its own, with their pages."""
        text, starts = self._joined(lines)
        at = 0
        for number, sentence in enumerate(_SENTENCES.split(text)):
            begin = text.find(sentence, at)
            at = begin + len(sentence)
            page = lines[max(bisect_right(starts, begin) - 1, 0)].page
            for part, piece in enumerate(_wrapped(_escaped(sentence))):
                indent = prefix if number == part == 0 else " " * len(prefix)
                yield f"{indent}{piece}", page

    def _joined(self, lines: Sequence[Line]) -> tuple[str, list[int]]:
        """Join lines and the words that were divided between them; return where each line begins."""
        text, starts = "", list[int]()
        for line in lines:
            if text and not self._divided(text, line.text):
                address = _CONTINUED_URL.search(text[-200:]) and not line.text[:1].isupper()
                text += "" if text.endswith("-") or address else " "
            elif text:
                text = text[:-1]
            starts.append(len(text))
            text += line.text
        return text, starts

    def _divided(self, text: str, following: str) -> bool:
        """Return whether the hyphen at the end of a line is only there because the line ends."""
        before = re.search(r"([^\W\d_]+)-$", text[-40:])
        after = re.match(r"[^\W\d_]+(?:-[^\W\d_]+)*", following)
        if before is None or after is None or _CONTINUED_URL.search(text[-200:]):
            return False
        first, second = before[1].lower(), after[0].lower()
        whole, compound = self.words[first + second], self.words[f"{first}-{second}"]
        if whole or compound:
            return whole >= compound
        if not following[0].islower() or (len(first) > 1 and before[1].isupper()):
            return False
        if _TAIL.match(second):
            return False
        return first not in _PREFIXES or _SUFFIX.match(second) is not None

    def _write(self, lines: list[tuple[str, int]]) -> None:
        if lines:
            page = lines[0][1]
            follows = self.out and lines[0][0].lstrip().startswith(("- ", "1", "2", "3", "4", "5", "6", "7", "8", "9"))
            if self.out and not (follows and self.out[-1][0].startswith(("-", " ")) and lines[0][0][:1] in "- "):
                self.out.append(("", page))
            self.out += lines


def _run_in(line: Line) -> tuple[str, str]:
    """Divide a line into the heading that its paragraph begins with, and the rest."""
    title, rest = line.text[: line.lead].strip(), line.text[line.lead :].strip()
    if 3 <= len(title) <= 80 and rest and title[:1].isupper() and len(title.split()) <= 8:
        closed = title.endswith((".", ":", "?")) or rest.startswith((":", ". "))
        if closed or (len(title.split()) > 1 and rest[:1].isupper()):
            return _escaped(title.strip(" .:")), rest.lstrip(":. ")
    if found := _RUN_IN.match(line.text):
        return found["title"], found["rest"]
    return "", line.text


def _retold(line: Line, text: str) -> Line:
    """Return the line with another text."""
    return Line(text, line.page, line.x, line.y, line.size, line.bold, line.mono)


def _escaped(text: str) -> str:
    """Keep printed characters from being read as markup."""
    text = re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)
    return f"\\{text}" if re.match(r"[#>|=+~`]|[-*] |```", text) else text


def _wrapped(text: str) -> Iterator[str]:
    while len(text) > _LONGEST:
        cut = text.rfind(" ", 1, _LONGEST)
        cut = cut if cut > 0 else _LONGEST
        yield text[:cut]
        text = text[cut:].lstrip()
    yield text
