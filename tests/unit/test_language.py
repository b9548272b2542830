"""Prose is plain English: phrasings that read as if translated, and words that only this project used so, stay away.

The list grows when a review finds one; each entry has a plain word or sentence that says the same.
"""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.test_house import ROOT

DOCUMENTS = [
    *(
        ROOT / name
        for name in (
            "README.md",
            "CONTRIBUTING.md",
            "SECURITY.md",
            "CHANGELOG.md",
            "envagent.toml.example",
            "pyproject.toml",
        )
    ),
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("envagent/cli/documents/*.md"),
    *ROOT.glob("envagent/**/README.md"),
    *ROOT.glob(".github/**/*.*"),
    *ROOT.glob("scripts/*"),
    *ROOT.glob(".ci/*"),
]

HOUSE_WORDS = {
    "told": "reported, said, a payload",
    "bears?|bearing": "is tagged, has",
    "beside": "alongside, next to",
    "begun": "started",
    "demand(s|ed)?": "required",
    "strangers?": "untrusted",
    "a yes|another yes": "a confirmation",
    "hastened|hurried": "sped up",
    "anew": "again",
    "taken? up|takes up|took up": "continue, resume",
}
SENTENCES = {
    r"(?<!there )(?<!There )is no (?!longer|more|different|way|such|need|reason|other|better)\w+": "is not a ...",
    r"what is no\b": "which is not",
    r"at most \S+ (are|is) taken": "the maximum is ...",
    r"Take no public": "Do not allocate a floating IP.",
    r"becomes of|has become of": "keep or remove, the outcome",
    r"Ask nothing|Decide by rules alone": "Do not prompt. Use only the built-in rules.",
    r"Once more to end": "Press Ctrl-C again to quit immediately.",
    r"torn down, or is\b": "has been, or is being, torn down",
    r"begins several": "is ambiguous",
    r"only the cloud knows": "outcome unknown",
    r"a URL that is read": "unsupported URL",
    r"no login proved": "SSH login not verified",
    r"gives up in": "timeout",
    r"Reserve this\?": "Reserve X for N h, at most N SU?",
    r"nothing was made": "nothing was reserved or created",
    r"exists now, charged": "still running",
    r"near names": "did you mean",
    r"lost, doubled": "lost, duplicated or leaked",
    r"answers what\b|answered what\b": "returned invalid ...",
    r"gpu memory gb|gpu_optional yes": "GPU memory 24 GB, GPU optional",
    r"Not a URL\b": "unsupported URL",
    r"which it knows|nobody is there to answer": "say who or what",
}
GIVEN_UP = {rf"\b(?:{words})\b": plain for words, plain in HOUSE_WORDS.items()} | SENTENCES
ANY = re.compile("|".join(f"(?:{pattern})" for pattern in GIVEN_UP))


def passages(path: Path) -> Iterator[tuple[int, str]]:
    """Yield what is prose in a file, with its line: string literals and comments of Python, all of a document."""
    text = path.read_text("utf-8")
    if path.suffix != ".py":
        yield 1, text
        return
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in (tokenize.STRING, tokenize.COMMENT, getattr(tokenize, "FSTRING_MIDDLE", -1)):
            yield token.start[0], re.sub(r"\{[^{}]*\}", lambda code: "_" * len(code[0]), token.string)


def found(path: Path) -> Iterator[str]:
    for line, text in passages(path):
        flat = re.sub(r"\n *#? *", lambda gap: " " * len(gap[0]), text)
        for match in ANY.finditer(flat):
            at = line + text.count("\n", 0, match.start())
            around = flat[max(0, match.start() - 30) : match.end() + 20]
            yield f"{path.relative_to(ROOT)}:{at}: {' '.join(around.split())}"


def product() -> list[Path]:
    paths = [one for folder in ("envagent", "steps", "migrations") for one in sorted((ROOT / folder).rglob("*.py"))]
    left_out = ("envagent/steps/", "envagent/migrations/")  # links first
    return [one for one in paths if not one.relative_to(ROOT).as_posix().startswith(left_out)]


def test_the_product_is_written_in_plain_english() -> None:
    assert [one for path in product() for one in found(path)] == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_a_document_is_written_in_plain_english(path: Path) -> None:
    assert list(found(path)) == []
