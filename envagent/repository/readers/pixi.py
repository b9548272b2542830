"""pixi.toml, and the same tables in pyproject.toml.

Owns: pixi's features and which of them its default environment has. Must not: resolve channels.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from packaging.utils import canonicalize_name

from envagent.repository.facts import CudaSign, Facts, GpuSign, Scope, line_of, spot_of
from envagent.repository.readers.dependencies import (
    MOST_OF_A_FILE,
    WEIGHT,
    add_conda,
    add_index,
    add_pip,
    python_sign,
    written,
)
from envagent.repository.readers.parsing import items, strings, table, toml_table
from envagent.repository.readers.scopes import group_scope, scope_of
from envagent.repository.readers.targets import FRAMEWORKS, of_url, shared

_MOST_FEATURES = 40
_TARGETS = ("linux-64", "linux", "unix")


def read(path: str, text: str, facts: Facts) -> None:
    """Read pixi.toml."""
    read_tables(toml_table(path, text, facts), path, text, facts)


def read_tables(tables: dict[str, Any], path: str, text: str, facts: Facts) -> None:
    """Read the packages, the Python and the CUDA driver of each feature."""
    scope = scope_of(path)
    if scope is None or _elsewhere(tables):
        return
    always = _always(tables)
    if "" in always:
        _feature(tables, scope, path, text, facts)
    for name, feature in list(table(tables, "feature").items())[:_MOST_FEATURES]:
        if isinstance(feature, dict) and not _elsewhere(feature):
            own = scope if name in always else group_scope(name)
            _feature(feature, own, path, text, facts)


def _elsewhere(tables: dict[str, Any]) -> bool:
    """Return whether all platforms are other than Linux."""
    for place in (table(tables, "workspace"), table(tables, "project"), tables):
        if platforms := [str(p.get("platform", "")) if isinstance(p, dict) else p for p in items(place, "platforms")]:
            return not any(isinstance(p, str) and p.startswith("linux") for p in platforms)
    return False


def _always(tables: dict[str, Any]) -> frozenset[str]:
    """Return the features that whoever runs it gets, the default feature being ``.

    That is what the default environment has. Where the tables outside of features hold no packages, all work is done
    in other environments, and what these have in common counts.
    """
    environments = table(tables, "environments")
    default = _features(environments.get("default", []))
    if len(default) > 1 or any(_packages(tables)):
        return default
    others = [_features(e) for name, e in environments.items() if group_scope(name) != "development"]
    return frozenset.intersection(*others) | {""} if others else default


def _features(environment: object) -> frozenset[str]:
    if isinstance(environment, dict):
        own = frozenset(strings(environment.get("features")))
        return own if environment.get("no-default-feature") is True else own | {""}
    return frozenset({"", *strings(environment)})


def _packages(feature: dict[str, Any]) -> Iterator[tuple[str, object, bool]]:
    """Yield name and wanted version of each package but Python, and whether it is one of PyPI."""
    for place in (feature, *(table(feature, "target", platform) for platform in _TARGETS)):
        for key in ("dependencies", "host-dependencies", "pypi-dependencies"):
            of_pypi = key.startswith("pypi")
            yield from ((n, w, of_pypi) for n, w in table(place, key).items() if n != "python" or of_pypi)


def _feature(feature: dict[str, Any], scope: Scope, path: str, text: str, facts: Facts) -> None:
    _driver(feature, scope, path, text, facts)
    for place in (feature, *(table(feature, "target", platform) for platform in _TARGETS)):
        if (python := table(place, "dependencies").get("python")) is not None and scope in ("main", "component"):
            package = add_conda(facts, _specification("python", python), scope, path, line_of(text, ["python"])[0])
            if package and (sign := python_sign(package, 3 if "/" not in path else 1, "the environment's pin")):
                facts.pythons.append(sign)
    options = table(feature, "pypi-options")
    links = [link.get("url") for link in items(options, "find-links") if isinstance(link, dict)]
    target = shared(
        [
            add_index(facts, url, scope, spot_of(path, text, url.rsplit("/", 1)[-1]))
            for url in strings([options.get("index-url"), *items(options, "extra-index-urls"), *links])
        ]
    )
    for name, wanted, of_pypi in list(_packages(feature))[:MOST_OF_A_FILE]:
        line = line_of(text, [name])[0]
        if of_pypi:
            own = of_url(str(wanted.get("index") or "")) if isinstance(wanted, dict) else ""
            own = own or (target if canonicalize_name(name) in FRAMEWORKS else "")
            add_pip(facts, _requirement(name, wanted), scope, path, line, local=own)
        else:
            add_conda(facts, _specification(name, wanted), scope, path, line)


def _driver(feature: dict[str, Any], scope: Scope, path: str, text: str, facts: Facts) -> None:
    wanted = table(feature, "system-requirements").get("cuda")
    wanted = wanted.get("driver") or wanted.get("version") if isinstance(wanted, dict) else wanted
    if wanted is None or not re.fullmatch(r"\d{1,2}(\.\d{1,2}){0,2}", str(wanted)):
        return
    spot = spot_of(path, text, "cuda", str(wanted))
    if scope in ("main", "component"):
        weight = 3.0 * WEIGHT[scope]
        facts.gpu.append(GpuSign("dependency", weight, "nvidia", spot, "its environment requires a CUDA driver"))
        facts.cuda.append(CudaSign(".".join(str(wanted).split(".")[:2]), weight, spot))
    elif scope == "optional":
        facts.gpu.append(GpuSign("optional", -0.3, "nvidia", spot, "one of its environments requires a CUDA driver"))


def _specification(name: str, wanted: object) -> str:
    """Write a conda dependency as a match specification."""
    if isinstance(wanted, dict):
        version, build, channel = (wanted.get(key) for key in ("version", "build", "channel"))
        named = f"{channel.rsplit('/', 1)[-1]}::{name}" if isinstance(channel, str) else name
        return f"{named} {version if isinstance(version, str) else '*'} {build if isinstance(build, str) else ''}"
    return f"{name} {wanted}" if isinstance(wanted, str) else name


def _requirement(name: str, wanted: object) -> str:
    """Write a dependency on a package of PyPI as PEP 508."""
    if not isinstance(wanted, dict):
        return f"{name}{wanted}" if isinstance(wanted, str) and wanted != "*" else name
    version = wanted.get("version")
    return written(name, wanted, version if isinstance(version, str) and version != "*" else "", wanted.get("url"))
