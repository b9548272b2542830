from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.repository.facts import facts_of


def names(path: str, text: str) -> dict[str, str]:
    return {p.name: p.scope for p in facts_of(path, text).packages}


def test_requirements_with_options_markers_comments_and_urls() -> None:
    facts = facts_of(
        "requirements.txt",
        """\
        # torch==9.9
        -r base.txt
        --extra-index-url https://wheels.example.org/whl/cu121
        torch==2.3.1+cu121 \\
            --hash=sha256:00
        pywin32; sys_platform == 'win32'
        numpy>=1.24,<2  # because
        git+https://github.com/owner/detectron2.git
        """,
    )
    assert [p.name for p in facts.packages] == ["torch", "numpy", "detectron2"]
    assert (facts.packages[0].pinned, facts.packages[0].local, facts.packages[0].spot.line) == ("2.3.1", "cu121", 4)
    assert [(s.weight > 0, s.vendor) for s in facts.gpu] == [(True, "nvidia")]


def test_an_index_of_cpu_wheels_speaks_against_a_gpu() -> None:
    facts = facts_of("requirements.txt", "--index-url https://wheels.example.org/whl/cpu\ntorch==2.2.0+cpu\n")
    assert facts.gpu[0].weight < -2


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("requirements.txt", "main"),
        ("requirements/base.txt", "main"),
        ("requirements-dev.txt", "development"),
        ("docs/requirements.txt", "development"),
        ("requirements-gpu.txt", "optional"),
        ("requirements_cpu.txt", "optional"),
        ("gpu/requirements.txt", "optional"),
        ("server/requirements.txt", "component"),
    ],
)
def test_the_place_tells_the_scope(path: str, scope: str) -> None:
    assert names(path, "numpy\n") == {"numpy": scope}


def test_lists_for_other_platforms_are_not_read() -> None:
    assert names("requirements_windows.txt", "torch\n") == {}


def test_pyproject_with_extras_groups_and_bound() -> None:
    facts = facts_of(
        "pyproject.toml",
        """\
        [project]
        name = "x"
        requires-python = ">=3.10,<3.13"
        dependencies = ["numpy>=1.24", "jax[cuda12]"]
        [project.optional-dependencies]
        gpu = ["cupy-cuda12x"]
        test = ["pytest"]
        [dependency-groups]
        dev = ["ruff"]
        """,
    )
    assert {p.name: p.scope for p in facts.packages} == {
        "numpy": "main",
        "jax": "main",
        "cupy-cuda12x": "optional",
        "pytest": "development",
        "ruff": "development",
    }
    assert facts.pythons[0].allowed == {"3.10", "3.11", "3.12"}
    assert facts.pythons[0].spot.line == 3


def test_poetry_with_carets() -> None:
    facts = facts_of(
        "pyproject.toml",
        """\
        [tool.poetry.dependencies]
        python = "^3.9"
        torch = {version = "2.1.0", optional = true}
        click = "*"
        [tool.poetry.group.docs.dependencies]
        sphinx = "^7"
        """,
    )
    assert {p.name: p.scope for p in facts.packages} == {"torch": "optional", "click": "main", "sphinx": "development"}
    assert facts.pythons[0].allowed == {"3.9", "3.10", "3.11", "3.12", "3.13", "3.14"}


def test_broken_toml_still_gives_its_bound_but_no_dependencies() -> None:
    facts = facts_of("pyproject.toml", '[project\nrequires-python = ">=3.10,<3.13"\ndependencies = ["cupy"\n')
    assert facts.pythons[0].allowed == {"3.10", "3.11", "3.12"}
    assert facts.packages == []
    assert "not valid TOML" in facts.notes[0]


def test_setup_py_is_parsed_and_not_run(tmp_path: Path) -> None:
    facts = facts_of(
        "setup.py",
        f"""\
        import os, setuptools
        os.makedirs({str(tmp_path / "ran")!r})
        base = ["numpy"]
        setuptools.setup(
            install_requires=base + ["torch>=1.9"],
            extras_require={{"gpu": ["cupy"]}},
            python_requires=">=3.8",
        )
        """,
    )
    assert {p.name: p.scope for p in facts.packages} == {"numpy": "main", "torch": "main", "cupy": "optional"}
    assert "3.7" not in facts.pythons[0].allowed and "3.8" in facts.pythons[0].allowed
    assert not (tmp_path / "ran").exists()


def test_setup_py_that_compiles_cuda() -> None:
    sure = facts_of("setup.py", "from torch.utils.cpp_extension import CUDAExtension\nx = CUDAExtension('a', [])\n")
    asks = facts_of(
        "setup.py",
        "import torch\nif torch.cuda.is_available():\n    from t import CUDAExtension\n    CUDAExtension()\n",
    )
    assert sure.gpu[0].weight > asks.gpu[0].weight > 0


def test_setup_cfg() -> None:
    facts = facts_of(
        "setup.cfg",
        """\
        [options]
        python_requires = >=3.9,<3.15
        install_requires =
            numpy>=1.19
        [options.extras_require]
        cuda102 =
            cupy-cuda102
        """,
    )
    assert {p.name: p.scope for p in facts.packages} == {"numpy": "main", "cupy-cuda102": "optional"}
    assert max(facts.pythons[0].allowed, key=lambda v: int(v.split(".")[1])) == "3.14"


def test_what_pip_adds_to_a_whole_installation_counts() -> None:
    listed = "".join(f"- tool-{number}=1.0\n" for number in range(450))
    facts = facts_of("environment.yml", f"dependencies:\n{listed}- pip:\n  - torch==1.7.1\n")
    assert facts.packages[-1].name == "torch"


def test_conda_environments() -> None:
    facts = facts_of(
        "environment.yml",
        """\
        name: x
        dependencies:
          - python=3.8
          - pytorch::pytorch=1.9.1
          - cudatoolkit=11.1
          - pip:
            - timm==0.5
        """,
    )
    assert [(p.name, p.pinned) for p in facts.packages] == [
        ("torch", "1.9.1"),
        ("cudatoolkit", "11.1"),
        ("timm", "0.5"),
    ]
    assert facts.pythons[0].allowed == {"3.8"}


def test_the_environment_of_a_part_of_a_part_binds_less_than_one_of_a_part() -> None:
    text = "dependencies:\n  - python=3.8\n"
    whole, part, deep = (
        facts_of(f"{folder}environment.yml", text).pythons[0].authority for folder in ("", "a/", "a/b/")
    )
    assert whole == part > deep > 0


def test_an_environment_of_any_name_is_read_and_other_files_are_not() -> None:
    body = "dependencies:\n  - python=3.8\n"
    assert facts_of("neural.yaml", f"name: x\nchannels:\n  - pytorch\n{body}").pythons[0].allowed == {"3.8"}
    other = facts_of("chart.yaml", f"name: x\n{body}")
    assert not other.pythons and not other.notes
    assert not facts_of("site.yml", "channels: !!python/name:x\nnav: [").notes


def test_pipfile_and_locks() -> None:
    pipfile = facts_of(
        "Pipfile", '[packages]\nflask = "*"\n[dev-packages]\npytest = "*"\n[requires]\npython_version = "3.9"\n'
    )
    assert {p.name: p.scope for p in pipfile.packages} == {"flask": "main", "pytest": "development"}
    assert pipfile.pythons[0].allowed == {"3.9"}
    lock = facts_of("Pipfile.lock", '{"default": {"torch": {"version": "==2.1.0"}}}')
    assert [(p.name, p.pinned) for p in lock.packages] == [("torch", "2.1.0")]
    assert facts_of("uv.lock", 'version = 1\nrequires-python = ">=3.12"\n').pythons[0].allowed == {
        "3.12",
        "3.13",
        "3.14",
    }


@pytest.mark.parametrize(
    ("path", "text", "allowed"),
    [
        (".python-version", "3.10.4\n", {"3.10"}),
        ("runtime.txt", "python-3.7.1\n", {"3.7"}),
        (".tool-versions", "nodejs 18\npython 3.11.2\n", {"3.11"}),
        ("tox.ini", "[tox]\nenvlist = py{38,39}\n", {"3.8", "3.9"}),
        (".github/workflows/ci.yml", 'matrix:\n  python-version: ["3.9", "3.10"]\n', {"3.9", "3.10"}),
        (".travis.yml", "python:\n  - 3.6\n  - 3.7\n", {"3.6", "3.7"}),
    ],
)
def test_files_that_name_a_python(path: str, text: str, allowed: set[str]) -> None:
    assert facts_of(path, text).pythons[0].allowed == allowed


def test_notebooks_give_imports_and_kernel() -> None:
    facts = facts_of(
        "demo.ipynb",
        '{"metadata": {"accelerator": "GPU", "language_info": {"name": "python", "version": "3.8.10"}},'
        ' "cells": [{"cell_type": "code", "source": ["import torch\\n", "!pip install timm\\n"]}]}',
    )
    assert {p.name for p in facts.packages} == {"torch", "timm"}
    assert facts.pythons[0].allowed == {"3.8"}
    assert facts.gpu[0].weight > 0


def test_the_words_of_notebooks_and_scripts_are_read_too() -> None:
    cells = '{"cells": [{"cell_type": "markdown", "source": ["It requires 24 GB of RAM."]}]}'
    assert [s.value for s in facts_of("demo.ipynb", cells).said if s.subject == "ram"] == [24]
    script = "#!/bin/sh\n# It requires 24 GB of RAM.\npython train.py\n"
    assert [s.value for s in facts_of("run.sh", script).said if s.subject == "ram"] == [24]


def test_scripts_that_ask_for_a_gpu_differ_from_those_that_take_one() -> None:
    assert facts_of("train.py", "import torch\nmodel.cuda()\n").gpu
    assert not facts_of("train.py", "d = 'cuda' if torch.cuda.is_available() else 'cpu'\nmodel.to('cuda')\n").gpu
