"""Manifests that name the compiler or runtime of other languages: Go, Rust, Node, Java and Scala.

Owns: where they name it; a comment names nothing. Must not: resolve dependencies.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, GpuSign, Toolchain, spot_of
from envagent.repository.readers.dependencies import WEIGHT
from envagent.repository.readers.parsing import json_table, spot_at, table, without_comments
from envagent.repository.readers.scopes import scope_of

_NAMED: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("go.mod", "go", re.compile(r"^go\s+(\d+\.\d+)", re.MULTILINE)),
    ("rust-toolchain", "rust", re.compile(r"(?:channel\s*=\s*[\"'])?(\d\.\d{2,3}|nightly)")),
    (".nvmrc", "node", re.compile(r"v?(\d+)")),
    (".node-version", "node", re.compile(r"v?(\d+)")),
    (".java-version", "java", re.compile(r"^\D{0,20}(?:1\.)?(\d{1,2})")),
    (".sdkmanrc", "java", re.compile(r"^java\s*=\s*(?:1\.)?(\d{1,2})", re.MULTILINE)),
    ("system.properties", "java", re.compile(r"^java\.runtime\.version\s*=\s*(?:1\.)?(\d{1,2})", re.MULTILINE)),
    (
        "pom.xml",
        "java",
        re.compile(r"<(?:java\.version|maven\.compiler\.\w+|release|jdk\.version)>\s*(?:1\.)?(\d{1,2})\s*<"),
    ),
    (
        "build.gradle",
        "java",
        re.compile(r"(?:JavaVersion\.VERSION_(?:1_)?|JavaLanguageVersion\.of\(|jvmToolchain\()\s*(\d{1,2})"),
    ),
    (
        "build.gradle",
        "java",
        re.compile(r"(?:sourceCompatibility|options\.release)\s*[=(.set]{1,6}\s*['\"]?(?:1\.)?(\d{1,2})"),
    ),
    ("build.sbt", "java", re.compile(r"\"-(?:-?release|target)\"\s*,\s*\"(?:jvm-)?(?:1\.)?(\d{1,2})\"")),
)  # fmt: skip
_NODE_GPU = "@tensorflow/tfjs-node-gpu"


def read(path: str, text: str, facts: Facts) -> None:
    """Read the required version."""
    name = path.rsplit("/", 1)[-1].lower()
    if scope_of(path) in (None, "development"):
        return
    if name == "package.json":
        _node(path, text, facts)
        return
    plain = _plain(name, text)
    for begin, toolchain, pattern in _NAMED:
        if name.startswith(begin) and (found := pattern.search(plain)):
            facts.toolchains.append(Toolchain(toolchain, found[1], spot_at(path, plain, found)))
            break


def _plain(name: str, text: str) -> str:
    if name == "pom.xml":
        pieces = text.split("<!--")
        return pieces[0] + "".join("\n" * p.partition("-->")[0].count("\n") + p.partition("-->")[2] for p in pieces[1:])
    if name.startswith(("build.", "go.mod")):
        return without_comments(text, "//", block=("/*", "*/"))
    return without_comments(text, "#")


def _node(path: str, text: str, facts: Facts) -> None:
    tables = json_table(path, text, facts)
    wanted = table(tables, "engines").get("node") or table(tables, "volta").get("node")
    if isinstance(wanted, str):
        facts.toolchains.append(Toolchain("node", wanted, spot_of(path, text, "node", wanted)))
    scope = scope_of(path)
    for package in table(tables, "dependencies"):
        if package == _NODE_GPU and scope is not None:
            spot = spot_of(path, text, package)
            facts.gpu.append(GpuSign("dependency", 2.5 * WEIGHT[scope], "nvidia", spot, f"{package} uses a GPU"))
