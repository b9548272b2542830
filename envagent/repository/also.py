"""Documents that a user gives along with a repository, such as the appendix of a paper.

Owns: reading them from files and URLs, and how they are named in evidence and notes. They are as untrusted as the
repository, and speak for it like its main readme. Must not: judge what they say.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from pathlib import Path

from envagent.errors import UsageError
from envagent.hints import Hint
from envagent.repository.decoding import clean_line
from envagent.repository.facts import Facts
from envagent.repository.prose import document
from envagent.repository.results import Analysis, Document, Evidence, Snapshot

MOST_DOCUMENTS = 10
MOST_BYTES = 20 << 20
_LONGEST_NAME = 80
_KINDS = Hint("supported: PDF, Markdown, reStructuredText, text, HTML, .eml and .ipynb")
_URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.IGNORECASE)
# Where the rules see the documents: at the top, with a name that says nothing.
_PATH = "given-document-{}{}"
_MENTION = re.compile(r"given-document-(\d+)(?:\.[a-z]{1,8})?(?::(\d+))?")
_ENDING = re.compile(r"\.[a-z]{1,8}")


def read_documents(sources: Sequence[str]) -> tuple[Document, ...]:
    """Read the documents at some paths and URLs.

    Raises:
        UsageError: one does not exist, is too large, or is nothing that can be read.
        DocumentUnreachable: a server does not respond.
    """
    if len(sources) > MOST_DOCUMENTS:
        raise UsageError(f"--also was given {len(sources)} times; at most {MOST_DOCUMENTS} documents are read")
    found: list[Document] = []
    for source in sources:
        one = _document(source.strip())
        same = sum(other.name == one.name or other.name.startswith(f"{one.name} (") for other in found)
        found.append(one.model_copy(update={"name": f"{one.name} ({same + 1})"}) if same else one)
    return tuple(found)


def read_into(snapshot: Snapshot, facts: Facts) -> None:
    """Read the given documents of a snapshot into facts; a failure becomes a note."""
    for number, one in enumerate(snapshot.also, 1):
        path = _PATH.format(number, one.ending)
        try:
            document.read(path, one.text, facts)
        except Exception as error:
            facts.notes.append(f"{path}: could not be read ({type(error).__name__}).")


def with_places(analysis: Analysis, snapshot: Snapshot) -> Analysis:
    """Return an analysis that names the given documents as the user knows them, and the pages of PDFs."""

    def named(text: str) -> str:
        return _MENTION.sub(lambda found: _mention(snapshot, int(found[1]), found[2]), text)

    sizing = analysis.sizing.model_copy(update={"reasons": tuple(map(named, analysis.sizing.reasons))})
    return analysis.model_copy(
        update={
            "evidence": tuple(_placed(one, snapshot) for one in analysis.evidence),
            "assumptions": tuple(map(named, analysis.assumptions)),
            "sizing": sizing,
        }
    )


def _placed(evidence: Evidence, snapshot: Snapshot) -> Evidence:
    path, begins = evidence.path, snapshot.pages.get(evidence.path, ())
    if found := _MENTION.fullmatch(path):
        one = snapshot.also[int(found[1]) - 1]
        path, begins = _name(one, snapshot), one.pages
    if begins and evidence.line is not None:
        return evidence.model_copy(update={"path": f"{path}, page {page_of(evidence.line, begins)}", "line": None})
    return evidence.model_copy(update={"path": path})


def page_of(line: int, begins: Sequence[int]) -> int:
    """Return the page on which a line stands, given the line on which each page begins."""
    return max(bisect_right(begins, line), 1)


def _mention(snapshot: Snapshot, number: int, line: str | None) -> str:
    if not 0 < number <= len(snapshot.also):
        return _PATH.format(number, "")
    one = snapshot.also[number - 1]
    name = _name(one, snapshot)
    if line is None:
        return name
    return f"{name}, page {page_of(int(line), one.pages)}" if one.pages else f"{name}:{line}"


def _name(one: Document, snapshot: Snapshot) -> str:
    return f"{one.name} (--also)" if one.name in snapshot.files else one.name


def _document(source: str) -> Document:
    from envagent.repository.conversion import convert, kind_of_document
    from envagent.repository.download import download, shown
    from envagent.repository.markup import Unreadable

    if not source:
        raise UsageError("--also is empty", hint=Hint("pass the path of a file, or a URL"))
    content_type = ""
    if _URL.match(source):
        data, content_type, name = download(source, most=MOST_BYTES)
        place = shown(source)
    else:
        path = Path(source).expanduser()
        data, name, place = _content(path), path.name, str(path)
    kind = kind_of_document(name, data, content_type)
    if kind is None:
        raise UsageError(f"{place} is not a document that can be read", hint=_KINDS)
    try:
        text, begins, left_out = convert(data, kind)
    except Unreadable as error:
        raise UsageError(f"{place} {error}", hint=_remedy(str(error))) from None
    if not text.strip():
        raise UsageError(f"{place} contains no text", hint=_KINDS)
    ending = Path(name).suffix.lower() if kind == "text" else ".md"
    ending = ending if _ENDING.fullmatch(ending) else ""
    name = clean_line(name)[:_LONGEST_NAME].strip() or "document"
    return Document(name=name, text=text, ending=ending, pages=begins, left_out=left_out)


def _remedy(problem: str) -> Hint:
    if "encrypted" in problem:
        return Hint("save a copy without a password, and pass that")
    if "pictures" in problem:
        return Hint("a scanned page has to go through text recognition first")
    return Hint("save it as text, and pass that; " + str(_KINDS.parts[0]))


def _content(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise UsageError(f"--also: {path} is a folder", hint=Hint("pass a file in it"))
        if not path.is_file():
            there = path.exists()
            raise UsageError(
                f"--also: {path} is not a regular file" if there else f"--also: no such file: {path}",
                hint=Hint("pass the path of a file, or a URL that begins with https://"),
            )
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        words = getattr(error, "strerror", None) or "not a valid path"
        raise UsageError(f"--also: {path} cannot be read: {words}", hint=Hint("check its permissions")) from None
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"--also: {path} is larger than {MOST_BYTES >> 20} MB", hint=Hint("pass only the part about the hardware")
        )
    return data
