"""Compose regular expressions from lists of phrases, one idea per line.

Every pattern runs over untrusted text, so alternatives avoid nested repetition, and gaps between words are bounded.
"""

from __future__ import annotations

import re


def any_of(*alternatives: str) -> re.Pattern[str]:
    """Compile a case-insensitive pattern that matches any of the alternatives."""
    return re.compile("|".join(alternatives), re.IGNORECASE)
