"""Parse sizes as container tools write them.

Owns: gigabytes out of `64Gi`, `512m`, `16gb`. Must not: know what they measure; prose has its own numbers.
"""

from __future__ import annotations

import re

_BYTES = re.compile(r"(\d{1,15}(?:\.\d{1,3})?(?:e\d{1,2})?)\s?([kmgtp]?)i?(?:b|bytes)?", re.IGNORECASE)
_SCALE = {"k": 1 / 1024 / 1024, "m": 1 / 1024, "g": 1.0, "t": 1000.0, "p": 1_000_000.0}


def byte_size(value: object) -> float | None:
    """Return a size as container tools write it, in GB: `64Gi`, `512m`, `16gb`; a bare number is in bytes."""
    found = _BYTES.fullmatch(str(value).strip().rstrip("+"))
    if found is None or isinstance(value, bool):
        return None
    return float(found[1]) * _SCALE[found[2].lower()] if found[2] else float(found[1]) / (1 << 30)
