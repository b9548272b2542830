"""Select what of a repository to send to an AI, most relevant first, within a token budget."""

from __future__ import annotations

import re

from envagent.advice.untrusted import clean, redact, tokens
from envagent.repository.results import Analysis, Snapshot

_HARDWARE = re.compile(
    r"\b(?:gpus?|cuda|rocm|vram|[gt]i?b (?:of )?(?:ram|memory|disk|storage)|ram|memory|cores?|cpus?|disk|ubuntu"
    r"|centos|nvidia|amd|a100|h100|v100|infiniband|rdma|fpga|nvme|hardware|requirements?|prerequisites)\b",
    re.IGNORECASE,
)
# Kinds of files by name, most relevant first; all others come last.
_KINDS: tuple[re.Pattern[str], ...] = tuple(
    re.compile(pattern, re.IGNORECASE)
    for pattern in (
        r"(?:^|/)(?:requirements[^/]*\.(?:txt|in)|pyproject\.toml|environment[^/]*\.ya?ml|setup\.(?:py|cfg)|pipfile)$",
        r"(?:^|/)(?:dockerfile[^/]*|[^/]*\.dockerfile|docker-compose[^/]*|devcontainer\.json)$",
        r"^readme[^/]*$",
        r"(?:^|/)(?:install[^/]*|readme[^/]*|hardware[^/]*)$",
        r"(?:^|/)(?:cmakelists\.txt|go\.mod|cargo\.toml|package\.json|pom\.xml|makefile)$",
    )
)
_README = 2
"""The rank of the main readme, and of the documents that the user gives."""
_PER_FILE_TOKENS = 2500


def brief(snapshot: Snapshot, analysis: Analysis, budget: int) -> str:
    """Return the rules' evidence, then the relevant parts of the files, at most `budget` tokens.

    Cleaned and with secrets redacted, but still untrusted.
    """
    parts: list[str] = []
    left = budget
    quotes = [
        f"{e.path}:{e.line or '?'}: {e.field} = {e.value}: {e.quote}"
        for e in sorted(analysis.evidence, key=lambda e: ("high", "medium", "low").index(e.confidence))
    ]
    for part in ["\n".join(quotes), *_files(snapshot)]:
        text = redact(clean(part)).strip()
        if not text or left <= 0:
            continue
        if tokens(text) > left:
            text = text.encode()[: left * 3 - 3].decode(errors="ignore")
        parts.append(text)
        left -= tokens(text) + 2
    return "\n\n".join(parts)


def _files(snapshot: Snapshot) -> list[str]:
    def order(path: str) -> tuple[int, int, int, str]:
        kind = next((i for i, pattern in enumerate(_KINDS) if pattern.search(path)), len(_KINDS))
        return kind, path.count("/"), len(path), path

    given = [(_README, 0, 0, f"{one.name} (given by the user)", one.text) for one in snapshot.also]
    found = [(*order(path), text) for path, text in snapshot.files.items()]
    return [f"=== {one[3]} ===\n{_relevant(one[4])}" for one in sorted([*given, *found], key=lambda one: one[:4])]


def _relevant(text: str) -> str:
    """Return a small file whole; of a large one the beginning, and the lines around hardware words."""
    if tokens(text) <= _PER_FILE_TOKENS:
        return text
    lines = text.splitlines()
    head = text[:_PER_FILE_TOKENS]
    around: dict[int, None] = {}
    for number, line in enumerate(lines):
        if _HARDWARE.search(line):
            around.update(dict.fromkeys(range(max(number - 1, 0), min(number + 2, len(lines)))))
    rest = "\n".join(lines[n][:300] for n in around)
    return f"{head}\n[...]\n{rest}"[: _PER_FILE_TOKENS * 3]
