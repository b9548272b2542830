"""A bounded part of every sweep in one process: what each commit must pass.

    python -m tests.crash.bounded [--seed 1] [--only late] [--workers 3]

The points are drawn by the seed, so a failure is repeated with the same command.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import replace
from functools import partial

from tests.crash import crash, faults, hands, journal, late, lost, secrets, stops, sweep
from tests.crash.sweep import Options, Outcome

Part = Callable[[Options], list[Outcome]]
"""Tries the part of a sweep that the options' seed draws."""


def _of(attempt: Part, sample: int, rounds: int | None = None) -> Part:
    return lambda options: attempt(replace(options, only="", sample=sample, rounds=rounds))


def _few_hands(options: Options) -> list[Outcome]:
    seed = options.seed
    rounds = [hands.Round(seed, hands=2), hands.Round(seed + 1, hands=8), hands.Round(seed + 2, runs=5)]
    return sweep.run(rounds, hands.try_round, replace(options, only=""), speed=hands.SPEED)


PARTS: dict[str, Part] = {
    "crash": _of(partial(crash.attempt, pairs=2), 12),
    "faults": _of(faults.attempt, 14),
    "late": _of(late.attempt, 5),
    "hands": _few_hands,
    "stops": _of(stops.attempt, 6),
    "lost": _of(lost.attempt, 8),
    "journal": _of(journal.attempt, 6, rounds=40),
    "secrets": _of(secrets.attempt, 5),
}


def main(options: Options) -> int:
    """Try the parts and print each one's counts."""
    chosen = {name: part for name, part in PARTS.items() if options.only in name}
    if not chosen:
        sys.exit(f"no part is named like {options.only}; there are {', '.join(PARTS)}")
    codes = []
    for name, part in chosen.items():
        began = time.monotonic()
        codes.append(sweep.report(name, part(options), began))
        sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(Options.read("bounded")))
