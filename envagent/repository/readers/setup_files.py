"""setup.cfg, and setup.py through its syntax tree, without running it.

Owns: what the two declare. Must not: evaluate an expression beyond literals and names bound to literals.
"""

from __future__ import annotations

import ast
import configparser
from collections.abc import Iterator
from dataclasses import replace

from packaging.utils import canonicalize_name

from envagent.repository.facts import Facts, GpuSign, Project, Scope, line_of, spot_of
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, add_pip
from envagent.repository.readers.parsing import strings
from envagent.repository.readers.pyproject import python_bound
from envagent.repository.readers.scopes import group_scope, scope_of

# A folder at the top that is named for one accelerator is one of several ways.
_BACKENDS, _BACKEND = frozenset(("cuda", "gpu", "rocm")), 0.4
_CUDA_BUILDERS = frozenset({"CUDAExtension", "CUDA_HOME", "CUDAToolkit", "locate_cuda"})
_DEVICE_CHECKS = frozenset({"is_available", "FORCE_CUDA", "WITH_CUDA"})


def read_cfg(path: str, text: str, facts: Facts) -> None:
    """Read setup.cfg: install_requires, extras and python_requires."""
    scope = scope_of(path)
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    try:
        parser.read_string(text)
    except configparser.Error:
        facts.notes.append(f"{path}: not a valid configuration file.")
        return
    if scope is None:
        return
    options = dict(parser["options"]) if parser.has_section("options") else {}
    if parser.has_section("metadata") and (name := parser["metadata"].get("name")):
        facts.projects.append(Project(canonicalize_name(name), path))
    if bound := options.get("python_requires"):
        python_bound(bound, path, text, facts)
    _add(options.get("install_requires", "").split("\n"), scope, path, text, facts)
    if parser.has_section("options.extras_require"):
        for group, items in parser["options.extras_require"].items():
            _add(items.split("\n"), group_scope(group), path, text, facts, group)


def read_py(path: str, text: str, facts: Facts) -> None:
    """Read setup.py: the keywords of its setup() call, and extensions that need a CUDA compiler."""
    scope = scope_of(path)
    if scope is None:
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        facts.notes.append(f"{path}: not Python that this version can parse.")
        return
    bound: dict[str, ast.expr] = {}
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            bound[node.targets[0].id] = node.value
        if isinstance(node, ast.Name):
            names.add(node.id)
        elif isinstance(node, ast.Attribute):
            names.add(node.attr)
    for call in _setup_calls(tree):
        keywords = {k.arg: k.value for k in call.keywords if k.arg}
        if isinstance(name := _literal(keywords.get("name"), bound), str):
            facts.projects.append(Project(canonicalize_name(name), path))
        if (requires := _literal(keywords.get("python_requires"), bound)) and isinstance(requires, str):
            python_bound(requires, path, text, facts)
        _add(_texts(_literal(keywords.get("install_requires"), bound)), scope, path, text, facts)
        extras = _literal(keywords.get("extras_require"), bound)
        for group, items in extras.items() if isinstance(extras, dict) else ():
            _add(_texts(items), group_scope(str(group)), path, text, facts, str(group))
    if names & _CUDA_BUILDERS:
        # If the file also checks whether a GPU is present, it can do without one.
        weight = (0.8 if names & _DEVICE_CHECKS else 2.0) * (_BACKEND if path.split("/")[0] in _BACKENDS else 1.0)
        spot = spot_of(path, text, min(names & _CUDA_BUILDERS))
        facts.gpu.append(GpuSign("sources", weight, "nvidia", spot, "compiles a CUDA extension"))


def _setup_calls(tree: ast.AST) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        match node:
            case ast.Call(func=ast.Name(id="setup") | ast.Attribute(attr="setup")):
                yield node


def _literal(node: ast.expr | None, bound: dict[str, ast.expr], depth: int = 0) -> object:
    if node is None or depth > 4:
        return None
    if isinstance(node, ast.Name):
        return _literal(bound.get(node.id), bound, depth + 1)
    if isinstance(node, ast.List | ast.Tuple | ast.Set):
        return [_literal(item, bound, depth + 1) for item in node.elts]
    if isinstance(node, ast.Dict):
        return {
            _literal(key, bound, depth + 1): _literal(value, bound, depth + 1)
            for key, value in zip(node.keys, node.values, strict=True)
            if isinstance(key, ast.Constant)
        }
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        return _texts(_literal(node.left, bound, depth + 1)) + _texts(_literal(node.right, bound, depth + 1))
    if isinstance(node, ast.Constant):
        return node.value
    return None


def _texts(value: object) -> list[str]:
    return value.split("\n") if isinstance(value, str) else strings(value)


def _add(items: list[str], scope: Scope, path: str, text: str, facts: Facts, group: str = "") -> None:
    for item in items[:MOST_OF_A_FILE]:
        item = item.partition("#")[0].strip()
        if item and add_pip(facts, item, scope, path, line_of(text, [item])[0]) and group:
            facts.packages[-1] = replace(facts.packages[-1], group=canonicalize_name(group))
