"""Files that others name, and what several files say together."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from textwrap import dedent

import pytest

from envagent.repository.facts import Facts
from envagent.repository.fetch import fetch
from envagent.repository.readers.references import references, unread
from envagent.repository.readers.registry import read_file
from envagent.repository.readers.together import settle
from tests.kit.git import git
from tests.kit.loopback import fetch as fetch_remote
from tests.unit.repository.conftest import Make


def facts_of(files: dict[str, str]) -> Facts:
    facts = Facts()
    for path, text in files.items():
        read_file(path, dedent(text), facts)
    settle({path: dedent(text) for path, text in files.items()}, facts)
    return facts


def scopes(files: dict[str, str]) -> dict[str, str]:
    return {p.name: p.scope for p in facts_of(files).packages}


@pytest.mark.parametrize(
    ("path", "text", "target"),
    [
        ("requirements.txt", "-r reqs/x.lst\n", "reqs/x.lst"),
        ("requirements.txt", "--requirement=reqs/x.lst  # all\n", "reqs/x.lst"),
        ("requirements.txt", "-rreqs/x.lst\n", "reqs/x.lst"),
        ("requirements.txt", "-c reqs/x.lst\n", "reqs/x.lst"),
        ("requirements/all.txt", "-r ../reqs/x.lst\n", "reqs/x.lst"),
        ("environment.yml", "dependencies:\n  - pip:\n    - -r reqs/x.lst\n", "reqs/x.lst"),
        ("python_env.yaml", 'python: "3.8"\ndependencies:\n  - -r reqs/x.lst\n', "reqs/x.lst"),
        ("MLproject", "name: x\nconda_env: deps/run.yaml\n", "deps/run.yaml"),
        ("pyproject.toml", '[tool.setuptools.dynamic]\ndependencies = {file = ["reqs/x.lst"]}\n', "reqs/x.lst"),
        ("setup.cfg", "[options]\ninstall_requires = file: reqs/x.lst\n", "reqs/x.lst"),
        ("setup.py", "setup(install_requires=open('reqs/x.lst').read().split())\n", "reqs/x.lst"),
        ("README.md", "# It\n\n    pip install -U -r reqs/x.lst\n", "reqs/x.lst"),
        ("README.md", "```\nuv pip sync -r reqs/x.lst\n```\n", "reqs/x.lst"),
        ("README.md", "Run `conda env create -n x -f deps/run.yaml`.\n", "deps/run.yaml"),
        ("Dockerfile", "FROM x\nRUN mamba env create --file=deps/run.yaml\n", "deps/run.yaml"),
    ],
)
def test_files_that_name_others(path: str, text: str, target: str) -> None:
    files = {path: text}
    assert unread(files, {path, "reqs/x.lst", "deps/run.yaml"}) == [target]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("requirements.txt", "# -r reqs/x.lst\n-r ../../reqs/x.lst\n-r https://x.org/reqs/x.lst\n-r gone.txt\n"),
        ("requirements.txt", "-r requirements.txt\n"),
        ("docs/requirements.txt", "-r ../reqs/x.lst\n"),
        ("README.md", "cp -r reqs/x.lst there\n"),
    ],
)
def test_what_names_nothing_that_is_to_be_read(path: str, text: str) -> None:
    assert unread({path: text}, {path, "reqs/x.lst"}) == []


def test_circles_and_masses_end() -> None:
    many = {f"requirements/{n}.txt": "".join(f"-r {m}.txt\n" for m in range(60)) for n in range(60)}
    assert len(references(many, many)) <= 230
    assert (
        len(unread({"requirements.txt": "".join(f"-r {n}.x\n" for n in range(99))}, [f"{n}.x" for n in range(99)]))
        == 12
    )


def test_a_file_is_as_close_to_the_job_as_what_includes_it() -> None:
    assert scopes({"requirements.txt": "-r requirements-gpu.txt\n", "requirements-gpu.txt": "cupy\n"}) == {
        "cupy": "main"
    }
    assert scopes({"requirements.txt": "-r reqs/x.lst\n", "reqs/x.lst": "-r y.lst\n", "reqs/y.lst": "vllm\n"}) == {
        "vllm": "main"
    }
    assert scopes({"requirements-dev.txt": "-r requirements.txt\n", "requirements.txt": "numpy\n"}) == {"numpy": "main"}
    documented = {"README.md": "    pip install -r requirements-gpu.txt\n", "requirements-gpu.txt": "cupy\n"}
    assert scopes(documented) == {"cupy": "optional"}


def test_constraints_pin_what_is_asked_for() -> None:
    files = {"requirements.txt": "torch\n-c pins.lst\n", "pins.lst": "torch==2.1.0+cu118\nvllm==0.4\n"}
    assert [(p.name, p.pinned, p.local) for p in facts_of(files).packages] == [
        ("torch", None, ""),
        ("torch", "2.1.0", "cu118"),
    ]


def test_an_environment_of_any_name() -> None:
    files = {
        "MLproject": "name: x\nconda_env: deps/run.yaml\n",
        "deps/run.yaml": "dependencies:\n  - python=3.8\n  - cupy\n",
    }
    facts = facts_of(files)
    assert [(p.name, p.scope) for p in facts.packages] == [("cupy", "main")]
    assert facts.pythons[0].allowed == {"3.8"}


PROJECT = """\
    [project]
    name = "Track"
    dependencies = ["numpy"]
    [project.optional-dependencies]
    gpu = ["cupy"]
    cuda12 = ["track[gpu]", "cuda-python"]
    cpu = ["numba"]
    dev = ["pytest"]
    """


@pytest.mark.parametrize(
    ("commands", "mandatory"),
    [
        ("pip install -e .[gpu]", {"cupy"}),
        ("pip install '.[cuda12]'", {"cupy", "cuda-python", "track"}),
        ("pip install track[gpu]", {"cupy"}),
        ("pip install -e '.[gpu,dev]'", {"cupy"}),
        ("uv sync --extra gpu", {"cupy"}),
        ("uv run --extra gpu train.py", {"cupy"}),
        ("poetry install -E gpu --with dev", {"cupy"}),
        ("poetry install --extras 'gpu dev'", {"cupy"}),
        ("pip install .[gpu]\n    pip install -e .[dev]", {"cupy"}),
        ("pip install .\n    pip install .[gpu]", set()),
        ("pip install .[cpu]\n    pip install .[gpu]", set()),
        ("uv sync\n    uv sync --extra gpu", set()),
        ("uv sync --all-extras", set()),
        ("pip install other[gpu]", set()),
        ("pip install -r requirements.txt", set()),
    ],
)
def test_extras_that_the_documented_installation_includes(commands: str, mandatory: set[str]) -> None:
    files = {"README.md": f"# Track\n\n## Installation\n\n    {commands}\n", "pyproject.toml": PROJECT}
    assert {name for name, scope in scopes(files).items() if scope == "main"} - {"numpy"} == mandatory


def test_an_extra_that_the_package_itself_asks_for() -> None:
    text = "[project]\nname = 'track'\ndependencies = ['track[gpu]']\n[project.optional-dependencies]\ngpu = ['cupy']\n"
    assert scopes({"pyproject.toml": text}) == {"track": "main", "cupy": "main"}


FILES: dict[str, str | bytes] = {
    "README.md": "# it\n",
    "requirements.txt": "-r reqs/x.lst\n",
    "reqs/x.lst": "-r y.lst\nvllm\n",
    "reqs/y.lst": "torch\n",
    "reqs/z.lst": "flask\n",
}


def test_what_chosen_files_name_is_fetched(make: Make) -> None:
    snapshot = fetch(str(make(FILES)))
    assert set(snapshot.files) == set(FILES) - {"reqs/z.lst"}


@pytest.mark.parametrize("filters", [True, False])
def test_what_chosen_files_name_is_fetched_from_a_server(
    make: Make, serve: Callable[[Path], str], filters: bool
) -> None:
    folder = make(FILES)
    git(folder, "config", "uploadpack.allowFilter", str(filters).lower())
    git(folder, "config", "uploadpack.allowAnySHA1InWant", str(filters).lower())
    snapshot = fetch_remote(serve(folder))
    assert set(snapshot.files) == set(FILES) - {"reqs/z.lst"}
    assert {e.path: e.size for e in snapshot.entries}["reqs/y.lst"] == 6
