"""Measure how often the analyser's rules are right, on labelled repositories.

    python bench/accuracy.py CORPUS                    a folder of <slug>/{files/,listing.txt,label.json}
    python bench/accuracy.py CORPUS --write out.jsonl  also write the predictions, one object a line
    python bench/accuracy.py --own CLONES              the project's own labels, on clones named owner+name

The analyser never sees a label; it is read after the prediction. Scores are means of: F1 of
gpu_required and cuda_required, share of acceptable python_version and os_version, share of ram_gb and gpu_memory_gb
within [documented minimum, four times it].
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from envagent.repository.analyzer import analyze
from envagent.repository.choose import choose
from envagent.repository.conversion import convert
from envagent.repository.decoding import decode
from envagent.repository.fetch import Limits, fetch
from envagent.repository.markup import Unreadable
from envagent.repository.results import Analysis, Entry, Snapshot

FIXTURES = Path(__file__).parents[1] / "tests" / "fixtures" / "corpus"


def load_case(case: Path) -> Snapshot:
    """Load a stored case: its listing with sizes, and the files that were kept, a PDF by its text as a run reads it."""
    entries = []
    listing = case / "listing.txt"
    for line in listing.read_text(encoding="utf-8", errors="replace").splitlines() if listing.exists() else []:
        size, _, path = line.partition("\t")
        entries.append(Entry(path=path, size=int(size) if size.isdigit() else None))
    files: dict[str, str] = {}
    pages: dict[str, tuple[int, ...]] = {}
    root = case / "files"
    for stored in sorted(root.rglob("*")) if root.exists() else []:
        path = stored.relative_to(root).as_posix()
        if not stored.is_file():
            continue
        if stored.suffix.lower() == ".pdf":
            with suppress(Unreadable):
                files[path], pages[path], _ = convert(stored.read_bytes(), "pdf")
        elif (text := decode(stored.read_bytes())) is not None:
            files[path] = text
    return Snapshot(url=case.name, commit=None, entries=tuple(entries), files=files, pages=pages)


def load_as_fetched(case: Path) -> Snapshot:
    """Load a stored repository as a run reads it: the files worth reading, in their order, each up to the limit."""
    whole = load_case(case)
    chosen = [entry.path for entry in choose(whole.entries) if entry.path in whole.files]
    return whole.model_copy(update={"files": {path: whole.files[path][: Limits.file_bytes] for path in chosen}})


@dataclass
class Score:
    """Counts behind one group of cases."""

    confusion: dict[str, list[int]] = field(
        default_factory=lambda: {"gpu_required": [0, 0, 0], "cuda_required": [0, 0, 0]}
    )
    hits: dict[str, list[int]] = field(
        default_factory=lambda: {k: [0, 0] for k in ("python_version", "os_version", "ram_gb", "gpu_memory_gb")}
    )
    misses: list[str] = field(default_factory=list)
    slowest: float = 0.0
    cases: int = 0

    def add(self, slug: str, got: dict[str, Any], label: dict[str, Any]) -> None:
        """Compare one prediction."""
        self.cases += 1
        skipped = set(label.get("ambiguous") or [])
        for name, counts in self.confusion.items():
            if name not in skipped:
                want, have = bool(label[name]), bool(got[name])
                counts[0] += want and have
                counts[1] += have and not want
                counts[2] += want and not have
                self._note(slug, name, have, want, want == have)
        accepted = label.get("python_version")
        if accepted and "python_version" not in skipped:
            self._hit(slug, "python_version", got, accepted["ok"], got["python_version"] in accepted["ok"])
        if (accepted := label.get("os_versions_ok")) and "os_version" not in skipped:
            self._hit(slug, "os_version", got, accepted, got["os_version"] in accepted)
        for name, least in (("ram_gb", "ram_gb_min"), ("gpu_memory_gb", "gpu_memory_gb_min")):
            minimum = label.get(least)
            if minimum is not None and name not in skipped:
                most = max(4 * minimum, (label.get("ram_gb_max_sensible") or 0) if name == "ram_gb" else 0)
                self._hit(slug, name, got, [minimum, most], got[name] is not None and minimum <= got[name] <= most)

    def _hit(self, slug: str, name: str, got: dict[str, Any], want: object, right: bool) -> None:
        self.hits[name][1] += 1
        self.hits[name][0] += right
        self._note(slug, name, got[name], want, right)

    def _note(self, slug: str, name: str, have: object, want: object, right: bool) -> None:
        if not right:
            self.misses.append(f"  {name:15} {slug:28} got {have!r:10} want {want}")

    def print(self, title: str) -> None:
        """Print a line per metric, then the misses."""
        print(f"{title}: {self.cases} cases, slowest {self.slowest:.2f} s")
        parts = []
        for name, (both, extra, missed) in self.confusion.items():
            if both + extra + missed:
                parts.append(2 * both / (2 * both + extra + missed))
                print(f"  {name:15} F1 {parts[-1]:.3f}  ({both} right, {extra} too many, {missed} missed)")
        for name, (right, total) in self.hits.items():
            if total:
                parts.append(right / total)
                print(f"  {name:15}    {right / total:.3f}  ({right}/{total})")
        print(f"  {'OVERALL':15}    {sum(parts) / len(parts) if parts else 0:.3f}")
        print("\n".join(sorted(self.misses)))


def _stored(corpus: Path) -> Iterator[tuple[str, Snapshot, dict[str, Any]]]:
    for case in sorted(p for p in corpus.iterdir() if (p / "label.json").is_file()):
        yield case.name, load_case(case), json.loads((case / "label.json").read_text(encoding="utf-8"))


def _labels() -> list[dict[str, Any]]:
    cases: list[dict[str, Any]] = json.loads((FIXTURES / "own.json").read_text(encoding="utf-8"))["cases"]
    return cases


def _cloned(clones: Path, turn: int) -> Iterator[tuple[str, Snapshot, dict[str, Any]]]:
    for label in _labels():
        if label["round"] != turn:
            continue
        folder = clones / label["repo"].replace("/", "+")
        folder = folder / "repo" if (folder / "repo").exists() else folder
        if folder.exists():
            yield label["slug"], fetch(str(folder), ref=label["commit"]), label
        else:
            print(f"  missing: {label['repo']} at {label['commit'][:12]}", file=sys.stderr)


def main() -> None:
    """Score and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("corpus", type=Path, nargs="?")
    parser.add_argument("--write", type=Path)
    parser.add_argument("--own", type=Path, metavar="CLONES")
    options = parser.parse_args()
    groups = []
    if options.corpus:
        groups.append((str(options.corpus), _stored(options.corpus)))
    if options.own:
        groups += [
            (f"own repositories, round {turn}", _cloned(options.own, turn))
            for turn in sorted({label["round"] for label in _labels()})
        ]
    written = []
    for title, cases in groups:
        score = Score()
        for slug, snapshot, label in cases:
            started = time.perf_counter()
            analysis: Analysis = analyze(snapshot)
            score.slowest = max(score.slowest, time.perf_counter() - started)
            requirements = analysis.requirements.model_dump(mode="json")
            written.append(json.dumps({"slug": slug, "requirements": requirements}))
            score.add(slug, requirements, label)
        score.print(title)
    if options.write:
        options.write.write_text("\n".join(written) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
