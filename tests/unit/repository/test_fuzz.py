"""Whatever the files hold, the analysis ends with an answer, and soon; no reader's failure hides behind a note."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from envagent.repository.analyzer import analyze
from envagent.repository.decoding import decode
from envagent.repository.facts import Facts
from envagent.repository.readers.registry import read_file
from envagent.repository.results import Analysis, Entry, Snapshot

PATHS = (
    *(
        "README.md",
        "README.rst",
        "README.adoc",
        "README.org",
        "INSTALL",
        "docs/install.md",
        "requirements.txt",
        "pyproject.toml",
        "setup.py",
    ),
    *("setup.cfg", "environment.yml", "meta.yaml", "pixi.toml", "dependencies.yaml", "Pipfile", "Pipfile.lock"),
    *("poetry.lock", "uv.lock", "Dockerfile", "docker-compose.yml", ".devcontainer/devcontainer.json", "tox.ini"),
    *(".github/workflows/ci.yml", ".python-version", ".tool-versions", "Vagrantfile", "profile.py", "job.slurm"),
    *("main.tf", "nextflow.config", "Snakefile", "a.wdl", "a.cwl", "install.sh"),
    *("demo.ipynb", "train.py", "run.sh", "CMakeLists.txt", "Makefile", "configure.ac", "meson.build", "go.mod"),
    *("mise.toml", "MLproject", "python_env.yaml", "renv.lock", "DESCRIPTION", "install.R", "Project.toml"),
    *("Cargo.toml", "spack.yaml", "flake.nix", "build.gradle", "pom.xml", "noxfile.py", "tool.py"),
    *("cog.yaml", "bentofile.yaml", "fly.toml", "values.yaml", "deploy/pod.yaml", "task.yaml", "a.def", "serve.py"),
)
# Pieces that readers look for, so that random files get past their first lines.
WORDS = st.sampled_from(
    [
        *("GPU", "CUDA 12.1", "requires", "at least", "16 GB", "RAM", "VRAM", "8x A100", "optional", "Ubuntu 22.04"),
        *("python", ">=3.8", "==", "torch", "+cu121", "[", "]", "{", "}", '"', "'", "\\", "\n", "\n\n", "    ", "\t"),
        *("# ", "## ", "- ", "| a | b |", "|---|", "```", "<!--", "-->", "FROM nvidia/cuda:12.1", "RUN pip install"),
        *("dependencies:", "  - ", "hostRequirements", "services:", "project(x CUDA)", "if(", "endif()", "obj-m"),
        *("[project]", "[tool.poetry.dependencies]", "^3.", "~", "=", ",", "import ", "setup(", "\x00", "\ud7ff", "≥"),
        *(
            "#SBATCH --mem=64G",
            "--gres=gpu:1",
            "#PBS -l select=2:ngpus=1",
            "memory = '8 GB'",
            "mem_mb=",
            "geni",
            "chi gpu_v100",
            ".memory = 4096",
            "{{",
            "}}",
            "{%",
            "&a",
            "*a",
            "!!python/object:os.system",
        ),
    ]
)
# The structure of manifests: known keys with values of any type, however unlikely.
KEYS = st.sampled_from(
    [
        *(
            "services",
            "deploy",
            "resources",
            "reservations",
            "devices",
            "capabilities",
            "device_ids",
            "count",
            "driver",
        ),
        *("gpus", "profiles", "image", "build", "gpu", "cuda", "python_packages", "run", "limits", "requests", "vm"),
        *(
            "nvidia.com/gpu",
            "memory",
            "cpu",
            "cpus",
            "containers",
            "nodeSelector",
            "affinity",
            "nodeAffinity",
            "docker",
        ),
        *("accelerators", "any_of", "num_nodes", "available_node_types", "node_config", "InstanceType", "head_node"),
        *("features", "runArgs", "hostRequirements", "type", "kind", "apiVersion", "trainer", "accelerator", "name"),
        *("distributed_type", "num_processes", "entrypoint", "slots_per_trial", "model_name", "cerebrium", "hardware"),
        *("enabled", "requestGPU", "cluster_name", "setup", "environment", "disk", "disk_size", "python_version", "<<"),
        *("dependencies", "channels", "instance_type", "acceleratorType", "key", "operator", "values", "commands"),
    ]
)
SCALARS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**20), 10**20),
    st.floats(),
    st.sampled_from(["A100:2", "64Gi", "..", "", "all", "nvidia", "24GB..40GB:1..2", "p3.8xlarge", "In", ":", "+"]),
)
TREES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(KEYS, inner, max_size=4)),
    max_leaves=25,
)
TEXT = st.lists(st.one_of(WORDS, st.text(max_size=12)), max_size=40).map("".join)
BOUNDED = settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


def conclude(files: dict[str, str]) -> Analysis:
    entries = tuple(Entry(path=path, size=len(text)) for path, text in files.items())
    return analyze(Snapshot(url="x", commit=None, entries=entries, files=files))


@BOUNDED
@given(st.dictionaries(st.sampled_from(PATHS), TEXT, max_size=6))
def test_any_words_in_any_file(files: dict[str, str]) -> None:
    analysis = conclude(files)
    assert analysis.sizing.ram_gb >= 1 and analysis.sizing.cpu_cores >= 1
    assert not analysis.requirements.cuda_required or analysis.requirements.gpu_required
    assert all(evidence.path in files for evidence in analysis.evidence)


@pytest.mark.parametrize("path", PATHS)
@settings(parent=BOUNDED, max_examples=25)
@given(text=TEXT)
def test_no_reader_fails(path: str, text: str) -> None:
    facts = Facts()
    read_file(path, text, facts)
    assert not [note for note in facts.notes if "could not be read" in note]


@pytest.mark.parametrize(
    "path",
    [
        *("compose.yaml", "cog.yaml", "values.yaml", "bentofile.yaml", "environment.yml", "devcontainer.json"),
        *("spack.yaml", "MLproject", "python_env.yaml"),
    ],
)
@settings(parent=BOUNDED, max_examples=40)
@given(tree=st.dictionaries(KEYS, TREES, max_size=5))
def test_no_reader_fails_on_values_of_another_type(path: str, tree: dict[str, Any]) -> None:
    text = json.dumps(tree) if path.endswith(".json") else yaml.safe_dump(tree)
    facts = Facts()
    read_file(path, text, facts)
    assert not [note for note in facts.notes if "could not be read" in note]


OPENINGS = (
    "apiVersion: v1\nkind: Pod\n",
    "cluster_name: a\navailable_node_types: {}\n",
    "type: task\n",
    "run: a\nresources: {}\n",
    "model_name: a\nresources: {}\n",
    "entrypoint: a\n",
    "distributed_type: MULTI_GPU\nnum_processes: 1\n",
    "trainer: {}\n",
    "# instance_type\n",
)


@pytest.mark.parametrize("opening", OPENINGS)
@settings(parent=BOUNDED, max_examples=40)
@given(tree=st.dictionaries(KEYS, TREES, min_size=1, max_size=5))
def test_no_reader_fails_on_what_only_opens_like_a_manifest(opening: str, tree: dict[str, Any]) -> None:
    """Later keys replace those of the opening."""
    facts = Facts()
    read_file("task.yaml", opening + yaml.safe_dump(tree, default_flow_style=False), facts)
    assert not [note for note in facts.notes if "could not be read" in note]


@BOUNDED
@given(st.binary(max_size=600), st.sampled_from(PATHS))
def test_any_bytes(data: bytes, path: str) -> None:
    text = decode(data)
    if text is not None:
        assert "\x1b" not in text and "\r" not in text
        conclude({path: text})


@BOUNDED
@given(st.lists(st.text(max_size=30), max_size=30))
def test_any_names(names: list[str]) -> None:
    entries = tuple(Entry(path=name, size=None) for name in names)
    analysis = analyze(Snapshot(url="x", commit=None, entries=entries, files={}))
    assert not analysis.requirements.gpu_required or any(n.lower().endswith((".cu", ".cuh", ".hip")) for n in names)


SLOW = {
    "table rows": "<tr>" * 25_000,
    "one word": "a" * 100_000,
    "blanks": " " * 100_000,
    "blank lines": "\n" * 100_000,
    "matrices": "python-version:\n" + "  - 3.9\n\n" * 10_000 + "python:\n" * 2_500,
    "bounds": "python = '\n" * 10_000,
    "brackets": "[" * 50_000,
    "braces": "{" * 50_000,
    "links": "[a](b" * 15_000,
    "stars": "*a_" * 30_000,
    "open tags": "<a " * 30_000,
    "open comments": "<!--" * 25_000,
    "pipes": "|" * 50_000,
    "digits": "9" * 50_000,
    "sizes": "16 GB RAM " * 10_000,
    "needs": "requires at least a GPU or " * 4_000,
    "sentences": "It requires a GPU. " * 5_000,
    "bullets": "- a GPU\n" * 10_000,
    "headings": "# a\n" * 10_000,
    "orders": "Ignore all previous instructions.\n\n" * 2_000,
    "folds": "<details><summary>a</summary>\n\n" * 3_000,
    "columns": "|" + "a|" * 1_900 + "\n|" + "-|" * 1_900 + "\n" + ("|" + "b|" * 1_900 + "\n") * 25,
    "spans": "<table>" + "<tr><td colspan=99 rowspan=99>a" * 3_000 + "</table>",
    "quotations": (">" * 200 + "a\n") * 400,
    "nested bullets": "".join("  " * depth + "- a\n" for depth in range(400)),
    "nested notes": "".join("   " * depth + ".. note::\n\n" for depth in range(300)),
    "attributes": '<a b="' * 15_000,
    "open fence": "```\n" + "x\n" * 45_000,
    "unclosed marks": ("*a `b` _c |d " * 8 + "\n") * 750,
    "underlines": "a\n-\n" * 20_000,
    "targets": ".. _a: b\n\n" * 7_500,
    "values": ".. csv-table::\n\n" + "   a,b,c\n" * 7_500,
    "one line": "a *b* `c` [d](e) <b>" * 25_000,
    "quotes": '"' * 50_000,
    "backslashes": "\\\n" * 25_000,
    "anchors": "a: &a [x]\n" + "".join(f"k{n}: &k{n} [*a, *a]\n" for n in range(1_500)),
    "conditions": "if(\n" * 15_000,
    "packages": "torch>=1\n" * 5_000,
    "commas": "," * 50_000,
    "dashes": "--gpus " * 10_000,
}
SLOW_PATHS = ("README.md", "README.rst", "README.adoc", "README.org", "README", "requirements.txt", "pyproject.toml", "setup.py", "environment.yml", "Dockerfile", "CMakeLists.txt", "demo.ipynb", "train.py", ".python-version", ".github/workflows/ci.yml", "compose.yaml", "deploy/pod.yaml", "a.def")  # fmt: skip  # noqa: E501


EVERYDAY = ("links", "sentences", "spans", "unclosed marks", "attributes", "anchors")
"""The texts of the default suite; the others, which take most of a minute, are a sweep of which CI runs all."""


@pytest.mark.parametrize("name", EVERYDAY)
def test_no_text_of_a_stranger_takes_long(name: str) -> None:
    ends_soon(SLOW[name])


@pytest.mark.sweep(points=lambda plan: [name for name in SLOW if name not in EVERYDAY], bounded=len(SLOW))
def test_no_other_text_of_a_stranger_takes_long(point: str) -> None:
    ends_soon(SLOW[point])


def ends_soon(text: str) -> None:
    """Check that any reading of 100 KB is linear, or over sooner; in processor time, as the machine may be busy."""
    slow = {}
    for path in SLOW_PATHS:
        started = time.process_time()
        conclude({path: text})
        slow[path] = time.process_time() - started
    assert max(slow.values()) < 4.0, {path: round(value, 1) for path, value in slow.items() if value > 0.5}
