"""Regular expressions written as lists of phrases, one idea a line.

Owns: joining them. Every pattern here runs over strangers' text, so alternatives stay free of nested repetition and
gaps between words are bounded.
"""

from __future__ import annotations

import re


def any_of(*alternatives: str) -> re.Pattern[str]:
    """A case-insensitive pattern that matches any of the alternatives."""
    return re.compile("|".join(alternatives), re.IGNORECASE)
