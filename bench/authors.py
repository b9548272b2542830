"""Compare conclusions with the hardware needs that the authors of research artifacts state.

    python -m bench.authors LABELS.jsonl ANSWERS.jsonl --clones DIR [--also DIR] [--site uc|tacc|any] [-v]

LABELS has a label a line, with the stance of each number: only a stated minimum is a need. DIR holds stored cases named
owner+name, as for bench.accuracy; with --also, its SLUG.pdf is read too, the authors' own appendix. By the rules alone
each repository is analysed and a node of the simulated sites chosen for it, with the function that a run uses; nothing
is reserved. ANSWERS gets a line for each repository, and the scores are printed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

from bench.accuracy import load_as_fetched
from envagent import catalog
from envagent.advice.advisor import beyond_a_run
from envagent.advice.decisions import Placement
from envagent.advice.duration import by_workload
from envagent.advice.placement import combine, place
from envagent.advice.specials import kind_of
from envagent.catalog.hardware import NodeType
from envagent.cloud import convert, port
from envagent.errors import EnvagentError, NothingSuitable
from envagent.repository.also import read_documents
from envagent.repository.analyzer import analyze
from envagent.repository.results import Analysis
from envagent.sandbox import blazar, inventory

_AMOUNTS = {
    "gpu_count_min": "gpu_count",
    "gpu_memory_gb_min": "gpu_memory_gb",
    "ram_gb_min": "ram_gb",
    "disk_gb_min": "disk_gb",
    "cpu_cores_min": "cpu_cores",
}
# Sizes that nobody calls too large, and the factor from which one is.
_MODEST = {"gpu_count_min": 1, "gpu_memory_gb_min": 24, "ram_gb_min": 16, "disk_gb_min": 64, "cpu_cores_min": 8}
_OVERSIZED = 8
# A card of 32 GB may report 31.7.
_TOLERANCE = 0.97
_NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


@cache
def _site(key: str) -> tuple[tuple[NodeType, ...], tuple[port.Host, ...], tuple[port.Image, ...]]:
    """Return the node types, hosts and public images of a simulated site."""
    site = inventory.sites()[key]
    hosts = tuple(convert.host(blazar.view(host)) for host in site.hosts.values())
    images = tuple(
        port.Image(
            id=one.id,
            name=one.name,
            status=one.status,
            visibility=one.visibility,
            created_at=convert.time_of(one.created_at),
            properties=one.properties,
        )
        for one in site.images.values()
        if one.status == "active" and one.visibility == "public"
    )
    return tuple(catalog.refresh(catalog.node_types(site.region), hosts, region=site.region)), hosts, images


def chosen(analysis: Analysis, sites: Sequence[str]) -> Placement:
    """Rank the node types of simulated sites, all of them free.

    Raises:
        NothingSuitable: no site has a type that satisfies the needs.
    """
    found: list[Placement] = []
    refusals: list[str] = []
    for key in sites:
        types, hosts, images = _site(key)
        try:
            found.append(place(analysis, types, hosts, (), images, now=_NOW, hours=by_workload(analysis)))
        except EnvagentError as error:
            refusals.append(error.message)
    if not found:
        raise NothingSuitable("; ".join(refusals))
    return combine(found)


def answer(label: dict[str, Any], clones: Path, also: Path | None, sites: Sequence[str]) -> dict[str, Any]:
    """Analyse one repository and choose its node."""
    snapshot = load_as_fetched(clones / label["repo"].removeprefix("https://github.com/").strip("/").replace("/", "+"))
    document = also / f"{label['slug']}.pdf" if also else None
    if document is not None and document.exists():
        snapshot = snapshot.with_documents(read_documents([str(document)]))
    analysis = analyze(snapshot)
    given: dict[str, Any] = {
        "slug": label["slug"],
        "requirements": analysis.requirements.model_dump(mode="json"),
        "sizing": analysis.sizing.model_dump(mode="json"),
        "texts": [*snapshot.notes, *analysis.assumptions, *beyond_a_run(analysis)],
        "evidence": [one.model_dump(mode="json") for one in analysis.evidence],
    }
    try:
        best = chosen(analysis, sites).best
    except NothingSuitable as error:
        return {**given, "node": None, "state": "failed", "error": error.message}
    given["texts"] += best.warnings
    return {**given, "node": best.node_type.model_dump(mode="json"), "state": "succeeded", "error": None}


@dataclass
class Tally:
    """How many of how many, and which were not."""

    right: int = 0
    all: int = 0
    wrong: list[str] = field(default_factory=list)

    def add(self, right: bool, what: str) -> None:
        """Count one."""
        self.all += 1
        self.right += right
        if not right:
            self.wrong.append(what)

    def __str__(self) -> str:
        return f"{self.right} of {self.all}" + (f" ({100 * self.right / self.all:.0f} %)" if self.all else "")


def needs(label: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield what the authors state as a minimum."""
    fields, stances = label["fields"], label["stances"]
    for name in (*_AMOUNTS, "gpu_required", "gpu_vendor", "arch", "nodes_min"):
        if fields.get(name) and stances.get(name) == "minimum":
            yield name, fields[name]
    for special in fields["special"]:
        if stances[f"special:{special}"] == "minimum":
            yield f"special:{special}", special


def met(need: str, value: Any, given: dict[str, Any]) -> bool:
    """Return whether the conclusions cover a need."""
    requirements = given["requirements"]
    if need in _AMOUNTS:
        return bool(_concluded(given, need) >= value * _TOLERANCE)
    if need.startswith("special:"):
        return _special(value, requirements["special_requirements"])
    if need == "gpu_vendor":
        return bool(requirements["gpu_required"] and requirements["gpu_vendor"] in (value, None))
    if need == "arch":
        return bool((requirements["architecture"] or "x86_64") == value)
    if need == "nodes_min":
        return bool((requirements["node_count"] or 1) >= value)
    return bool(requirements["gpu_required"])


def _concluded(given: dict[str, Any], need: str) -> float:
    """Return the larger of what is documented and what is sized by default."""
    name, requirements = _AMOUNTS[need], given["requirements"]
    if name == "gpu_count":
        return requirements[name] or (1 if requirements["gpu_required"] else 0)
    return max(requirements.get(name) or 0, given["sizing"].get(name) or 0)


def _special(wanted: str, told: Sequence[str]) -> bool:
    """Return whether one of the special requirements is of the kind that the authors name."""
    head, _, tail = wanted.partition(":")
    if head == "specific_cpu":
        words = set(re.findall(r"[a-z]{3,}", tail.lower()))
        return any(words & set(re.findall(r"[a-z]{3,}", text.lower())) for text in told)
    kinds = {kind.name for text in told if (kind := kind_of(text))}
    names = [kind.name for part in (tail or head).split("/") if (kind := kind_of(part.replace("_", " ")))]
    return any(name in kinds for name in names)


def node_meets(need: str, value: Any, given: dict[str, Any]) -> bool:
    """Return whether the chosen node has what is needed, or the run says of a CPU that no site has it.

    What a node type cannot tell counts as there.
    """
    node = given["node"] or {}
    gpu = node.get("gpu") or {}
    test: dict[str, Callable[[], bool]] = {
        "gpu_required": lambda: bool(gpu),
        "gpu_vendor": lambda: gpu.get("vendor") == value,
        "gpu_count_min": lambda: gpu.get("count", 0) >= value,
        "gpu_memory_gb_min": lambda: (gpu.get("memory_gb") or 0) >= value * _TOLERANCE,
        "ram_gb_min": lambda: (node.get("ram_gb") or 0) >= value * _TOLERANCE,
        "disk_gb_min": lambda: sum((node.get("disk_gb") or 0, *node.get("extra_disks_gb", ()))) >= value * _TOLERANCE,
        "cpu_cores_min": lambda: node.get("threads", 0) >= value,
        "arch": lambda: node.get("architecture") == value,
    }
    if need in test:
        return bool(node) and test[need]()
    if need == "nodes_min":
        return bool(node)
    head, _, tail = value.partition(":")
    if head == "specific_cpu" and any("names a CPU" in text and "no Chameleon site" in text for text in given["texts"]):
        return True
    kind = kind_of(f"cpu: {tail}" if head == "specific_cpu" else (tail or head).replace("_", " "))
    return bool(node) and (kind is None or not kind.levels or kind.levels[-1](NodeType.model_validate(node)))


def score(labels: Sequence[dict[str, Any]], answers: dict[str, dict[str, Any]], *, verbose: bool) -> None:
    """Print the main figures, with the misses where asked."""
    tallies: dict[str, Tally] = defaultdict(Tally)
    for label in labels:
        given, slug = answers[label["slug"]], label["slug"]
        wanted = [(need, value, met(need, value, given)) for need, value in needs(label)]
        unneeded = label["fields"]["gpu_required"] is False and given["requirements"]["gpu_required"]
        large = [*_oversized(label, given), *(["a GPU for none"] if unneeded else [])]
        for title, rows in (
            ("needs met", wanted),
            ("needs met that the repository states", [w for w in wanted if label["stated_in_repo"].get(w[0])]),
        ):
            missed = _names((need, value) for need, value, right in rows if not right)
            if rows:
                tallies[f"all {title}"].add(not missed and not unneeded, f"{slug}: {missed or 'a GPU for none'}")
            for need, value, right in rows:
                tallies[f"single {title}"].add(right, f"{slug}: {_names([(need, value)])}")
        for need, value, _ in wanted:
            if need == "gpu_count_min":
                count = given["requirements"]["gpu_count"]
                tallies["GPU count right"].add(count == value, f"{slug}: {count} for {value}")
        refused = given["state"] == "failed"
        if wanted:
            short = _names((need, value) for need, value, _ in wanted if not node_meets(need, value, given))
            name = (given["node"] or {}).get("name")
            tallies["node has all needs, or none is taken"].add(refused or not short, f"{slug}: {name} lacks {short}")
        if label["feasible_on_chameleon"] is False:
            tallies["infeasible ones refused"].add(refused, slug)
        tallies["not oversized"].add(not large, f"{slug}: {', '.join(large)}")
    for title, tally in tallies.items():
        print(f"{title:44} {tally}")
        if verbose:
            print("".join(f"    {one}\n" for one in tally.wrong), end="")


def _names(found: Iterable[tuple[str, Any]]) -> str:
    return ", ".join(need if need.startswith("special:") else f"{need} {value}" for need, value in found)


def _oversized(label: dict[str, Any], given: dict[str, Any]) -> list[str]:
    found = []
    for need, name in _AMOUNTS.items():
        value, size = label["fields"].get(need), _concluded(given, need)
        comfortable = max((y for n, y in label["recommended"].items() if n == name), default=0)
        if value and size > max(_OVERSIZED * value, 2 * comfortable, _MODEST[need]):
            found.append(f"{name} {size:g} for {value:g}")
    return found


def main() -> None:
    """Answer every label, write and score."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("labels", type=Path)
    parser.add_argument("answers", type=Path)
    parser.add_argument("--clones", type=Path, required=True)
    parser.add_argument("--also", type=Path, help="folder with SLUG.pdf")
    parser.add_argument("--site", choices=("uc", "tacc", "any"), default="uc")
    parser.add_argument("-v", "--verbose", action="store_true")
    options = parser.parse_args()
    labels = [json.loads(line) for line in options.labels.read_text(encoding="utf-8").splitlines()]
    sites = ("uc", "tacc") if options.site == "any" else (options.site,)
    one = partial(answer, clones=options.clones, also=options.also, sites=sites)
    with ProcessPoolExecutor(min(2, os.cpu_count() or 1)) as pool:
        given = list(pool.map(one, labels, chunksize=4))
    options.answers.write_text("".join(json.dumps(row) + "\n" for row in given), encoding="utf-8")
    score(labels, {row["slug"]: row for row in given}, verbose=options.verbose)


if __name__ == "__main__":
    main()
