"""A bounded part of every sweep in one process: what each commit must pass.

    python -m tests.crash.bounded [--seed 1] [--only late]

The points are drawn by the seed, so a failure is repeated with the same command.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable

from tests.crash import crash, faults, hands, journal, late, lost, secrets, stops, sweep
from tests.crash.sweep import Options, Outcome

Part = Callable[[int], list[Outcome]]
"""Tries the part of a sweep that a seed draws."""


def _of(attempt: Callable[[Options], list[Outcome]], sample: int, rounds: int | None = None) -> Part:
    return lambda seed: attempt(Options(seed=seed, sample=sample, rounds=rounds))


def _few_hands(seed: int) -> list[Outcome]:
    rounds = [hands.Round(seed, hands=2), hands.Round(seed + 1, hands=8), hands.Round(seed + 2, runs=5)]
    return sweep.run(rounds, hands.try_round, Options(), speed=hands.SPEED)


PARTS: dict[str, Part] = {
    "crash": lambda seed: crash.attempt(Options(seed=seed, sample=12), pairs=2),
    "faults": _of(faults.attempt, 14),
    "late": _of(late.attempt, 5),
    "hands": _few_hands,
    "stops": _of(stops.attempt, 6),
    "lost": _of(lost.attempt, 8),
    "journal": _of(journal.attempt, 6, rounds=40),
    "secrets": _of(secrets.attempt, 5),
}


def main(options: Options) -> int:
    """Try the parts; print each one's counts between lines that name it and its exit code."""
    codes = []
    for name, part in PARTS.items():
        if options.only in name:
            began = time.monotonic()
            sys.stdout.write(f"== {name} ==\n")
            codes.append(sweep.report(name, part(options.seed), began))
            sys.stdout.write(f"exit code {codes[-1]}\n")
            sys.stdout.flush()
    return max(codes)


if __name__ == "__main__":
    sys.exit(main(Options.read("bounded")))
