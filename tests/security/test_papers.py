"""Hostile documents: reading one ends soon, in a process of its own, and takes nothing else down."""

from __future__ import annotations

import resource
import time
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest

from envagent.repository.conversion import Kind, convert
from envagent.repository.fetch import fetch
from envagent.repository.git import Cancelled
from envagent.repository.markup import Unreadable
from tests.kit.git import make_repository
from tests.kit.pdf import assembled, lines, pdf, stream

SECONDS = 5.0
PAGE = b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << >> >>"
CATALOG = b"<< /Type /Catalog /Pages 2 0 R >>"


def one_page(content: bytes, *more: bytes, page: bytes = PAGE) -> bytes:
    return assembled([CATALOG, b"<< /Type /Pages /Count 1 /Kids [3 0 R] >>", page, content, *more])


def bomb() -> bytes:
    """A stream of 2 GB that takes 9 KB, compressed twice."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(bytes(1 << 20)) + packer.flush(zlib.Z_FULL_FLUSH)  # stands alone, so it can be repeated
    checksum = (((2048 << 20) % 65521) << 16 | 1).to_bytes(4, "big")
    twice = zlib.compress(b"\x78\xda" + piece * 2048 + b"\x03\x00" + checksum, 9)
    return f"<< /Length {len(twice)} /Filter [/FlateDecode /FlateDecode] >>\nstream\n".encode() + twice + b"\nendstream"


def forms() -> bytes:
    """A picture that draws another one ten times, which does the same, and so on: a billion in all."""
    page = PAGE.replace(b"/Resources << >>", b"/Resources << /XObject << /F 5 0 R >> >>")
    drawn = [
        stream(b"/F Do " * 10).replace(
            b"<< ",
            f"<< /Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /F {n} 0 R >> >> ".encode(),
            1,
        )
        for n in range(6, 15)
    ]
    return one_page(stream(b"/F Do"), *drawn, stream(b"(x) Tj"), page=page)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "decompression bomb": lambda: one_page(bomb()),
    "deeply nested arrays": lambda: one_page(stream(b"[" * 200_000)),
    "deeply nested dictionaries": lambda: assembled([CATALOG, b"<< /A " * 50_000]),
    "pages that contain themselves": lambda: assembled([CATALOG, b"<< /Type /Pages /Count 1 /Kids [2 0 R] >>"]),
    "pages that contain each other": lambda: assembled(
        [CATALOG, b"<< /Type /Pages /Kids [3 0 R 3 0 R] >>", b"<< /Type /Pages /Kids [2 0 R 2 0 R] >>"]
    ),
    "a billion pages": lambda: assembled([CATALOG, b"<< /Type /Pages /Count 1000000000 /Kids [3 0 R] >>", PAGE]),
    "a picture that draws itself": lambda: one_page(
        stream(b"/F Do"),
        stream(b"/F Do").replace(b"<< ", b"<< /Subtype /Form /Resources << /XObject << /F 5 0 R >> >> ", 1),
        page=PAGE.replace(b"/Resources << >>", b"/Resources << /XObject << /F 5 0 R >> >>"),
    ),
    "a billion pictures": forms,
    "a table of contents that leads to itself": lambda: pdf(lines("x")).replace(b"trailer\n<<", b"trailer\n<< /Prev 9"),
    "an object that is itself": lambda: assembled([CATALOG, b"2 0 R"]),
    "a million operators": lambda: one_page(stream(b"BT (x) Tj ET\n" * 1_000_000)),
    "a length that lies": lambda: one_page(b"<< /Length 9999999999 >>\nstream\nBT ET\nendstream"),
}


def outcome(data: bytes, kind: Kind = "pdf") -> str:
    try:
        return convert(data, kind, seconds=SECONDS).text
    except Unreadable as problem:
        return f"it {problem}"


@pytest.mark.parametrize("build", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_pdf_ends_soon_and_stays_small(build: Callable[[], bytes]) -> None:
    data = build()
    assert len(data) < 1 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Of children of any test so far; one that is started with vfork is said to be as large as its parent ever was.
    largest = max(before, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
    began = time.monotonic()
    assert len(outcome(data)) < 500_000
    assert time.monotonic() - began < SECONDS + 3
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 100 << 10
    assert resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss <= max(largest, 1 << 20)


PART = b"--x\r\nContent-Type: multipart/mixed\r\n\r\n"


OTHERS: dict[str, tuple[Kind, bytes]] = {
    "nested html": ("html", b"<div>" * 300_000),
    "nested lists": ("html", b"<ul>" * 300_000 + b"<li>x" * 1000),
    "opened tags": ("html", b"<" * 2_000_000),
    "declarations": ("html", b"<!" * 1_000_000),
    "attributes": ("html", b"<a " + b'x="' * 600_000),
    "nested notebook": ("notebook", b'{"cells": ' + b"[" * 500_000),
    "odd notebook": ("notebook", b'{"cells": [1, null, "x"]}'),
    "nested parts": ("email", b"Content-Type: multipart/mixed; boundary=x\r\n\r\n" + PART * 9000),
    "encoded subject": ("email", b"Subject: " + b"=?utf-8?b?" * 100_000 + b"\r\n\r\nx"),
}
EVERYDAY = ("attributes", "nested notebook", "odd notebook", "nested parts")
"""Those of the default suite; the others, which take seconds each, are a sweep of which CI runs all."""


@pytest.mark.parametrize("name", EVERYDAY)
def test_other_hostile_documents_end_soon(name: str) -> None:
    ends_soon(*OTHERS[name])


@pytest.mark.sweep(points=lambda plan: [name for name in OTHERS if name not in EVERYDAY], bounded=len(OTHERS))
def test_slow_hostile_documents_end_soon(point: str) -> None:
    ends_soon(*OTHERS[point])


def ends_soon(kind: Kind, data: bytes) -> None:
    began = time.monotonic()
    assert len(outcome(data, kind)) < 2_500_000
    assert time.monotonic() - began < SECONDS + 3


def test_a_hostile_paper_in_a_repository_is_one_note(tmp_path: Path) -> None:
    files: dict[str, str | bytes] = {"README.md": "# it\n", "appendix.pdf": HOSTILE["pages that contain themselves"]()}
    snapshot = fetch(str(make_repository(tmp_path / "it", files)))
    assert set(snapshot.files) == {"README.md"}
    assert len([note for note in snapshot.notes if note.startswith("appendix.pdf: skipped")]) == 1


def test_reading_stops_when_asked() -> None:
    began = time.monotonic()
    with pytest.raises(Cancelled):
        convert(one_page(stream(b"BT (x) Tj ET\n" * 1_000_000)), "pdf", cancelled=lambda: True)
    assert time.monotonic() - began < 3


def test_a_module_of_the_current_folder_is_not_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("pypdf", "json", "resource", "envagent"):
        (tmp_path / f"{name}.py").write_text("open('ran', 'w').close()\n")
    monkeypatch.chdir(tmp_path)
    assert convert(pdf(lines("It needs 16 GB of RAM.")), "pdf").text == "It needs 16 GB of RAM.\n"
    assert not (tmp_path / "ran").exists()
