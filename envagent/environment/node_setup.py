"""Set up a Node.js project: the runtime, its package manager, what it depends on, its build and its tests."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from envagent.environment.declared_commands import workflows
from envagent.environment.findings import Findings, step, usual
from envagent.environment.setup_plan import Reason, SetupStep

_NO_TEST = re.compile(r"no test specified|^\s*exit|^echo ")
_PART = re.compile(r"\b(?:npm run|yarn(?: run)?|pnpm(?: run)?)\s+([\w:.-]+)")
_NEEDS_MORE = re.compile(
    r"browser|karma|cypress|playwright|puppeteer|e2e|lint|coverage|type|check|format", re.IGNORECASE
)
"""A part of the tests that needs a browser, or that tests no behavior."""
_USUAL_NODE = "18"
_NODE_VERSION = frozenset(("node-version", "node_version", "node-versions", "node"))
"""The names under which workflows keep releases of Node.js: the setting of the action, and usual ones of a matrix."""
_DEEPEST = 10
_LOCKS = (
    ("pnpm-lock.yaml", "pnpm"),
    ("yarn.lock", "yarn"),
    ("package-lock.json", "npm"),
    ("npm-shrinkwrap.json", "npm"),
)
_INSTALL = {
    "npm": ("npm", "ci", "--no-audit", "--no-fund"),
    "yarn": ("yarn", "install", "--frozen-lockfile", "--non-interactive"),
    "berry": ("yarn", "install", "--immutable"),
    "pnpm": ("pnpm", "install", "--frozen-lockfile"),
}


def node_steps(found: Findings) -> Iterator[SetupStep]:
    """Yield the steps that set up a Node.js project."""
    package = _package(found)
    scripts = {name: text for name, text in package.get("scripts", {}).items() if isinstance(text, str)}
    lock, manager = next(((name, tool) for name, tool in _LOCKS if found.has(name)), ("", "npm"))
    release, why = _node_release(found, package)
    version = _manager_version(package, manager, found)
    yield step(
        "node",
        "toolchain",
        f"Node.js {release} or newer" + ("" if manager == "npm" else f", and {manager}"),
        ("apt_install", "python3", "python3-venv", "build-essential", "ca-certificates"),
        ("get_node", release),
        *([] if manager == "npm" else [("get_node_tool", f"{manager}@{version}")]),
        reasons=[why, *([found.reason("package.json", "packageManager")] if "packageManager" in package else [])],
        done=("npm", "--version"),
    )
    install = _INSTALL["berry" if manager == "yarn" and not version.startswith("1") else manager]
    if not lock:
        install = ("npm", "install", "--no-audit", "--no-fund")
    yield step(
        "node-packages",
        "dependencies",
        f"what it depends on, {'as locked' if lock else 'without a lock file'}",
        ("install_node", *install),
        reasons=[found.reason(lock or "package.json", *(() if lock else ("dependencies",)))],
        minutes=30,
    )
    if "build" in scripts:
        yield step(
            "build",
            "build",
            f"its build: {scripts['build'][:60]}",
            ("in_work", manager, "run", "build"),
            reasons=[found.reason("package.json", '"build"')],
        )
    yield from _proofs(found, package, scripts, manager)


def _proofs(found: Findings, package: dict[str, Any], scripts: dict[str, str], manager: str) -> Iterator[SetupStep]:
    test = scripts.get("test", "")
    if not test or _NO_TEST.search(test):
        yield _without_tests(found, package, scripts)
        return
    parts = [one for one in _PART.findall(test) if one in scripts and one != "test"]
    plain = [one for one in parts if not _NEEDS_MORE.search(f"{one} {scripts[one]}")]
    part = plain[0] if plain and len(parts) > 1 else None
    if part is not None:
        yield step(
            "test-part",
            "proof",
            f"the part of its tests that needs no browser: {scripts[part][:60]}",
            ("in_work", manager, "run", part),
            reasons=[found.reason("package.json", f'"{part}"')],
            minutes=15,
            proves=f"its tests {part} pass",
        )
    yield step(
        "tests",
        "proof",
        f"its tests: {test[:60]}",
        ("in_work", manager, "test"),
        reasons=[*(one.reason for one in found.tests_in_ci[:1]), found.reason("package.json", '"test"')],
        minutes=15,
        proves="its tests pass",
        decides=part is None,
    )


def _without_tests(found: Findings, package: dict[str, Any], scripts: dict[str, str]) -> SetupStep:
    main = package.get("main")
    if isinstance(main, str) and main.isprintable() and "build" not in scripts:
        return step(
            "load",
            "proof",
            f"load {main}",
            ("in_work", "node", "-e", "import(require('path').resolve(process.argv[1]))", main),
            reasons=[found.reason("package.json", '"main"')],
            minutes=5,
            proves=f"{main} can be loaded",
        )
    return step(
        "packages-complete",
        "proof",
        "its packages are complete",
        ("in_work", "npm", "ls", "--depth=0"),
        reasons=[usual("it has no tests")],
        minutes=5,
        proves="its packages are installed" + (", and it builds" if "build" in scripts else "; nothing was run"),
    )


def _package(found: Findings) -> dict[str, Any]:
    try:
        loaded = json.loads(found.text("package.json"), strict=False)
    except ValueError:
        return {}
    package = loaded if isinstance(loaded, dict) else {}
    return {**package, "scripts": package.get("scripts") if isinstance(package.get("scripts"), dict) else {}}


def _node_release(found: Findings, package: dict[str, Any]) -> tuple[str, Reason]:
    for name in (".nvmrc", ".node-version"):
        if named := re.search(r"\bv?(\d{1,2}(?:\.\d+){0,2})\b", found.text(name)):
            return named[1], found.reason(name, named[1])
    least, why = _least_release(found, package)
    tested = _tested_releases(found)
    if tested and min(tested) > int(least.partition(".")[0]):
        path = next(iter(tested[min(tested)]))
        return str(min(tested)), found.reason(path, "node-version", belief="machine file")
    return least, why


def _tested_releases(found: Findings) -> dict[int, list[str]]:
    """Return the releases of Node.js that CI names, each with the files."""
    releases: dict[int, list[str]] = {}
    for path, whole in workflows(found.snapshot):
        for value in _node_versions(whole):
            if major := re.match(r"v?(\d{1,2})(?:\.|$)", value):
                releases.setdefault(int(major[1]), []).append(path)
    return releases


def _node_versions(part: object, depth: int = 0) -> Iterator[str]:
    """Yield the values of all settings of a workflow that name releases of Node.js."""
    if depth > _DEEPEST:
        return
    for name, value in part.items() if isinstance(part, dict) else ():
        if name in _NODE_VERSION:
            yield from (str(one) for one in (value if isinstance(value, list) else [value]))
        else:
            yield from _node_versions(value, depth + 1)
    for value in part if isinstance(part, list) else ():
        yield from _node_versions(value, depth + 1)


def _least_release(found: Findings, package: dict[str, Any]) -> tuple[str, Reason]:
    engines = package.get("engines")
    wanted = engines.get("node") if isinstance(engines, dict) else None
    if isinstance(wanted, str) and (named := re.search(r"(\d{1,2}(?:\.\d+){0,2})", wanted)):
        return max(named[1], _USUAL_NODE, key=lambda one: [int(part) for part in one.split(".")]), found.reason(
            "package.json", '"node"'
        )
    return _USUAL_NODE, usual("no file names a version")


def _manager_version(package: dict[str, Any], manager: str, found: Findings) -> str:
    named = re.match(rf"{manager}@(\d+[\w.-]*)", str(package.get("packageManager", "")))
    if named:
        return named[1]
    if manager == "pnpm":
        written = re.search(r"lockfileVersion:\s*'?(\d+)", found.text("pnpm-lock.yaml"))
        return {"5": "7", "6": "8"}.get(written[1], "9") if written else "9"
    return "1"
