"""Small PDFs, written by hand: what a test needs of one, and nothing that a library would put right."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Sequence
from typing import NamedTuple

FONTS = {"plain": "Times-Roman", "bold": "Times-Bold", "code": "Courier"}


class Run(NamedTuple):
    """Characters at a place, from the left and from the bottom of a page."""

    text: str
    x: float = 60
    y: float = 700
    font: str = "plain"
    size: float = 10


def pdf(*pages: Sequence[Run], extra: Sequence[bytes] = ()) -> bytes:
    """Return a PDF of these pages; `extra` are further objects."""
    fonts = {name: 3 + number for number, name in enumerate(FONTS)}
    first = 3 + len(fonts)
    kids = _references(range(first, first + 2 * len(pages), 2))
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        f"<< /Type /Pages /Count {len(pages)} /Kids [{kids}] >>".encode(),
        *(f"<< /Type /Font /Subtype /Type1 /BaseFont /{FONTS[name]} >>".encode() for name in fonts),
    ]
    used = " ".join(f"/{name} {number} 0 R" for name, number in fonts.items())
    for page in pages:
        content = len(objects) + 2
        objects.append(
            f"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents {content} 0 R "
            f"/Resources << /Font << {used} >> >> >>".encode()
        )
        objects.append(stream(_content(page)))
    return assembled([*objects, *extra])


def lines(*texts: str, x: float = 60, top: float = 700, font: str = "plain", size: float = 10) -> list[Run]:
    """Return lines below each other."""
    return [Run(text, x, top - 12 * number, font, size) for number, text in enumerate(texts)]


def stream(content: bytes, *, filters: int = 1) -> bytes:
    """Return a stream object, compressed once or several times."""
    for _ in range(filters):
        content = zlib.compress(content, 9)
    names = "/FlateDecode " * filters
    return f"<< /Length {len(content)} /Filter [{names}] >>\nstream\n".encode() + content + b"\nendstream"


def assembled(objects: Iterable[bytes], root: str = "1 0 R") -> bytes:
    """Return a file of these objects, numbered from 1."""
    out = bytearray(b"%PDF-1.7\n")
    places = []
    for number, one in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n".encode() + one + b"\nendobj\n"
    start = len(out)
    out += f"xref\n0 {len(places) + 1}\n0000000000 65535 f \n".encode()
    out += b"".join(f"{place:010} 00000 n \n".encode() for place in places)
    out += f"trailer\n<< /Size {len(places) + 1} /Root {root} >>\nstartxref\n{start}\n%%EOF\n".encode()
    return bytes(out)


def _references(numbers: Iterable[int]) -> str:
    return " ".join(f"{number} 0 R" for number in numbers)


def _content(page: Sequence[Run]) -> bytes:
    out = []
    for run in page:
        text = run.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        out.append(f"BT /{run.font} {run.size} Tf 1 0 0 1 {run.x} {run.y} Tm ({text}) Tj ET")
    return "\n".join(out).encode("latin-1")
