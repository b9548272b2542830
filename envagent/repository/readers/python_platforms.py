"""Python programs that ask a platform for GPUs in their source: Modal, Beam, BentoML, Ray, Flyte, Metaflow, submitit.

Owns: the keywords by which each platform is asked. Must not: evaluate an expression beyond literals and names bound to
literals.
"""

from __future__ import annotations

import ast
import re
from typing import Any, Literal, NamedTuple

from envagent.repository.facts import Amount, Facts, GpuSign, PythonSign, Scope, Spot, quote
from envagent.repository.readers.dependencies import MOST_OF_A_FILE, pip_package
from envagent.repository.readers.dockerfiles import commands_of
from envagent.repository.readers.gpu_requests import Gpus, add_cores, add_gpus, add_size, cores_of, firmness, parse_gpus
from envagent.repository.readers.image_names import add_image, parse_image
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import python_specifier, read_command

_Role = Literal["gpu", "model", "slots", "ram", "ram_mb", "ram_gb", "disk_mb", "cores", "resources"]


class _Platform(NamedTuple):
    """How a platform is asked: by which keywords of any call, and how firmly that speaks for the job."""

    firm: float
    keywords: dict[str, _Role]


_PLATFORMS: dict[str, _Platform] = {
    "modal": _Platform(1.0, {"gpu": "gpu", "memory": "ram_mb", "cpu": "cores", "ephemeral_disk": "disk_mb"}),
    "beam": _Platform(1.0, {"gpu": "gpu", "memory": "ram", "cpu": "cores", "gpu_count": "slots"}),
    "bentoml": _Platform(1.0, {"resources": "resources"}),
    "flytekit": _Platform(1.0, {"gpu": "gpu", "mem": "ram", "cpu": "cores", "accelerator": "model"}),
    "union": _Platform(1.0, {"gpu": "gpu", "mem": "ram", "cpu": "cores", "accelerator": "model"}),
    "metaflow": _Platform(1.0, {"gpu": "gpu", "memory": "ram_mb", "cpu": "cores"}),
    "submitit": _Platform(0.7, {"gpus_per_node": "slots", "slurm_gpus_per_node": "slots", "mem_gb": "ram_gb"}),
    # What a program of Ray takes of its cluster is often less than one GPU, or none.
    "ray": _Platform(0.3, {"num_gpus": "slots"}),
}
_IMPORTS = re.compile(rf"^[ \t]*(?:import|from)[ \t]+({'|'.join(_PLATFORMS)})\b", re.MULTILINE)
_INSTALLS = frozenset(["pip_install", "uv_pip_install", "add_python_packages", "PythonPackages"])
_DEEPEST = 6
_MOST_CALLS = 5000


def read(path: str, text: str, facts: Facts) -> None:
    """Read the requests of a program that imports such a platform."""
    imported = dict.fromkeys(_IMPORTS.findall(text))
    firm = firmness(path)
    if not imported or not firm:
        return
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return
    bound, calls = dict[str, ast.expr](), list[ast.Call]()
    for node in ast.walk(tree):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=name)], value=value)
                | ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value)
            ):
                bound.setdefault(name, value)
            case ast.Call() if len(calls) < _MOST_CALLS:
                calls.append(node)
    source = _Source(path, text.split("\n"), bound, firm, facts)
    for call in calls:
        for module in imported:
            source.requests(call, _PLATFORMS[module])
        if "modal" in imported or "beam" in imported:
            source.image(call)


class _Source(NamedTuple):
    path: str
    lines: list[str]
    bound: dict[str, ast.expr]
    firm: float
    facts: Facts

    def spot(self, node: ast.AST) -> Spot:
        line = getattr(node, "lineno", 1)
        return Spot(self.path, line, quote(self.lines[line - 1]) if line <= len(self.lines) else "")

    def requests(self, call: ast.Call, platform: _Platform) -> None:
        """Record what the keywords of a call ask for."""
        if isinstance(call.func, ast.Attribute) and _gpu_object(call, self.bound):
            return
        firm = self.firm * platform.firm
        for keyword in call.keywords:
            if role := platform.keywords.get(keyword.arg or ""):
                value = evaluate(keyword.value, self.bound)
                self._request(role, value, firm, self.spot(keyword.value), call)

    def _request(self, role: _Role, value: object, firm: float, spot: Spot, call: ast.Call) -> None:
        note = "its program asks a platform for GPUs"
        match role:
            case "gpu":
                ways = [parse_gpus(one) for one in (value if isinstance(value, list) else [value]) if one]
                if ways:
                    add_gpus(self.facts, spot, firm, note, ways)
            case "model":
                add_gpus(self.facts, spot, firm, note, [parse_gpus(value)] if isinstance(value, str) else [])
            case "slots" if cores_of(value) and firm >= 0.5:
                add_gpus(self.facts, spot, firm, note, [Gpus(count=cores_of(value))])
            case "slots" if cores_of(value):
                self.facts.gpu.append(GpuSign("command", 3.0 * firm, None, spot, note))
                self.facts.amounts.append(Amount("gpus", max(1, round(cores_of(value))), "tested", firm, spot))
            case "resources" if isinstance(value, dict):
                if count := cores_of(value.get("gpu")):
                    model = value.get("gpu_type")
                    add_gpus(self.facts, spot, firm, note, [parse_gpus(model, count) if model else Gpus(count=count)])
                add_size(self.facts, "ram", value.get("memory"), spot, firm)
                add_cores(self.facts, value.get("cpu"), spot, firm)
            case "ram" | "ram_mb" | "ram_gb" | "disk_mb":
                unit = {"ram_gb": "g", "ram_mb": "m", "disk_mb": "m"}.get(role, "")
                least = value[0] if isinstance(value, list) and value else value
                if least is not None:
                    add_size(self.facts, "disk" if role == "disk_mb" else "ram", f"{least}{unit}", spot, firm)
            case "cores":
                add_cores(self.facts, value[0] if isinstance(value, list) and value else value, spot, firm)

    def image(self, call: ast.Call) -> None:
        """Record what the methods that build an image install."""
        if not isinstance(call.func, ast.Attribute):
            return
        method, spot = call.func.attr, self.spot(call)
        given = [evaluate(one, self.bound) for one in call.args]
        texts = [t for one in given for t in (one if isinstance(one, list) else [one]) if isinstance(t, str)]
        named = {k.arg: evaluate(k.value, self.bound) for k in call.keywords}
        scope: Scope = "documented" if scope_of(self.path) in ("main", "component") else "development"
        if method in _INSTALLS:
            for text in texts[:MOST_OF_A_FILE]:
                for word in text.split():
                    self.facts.add(pip_package(word, scope, self.path, spot.line))
        elif method == "run_commands":
            for text in texts[:MOST_OF_A_FILE]:
                for command in commands_of(text):
                    read_command(self.path, spot.line, command, self.facts, scope=scope, weight=0.4 * self.firm)
        elif method == "from_registry" and texts:
            note = "its program's image"
            add_image(parse_image(texts[0]), spot, 0.7 * self.firm, self.facts, note)
        for key in ("python_version", "add_python"):
            if isinstance(version := named.get(key), str) and (allowed := python_specifier(version)):
                self.facts.pythons.append(PythonSign(allowed, 1, spot, "its program's image"))


def _gpu_object(call: ast.Call, bound: dict[str, ast.expr]) -> str | None:
    """Return `modal.gpu.A100(count=2, size="80GB")` as the text that Modal takes today, or None for another call."""
    match call.func:
        case ast.Attribute(value=ast.Attribute(attr="gpu") | ast.Name(id="gpu"), attr=model):
            named = {k.arg: evaluate(k.value, bound) for k in call.keywords}
            size = named.get("size") or named.get("memory")
            name = f"{model}-{str(size).removesuffix('GB')}GB" if size else model
            return "" if model == "Any" and not named.get("count") else f"{name}:{named.get('count') or 1}"
    return None


def evaluate(node: ast.expr | None, bound: dict[str, ast.expr], depth: int = 0) -> Any:
    """Return the value of literals, of names bound to them, and of defaults for settings; None for anything else."""
    if depth > _DEEPEST:
        return None
    match node:
        case ast.Constant(value=value):
            return value
        case ast.Name(id=name):
            return evaluate(bound.get(name), bound, depth + 1)
        case ast.List(elts=elements) | ast.Tuple(elts=elements) | ast.Set(elts=elements):
            return [evaluate(one, bound, depth + 1) for one in elements[:100]]
        case ast.Dict(keys=keys, values=values):
            pairs = list(zip(keys, values, strict=True))[:100]
            return {k.value: evaluate(v, bound, depth + 1) for k, v in pairs if isinstance(k, ast.Constant)}
        case ast.JoinedStr(values=parts):
            known = [evaluate(p, bound, depth + 1) for p in parts[:20]]
            return "".join(map(str, known)) if None not in known else None
        case ast.FormattedValue(value=inner):
            return evaluate(inner, bound, depth + 1)
        case ast.BinOp(left=left, op=op, right=right):
            return _arithmetic(evaluate(left, bound, depth + 1), op, evaluate(right, bound, depth + 1))
        case ast.BoolOp(values=[*_, last]):
            return evaluate(last, bound, depth + 1)
        case ast.Call(func=ast.Name(id="int" | "str" | "float"), args=[inner]):
            return evaluate(inner, bound, depth + 1)
        case ast.Call(func=ast.Attribute(attr="get" | "getenv"), args=[_, default]):
            return evaluate(default, bound, depth + 1)
        case ast.Call():
            return _gpu_object(node, bound)
    return None


def _arithmetic(left: object, op: ast.operator, right: object) -> float | int | None:
    """Multiply sizes, as in `32 * 1024`."""
    if isinstance(op, ast.Mult) and isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left * right if abs(left) < 1e9 and abs(right) < 1e9 else None
    return None
