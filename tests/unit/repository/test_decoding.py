from __future__ import annotations

import pytest

from envagent.repository.decoding import decode


@pytest.mark.parametrize(
    "data",
    [
        "Mémoire: 64 Go\n".encode(),
        "Mémoire: 64 Go\n".encode("utf-8-sig"),
        "Mémoire: 64 Go\n".encode("latin-1"),
        "Mémoire: 64 Go\n".encode("utf-16"),
        "Mémoire: 64 Go\n".encode("utf-16-le"),
        "Mémoire: 64 Go\n".encode("utf-16-be"),
        "Mémoire: 64 Go\n".encode("utf-32"),
        "Mémoire: 64 Go\r\n".encode(),
    ],
)
def test_every_usual_encoding_is_read(data: bytes) -> None:
    assert decode(data) == "Mémoire: 64 Go\n"


def test_a_character_cut_in_the_middle_does_not_make_it_latin() -> None:
    assert (decode("日本語".encode()[:-1]) or "").startswith("日本")


@pytest.mark.parametrize(
    "data", [b"\x7fELF\x02\x01\x01" + b"\0" * 60, b"PK\x03\x04\x00\x01\x00", bytes(range(256)) * 4]
)
def test_binaries_are_no_text(data: bytes) -> None:
    assert decode(data) is None


def test_what_deceives_a_terminal_is_left_out_and_lines_stay() -> None:
    assert decode("a\x1b[31mb\u202ec\u200bd\n\ne".encode()) == "a[31mbcd\n\ne"
