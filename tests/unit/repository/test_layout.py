"""Printed lines become Markdown in which headings stand alone and sentences are whole."""

from __future__ import annotations

from dataclasses import replace

import pytest

from envagent.repository.layout import Line, to_markdown

FULL = "The words of this line fill the column from left to right and"


def text(*texts: str, x: float = 50, top: float = 700, page: int = 1, size: float = 10, step: float = 12) -> list[Line]:
    return [Line(one, page, x, top - step * number, size) for number, one in enumerate(texts)]


def bold(line: Line) -> Line:
    return replace(line, bold=1.0, lead=len(line.text))


def code(line: Line) -> Line:
    return replace(line, mono=1.0)


def markdown(*lines: Line) -> list[str]:
    return [line for line in to_markdown(lines)[0].split("\n") if line]


BODY = text(FULL, "more of the same text until it ends here with a full stop.", top=100)


@pytest.mark.parametrize(
    ("first", "second", "joined"),
    [
        ("it was cus-", "tomized", "it was customized"),
        ("a GPU-", "based one", "a GPU-based one"),
        ("on x86-", "64 machines", "on x86-64 machines"),
        ("needs multi-", "GPU nodes", "needs multi-GPU nodes"),
        ("a cache-", "based one", "a cache-based one"),
        ("one multi-", "ple of it", "one multiple of it"),
        ("over low-", "latency links", "over low-latency links"),
        ("from https://example.org/a/", "tree/main today", "from https://example.org/a/tree/main today"),
        ("needs 64", "GB of RAM", "needs 64 GB of RAM"),
    ],
)
def test_what_was_divided_at_the_end_of_a_line_is_whole(first: str, second: str, joined: str) -> None:
    start = f"{FULL} {first}"
    assert markdown(*text(start, second, "and so on.")) == [f"{FULL} {joined} and so on."]


@pytest.mark.parametrize(("elsewhere", "whole"), [("side-channel", "side-channel"), ("sidechannel", "sidechannel")])
def test_a_divided_word_is_spelled_as_elsewhere_in_the_document(elsewhere: str, whole: str) -> None:
    found = markdown(*text(f"{FULL} a side-", f"channel and the {elsewhere} that we know."))
    assert found == [f"{FULL} a {whole} and the {elsewhere} that we know."]


def test_a_sentence_goes_on_in_the_next_column_and_on_the_next_page() -> None:
    left, right = text(f"{FULL} needs at", top=80), text("least 64 GB of RAM and a GPU that", x=320, top=700)
    over = text("has 24 GB of memory.", page=2)
    found, begins = to_markdown([*left, *right, *over])
    assert found == f"{FULL} needs at least 64 GB of RAM and a GPU that has 24 GB of memory.\n"
    assert begins == [1, 2]


def test_pages_begin_where_their_first_sentence_does() -> None:
    found, begins = to_markdown([*text("One sentence on the first page."), *text("Another on the second.", page=2)])
    assert [found.split("\n")[begin - 1] for begin in begins] == ["One sentence on the first page.", ""]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("A.2.3 Hardware dependencies", "#### Hardware dependencies"),
        ("A Artifact Appendix", "## Artifact Appendix"),
        ("1.3.2 Hardware dependencies", "#### Hardware dependencies"),
        ("3. Requirements", "## Requirements"),
        ("Hardware Requirements", "## Hardware Requirements"),
        ("Prerequisites:", "## Prerequisites"),
    ],
)
def test_a_bold_line_of_its_own_is_a_heading(heading: str, expected: str) -> None:
    first, rest = bold(text(heading, top=130)[0]), BODY
    assert markdown(*text("The text before it ends here."), first, *rest)[1:3] == [
        expected,
        f"{FULL} more of the same text until it ends here with a full stop.",
    ]


def test_numbered_headings_are_known_without_typefaces_and_numbers_in_text_are_not() -> None:
    found = markdown(*text("A.2.3 Hardware dependencies", FULL, "2.5 GB per process are enough for it."))
    assert found == ["#### Hardware dependencies", f"{FULL} 2.5 GB per process are enough for it."]


@pytest.mark.parametrize(
    ("line", "italic", "expected"),
    [
        ("IV. ARTIFACT DESCRIPTION", 0.0, ["## ARTIFACT DESCRIPTION"]),
        ("B. Hardware dependencies", 1.0, ["### Hardware dependencies"]),
        ("B. Hardware dependencies", 0.0, ["B. Hardware dependencies"]),
        ("A.2.3 Hardware dependencies. A GPU.", 0.0, ["#### Hardware dependencies", "A GPU."]),
    ],
)
def test_the_headings_of_other_publishers_are_known(line: str, italic: float, expected: list[str]) -> None:
    heading = replace(text(line, top=130)[0], italic=italic)
    assert (
        markdown(bold(text("Title", size=16)[0]), *text("Before it."), heading, *BODY)[2 : 2 + len(expected)]
        == expected
    )


def test_a_heading_of_two_lines_is_one() -> None:
    first, second = text("A.2.3 Hardware that is needed to reproduce all of our results", "in the paper", top=124)
    assert markdown(bold(first), bold(second), *BODY)[0] == (
        "#### Hardware that is needed to reproduce all of our results in the paper"
    )


@pytest.mark.parametrize(
    ("line", "lead", "heading", "rest"),
    [
        ("Hardware dependencies. None.", 22, "## Hardware dependencies", "None."),
        ("Hardware dependencies: A GPU.", 0, "## Hardware dependencies", "A GPU."),
        ("Hardware requirements To run it, 16 GB.", 21, "## Hardware requirements", "To run it, 16 GB."),
        ("Security, privacy, and ethical concerns. None.", 0, "## Security, privacy, and ethical concerns", "None."),
        ("Tool needs 16 GB.", 4, "", "Tool needs 16 GB."),
    ],
)
def test_a_heading_that_runs_into_its_paragraph_stands_alone(line: str, lead: int, heading: str, rest: str) -> None:
    found = markdown(*text("The paragraph before.", top=200), replace(text(line, top=170)[0], lead=lead))
    assert found[1:] == [one for one in (heading, rest) if one]


def test_bullets_stay_bullets_and_their_lines_are_joined() -> None:
    items = [
        *text("• RAM: 64 GB, of which the largest of the experiments takes", top=400),
        *text("nearly all", x=58, top=388),
        *text("• Disk: 1 TB", top=376),
        *text("– of it 200 GB for the data", x=62, top=364),
        *text("1. Start it", top=352),
        *text("(E1): Run it", top=340),
    ]
    assert markdown(*items) == [
        "- RAM: 64 GB, of which the largest of the experiments takes nearly all",
        "- Disk: 1 TB",
        "  - of it 200 GB for the data",
        "1. Start it",
        "- (E1): Run it",
    ]


def test_code_is_fenced_and_cannot_leave_its_fence() -> None:
    commands = map(code, text("pip install torch", "```", "# Requirements", top=640))
    assert markdown(*text("Run:"), *commands, *text("Then wait.", top=560)) == [
        *("Run:", "```", "pip install torch", "'''", "# Requirements", "```", "Then wait."),
    ]


def test_a_footnote_does_not_cut_the_sentence_around_it() -> None:
    note = text("1https://example.org/a", top=60, size=8)
    found = markdown(*text(f"{FULL} needs a", top=90), *note, *text("GPU with 24 GB of memory.", x=320))
    assert found == [f"{FULL} needs a GPU with 24 GB of memory.", "1https://example.org/a"]


def test_a_caption_does_not_cut_the_sentence_around_it() -> None:
    caption = text("Figure 1: The servers that we have used in all of the experiments of", "this work.", top=60)
    found = markdown(*text(f"{FULL} needs miti-", top=90), *caption, *text("gations and a GPU.", x=320))
    assert found == [
        f"{FULL} needs mitigations and a GPU.",
        "Figure 1: The servers that we have used in all of the experiments of this work.",
    ]


def test_page_numbers_and_running_heads_are_dropped() -> None:
    pages = [
        line
        for page, word in enumerate(("One", "Two", "Three", "Four"), 1)
        for line in (
            *text(f"Conference {page}", top=760, page=page),
            *text(f"{word}: {FULL}", f"{word.lower()} full stop.", page=page),
            *text(f"{page}", top=20, page=page),
        )
    ]
    found = "\n".join(markdown(*pages))
    assert "Conference" not in found and not any(line.isdigit() for line in found.split("\n"))
    assert found.count("full stop") == 4


@pytest.mark.parametrize(
    "printed", ["# not a heading", "| not | a | table |", "<!-- not a comment", "> not a quote", "``` not a fence"]
)
def test_printed_characters_are_no_markup(printed: str) -> None:
    (line,) = markdown(*text(printed))
    assert not line.startswith(("#", "|", "<", ">", "`"))


def test_the_time_is_linear() -> None:
    many = [line for page in range(1, 61) for line in text(*["- x-" * 20] * 100, page=page)]
    assert len(to_markdown(many)[0]) > 400_000
