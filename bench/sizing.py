"""Compare the sizing of measured repositories with what they really used.

    python -m bench.sizing CLONES            clones named owner+name, as for bench.accuracy
    python -m bench.sizing CLONES --write    also renew what the fixture keeps of each analysis

Reads the measurements in tests/fixtures/sizing/measured.json, analyses each clone at the measured commit, and prints
one line each: the need, the sizing, and the sizing as a multiple of the need, which should be from 1 to 8.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from envagent.repository.analyzer import analyze, gather
from envagent.repository.fetch import fetch
from envagent.repository.results import Analysis, Snapshot

FIXTURE = Path(__file__).parents[1] / "tests" / "fixtures" / "sizing" / "measured.json"
FIELDS = {"cores": "cpu_cores", "ram_gb": "ram_gb", "disk_gb": "disk_gb"}


def kept(snapshot: Snapshot, analysis: Analysis) -> dict[str, Any]:
    """Extract what the sizing depends on, without the repository's own text."""
    facts, survey = gather(snapshot)
    packages = {(f"{p.name}+{p.local}" if p.local else p.name, p.scope) for p in facts.packages}
    documented = analysis.requirements.model_dump(mode="json", exclude_defaults=True)
    return {
        "languages": survey.languages,
        "bytes": survey.total_bytes,
        "packages": {
            scope: sorted(name for name, at in packages if at == scope) for scope in sorted({s for _, s in packages})
        },
        "requirements": {
            name: value
            for name, value in documented.items()
            if name in {*FIELDS.values(), "gpu_required", "gpu_memory_gb", "special_requirements"}
        },
    }


def main() -> None:
    """Print, and write where asked."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("clones", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    document = json.loads(FIXTURE.read_text(encoding="utf-8"))
    least = document["least"]
    print(f"{'repository':32} {'need':>18} {'sizing':>15} {'times':>17}   cores, GB of RAM, GB of disk")
    for case in document["cases"]:
        folder = options.clones / case["repo"].replace("/", "+")
        folder = folder / "repo" if (folder / "repo").exists() else folder
        if not folder.exists():
            print(f"  missing: {case['repo']} at {case['commit'][:12]}", file=sys.stderr)
            continue
        snapshot = fetch(str(folder), ref=case["commit"])
        analysis = analyze(snapshot)
        need = [max(case["need"][name], least[name]) for name in FIELDS]
        got = [getattr(analysis.sizing, field) for field in FIELDS.values()]
        times = [size / needed for size, needed in zip(got, need, strict=True)]
        columns = [" ".join(f"{value:{form}}" for value in row) for row, form in ((need, "5g"), (got, "4g"))]
        print(f"{case['repo']:32} {columns[0]:>18} {columns[1]:>15} " + " ".join(f"{t:5.1f}" for t in times))
        case["facts"] = kept(snapshot, analysis)
    if options.write:
        FIXTURE.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
