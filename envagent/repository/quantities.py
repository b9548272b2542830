"""Parse numbers with units, as people write them.

Owns: gigabytes out of `64 GB`, `2 To`, `512MiB`, `1.5TB`, `64Gi`. Must not: know what they measure.
"""

from __future__ import annotations

import re

QUANTITY = re.compile(
    r"(?:(?<![\w.$€#/-])|(?<=\dx))(?P<number>\d{1,3}(?:,\d{3})+|\d{1,5}(?:[.,]\d{1,2})?)(?:\s?-?|\+ ?)"
    r"(?P<unit>[kmgtp]i?(?:[bo]|(?-i:Bs))|[mgt]|gigabytes?|gigs?|terabytes?|megabytes?)(?![\w])",
    re.IGNORECASE,
)
_SCALE = {"k": 1 / 1024 / 1024, "m": 1 / 1024, "g": 1.0, "t": 1000.0, "p": 1_000_000.0}


def to_gigabytes(number: str, unit: str) -> float:
    """Convert a number and its unit to GB; decimal and binary units count the same."""
    number = number.replace(",", "") if re.fullmatch(r"\d{1,3}(,\d{3})+", number) else number.replace(",", ".")
    return float(number) * _SCALE[unit[0].lower()]


def gigabytes(text: str) -> float | None:
    """Return the first quantity in the text, in GB."""
    found = QUANTITY.search(text)
    return to_gigabytes(found["number"], found["unit"]) if found else None


_BYTES = re.compile(r"(\d{1,15}(?:\.\d{1,3})?(?:e\d{1,2})?)\s?([kmgtp]?)i?(?:b|bytes)?", re.IGNORECASE)


def byte_size(value: object) -> float | None:
    """Return a size as container tools write it, in GB: `64Gi`, `512m`, `16gb`; a bare number is in bytes."""
    found = _BYTES.fullmatch(str(value).strip().rstrip("+"))
    if found is None or isinstance(value, bool):
        return None
    return float(found[1]) * _SCALE[found[2].lower()] if found[2] else float(found[1]) / (1 << 30)
