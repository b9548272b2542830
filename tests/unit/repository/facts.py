"""Reading one file in a test."""

from __future__ import annotations

from textwrap import dedent

from envagent.repository.analyzer import analyze
from envagent.repository.choose import choose
from envagent.repository.facts import Facts
from envagent.repository.readers.registry import read_file
from envagent.repository.results import Analysis, Entry, Snapshot


def facts_of(path: str, text: str) -> Facts:
    assert choose([Entry(path=path, size=1)]), f"{path} is never chosen for reading"
    facts = Facts()
    read_file(path, dedent(text), facts)
    return facts


def analysis_of(files: dict[str, str], also: tuple[str, ...] = ()) -> Analysis:
    """Analyze a snapshot of these files, and of further ones by name only."""
    texts = {path: dedent(text) for path, text in files.items()}
    entries = tuple(Entry(path=path, size=len(text)) for path, text in texts.items())
    named = tuple(Entry(path=path, size=None) for path in also)
    return analyze(Snapshot(url="x", commit=None, entries=entries + named, files=texts))
