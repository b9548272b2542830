"""Set up a Python project: the interpreter, what it depends on with its test tools, and the proof that it runs."""

from __future__ import annotations

import configparser
import re
from collections.abc import Iterator
from typing import Any

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envagent.environment.declared_commands import before_tests
from envagent.environment.findings import Findings, step, usual, verbatim
from envagent.environment.setup_plan import Command, Reason, SetupStep
from envagent.repository.facts import minors
from envagent.repository.readers.parsing import strings, table
from envagent.repository.results import Requirements

_TEST_GROUPS = ("test", "tests", "testing", "unittest", "pytest", "dev", "develop", "development", "ci")
_TEST_REQUIREMENTS = re.compile(
    r"(?:(?:test|tests|dev|ci)[-_]?requirements?|requirements?(?:/|[-_.])(?:test|tests|testing|dev|ci))(?:[-_.][\w.-]+)?\.(?:txt|in)"
    r"|requirements/(?:test|tests|testing|dev|ci)(?:\.pip)?"
)
_PLAIN = re.compile(r"[A-Za-z][\w.-]*(\[[\w,]+\])?([<>=!~][^\s{}:]*)?")
"""A requirement without markers, files and places."""
_ITSELF = re.compile(r"\.\[([\w.,\s-]+)\]")
"""What pip is given for the package of this folder, with extras."""
_EXTRA = r"[\"']{}[\"']\s*[:\]=]"
_TEST_FILE = re.compile(r"(^|/)(tests?_[^/]*|[^/]*_test)\.py$")
_COSTLY = re.compile(r"gpu|cuda|integration|e2e|slow|bench|distributed|network|online|regression|large|docker|download")
_ASIDE = re.compile(r"mypy|typing|(?:^|[/_])(?:cases|fixtures|samples|resources|legacy\w*)/")
"""Where files lie that are named as tests are, and are what others test with."""
_NOT_A_PACKAGE = re.compile(
    r"^(tests?|testing|docs?|examples?|scripts?|benchmarks?|tools?|data|utils?|setup|ci|build)$"
)
_TORCH = re.compile(r"(?m)^\s*[\"']?torch(?:vision|audio)?\b(?![.-])")
_ENVIRONMENTS = (
    *("environment.yml", "environment.yaml", "binder/environment.yml", ".binder/environment.yml", "conda.yml"),
    *("conda.yaml", "environment-dev.yml", "conda/environment.yml", "envs/environment.yml"),
)
_OLDEST = 8
"""The oldest minor of Python 3 that tools still install where a newer one serves as well."""
_PYTHON_REQUIRES = re.compile(r"(?m)^\s*python[_-]requires\s*=\s*[\"']?([<>=!~\d., *]+)")
_PROSE = re.compile(r"\.(?:md|rst|ipynb)$", re.IGNORECASE)
_PYTEST_SECTION = re.compile(r"(?ms)^\[(?:tool\.pytest[\w.]*|tool:pytest|pytest)\]\s*$(.*?)(?=^\[|\Z)")
_PYTEST_PLUGINS = {
    r"--cov\b": "pytest-cov",
    r"asyncio[-_]mode": "pytest-asyncio",
    r"--dist\b|--numprocesses|-n[ =\"',]*(?:auto|logical|\d)": "pytest-xdist",
    r"--timeout\b|(?m:^timeout\s*=)": "pytest-timeout",
    r"--benchmark": "pytest-benchmark",
    r"DJANGO_SETTINGS_MODULE": "pytest-django",
    r"--reruns": "pytest-rerunfailures",
    r"--mpl\b": "pytest-mpl",
    r"--doctest-plus|doctest_plus": "pytest-doctestplus",
    r"--randomly|randomly_seed": "pytest-randomly",
    r"--mypy\b": "pytest-mypy",
}
"""What a configuration of pytest sets, and the plugin without which pytest does not start then."""
_PYTEST = ("python", "-m", "pytest", "-q", "-o", "cache_dir=.venv/.pytest_cache")
"""pytest, leaving nothing in the clone; its cache stays on, since a configuration may have options for it."""
_SMALL_TEST = 400
"""Bytes below which a file of tests hardly tests anything."""
_STARTS = ("main.py", "train.py", "run.py", "demo.py", "app.py", "cli.py", "eval.py", "inference.py", "generate.py")


def python_steps(found: Findings) -> Iterator[SetupStep]:
    """Yield the steps that set up a Python project."""
    tests = _test_files(found)
    conda = next((name for name in _ENVIRONMENTS if found.has(name) and "dependencies" in found.text(name)), None)
    if conda is not None:
        yield _conda_environment(found, conda)
    else:
        yield _environment(found)
    yield from _dependencies(found, conda, tests)
    yield from _further(found)
    yield from _proofs(found, tests)


def _environment(found: Findings) -> SetupStep:
    needs = found.analysis.requirements
    places = [one for one in found.analysis.evidence if one.field == "python_version"]
    stated = _stated_releases(found)
    if stated is not None and any(_PROSE.search(one.path) for one in places):
        wanted, reason = stated  # a manual speaks of what it was tried with
        reasons = [reason]
    else:
        wanted = _python_range(needs)
        reasons = [Reason(belief="manifest", path=one.path, line=one.line, quote=one.quote) for one in places[:3]]
    return step(
        "python-environment",
        "environment",
        f"an environment with Python {wanted}",
        ("apt_install", "python3", "python3-venv", "python3-dev", "build-essential", "curl"),
        ("get_uv",),
        ("make_python", wanted),
        reasons=reasons or [usual("no file names a version: what the system has serves")],
        done=("has_modules", "ssl", "sqlite3"),
    )


def _stated_releases(found: Findings) -> tuple[str, Reason] | None:
    """Return the releases that the manifest of a package asks for, as uv reads them, and the place."""
    bounds = [("pyproject.toml", str(table(found.toml("pyproject.toml"), "project").get("requires-python") or ""))]
    for name in ("setup.cfg", "setup.py"):
        bounds += [(name, one) for one in _PYTHON_REQUIRES.findall(found.text(name))]
    for name, bound in bounds:
        try:
            releases = SpecifierSet(bound.strip().strip(",")) if bound else None
        except InvalidSpecifier:
            continue
        fitting = (
            sorted(int(one.removeprefix("3.")) for one in minors(releases) if one.startswith("3.")) if releases else []
        )
        if fitting and fitting[-1] >= _OLDEST:
            return f">=3.{max(_OLDEST, fitting[0])},<3.{fitting[-1] + 1}", found.reason(name, bound)
    return None


def _python_range(needs: Requirements) -> str:
    """Return the releases that serve, as uv reads them.

    >>> _python_range(Requirements(python_version="3.11", python_allowed=("3.9", "3.10", "3.11")))
    '>=3.9,<3.12'
    """
    allowed = [int(one.partition(".")[2]) for one in needs.python_allowed if one.startswith("3.")]
    allowed = [one for one in allowed if one >= _OLDEST] or allowed
    if allowed:
        return f">=3.{min(allowed)},<3.{max(allowed) + 1}"
    return needs.python_version or ">=3.8"


def _conda_environment(found: Findings, name: str) -> SetupStep:
    """Make the environment of a conda file; a package has what pip needs, where conda cannot be had."""
    otherwise = (
        (_python_range(found.analysis.requirements),) if _is_package(found, found.toml("pyproject.toml")) else ()
    )
    return step(
        "conda-environment",
        "environment",
        f"the conda environment of {name}",
        (
            "apt_install",
            "curl",
            "bzip2",
            "ca-certificates",
            "build-essential",
            "python3",
            "python3-venv",
            "python3-dev",
        ),
        ("make_conda", name, *otherwise),
        reasons=[found.reason(name, "dependencies", belief="machine file")],
        done=("has_modules", "ssl"),
        minutes=60,
    )


def _dependencies(found: Findings, conda: str | None, tests: list[str]) -> Iterator[SetupStep]:
    manifest = found.toml("pyproject.toml")
    commands: list[Command] = []
    reasons: list[Reason] = []
    declared = _is_package(found, manifest)
    extras = _test_extras(found, manifest)
    itself = f".[{','.join(extras)}]" if extras else "."
    backend = ("--torch-backend=auto",) if conda is None and _wants_torch(found) else ()
    if conda is not None:
        commands.append(("get_uv",))
        if declared:
            commands.append(("uv_pip", "-e", itself))
            reasons.append(_manifest_of(found))
    elif found.has("uv.lock"):
        groups = _test_dependency_groups(manifest)
        named = [
            *(word for one in extras for word in ("--extra", one)),
            *(w for one in groups for w in ("--group", one)),
        ]
        commands.append(("uv_sync", *named))
        reasons.append(found.reason("uv.lock"))
    elif found.has("poetry.lock") and (poetry := table(manifest, "tool", "poetry")):
        groups = [one for one in table(poetry, "group") if one in _TEST_GROUPS]
        commands += [("in_work", "uv", "tool", "install", "--quiet", "poetry"), ("poetry_install", *_poetry(groups))]
        reasons.append(found.reason("poetry.lock"))
    elif found.has("Pipfile.lock"):
        commands.append(("pipenv_sync", *(("-e", itself) if declared else ())))
        reasons.append(found.reason("Pipfile.lock"))
    else:
        named, why = _requirements(found, declared=declared)
        reasons += why
        if declared:
            groups = [word for one in _test_dependency_groups(manifest) for word in ("--group", one)]
            commands.append(("uv_pip", *backend, *named, "-e", itself, *groups))
            reasons += [_manifest_of(found), *(found.reason("pyproject.toml", one) for one in extras[:1])]
        elif named:
            commands.append(("uv_pip", *backend, *named))
        else:
            yield from _as_documented(found, backend)
    tools, why = _test_tools(found, tests, {*strings(table(manifest, "project").get("dependencies"))})
    if tools:
        commands += [("uv_pip", *backend, *tools)]
        reasons += why
    if tests:
        commands.append(("install_imports", "tests"))
        reasons.append(usual("tests import what no file declares"))
    if commands:
        yield step(
            "python-packages",
            "dependencies",
            "what it depends on, with its test tools",
            *commands,
            reasons=reasons,
            minutes=60,
        )


def _poetry(groups: list[str]) -> tuple[str, ...]:
    return ("--with", ",".join(groups)) if groups else ()


def _is_package(found: Findings, manifest: dict[str, Any]) -> bool:
    """Return whether the folder can be installed as a package."""
    if found.has("setup.py"):
        return True
    if found.has("setup.cfg") and "[metadata]" in found.text("setup.cfg"):
        return True
    return "build-system" in manifest or "project" in manifest or "poetry" in table(manifest, "tool")


def _manifest_of(found: Findings) -> Reason:
    name = found.has("pyproject.toml", "setup.py", "setup.cfg") or "pyproject.toml"
    if name == "pyproject.toml" and "[project]" not in found.text(name) and found.has("setup.py"):
        name = "setup.py"
    needle = {"pyproject.toml": "[project]" if "[project]" in found.text(name) else "[", "setup.py": "setup("}
    return found.reason(name, needle.get(name, "[metadata]"))


def _test_extras(found: Findings, manifest: dict[str, Any]) -> list[str]:
    """Return the extra with the test tools."""
    declared = {*table(manifest, "project", "optional-dependencies"), *table(manifest, "tool", "poetry", "extras")}
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    try:
        parser.read_string(found.text("setup.cfg"))
        declared |= {*parser["options.extras_require"]} if parser.has_section("options.extras_require") else set()
    except configparser.Error:
        pass
    script = found.text("setup.py")
    if "extras_require" in script:
        declared |= {one for one in _TEST_GROUPS if re.search(_EXTRA.format(one), script)}
    usual_one = [one for one in _TEST_GROUPS if one in {canonicalize_name(name) for name in declared}][:1]
    return list(dict.fromkeys([*usual_one, *_used_extras(found)]))


def _used_extras(found: Findings) -> list[str]:
    """Return the extras with which CI or tox first installs the package, before it is tested."""
    section = _tox_section(found)
    installed = [word for one in before_tests(found.ci) for words in one.pip_installs for word in words]
    in_tox = [word for line in _tox_lines(section, "commands") for word in line.split() if "pip install" in line]
    for word in (*installed, *in_tox):
        if named := _ITSELF.fullmatch(word.strip("\"'")):
            return [one.strip() for one in named[1].split(",") if one.strip()]
    return [one for line in _tox_lines(section, "extras") for one in re.findall(r"^[\w.-]+$", line)]


def _tox_section(found: Findings) -> str:
    section = re.search(r"(?ms)^\[testenv\](.*?)(?=^\[|\Z)", found.text("tox.ini"))
    return section[0] if section else ""


def _tox_lines(section: str, name: str) -> list[str]:
    """Return the lines of a setting of tox, without comments."""
    listed = re.search(rf"(?m)^{name}\s*=\s*((?:.*\n?)(?:(?:[ \t]+|[#;]).*\n?)*)", section)
    lines = [re.split(r"(?:^|\s)[#;]", line)[0].strip() for line in listed[1].splitlines()] if listed else []
    return [one for one in lines if one]


def _test_dependency_groups(manifest: dict[str, Any]) -> list[str]:
    return [one for one in _TEST_GROUPS if one in table(manifest, "dependency-groups")][:2]


def _requirements(found: Findings, *, declared: bool) -> tuple[list[str], list[Reason]]:
    """Return the requirements files that are installed: the main one, and the one with the test tools."""
    own = sorted(found.inner(one) for one in found.paths if one.startswith(found.folder))
    usual_names: tuple[str, ...] = ("requirements.txt", "requirements/base.txt", "requirements/main.txt")
    main = [one for one in usual_names if one in own][:1]
    if not main and not declared:
        main = [one for one in own if re.fullmatch(r"[^/]*requirements?[^/]*\.txt", one)][:1]
    test = [one for one in own if _TEST_REQUIREMENTS.fullmatch(one) and one not in main]
    test = sorted(test, key=lambda one: ("test" not in one, one.endswith(".in"), len(one)))[:1]
    chosen = [*main, *([one for one in _used_requirements(found) if one in own and one not in main][:3] or test)]
    return [word for one in chosen for word in ("-r", one)], [found.reason(one) for one in chosen]


def _used_requirements(found: Findings) -> list[str]:
    """Return the requirements files that CI or tox installs before the tests, as seen from the folder."""
    installs = [word for one in before_tests(found.ci) for words in one.pip_installs for word in words]
    installs += [one for one in _tox_lines(_tox_section(found), "deps") if one.startswith("-r")]
    named = re.findall(r"(?:^|\s)(?:-r|--requirement)[\s=]*(\S+)", " ".join(installs))
    return list(dict.fromkeys(one.removeprefix("{toxinidir}").lstrip("./") for one in named))


def _test_tools(found: Findings, tests: list[str], declared: set[str]) -> tuple[list[str], list[Reason]]:
    """Return what CI or tox installs by name for the tests; what a failed set-up lacks most often."""
    tools: list[str] = []
    reasons: list[Reason] = []
    for one in found.ci:
        for words in one.pip_installs:
            if not any(word.startswith(("-", ".")) or "/" in word for word in words):
                tools += words
                reasons.append(one.reason)
    section = _tox_section(found)
    for word in _tox_lines(section, "deps"):
        if _PLAIN.fullmatch(word):
            tools.append(word)
            reasons.append(found.reason("tox.ini", word))
    if section or table(found.toml("pyproject.toml"), "tool", "tox"):  # its own way to test: whoever works on it has it
        tools.append("tox")
        reasons.append(
            found.reason("tox.ini", section.split("\n")[0]) if section else found.reason("pyproject.toml", "tox")
        )
    for needed, reason in (*_pytest_plugins(found), *_configured_deps(found)):
        tools.append(needed)
        reasons.append(reason)
    if tests and "pytest" not in {re.split(r"[\[<>=!~ ]", one)[0] for one in tools}:
        tools.append("pytest")
        reasons.append(usual("it has files of tests, which pytest runs"))
    return list(dict.fromkeys(tools)), reasons


def _pytest_plugins(found: Findings) -> Iterator[tuple[str, Reason]]:
    """Yield the plugins that the configuration of pytest needs."""
    for name in ("pyproject.toml", "setup.cfg", "pytest.ini", "tox.ini"):
        for section in _PYTEST_SECTION.finditer(found.text(name)):
            for pattern, plugin in _PYTEST_PLUGINS.items():
                if shown := re.search(pattern, section[1]):
                    yield plugin, found.reason(name, shown[0])


def _configured_deps(found: Findings) -> Iterator[tuple[str, Reason]]:
    """Yield what tox and hatch install for the tests, as pyproject.toml configures them."""
    tool = table(found.toml("pyproject.toml"), "tool")
    listed = [table(tool, "tox", "env_run_base").get("deps")]
    for name in ("test", "tests", "hatch-test", "default"):
        environment = table(tool, "hatch", "envs", name)
        listed += [environment.get("dependencies"), environment.get("extra-dependencies")]
    for word in (one for deps in listed for one in strings(deps)):
        if _PLAIN.fullmatch(word):
            yield word, found.reason("pyproject.toml", word)


def _as_documented(found: Findings, backend: tuple[str, ...]) -> Iterator[SetupStep]:
    """Yield the installation that only a Dockerfile or the readme shows."""
    for source in (found.devcontainer, found.ci, found.docker, found.readme):
        installs = [(words, one) for one in source for words in one.pip_installs]
        if installs:
            yield step(
                "documented-packages",
                "dependencies",
                "the packages that it says to install",
                *[("uv_pip", *backend, *words) for words, _ in installs[:12]],
                reasons=[one.reason for _, one in installs],
                minutes=60,
            )
            return
    found.notes.append("No file declares what its Python code depends on.")
    yield step(
        "imported-packages",
        "dependencies",
        "well-known packages that its files import",
        ("install_imports", "all"),
        reasons=[usual("no file declares what its Python code depends on")],
        minutes=60,
    )


def _wants_torch(found: Findings) -> bool:
    names = [
        one
        for one in found.snapshot.files
        if re.search(r"requirements[^/]*\.(txt|in)$|pyproject\.toml$|setup\.py$", one)
    ]
    return any(_TORCH.search(found.snapshot.files[one]) for one in names)


def _further(found: Findings) -> Iterator[SetupStep]:
    """Yield what a devcontainer or Binder runs once the packages are there."""
    path = found.has("postBuild", "binder/postBuild", ".binder/postBuild")
    if path is not None:
        yield step(
            "post-build",
            "build",
            "its script for Binder",
            verbatim(f"bash {path}"),
            reasons=[found.reason(path, belief="machine file")],
        )


# --- proof


def _test_files(found: Findings) -> list[str]:
    """Return its files of tests as seen from the folder, the most promising first: small, and without hardware."""
    own = [found.inner(one) for one in found.paths if one.startswith(found.folder) and _TEST_FILE.search(one)]
    own = [one for one in own if "/data/" not in one and not one.startswith(("docs/", "examples/"))]

    def order(path: str) -> tuple[bool, bool, bool, int]:
        size = found.sizes.get(found.path(path), 0)
        return (
            _ASIDE.search(path.lower()) is not None,
            _COSTLY.search(path.lower()) is not None,
            size < _SMALL_TEST,
            size,
        )

    return sorted(own, key=order)


def _proofs(found: Findings, tests: list[str]) -> Iterator[SetupStep]:
    """Yield the proofs, the weaker ones first: an import, a small test; all tests are collected and not decisive."""
    modules = _modules(found)
    if modules:
        yield step(
            "import",
            "proof",
            f"import {', '.join(modules)}",
            ("has_modules", *modules),
            reasons=[usual("the package that it is")],
            minutes=5,
            proves=f"{', '.join(modules)} can be imported",
            decides=not tests,
        )
    if tests:
        small = tests[0]
        yield step(
            "small-test",
            "proof",
            f"the tests of {small}",
            ("in_work", *_PYTEST, "-x", "--no-header", "--", small),
            reasons=[*(one.reason for one in found.tests_in_ci[:1]), Reason(belief="manifest", path=found.path(small))],
            minutes=10,
            proves=f"the tests of {small} pass",
        )
        yield step(
            "collect-tests",
            "proof",
            f"collect the tests of {len(tests)} {'file' if len(tests) == 1 else 'files'}",
            ("in_work", *_PYTEST, "--collect-only"),
            reasons=[usual("whether all that its tests import is there")],
            minutes=10,
            proves="all its tests can be collected",
            decides=False,
        )
    elif not modules:
        yield from _start(found)


def _modules(found: Findings) -> list[str]:
    """Return the packages that the repository is, by the folders that hold them."""
    manifest = found.toml("pyproject.toml")
    if not _is_package(found, manifest):
        return []
    own = [found.inner(one) for one in found.paths if one.startswith(found.folder)]
    tops = {m[1] for one in own if (m := re.fullmatch(r"(?:src/|lib/|python/)?(\w+)/__init__\.py", one))}
    tops |= {m[1] for one in own if (m := re.fullmatch(r"src/(\w+)\.py", one))}
    tops = {one for one in tops if not _NOT_A_PACKAGE.match(one)}
    single = {one.removesuffix(".py") for one in own if re.fullmatch(r"\w+\.py", one)}
    for name in _names(found, manifest):
        named = canonicalize_name(name).replace("-", "_")
        if same := [one for one in tops | single if one.lower() == named]:
            return same[:1]
    return sorted(tops, key=lambda one: (-sum(path.startswith((f"{one}/", f"src/{one}/")) for path in own), one))[:1]


def _names(found: Findings, manifest: dict[str, Any]) -> Iterator[str]:
    """Yield the names that the package may have: what its manifests say, then the repository's own."""
    yield str(table(manifest, "project").get("name") or table(manifest, "tool", "poetry").get("name") or "")
    for name, pattern in (
        ("setup.cfg", r"(?m)^name\s*=\s*([\w.-]+)"),
        ("setup.py", r"(?im)^\s*name\s*=\s*[\"']([\w.-]+)[\"']"),
    ):
        if named := re.search(pattern, found.text(name)):
            yield named[1]
    yield found.snapshot.url.rstrip("/").rpartition("/")[2].removesuffix(".git")


def _start(found: Findings) -> Iterator[SetupStep]:
    """Yield the proofs of a repository without a package or tests: its script shows its options, its imports exist."""
    named = [m[1] for one in found.readme if (m := re.search(r"\bpython3? (\w[\w./-]*\.py)\b", one.text))]
    script = next((one for one in (*named, *_STARTS) if found.path(one) in found.paths), None)
    starts = script is not None and "argparse" in found.text(script)
    yield step(
        "imports",
        "proof",
        "what its files import",
        ("imports_found",),
        reasons=[usual("it has neither tests nor a package")],
        minutes=5,
        proves="every module that its files import is installed; nothing was run",
        decides=not starts,
    )
    if script is not None and starts:
        yield step(
            "start",
            "proof",
            f"{script} starts",
            ("in_work", "python", script, "--help"),
            reasons=[found.reason(script, "argparse")],
            minutes=5,
            proves=f"{script} starts and shows its options",
        )
