"""Nothing that a stranger chose acts on a terminal."""

from __future__ import annotations

import unicodedata

import pytest

from envagent.cli.render.terminal import printable


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("plain", "plain"),
        ("ünïcode 東京 ✓ 🚀", "ünïcode 東京 ✓ 🚀"),
        ("[bold]no markup[/bold] :smile:", "[bold]no markup[/bold] :smile:"),
        ("\x1b[31mred\x1b[0m", "\\x1b[31mred\\x1b[0m"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("\x1b]8;;https://evil\x1b\\link\x1b]8;;\x1b\\", "\\x1b]8;;https://evil\\x1b\\link\\x1b]8;;\\x1b\\"),
        ("\x9b31m", "\\x9b31m"),
        ("\x7f\x00\x08", "\\x7f\\x00\\x08"),
        ("one\ntwo\r\nthree\tfour", "one two  three four"),
        ("user\u202eexe.txt", "user\\u202eexe.txt"),
        ("zero\u200bwidth\ufeff", "zero\\u200bwidth\\ufeff"),
        ("isolate\u2066x\u2069", "isolate\\u2066x\\u2069"),
        ("line\u2028paragraph\u2029", "line\\u2028paragraph\\u2029"),
        ("tag\U000e0041", "tag\\U000e0041"),
        ("private\ue000", "private\\ue000"),
        ("lone\udc80surrogate", "lone\\udc80surrogate"),
    ],
)
def test_what_could_act_is_shown_as_its_escape(raw: str, shown: str) -> None:
    assert printable(raw) == shown


def test_no_character_of_unicode_acts() -> None:
    for start in range(0, 0x110000, 0x1000):
        shown = printable("".join(map(chr, range(start, start + 0x1000))), limit=0x1000)
        assert not {unicodedata.category(one) for one in shown} & {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"}


def test_a_page_is_no_message() -> None:
    shown = printable("x" * 100_000)
    assert len(shown) == 2000
    assert shown.endswith("…")
