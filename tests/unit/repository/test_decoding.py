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


CHINESE = "# 项目\n\n需要一块显存不小于二十四 GB 的 NVIDIA GPU，内存 64 GB。\n"
RUSSIAN = "# Проект\n\nТребуется 64 ГБ оперативной памяти и видеокарта NVIDIA.\n"


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        (CHINESE, "gb18030"),
        ("# 專案\n\n需要一張記憶體不小於二十四 GB 的顯示卡，主記憶體 64 GB。\n" * 3, "big5"),
        ("# ツール\n\nメモリは最低でも 64 GB、そして GPU が必要です。\n" * 3, "shift_jis"),
        (RUSSIAN, "cp1251"),
        (RUSSIAN, "koi8_r"),
    ],
)
def test_a_legacy_encoding_of_another_script_is_detected(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == text


@pytest.mark.parametrize(
    "text",
    ["Runs at 20°C with 5 µs latency on Ubuntu 20.04\n", "Copyright © 2020 André\n" + "It needs a GPU.\n" * 5000],
)
def test_a_few_accents_are_western(text: str) -> None:
    assert decode(text.encode("cp1252")) == text


def test_a_long_text_is_detected_from_its_beginning() -> None:
    text = CHINESE * 5000
    assert decode(text.encode("gb18030")) == text


def test_a_character_cut_in_the_middle_does_not_make_it_latin() -> None:
    assert (decode("日本語".encode()[:-1]) or "").startswith("日本")


@pytest.mark.parametrize(
    "data", [b"\x7fELF\x02\x01\x01" + b"\0" * 60, b"PK\x03\x04\x00\x01\x00", bytes(range(256)) * 4]
)
def test_binaries_are_no_text(data: bytes) -> None:
    assert decode(data) is None


def test_what_deceives_a_terminal_is_left_out_and_lines_stay() -> None:
    assert decode("a\x1b[31mb\u202ec\u200bd\n\ne".encode()) == "a[31mbcd\n\ne"
