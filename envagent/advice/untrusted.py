"""Make untrusted text fit for a prompt or a terminal: no invisible characters, no secrets, bounded length.

Cleaning makes text harmless to display and hard to hide things in; it does not make it true. What the text asks for is
limited by `envagent.advice.bounds`.
"""

from __future__ import annotations

import re
import unicodedata

_KEPT = frozenset("\n\t")
# Controls, formats (bidirectional, zero-width, tag characters), surrogates, private use, unassigned.
_DROPPED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn"})

_SECRETS: tuple[tuple[re.Pattern[str], str], ...] = (
    (re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*PRIVATE KEY-----|\Z)", re.DOTALL), ""),
    (re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"), ""),
    (re.compile(r"\b(?:gh[pousr]_|github_pat_|glpat-|hf_|xox[abprs]-|sk-|pk_live_|rk_live_)[\w-]{16,}"), ""),
    (re.compile(r"\bAIza[\w-]{30,}"), ""),
    (re.compile(r"\beyJ[\w-]{10,}\.[\w-]{10,}\.[\w-]*"), ""),
    (re.compile(r"(\b[a-z][a-z0-9+.-]*://)[^\s/@:]+:[^\s/@]+@", re.IGNORECASE), r"\1"),
    (
        re.compile(
            r"(\b[\w-]*(?:password|passwd|secret|token|api[_-]?key|access[_-]?key|credential)[\w-]*[\"']?\s*[:=]\s*)"
            r"(?:\"[^\"\n]{6,}\"|'[^'\n]{6,}'|[^\s\"',;]{6,})",
            re.IGNORECASE,
        ),
        r"\1",
    ),
)
REDACTED = "[redacted]"


def clean(text: str) -> str:
    """Drop every control, bidirectional, zero-width and otherwise invisible character but newline and tab."""
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return "".join(c for c in text if c in _KEPT or unicodedata.category(c) not in _DROPPED)


def redact(text: str) -> str:
    """Replace what looks like a secret: keys, tokens, passwords, userinfo in URLs."""
    for pattern, kept in _SECRETS:
        text = pattern.sub(kept + REDACTED, text)
    return text


def one_line(text: str, limit: int = 400) -> str:
    """Return the text cleaned, redacted and on one line of at most `limit` characters."""
    line = redact(" ".join(clean(text).split()))
    return line if len(line) <= limit else line[: limit - 1] + "…"


def tokens(text: str) -> int:
    """Estimate a text's tokens generously, without a tokenizer: three bytes each."""
    return len(text.encode("utf-8", errors="replace")) // 3 + 1
