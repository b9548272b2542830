"""Manifests of other languages: the required compiler or runtime, and bindings to GPUs.

Owns: Go, Rust, Node, Java and Scala, R, Julia. Must not: resolve dependencies.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, GpuSign, Toolchain, Vendor, spot_of
from envagent.repository.readers.parsing import json_table, table, toml_table
from envagent.repository.readers.scopes import scope_of

_NAMED: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("go.mod", "go", re.compile(r"^go\s+(\d+\.\d+)", re.MULTILINE)),
    ("rust-toolchain", "rust", re.compile(r"(?:channel\s*=\s*[\"'])?(\d\.\d{2,3}|nightly)")),
    ("cargo.toml", "rust", re.compile(r"^rust-version\s*=\s*[\"'](\d\.\d+)", re.MULTILINE)),
    (".nvmrc", "node", re.compile(r"v?(\d+)")),
    ("pom.xml", "java", re.compile(r"<(?:java\.version|maven\.compiler\.\w+)>\s*(?:1\.)?(\d{1,2})\s*<")),
    ("build.gradle", "java", re.compile(r"(?:JavaVersion\.VERSION_(?:1_)?|JavaLanguageVersion\.of\()(\d{1,2})")),
    ("build.gradle", "java", re.compile(r"sourceCompatibility\s*=\s*['\"]?(?:1\.)?(\d{1,2})")),
    ("description", "r", re.compile(r"\bR\s*\(>=\s*(\d\.\d+)")),
    ("project.toml", "julia", re.compile(r"^julia\s*=\s*[\"'][^\d]*(\d\.\d+)", re.MULTILINE)),
)  # fmt: skip
# Packages of Cargo and Julia that use a GPU.
_BINDINGS: dict[str, Vendor | None] = {
    "cudarc": "nvidia",
    "cust": "nvidia",
    "rustacuda": "nvidia",
    "CUDA": "nvidia",
    "AMDGPU": "amd",
}


def read(path: str, text: str, facts: Facts) -> None:
    """Read the required version, and GPU bindings."""
    name = path.rsplit("/", 1)[-1].lower()
    if scope_of(path) in (None, "development"):
        return
    if name == "package.json":
        _node(path, text, facts)
    for begin, toolchain, pattern in _NAMED:
        if name.startswith(begin) and (found := pattern.search(text)):
            facts.toolchains.append(Toolchain(toolchain, found[1], spot_of(path, text, found[0].split("\n")[0])))
    if name in ("cargo.toml", "project.toml"):
        _bindings(path, text, facts)


def _node(path: str, text: str, facts: Facts) -> None:
    wanted = table(json_table(path, text, facts), "engines").get("node")
    if isinstance(wanted, str):
        facts.toolchains.append(Toolchain("node", wanted, spot_of(path, text, "node", wanted)))


def _bindings(path: str, text: str, facts: Facts) -> None:
    tables = toml_table(path, text, facts)
    for section in ("dependencies", "deps"):
        for package, wanted in table(tables, section).items():
            if package in _BINDINGS:
                spot = spot_of(path, text, package)
                if isinstance(wanted, dict) and wanted.get("optional") is True:
                    facts.gpu.append(GpuSign("optional", -0.4, None, spot, f"{package} is an optional dependency"))
                else:
                    facts.gpu.append(GpuSign("dependency", 1.2, _BINDINGS[package], spot, f"{package} uses a GPU"))
