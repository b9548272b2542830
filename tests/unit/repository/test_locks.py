"""Lock files, which are long, and of which only little matters."""

from __future__ import annotations

import json

import pytest

from envagent.repository.fetch import fetch
from envagent.repository.readers.locks import condense, is_lock
from tests.unit.repository.conftest import Make
from tests.unit.repository.facts import facts_of

ROOT = """\
[[package]]
name = "x"
version = "0"
source = { editable = "." }
dependencies = [
    { name = "torch", marker = "sys_platform == 'linux'" },
    { name = "torchvision", marker = "sys_platform == 'win32'" },
    { name = "left" },
]

[package.metadata]
requires-dist = [{ name = "torch" }]
"""


def uv_lock(*packages: tuple[str, str]) -> str:
    entries = (
        f'[[package]]\nname = "{name}"\nversion = "{version}"\nsource = {{ registry = "https://x.org/simple" }}\n'
        f'wheels = [\n    {{ url = "https://x.org/{name}.whl", hash = "sha256:{"0" * 64}", size = 1 }},\n]\n'
        for name, version in packages
    )
    return "\n".join(['version = 1\nrequires-python = "==3.11.*"\n', *entries, ROOT])


@pytest.mark.parametrize(
    ("versions", "target"),
    [
        (["2.5.1+cu124"], "cu124"),
        (["2.5.1", "2.5.1+cu124"], "cu124"),
        (["2.5.1+cpu", "2.5.1+cu124"], ""),
        (["2.5.1+cu124", "2.5.1+cu126"], "cuda"),
        (["2.5.1+cpu"], "cpu"),
        (["2.5.1"], ""),
    ],
)
def test_the_builds_that_a_lock_of_uv_has(versions: list[str], target: str) -> None:
    facts = facts_of("uv.lock", uv_lock(*(("torch", v) for v in versions), ("torchvision", "0.20+cu124")))
    assert [(p.name, p.pinned, p.local) for p in facts.packages] == [("torch", "2.5.1", target)]


def test_a_lock_of_uv_without_a_project_names_its_python_only() -> None:
    text = uv_lock(("vllm", "0.6.1")).replace("editable", "registry")
    facts = facts_of("uv.lock", text)
    assert facts.pythons[0].allowed == {"3.11"} and facts.packages == []


def test_a_lock_of_poetry() -> None:
    text = """\
        [[package]]
        name = "torch"
        version = "2.1.0+cu118"
        optional = false
        python-versions = ">=3.8"
        groups = ["main"]

        [package.source]
        type = "legacy"
        url = "https://wheels.example.org/whl/cu118"

        [[package]]
        name = "torchaudio"
        version = "2.1.0+cu118"
        optional = false
        groups = ["dev"]

        [metadata]
        python-versions = ">=3.10,<3.12"
        """
    facts = facts_of("poetry.lock", text)
    assert [(p.name, p.local) for p in facts.packages] == [("torch", "cu118")]
    assert facts.pythons[0].allowed == {"3.10", "3.11"}


def test_a_lock_of_pdm() -> None:
    text = '[metadata]\ngroups = ["default"]\n[[metadata.targets]]\nrequires_python = "==3.12.*"\n'
    assert facts_of("pdm.lock", text).pythons[0].allowed == {"3.12"}


def test_locks_of_conda() -> None:
    base = "https://conda.example.org/conda-forge"
    pixi = f"""\
        environments:
          default:
            packages:
              linux-64:
              - conda: {base}/linux-64/python-3.10.14-hd12c33a_0_cpython.conda
              - conda: {base}/linux-64/pytorch-2.4.0-cuda120_py310ha3e1c2c_303.conda
          test:
            packages:
              linux-64:
              - conda: {base}/linux-64/cuda-version-11.8-h70ddcb2_3.conda
        """
    facts = facts_of("pixi.lock", pixi)
    assert [(p.name, p.local) for p in facts.packages] == [("torch", "cu120")]
    assert facts.pythons[0].allowed == {"3.10"}
    url = f"url: {base}/linux-64/python-3.9.18-h0755675_1_cpython.conda"
    assert facts_of("conda-lock.yml", f"package:\n- name: python\n  {url}\n").pythons[0].allowed == {"3.9"}


@pytest.mark.parametrize("path", ["uv.lock", "Pipfile.lock", "renv.lock", "pixi.lock", "poetry.lock"])
def test_condensing_keeps_every_line_in_its_place(path: str) -> None:
    content = uv_lock(("a", "1")).encode()
    assert is_lock(path)
    assert condense(path, content, 1 << 20).count(b"\n") == content.count(b"\n")
    assert condense("requirements.txt", content, 10) == content and not is_lock("requirements.txt")


def test_condensed_locks_say_the_same() -> None:
    pipfile = json.dumps(
        {
            "_meta": {"requires": {"python_version": "3.9"}},
            "default": {"torch": {"hashes": ["sha256:0", "sha256:1"], "version": "==2.1.0"}},
        },
        indent=4,
    )
    renv = json.dumps(
        {
            "R": {"Version": "4.1.2", "Repositories": [{"Name": "CRAN", "URL": "https://x.org"}]},
            "Packages": {"torch": {"Package": "torch", "Version": "0.11", "Requirements": ["a", "b"], "Hash": "0"}},
        },
        indent=2,
    )
    for path, text in (("Pipfile.lock", pipfile), ("renv.lock", renv), ("uv.lock", uv_lock(("torch", "2+cu124")))):
        short = condense(path, text.encode(), 1 << 20).decode()
        assert len(short) < len(text)
        assert facts_of(path, short) == facts_of(path, text)
        assert facts_of(path, short).notes == []


def test_of_a_lock_that_stays_long_the_middle_is_left_out() -> None:
    middle = "".join(f'[[package]]\nname = "p{n}"\nversion = "1"\n\n' for n in range(5000))
    text = f'[[package]]\nname = "torch"\nversion = "2+cu118"\n\n{middle}[metadata]\npython-versions = ">=3.9,<3.10"\n'
    short = condense("poetry.lock", text.encode(), 40_000).decode()
    assert len(short) < 60_000 and short.count("\n") == text.count("\n")
    facts = facts_of("poetry.lock", short)
    assert facts.pythons == facts_of("poetry.lock", text).pythons != []
    assert [p.local for p in facts.packages] == ["cu118"]


def test_a_long_lock_is_read_to_its_end(make: Make) -> None:
    text = uv_lock(*((f"p{n}", "1") for n in range(2000)), ("torch", "2.5.1+cu124"))
    snapshot = fetch(str(make({"README.md": "# it\n", "uv.lock": text})))
    assert len(text) > 256 << 10 > len(snapshot.files["uv.lock"])
    assert not any("only the first" in note for note in snapshot.notes)
    assert [p.local for p in facts_of("uv.lock", snapshot.files["uv.lock"]).packages] == ["cu124"]
