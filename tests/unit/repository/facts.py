"""Reading one file in a test."""

from __future__ import annotations

from textwrap import dedent

from envagent.repository.choose import choose
from envagent.repository.facts import Facts
from envagent.repository.readers.registry import read_file
from envagent.repository.results import Entry


def facts_of(path: str, text: str) -> Facts:
    assert choose([Entry(path=path, size=1)]), f"{path} is never chosen for reading"
    facts = Facts()
    read_file(path, dedent(text), facts)
    return facts
