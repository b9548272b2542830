"""Fit the weights of `repository/conclusions/weights.json` on labelled repositories, and score them honestly.

    python -m bench.fit CORPUS --own CLONES --authors LABELS     cross-validated and fitted scores
    python -m bench.fit CORPUS --own CLONES --authors LABELS --write     also write the weights, fitted on all

CORPUS is a folder of <slug>/{files/,listing.txt,label.json}; CLONES holds repositories as <owner>+<name>, each a
folder of that kind; LABELS is a file of lines with fields and stances as authors state them. The project's own labels
and phrases (tests/fixtures/corpus) are always used. Cross-validation is over whole repositories: each tenth is
concluded with weights that were fitted on the other nine.
"""

from __future__ import annotations

import argparse
import json
import math
import tomllib
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest.mock import patch

from sklearn.feature_extraction import DictVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import KFold

from bench.accuracy import FIXTURES, Score, load_as_fetched, load_case
from envagent.repository.analyzer import conclude, gather
from envagent.repository.conclusions import gpu, model, systems
from envagent.repository.facts import Facts, Said
from envagent.repository.languages import Survey
from envagent.repository.results import Entry, Snapshot

WEIGHTS = Path(model.__file__).with_name("weights.json")
FOLDS = 10
_SEED = 7
_LEAST_SEEN = 5
_LEAST_WEIGHT = 0.06
"""What weighs less tells nothing: without such features the cross-validated score is no lower."""
_PENALTY = {"vram": 0.05, "amount": 0.05, "gpu": 0.5, "special": 0.5, "system": 0.1}
"""The inverse strength of the penalty on large weights, by family."""
_OF_A_PHRASE = 2.0
_AMOUNTS = {
    "vram": "gpu_memory_gb_min",
    "ram": "ram_gb_min",
    "disk": "disk_gb_min",
    "cores": "cpu_cores_min",
    "gpus": "gpu_count_min",
}


@dataclass(frozen=True)
class Case:
    """A labelled repository, read into facts."""

    group: str
    slug: str
    snapshot: Snapshot
    facts: Facts
    survey: Survey
    label: dict[str, Any]


@dataclass(frozen=True)
class _Row:
    """One observation of a family: its features, whether it is a need, and how much it counts."""

    features: dict[str, float]
    need: bool
    weight: float = 1.0


def _rows(case: Case) -> Iterator[tuple[str, _Row]]:
    """Yield what a repository teaches, by family."""
    label, skipped = case.label, set(case.label.get("ambiguous") or [])
    if label.get("gpu_required") is not None and "gpu_required" not in skipped:
        said = gpu.mentioned(case.facts)
        weight = _OF_A_PHRASE if case.group == "phrases" else 1.0
        yield "gpu", _Row(gpu.gpu_features(gpu.signs_of(case.facts), said), bool(label["gpu_required"]), weight)
    for what, field in _AMOUNTS.items():
        if field not in skipped:
            found = [s for s in case.facts.said if s.subject == what]
            for one in found:
                yield (
                    ("vram" if what == "vram" else "amount"),
                    _Row(_held(one), _equals(one.value, label.get(field)), 1 / math.sqrt(len(found))),
                )
    accepted = label.get("os_versions_ok")
    found = [s for s in case.facts.said if s.subject in ("ubuntu", "kernel")]
    for one in found if "os_version" not in skipped else ():
        right = accepted is not None and isinstance(one.value, tuple) and bool(set(one.value) & set(accepted))
        yield "system", _Row(_held(one), right, 1 / math.sqrt(len(found)))
    if label.get("special") is not None and "special" not in skipped:
        for tag, said in systems.tagged(case.facts).items():
            if case.group == "phrases" or tag in (
                _TAG_OF_AUTHORS.values() if case.group == "authors" else _LABELLED_TAGS
            ):
                yield "special", _Row(systems.special_features(tag, said), tag in label["special"])


_LABELLED_TAGS = frozenset((
    "rdma", "infiniband", "mellanox", "dpdk", "fpga", "nvme", "optane", "zns", "pmem", "sgx", "hugepages", "kernel",
    "kernel-module", "kvm", "mpi", "gpudirect", "jetson", "docker",
))  # fmt: skip


_TAG_OF_AUTHORS = {
    "sgx": "sgx", "tdx": "tdx", "sev": "sev-snp", "fpga": "fpga", "rdma": "rdma", "smartnic": "smartnic",
    "nvme": "nvme", "pmem": "pmem", "intel_pt": "intel-pt", "usrp/sdr": "sdr", "phone/mobile": "phone",
}  # fmt: skip
"""The tag of each kind of hardware that labels of authors name."""


def _held(said: Said) -> dict[str, float]:
    return dict.fromkeys(said.features, 1.0)


def _equals(value: object, wanted: float | None) -> bool:
    return wanted is not None and isinstance(value, int | float) and abs(value - wanted) <= 0.06 * wanted


def fit(cases: Iterable[Case]) -> dict[str, dict[str, float]]:
    """Fit one logistic regression a family; the weight named "" is the bias."""
    rows: dict[str, list[_Row]] = {family: [] for family in _PENALTY}
    for case in cases:
        for family, row in _rows(case):
            rows[family].append(row)
    return {family: _fitted(found, _PENALTY[family]) for family, found in rows.items()}


def _fitted(rows: list[_Row], penalty: float) -> dict[str, float]:
    seen: dict[str, int] = {}
    for row in rows:
        for name in row.features:
            seen[name] = seen.get(name, 0) + 1
    vectors = DictVectorizer()
    matrix = vectors.fit_transform([{n: v for n, v in row.features.items() if seen[n] >= _LEAST_SEEN} for row in rows])
    fitted = LogisticRegression(C=penalty, max_iter=5000).fit(
        matrix, [row.need for row in rows], sample_weight=[row.weight for row in rows]
    )
    named = zip(vectors.get_feature_names_out(), fitted.coef_[0], strict=True)
    return {"": round(float(fitted.intercept_[0]), 2)} | {
        str(n): round(float(w), 2) for n, w in named if abs(w) >= _LEAST_WEIGHT
    }


def score(cases: Iterable[Case], weights: dict[str, Any], into: dict[str, Score]) -> None:
    """Conclude with these weights and count what is right."""
    with patch.object(model, "_families", lambda: weights):
        for case in cases:
            got = conclude(case.snapshot, case.facts, case.survey).requirements.model_dump(mode="json")
            for name in (case.group, "all"):
                into.setdefault(name, Score()).add(case.slug, got, case.label)


def cross_validate(cases: list[Case]) -> dict[str, Score]:
    """Score every repository with weights fitted on those of the other folds."""
    scores: dict[str, Score] = {}
    ordered = sorted(cases, key=lambda case: (case.group, case.slug))
    for others, held_out in KFold(FOLDS, shuffle=True, random_state=_SEED).split(ordered):
        score((ordered[n] for n in held_out), fit(ordered[n] for n in others), scores)
    return scores


def authors_label(line: dict[str, Any]) -> dict[str, Any]:
    """Turn a label of authors into the corpus's form: what is a need and stated in the repository."""
    fields, stances, told = line["fields"], line["stances"], line["stated_in_repo"]
    kinds = [
        kind for kind in fields["special"] if stances[f"special:{kind}"] == "minimum" and told.get(f"special:{kind}")
    ]
    label: dict[str, Any] = {
        "python_version": None,
        "os_versions_ok": None,
        "special": [_TAG_OF_AUTHORS[kind] for kind in kinds if kind in _TAG_OF_AUTHORS],
    }
    for name in _AMOUNTS.values():
        firm = stances.get(name) in ("minimum", "recommended")
        label[name] = fields.get(name) if firm and told.get(name) else None
    required = fields.get("gpu_required")
    hidden = required is None or (required and not told.get("gpu_required"))
    label["gpu_required"] = label["cuda_required"] = bool(required)
    label["ambiguous"] = [*(["gpu_required"] if hidden else []), "cuda_required"]
    return label


def phrases() -> Iterator[tuple[str, Snapshot, dict[str, Any]]]:
    """Yield the project's own small texts with their labels."""
    loaded = tomllib.loads((FIXTURES / "phrases.toml").read_text(encoding="utf-8"))
    for number, row in enumerate(loaded["case"]):
        files = {"README.md": row.pop("text"), **row.pop("files", {})}
        entries = tuple(Entry(path=path, size=len(text)) for path, text in files.items())
        snapshot = Snapshot(url="", commit=None, entries=entries, files=files)
        unsaid = [name for name in ("gpu_required", "special") if name not in row]
        label = {
            "gpu_required": None,
            "cuda_required": None,
            "ambiguous": ["cuda_required", "os_version", *unsaid],
            **row,
        }
        yield f"phrase-{number}", snapshot, label


def _cases(options: argparse.Namespace) -> Iterator[tuple[str, str, Path | Snapshot, dict[str, Any]]]:
    for case in sorted(p for p in options.corpus.iterdir() if (p / "label.json").is_file()):
        yield "dev", case.name, case, json.loads((case / "label.json").read_text(encoding="utf-8"))
    for label in json.loads((FIXTURES / "own.json").read_text(encoding="utf-8"))["cases"] if options.own else ():
        if (folder := options.own / label["repo"].replace("/", "+")).is_dir():
            yield "own", label["slug"], folder, label
    for line in options.authors.read_text(encoding="utf-8").splitlines() if options.authors else ():
        told = json.loads(line)
        if (folder := options.own / told["slug"]).is_dir():
            yield "authors", told["slug"], folder, authors_label(told)
    for slug, snapshot, label in phrases():
        yield "phrases", slug, snapshot, label


def _read(job: tuple[str, str, Path | Snapshot, dict[str, Any]]) -> Case:
    group, slug, place, label = job
    if isinstance(place, Path):
        # All that the corpus keeps counts; of a clone, what a run reads.
        place = load_case(place) if group == "dev" else load_as_fetched(place)
    return Case(group, slug, place, *gather(place), label)


def main() -> None:
    """Fit, score, and write if asked to."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--own", type=Path, metavar="CLONES")
    parser.add_argument("--authors", type=Path, metavar="LABELS")
    parser.add_argument("--write", action="store_true", help="also write the weights")
    options = parser.parse_args()
    with ProcessPoolExecutor(2) as pool:
        cases = list(pool.map(_read, _cases(options), chunksize=8))
    weights = fit(cases)
    if options.write:
        WEIGHTS.write_text(_packed(weights), encoding="utf-8")
    fitted: dict[str, Score] = {}
    score(cases, weights, fitted)
    for title, scores in (("cross-validated", cross_validate(cases)), ("fitted", fitted)):
        for group in ("own", "dev", "authors", "phrases", "all"):
            if group in scores:
                scores[group].misses = scores[group].misses if group != "all" and title != "fitted" else []
                scores[group].print(f"{title}, {group}")


def _packed(weights: dict[str, dict[str, float]]) -> str:
    """Write JSON with several weights a line."""
    families = []
    for family, named in weights.items():
        lines, line = [], ""
        for name, weight in named.items():
            piece = f"{json.dumps(name)}: {weight:g}, "
            if len(line) + len(piece) > 116:
                lines.append(line.rstrip())
                line = ""
            line += piece
        lines.append(line.rstrip(", "))
        families.append(f'  "{family}": {{\n    ' + "\n    ".join(lines) + "\n  }")
    return "{\n" + ",\n".join(families) + "\n}\n"


if __name__ == "__main__":
    main()
