"""Parse requirement strings of Python packaging.

Owns: turning one requirement, in pip's or conda's syntax, into a Package. Must not: know files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

from packaging.markers import InvalidMarker, Marker, UndefinedComparison, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name

from envagent.repository.facts import CudaSign, Facts, GpuSign, Package, PythonSign, Scope, Spot, minors, quote
from envagent.repository.knowledge import table
from envagent.repository.readers.parsing import strings
from envagent.repository.readers.targets import cuda_version, of_build, of_url, python_of_build, wheel_of

MOST_OF_A_FILE = 400
"""Maximum number of dependencies read from one file; longer lists are machine-made."""
WEIGHT: dict[Scope, float] = {"main": 1.0, "component": 0.5, "documented": 0.4, "optional": 0.1, "development": 0.1}
"""How much a manifest of each scope speaks for the main job."""
_LOCAL = re.compile(r"(?:\+|%2[Bb])([A-Za-z0-9.]+)")
_PIN = re.compile(r"={2,3}\s*v?([0-9][0-9A-Za-z.!]*)(?:\+[A-Za-z0-9.]+)?")
_LISTED = re.compile(r"[A-Za-z][\w.-]{1,40} ?== ?\d[\w.]*(?:\+\w+)?")
_SOURCE = re.compile(r"(?:-e\s+|--editable[ =])?(?:git\+|hg\+|https?://|ssh://|git@)\S+")
_EGG = re.compile(r"[#&]egg=([A-Za-z0-9_.-]+)")
_REPOSITORY = re.compile(r"/([A-Za-z0-9_.-]+?)(?:\.git)?/?(?:@[^#\s]*)?(?:#\S*)?$")
_ARCHIVE = re.compile(r"/([A-Za-z0-9_.-]+)/(?:archive|releases|tarball|zipball)/")
_ENVIRONMENT = {"sys_platform": "linux", "platform_system": "Linux", "os_name": "posix", "platform_machine": "x86_64"}
_CONDA = re.compile(r"(?:[\w./-]+::)?([A-Za-z0-9_.-]+)\s*(?:\[([^\[\]]{0,200})\])?\s*([<>=!~ \d*].*)?")
_CONDA_KEY = re.compile(r"(version|build)\s*=\s*(?:\"([^\"]*)\"|'([^']*)'|([^,\s]+))")
# Of other packages, a build with a CPU's libraries says nothing about the job.
_BUILT_BOTH_WAYS = frozenset({
    "pytorch", "torchvision", "torchaudio", "tensorflow", "tensorflow-base", "jaxlib", "mxnet", "paddlepaddle", "faiss",
    "dgl", "onnxruntime", "xgboost", "lightgbm",
})  # fmt: skip
_CUDA_OF_CONDA = frozenset({
    "cuda", "cuda-toolkit", "cudatoolkit", "cudatoolkit-dev", "cuda-version", "pytorch-cuda", "cuda-nvcc",
    "cuda-runtime", "cuda-compiler", "cuda-libraries", "cuda-libraries-dev", "cuda-cudart", "cuda-cudart-dev",
})  # fmt: skip


class Declared(NamedTuple):
    """A requirement as a manifest declares it.

    Attributes:
        text: in the syntax of PEP 508.
        scope: of the table that it stands in.
        group: normalised name of the extra or dependency group.
        target: what the builds of its index are made for; see `targets`.
    """

    text: str
    scope: Scope
    group: str = ""
    target: str = ""


def caret(bound: str) -> str:
    """Convert Poetry's and Pipenv's `^3.8`, `~3.9`, `3.10` and `*` to PEP 440."""
    parts = []
    for part in re.split(r"\s*,\s*|\s+(?=[<>=!~^])", bound.partition("||")[0].strip()):
        part = part.strip()
        if part in ("*", ""):
            continue
        if part.startswith("^"):
            version = part[1:].strip()
            parts += [f">={version}", _below(version)]
        elif part.startswith("~") and not part.startswith("~="):
            parts.append(f"=={'.'.join(part[1:].strip().split('.')[:2])}.*")
        elif part[0].isdigit():
            parts.append(f"=={part}" if part.endswith("*") or "+" in part else f"=={part}.*")
        else:
            parts.append(part)
    return ",".join(p for p in parts if p)


def written(name: str, wanted: Mapping[str, Any], version: str, url: object) -> str:
    """Write the table of a dependency as PEP 508: its extras, and its URL or else its version."""
    extras = ",".join(strings(wanted.get("extras")))
    named = f"{name}[{extras}]" if extras else name
    return f"{named} @ {url}" if isinstance(url, str) else f"{named}{version}"


def _below(version: str) -> str:
    """Return what a caret excludes: the next release that differs in the first part that is not zero."""
    parts = [int(p) for p in re.findall(r"\d+", version)[:3]]
    for at, part in enumerate(parts):
        if part:
            return f"<{'.'.join(map(str, [*parts[:at], part + 1]))}"
    return ""


def applies(marker: str) -> bool:
    """Return whether an environment marker can be true on Linux; conditions on the Python version count as met."""
    try:
        parsed = Marker(marker)
        # The Python version is not known yet.
        return "python" in str(parsed) or parsed.evaluate({**_ENVIRONMENT, "extra": ""})
    except (InvalidMarker, UndefinedComparison, UndefinedEnvironmentName):
        return True


def pip_package(text: str, scope: Scope, path: str, line: int | None) -> Package | None:
    """Parse a PEP 508 requirement, a wheel or a repository's URL; None if invalid or if its markers exclude Linux."""
    text = text.strip()
    bare, _, condition = text.partition(" ;") if _SOURCE.match(text) else (text, "", "")
    if bare is not text or _SOURCE.match(text):
        named = _named_source(bare.strip())
        if named is None:
            return None
        text = f"{named} ; {condition.strip()}" if condition.strip() else named
    try:
        parsed = Requirement(text)
    except InvalidRequirement:
        return None
    if parsed.marker is not None and not applies(str(parsed.marker)):
        return None
    wheel = wheel_of(parsed.url or "")
    version = f"=={wheel.version}" if wheel else str(parsed.specifier)
    local = _LOCAL.search(str(parsed.specifier)) or _LOCAL.search(parsed.url or "")
    return Package(
        name=canonicalize_name(parsed.name),
        specifier=SpecifierSet(version) if wheel else parsed.specifier,
        extras=frozenset(parsed.extras),
        local=wheel.local.lower() if wheel else local[1].lower() if local else "",
        scope=scope,
        spot=Spot(path, line, quote(text)),
        pinned=_pinned(pin[1].rstrip(".")) if (pin := _PIN.search(version)) else None,
    )


def _pinned(version: str) -> str | None:
    """Return a version if it is one: a lone 3 stands for all of 3."""
    return version if "." in version else None


def _named_source(text: str) -> str | None:
    """Name what a URL installs, as PEP 508 writes it."""
    address = re.sub(r"^(?:-e|--editable)[ =]+", "", text)
    if wheel := wheel_of(address):
        return f"{wheel.name} @ {address.split()[0]}"
    for pattern in (_EGG, _ARCHIVE, _REPOSITORY):
        if found := pattern.search(address):
            return _ordinary(canonicalize_name(found[1].strip(".-_") or "x"))
    return None


def _ordinary(name: str) -> str:
    """Return the usual name of a package that some call by the name of its repository."""
    known: str = table("packages")["repository"].get(name, name)
    return known


def add_pip(facts: Facts, text: str, scope: Scope, path: str, line: int | None, *, local: str = "") -> Package | None:
    """Append a requirement, and the Python that its wheel is for.

    Args:
        facts: where to append.
        text: the requirement.
        scope: of the requirement.
        path: the file.
        line: its line.
        local: the target of the index that provides the package, for one that names no target itself.
    """
    package = pip_package(text, scope, path, line)
    if package is None:
        return None
    if local and not package.local:
        package = replace(package, local=local)
    facts.packages.append(package)
    wheel = wheel_of(text)
    if wheel is not None and scope in ("main", "component", "documented") and "python" not in text.partition(";")[2]:
        authority = 2 if scope == "main" else 1
        note = f"the wheel of {package.name} is for these"
        facts.pythons.append(PythonSign(wheel.pythons, authority, package.spot, note))
    return package


def add_index(facts: Facts, url: str, scope: Scope, spot: Spot) -> str:
    """Append what an index of builds says, and return its target."""
    local, weight = of_url(url), WEIGHT[scope]
    if local == "cpu":
        facts.gpu.append(GpuSign("denial", -3.0 * weight, None, spot, "installs the CPU builds"))
    elif local.startswith("cu"):
        facts.gpu.append(GpuSign("dependency", 2.0 * weight, "nvidia", spot, "installs CUDA builds"))
    elif local.startswith("rocm"):
        facts.gpu.append(GpuSign("dependency", 2.0 * weight, "amd", spot, "installs ROCm builds"))
    if version := cuda_version(local):
        facts.cuda.append(CudaSign(version, 1.5 * weight, spot))
    return local


def conda_package(text: str, scope: Scope, path: str, line: int | None) -> Package | None:
    """Parse a conda match specification such as `pytorch=1.9.1`, `python>=3.8` or `pytorch=1.8=py3.8_cuda11.1`."""
    parts = _conda_parts(text)
    return _of_conda(parts, text, scope, path, line) if parts else None


def _of_conda(parts: tuple[str, str, str], text: str, scope: Scope, path: str, line: int | None) -> Package:
    name, wanted, build = parts
    return Package(
        name=table("packages")["conda"].get(name, name),
        specifier=_conda_specifier(wanted),
        extras=frozenset(),
        local=target if (target := of_build(build)) != "cpu" or name in _BUILT_BOTH_WAYS else "",
        scope=scope,
        spot=Spot(path, line, quote(text.partition("#")[0].strip())),
        pinned=_pinned(exact[1]) if (exact := re.fullmatch(r"={0,2}([0-9][\w.]*?)(?:\.?\*)?", wanted)) else None,
    )


def add_conda(facts: Facts, text: str, scope: Scope, path: str, line: int | None) -> Package | None:
    """Append a conda requirement other than Python, with the CUDA version and the Python that its build names."""
    parts = _conda_parts(text)
    if parts is None:
        return None
    package = _of_conda(parts, text, scope, path, line)
    if package.name == "python":
        return package
    name, wanted, build = parts
    weight = WEIGHT[scope]
    if name == "__cuda":
        facts.gpu.append(GpuSign("dependency", 3.0 * weight, "nvidia", package.spot, "asks for a CUDA driver"))
    else:
        facts.packages.append(package)
    if name in _CUDA_OF_CONDA or name == "__cuda":
        if least := re.match(r"[>=~ ]{0,3}(\d{1,2}(?:\.\d{1,2})?)(?![\d])", wanted):
            facts.cuda.append(CudaSign(least[1], (2.5 if package.pinned else 1.2) * weight, package.spot))
    elif version := cuda_version(package.local):
        facts.cuda.append(CudaSign(version, 2.0 * weight, package.spot))
    if (minor := python_of_build(build)) and scope in ("main", "component"):
        facts.pythons.append(
            PythonSign(frozenset({minor}), 2 if scope == "main" else 1, package.spot, f"the build of {name}")
        )
    return package


def python_sign(package: Package, authority: int, note: str) -> PythonSign | None:
    """Return what a conda requirement on Python allows; None if it allows any."""
    allowed = minors(package.specifier)
    return PythonSign(allowed, authority, package.spot, note) if allowed and str(package.specifier) else None


def listed_package(text: str, path: str, line: int | None) -> Package | None:
    """Parse a pin in running text, as in `PyTorch == 1.8.1+cu111`, by its name in pip or conda."""
    if _LISTED.fullmatch(text) is None:
        return None
    package = pip_package(text, "documented", path, line)
    return package and replace(package, name=table("packages")["conda"].get(package.name, package.name))


def _conda_parts(text: str) -> tuple[str, str, str] | None:
    """Split into name, version and build string."""
    text = text.partition("#")[0].strip()
    parsed = _CONDA.fullmatch(text) if len(text) < 500 else None
    if parsed is None:
        return None
    name = "__cuda" if parsed[1] == "__cuda" else canonicalize_name(parsed[1])
    rest = re.sub(r"\s{0,9}([<>=!~,|]{1,2})\s{0,9}", r"\1", (parsed[3] or "").strip())
    version, _, build = rest.partition(" ")
    if not build and (both := re.fullmatch(r"(={0,2}[^=<>!~]+)=([^=<>!~]+)", rest)):
        version, build = both[1], both[2]
    for key, *values in _CONDA_KEY.findall(parsed[2] or ""):
        value = next((v for v in values if v), "")
        version, build = (value, build) if key == "version" else (version, value)
    return name, "" if version == "*" else version, build.strip()


def _conda_specifier(wanted: str) -> SpecifierSet:
    if exact := re.fullmatch(r"={0,2}([0-9][\w.]*?)(?:\.?\*)?", wanted):
        return SpecifierSet(f"=={exact[1]}.*") if exact[1].replace(".", "").isdigit() else SpecifierSet()
    try:
        return SpecifierSet(wanted)
    except InvalidSpecifier:
        return SpecifierSet()
