"""What counts as a need of the authors, as met, and as had by a node."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.authors import answer, met, needs, node_meets, score

README = "# x\n\n## Requirements\n\n- at least 64 GB of RAM\n- an NVIDIA GPU with at least 16 GB of memory\n"
NONE: dict[str, Any] = {"gpu_required": None, "gpu_vendor": None, "arch": None, "nodes_min": None, "special": []}


def label(slug: str, stance: str = "minimum", **fields: Any) -> dict[str, Any]:
    stances = dict.fromkeys(fields, stance) | {f"special:{one}": stance for one in fields.get("special", ())}
    return {
        "slug": slug,
        "repo": f"https://github.com/o/{slug}",
        "fields": {**NONE, **fields},
        "stances": stances,
        "recommended": {},
        "feasible_on_chameleon": None,
        "stated_in_repo": dict.fromkeys(fields, True),
    }


@pytest.fixture
def clones(tmp_path: Path) -> Path:
    files = tmp_path / "o+x" / "files"
    files.mkdir(parents=True)
    (files / "README.md").write_text(README, encoding="utf-8")
    (files.parent / "listing.txt").write_text(f"{len(README)}\tREADME.md\n", encoding="utf-8")
    return tmp_path


def test_only_a_minimum_is_a_need() -> None:
    stated: dict[str, Any] = {"ram_gb_min": 8, "gpu_required": True, "special": ["sgx"]}
    assert list(needs(label("x", **stated))) == [("ram_gb_min", 8), ("gpu_required", True), ("special:sgx", "sgx")]
    assert list(needs(label("x", "tested-on", **stated))) == []


def test_a_repository_and_its_node(clones: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wanted = label("x", ram_gb_min=64, gpu_required=True, gpu_memory_gb_min=16)
    given = answer(wanted, clones, None, ["uc"])
    assert given["requirements"]["ram_gb"] == 64 and given["state"] == "succeeded"
    assert all(met(*need, given) and node_meets(*need, given) for need in needs(wanted))
    assert not met("ram_gb_min", 128, given) and not node_meets("ram_gb_min", 100_000, given)
    assert not met("special:sgx", "sgx", given) and not node_meets("arch", "aarch64", given)
    score([wanted], {"x": json.loads(json.dumps(given))}, verbose=True)
    score([label("x", ram_gb_min=2, gpu_required=False)], {"x": given}, verbose=True)
    shown = capsys.readouterr().out
    assert "all needs met                                1 of 1" in shown
    assert "x: ram_gb 64 for 2, a GPU for none" in shown


def test_what_no_node_has_is_a_refusal(clones: Path) -> None:
    (clones / "o+x" / "files" / "README.md").write_text("# x\n\nRequires at least 8000 GB of RAM.\n", encoding="utf-8")
    given = answer(label("x"), clones, None, ["uc", "tacc"])
    assert given["node"] is None and given["state"] == "failed" and "RAM" in given["error"]
