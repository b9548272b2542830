"""Made-up repositories that say one thing and mean another."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import pytest

from envagent.advice.needs import gpu_counts
from envagent.repository.analyzer import analyze
from envagent.repository.decoding import decode
from envagent.repository.results import Analysis, Entry, Snapshot

_STORED = Path(__file__).parents[2] / "fixtures" / "corpus" / "traps.toml"
TRAPS: list[dict[str, Any]] = tomllib.loads(_STORED.read_text(encoding="utf-8"))["trap"]
_FILLER = "".join(f"Note {n}: the parser keeps a table of seen tokens, and prints each once.\n\n" for n in range(2600))


def analyzed(trap: dict[str, Any]) -> Analysis:
    """What the rules make of a trap's files, in the encodings that it names."""
    contents = {
        path: text.replace("{filler}", _FILLER).encode("utf-16" if path in trap.get("utf16", ()) else "utf-8")
        for path, text in trap["files"].items()
    }
    entries = tuple(Entry(path=path, size=len(content)) for path, content in contents.items())
    texts = {path: text for path, content in contents.items() if (text := decode(content)) is not None}
    return analyze(Snapshot(url="x", commit=None, entries=entries, files=texts))


@pytest.mark.parametrize("trap", TRAPS, ids=[trap["name"] for trap in TRAPS])
def test_trap(trap: dict[str, Any]) -> None:
    got, label = analyzed(trap).requirements, trap["label"]
    assert (got.gpu_vendor if got.gpu_required else None) == label.get("gpu")
    assert got.cuda_required == (label.get("gpu") == "nvidia")
    if "python" in label:
        assert got.python_version in label["python"]
    if "os" in label:
        assert got.os_version in label["os"]
    if "architecture" in label:
        assert got.architecture == label["architecture"]
    if "specials" in label:
        assert got.special_requirements == tuple(label["specials"])
    for field, count in (("gpus", got.gpu_count), ("cores", got.cpu_cores)):
        assert field not in label or count == label[field]
    for field, value in (("ram", got.ram_gb), ("gpu_memory", got.gpu_memory_gb), ("disk", got.disk_gb)):
        if least := label.get(field):
            assert value is not None
            assert least <= value <= 4 * least


def test_where_one_gpu_will_do_those_of_the_largest_experiment_are_a_wish() -> None:
    text = (
        "# Race\n\nTrains small transformers.\n\nTo reproduce the paper you'll want at least an 8X A100 40GB node.\n\n"
        "To train on a single GPU simply run the script.\n"
    )
    wanted = analyzed({"files": {"README.md": text, "requirements.txt": "torch\n"}})
    assert gpu_counts(wanted) == (1, 8)
