"""Commands that a repository declares: in CI jobs, Dockerfiles, devcontainers and readmes, with their places.

Owns: finding them, and saying what a command does (installs packages, builds, tests). Must not: decide which are used.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import yaml

from envagent.environment.setup_plan import Belief, Reason, is_sound
from envagent.repository.documents.reading import sentences
from envagent.repository.facts import line_of, quote
from envagent.repository.readers.containers import without_json_comments
from envagent.repository.readers.dockerfiles import commands_of, image_commands
from envagent.repository.readers.scopes import is_readme
from envagent.repository.results import Snapshot
from envagent.repository.yamls import load_yaml

_MOST_COMMANDS = 200
_LONGEST = 2000
_EXPRESSION = re.compile(r"\$\{\{\s{0,5}([^{}]{1,200}?)\s{0,5}\}\}")
_OF_THE_RUNNER = re.compile(r"\$\{\{|\$\{?(?:GITHUB|RUNNER|ACTIONS|CI_|AGENT|BUILD_)\w|::(?:set|add)-")
_CONTROL = re.compile(r"(?m)^\s*(?:if|for|while|until|case|function)\b|<<-?\s?['\"]?\w|^\s*\w+\s?\(\)|\\\n")
_ELSEWHERE = re.compile(
    r"windows|macos|darwin|failure\(\)|always\(\)|schedule|release|tags|secrets|cache-hit", re.IGNORECASE
)
_TESTS = re.compile(
    r"\b(?:pytest|py\.test|tox|nox|unittest|nose2?|ctest|go test|cargo (?:nex)?test|npm (?:run )?(?:test|t\b)"
    r"|(?:yarn|pnpm)(?: run)? test|npx (?:jest|vitest|mocha)|R CMD check|testthat|make\b[^\n]{0,60} (?:check|tests?)\b"
    r"|ninja\b[^\n]{0,60} test|meson test|hatch (?:run )?\S*test)",
    re.IGNORECASE,
)
_BUILDS = re.compile(
    r"^(?:cmake|make|gmake|ninja|meson|\./(?:configure|autogen\.sh|bootstrap(?:\.sh)?|build(?:\.sh)?)|autoreconf|bazel"
    r"|mkdir|cd|npm run|yarn|pnpm|npm (?:ci|install)|go (?:build|mod|generate)|cargo build|scons|xmake)\b|^cd "
)
_APT = re.compile(r"\b(?:apt-get|apt|aptitude)\b(?:\s+-\S+)*\s+install\b(.*)", re.DOTALL)
_APT_NAME = re.compile(r"[a-z0-9][a-z0-9.+-]+")
_PIP = re.compile(
    r"^(?:(?:sudo|python3?(?:\.\d+)? -m|uv|\.?/?\S*/bin/python -m)\s+)*pip3?(?:\.\d+)? install\s+(.*)", re.DOTALL
)
_INSTALLER_ITSELF = frozenset(
    ["pip", "setuptools", "wheel", "uv", "virtualenv", "pipx", "codecov", "coveralls", "twine"]
)
_WITHOUT_VALUE = frozenset([
    "-U", "--upgrade", "-q", "-qq", "--quiet", "-v", "--verbose", "--user", "--no-cache-dir", "--progress-bar=off",
    "--system", "--break-system-packages", "--use-pep517", "--prefer-binary", "--root-user-action=ignore",
    "--disable-pip-version-check", "--ignore-installed", "--force-reinstall",
])  # fmt: skip
_INSTALL_WORDS = re.compile(
    r"install|build|setup|set up|depend|require|start|compil|prereq|usage|environment", re.IGNORECASE
)


@dataclass(frozen=True)
class Declared:
    """A command at a place of the repository; untrusted text."""

    belief: Belief
    path: str
    line: int | None
    text: str

    @property
    def reason(self) -> Reason:
        """The place as the reason of a step."""
        return Reason(belief=self.belief, path=self.path, line=self.line, quote=quote(self.text))

    @property
    def is_test(self) -> bool:
        """Whether it runs tests."""
        return _TESTS.search(self.text) is not None and not self.text.lstrip().startswith(
            ("pip ", "python -m pip ", "uv ")
        )

    @property
    def is_build(self) -> bool:
        """Whether it builds, and depends on nothing that only a CI service sets."""
        return _BUILDS.match(self.text) is not None and not self.of_the_runner

    @property
    def of_the_runner(self) -> bool:
        """Whether it depends on what only a CI service sets."""
        return _OF_THE_RUNNER.search(self.text) is not None

    @property
    def apt_packages(self) -> tuple[str, ...]:
        """The system packages that it installs by name."""
        found: list[str] = []
        for piece in commands_of(self.text):
            if names := _APT.search(piece):
                found += [word for word in _words(names[1]) if _APT_NAME.fullmatch(word.partition("=")[0])]
        return tuple(dict.fromkeys(word.partition("=")[0] for word in found))

    @property
    def pip_installs(self) -> tuple[tuple[str, ...], ...]:
        """The arguments of each `pip install` in it, without what does not matter in a new environment."""
        found = []
        for piece in commands_of(self.text):
            if (given := _PIP.match(piece)) and not _OF_THE_RUNNER.search(piece):
                words = [word for word in _words(given[1]) if word not in _WITHOUT_VALUE and not word.startswith("#")]
                words = [one for one in words if re.split(r"[=<>\[~!]", one)[0].lower() not in _INSTALLER_ITSELF]
                if words and not any("$" in word or "`" in word for word in words):
                    found.append(tuple(words))
        return tuple(found)


def _words(text: str) -> list[str]:
    try:
        return shlex.split(text, comments=True)
    except ValueError:
        return []


def _sound(commands: Iterable[Declared]) -> list[Declared]:
    """Leave out commands with signs that a terminal would not show as they are."""
    return [one for one in commands if is_sound(one.text)]


def ci_commands(snapshot: Snapshot) -> list[Declared]:
    """Return the commands of the job of a workflow that tests on Ubuntu, in order; empty without such a job."""
    found: list[tuple[tuple[int, int], list[Declared]]] = []
    for path, whole in workflows(snapshot):
        found += ((_rank(path, name, commands), commands) for name, commands in _jobs(path, snapshot, whole))
    tested = [one for one in found if any(command.is_test for command in one[1])]
    return _sound(max(tested or found, key=lambda one: one[0], default=((0, 0), []))[1])


def workflows(snapshot: Snapshot) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield the workflows of CI that can be read, each with its path."""
    for path, text in snapshot.files.items():
        if re.fullmatch(r"\.github/workflows/[^/]+\.ya?ml", path):
            try:
                whole = load_yaml(text)
            except (yaml.YAMLError, ValueError, RecursionError):
                continue
            if isinstance(whole, dict):
                yield path, whole


def _rank(path: str, name: str, commands: list[Declared]) -> tuple[int, int]:
    words = f"{path} {name}".lower()
    usual = any(word in words for word in ("test", "ci", "build", "main", "unit"))
    odd = re.search(
        r"lint|doc|release|publish|deploy|nightly|gpu|bench|wheel|fuzz|minimal|coverage|mac|win|pypi|stale", words
    )
    return (2 * usual - 2 * (odd is not None), min(len(commands), 12))


def _jobs(path: str, snapshot: Snapshot, whole: dict[str, Any]) -> Iterator[tuple[str, list[Declared]]]:
    jobs = whole.get("jobs")
    for name, job in jobs.items() if isinstance(jobs, dict) else ():
        if isinstance(job, dict) and _on_ubuntu(job):
            given = _given(whole.get("env"), "env") | _given(job.get("env"), "env") | _matrix(job)
            yield str(name), list(_of_job(path, snapshot.files[path], job, given))[:_MOST_COMMANDS]


def _on_ubuntu(job: dict[str, Any]) -> bool:
    where = f"{job.get('runs-on')} {job.get('strategy') if 'matrix' in str(job.get('runs-on')) else ''}".lower()
    return "ubuntu" in where or "linux" in where or "self-hosted" in where


def _matrix(job: dict[str, Any]) -> dict[str, str]:
    """Return one combination of the matrix: the first values, on Ubuntu."""
    strategy = job.get("strategy")
    matrix = strategy.get("matrix") if isinstance(strategy, dict) else None
    chosen: dict[str, str] = {}
    for name, values in matrix.items() if isinstance(matrix, dict) else ():
        if name == "include" and isinstance(values, list):
            rows = [row for row in values if isinstance(row, dict)]
            row = next((one for one in rows if "ubuntu" in str(one).lower()), rows[0] if rows else {})
            chosen = _given(row, "matrix") | chosen
        elif isinstance(values, list) and values:
            first = next((one for one in values if "ubuntu" in str(one).lower()), values[0])
            chosen |= _given(first, f"matrix.{name}") if isinstance(first, dict) else {f"matrix.{name}": str(first)}
    return chosen


def _given(values: object, prefix: str) -> dict[str, str]:
    pairs = values.items() if isinstance(values, dict) else ()
    return {f"{prefix}.{name}": str(value) for name, value in pairs if isinstance(value, (str, int, float))}


def _of_job(path: str, text: str, job: dict[str, Any], given: dict[str, str]) -> Iterator[Declared]:
    steps = job.get("steps")
    for step in steps if isinstance(steps, list) else ():
        run = step.get("run") if isinstance(step, dict) else None
        if not isinstance(run, str) or _ELSEWHERE.search(str(step.get("if", ""))):
            continue
        if (str(step.get("shell", "bash")).split() or ["bash"])[0] not in ("bash", "sh"):
            continue
        folder = step.get("working-directory")
        known = {**given, **_given(step.get("env"), "env")}
        for block in _blocks(run[:20_000]):
            line, _ = line_of(text, [block.strip().splitlines()[0]])
            filled = _filled(block, known)
            command = filled if not isinstance(folder, str) else f"cd {folder}\n{filled}"
            yield Declared("machine file", path, line, command.strip()[:_LONGEST])


def _filled(text: str, known: dict[str, str]) -> str:
    """Return a text with the expressions replaced whose values are known."""
    return _EXPRESSION.sub(lambda one: known.get(one[1], one[0]), text)


def _blocks(run: str) -> Iterator[str]:
    """Split a script into its commands; one with conditions or loops stays whole."""
    joined = re.sub(r"\\\n\s*", " ", run)
    if _CONTROL.search(joined):
        yield joined
        return
    yield from (line.strip() for line in joined.splitlines() if line.strip() and not line.lstrip().startswith("#"))


def docker_commands(snapshot: Snapshot) -> list[Declared]:
    """Return the RUN commands of the Dockerfile that is closest to the top, those of its final image."""
    paths = [one for one in snapshot.files if re.search(r"(^|/)(dockerfile|containerfile)$", one.lower())]
    for path in sorted(paths, key=lambda one: (one.count("/"), one)):
        found = image_commands(path, snapshot.files[path])
        return _sound(Declared("machine file", path, line, text[:_LONGEST]) for line, text in found[:_MOST_COMMANDS])
    return []


_LIFE = ("onCreateCommand", "updateContentCommand", "postCreateCommand")


def devcontainer_commands(snapshot: Snapshot) -> list[Declared]:
    """Return the commands that a devcontainer runs once it is created."""
    path = next(
        (one for one in (".devcontainer/devcontainer.json", ".devcontainer.json") if one in snapshot.files), None
    )
    if path is None:
        return []
    text = snapshot.files[path]
    try:
        whole = json.loads(without_json_comments(text), strict=False)
    except ValueError:
        return []
    found = []
    for name in _LIFE if isinstance(whole, dict) else ():
        line = line_of(text, [name])[0]
        found += [Declared("machine file", path, line, command[:_LONGEST]) for command in _flat(whole.get(name))]
    return _sound(found)


def _flat(command: object) -> Iterator[str]:
    match command:
        case str():
            yield command
        case list() if all(isinstance(one, str) for one in command):
            yield shlex.join(command)
        case dict():
            for one in command.values():
                yield from _flat(one)


def readme_commands(snapshot: Snapshot) -> list[Declared]:
    """Return the commands in code blocks of the readme, and of installation guides, under fitting headings."""
    guides = [one for one in snapshot.files if is_readme(one) or re.fullmatch(r"(install|building?)[^/]*", one.lower())]
    found = []
    for path in guides:
        for one in sentences(path, snapshot.files[path])[0]:
            if one.kind == "code" and _INSTALL_WORDS.search(" ".join(one.headings[-2:])):
                text = re.sub(r"^\s*(?:\$|>|%|#)\s+", "", one.text).strip()
                found.append(Declared("readme", path, one.line, text[:_LONGEST]))
    return _sound(found[:_MOST_COMMANDS])


def apt_file(snapshot: Snapshot) -> list[Declared]:
    """Return the packages of an apt.txt, a line each, as commands that install them."""
    for path in ("apt.txt", "binder/apt.txt", ".binder/apt.txt"):
        lines = enumerate(snapshot.files.get(path, "").splitlines(), 1)
        named = [(number, line.partition("#")[0].strip()) for number, line in lines]
        if found := [
            Declared("machine file", path, number, f"apt-get install {name}") for number, name in named if name
        ]:
            return _sound(found)
    return []


def before_tests(commands: Iterable[Declared]) -> list[Declared]:
    """Return the commands that come before the first that only tests."""
    found = []
    for one in commands:
        if one.is_test and not one.apt_packages:
            break
        found.append(one)
    return found


def in_folder(command: Declared, folder: str) -> Declared:
    """Return a command as it is run from the top of the repository."""
    return replace(command, text=f"cd {shlex.quote(folder)}\n{command.text}") if folder else command
