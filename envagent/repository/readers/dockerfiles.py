"""Dockerfiles and definitions of Apptainer: base images, build stages, variables and commands.

Owns: their syntax, and which stages make the final image. Must not: take the distribution of a base image for a
requirement of the host.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from envagent.repository.facts import Facts, GpuSign, Scope, SpecialSign, Spot, Vendor, quote
from envagent.repository.readers.gpu_requests import firmness
from envagent.repository.readers.image_names import Image, add_image, parse_image
from envagent.repository.readers.installs import read_packages
from envagent.repository.readers.scopes import scope_of, words
from envagent.repository.readers.shell_commands import read_command

_LONGEST = 8000
_MOST_STEPS = 500
_MOST_STAGES = 50
_VARIABLE = re.compile(r"\$(?:\{(\w{1,60})(?:(:?[-+])([^{}$]{0,300}))?\}|(\w{1,60}))")
_NESTED = 3
_STAGE = re.compile(r"(?:--\S+\s+)*(\S+)(?:\s+as\s+(\S+))?", re.IGNORECASE)
_ON_ARM = re.compile(r"--platform=linux/(?:arm64|aarch64)\b")
_FROM = re.compile(r"--from=(\S+)|--mount=\S*?\bfrom=([^\s,]+)")
_ASSIGNED = re.compile(r"(\w{1,60})=(\"[^\"]*\"|'[^']*'|\S*)")
_HEREDOC = re.compile(r"<<-?\s?[\"']?(\w{1,40})[\"']?")
_PIECES = re.compile(r"\"[^\"]*\"|'[^']*'|&&|\|\||;|\n|[^\"'&|;\n]+|.")
_EDITORS = "devcontainer"
_DEVICES = re.compile(r"^nvidia_(?:visible_devices|driver_capabilities|require_cuda)=", re.IGNORECASE)
_FOR_DEVELOPMENT = frozenset(["test", "tests", "testing", "dev", "devel", "development", "lint", "ci", "docs", "debug"])
# What BuildKit sets by itself.
_PLATFORM = {
    f"{side}{part}": value
    for side in ("TARGET", "BUILD")
    for part, value in (("ARCH", "amd64"), ("OS", "linux"), ("PLATFORM", "linux/amd64"))
}
_ALTERNATIVE = 0.15
# A toolkit in an image is as good as a base image that has it.
_TOOLKIT = 1.4
_SPEAKS = 0.7
_COPIED = 0.5


@dataclass
class _Stage:
    image: Image
    spot: Spot
    name: str
    base: int | None
    """The stage that it builds on."""
    copies: set[int] = field(default_factory=set)
    commands: list[tuple[int, str]] = field(default_factory=list)
    devices: Spot | None = None


def read_dockerfile(path: str, text: str, facts: Facts) -> None:
    """Read the base images and commands of a Dockerfile."""
    if scope_of(path) is None:
        return
    stages = _stages(path, text)
    if stages:
        _conclude(stages, path, _firmness(path), facts)


def image_commands(path: str, text: str) -> list[tuple[int, str]]:
    """Return the commands that make the final image, with their lines; those of other stages are left out."""
    stages = _stages(path, text)
    chain = reversed(_chain(_final(stages), stages)) if stages else ()
    return [one for number in chain for one in stages[number].commands]


def _firmness(path: str) -> float:
    # An image in a folder of its own is one of several, and an editor's container does not speak for the whole.
    firm = firmness(path)
    nested = scope_of(path) == "component" and firm < 1 and path.count("/") > 0
    return firm * (0.7 if nested else 1.0) * (0.5 if _EDITORS in path.lower() else 1.0)


def _stages(path: str, text: str) -> list[_Stage]:
    from dockerfile_parse import DockerfileParser

    plain, bodies = _without_heredocs(text)
    # Only through a file object does the parser take text without touching the disk.
    parser = DockerfileParser(fileobj=io.BytesIO(plain.encode("utf-8", errors="replace")))
    shared = dict(_PLATFORM)
    own: dict[str, str] = {}
    stages: list[_Stage] = []
    for step in parser.structure[:_MOST_STEPS]:
        line, value = step["startline"] + 1, step["value"][:_LONGEST]
        match step["instruction"]:
            case "FROM":
                own = dict(shared)
                if (stage := _from(value, Spot(path, line, quote(f"FROM {value}")), shared, stages)) is not None:
                    stages.append(stage)
            case "ARG":
                for name, given in _assigned(value, own):
                    # A stage repeats a shared name to see it.
                    own[name] = given if given is not None else shared.get(name, "")
                    if not stages:
                        shared[name] = own[name]
            case "ENV":
                own.update({name: given or "" for name, given in _assigned(value, own)})
                if stages and _DEVICES.search(value):
                    stages[-1].devices = Spot(path, line, quote(f"ENV {value}"))
            case "RUN" | "COPY" | "ADD" if stages:
                stages[-1].copies |= _copied(value, own, stages)
                if step["instruction"] == "RUN":
                    for number, command in [(line, value), *bodies.get(line, [])]:
                        stages[-1].commands.append((number, expand(command, own)))
    return stages


def _without_heredocs(text: str) -> tuple[str, dict[int, list[tuple[int, str]]]]:
    """Return the text with heredocs made comments, and their lines by the line that opens them."""
    kept: list[str] = []
    bodies: dict[int, list[tuple[int, str]]] = {}
    opened, end = 0, None
    for number, line in enumerate(text.split("\n"), 1):
        if end is not None:
            if line.strip() == end:
                end = None
            elif len(bodies[opened]) < _MOST_STEPS:
                bodies[opened].append((number, line))
            kept.append("#")
            continue
        kept.append(line)
        if line.lstrip()[:4].upper() in ("RUN ", "COPY") and (found := _HEREDOC.search(line)):
            opened, end = number, found[1]
            bodies[opened] = []
    return "\n".join(kept), bodies


def _from(value: str, spot: Spot, shared: Mapping[str, str], stages: list[_Stage]) -> _Stage | None:
    found = _STAGE.match(value.strip())
    if found is None:
        return None
    image = expand(found[1], shared)
    return _Stage(parse_image(image), spot, (found[2] or "").lower(), _numbered(image, stages))


def _numbered(name: str, stages: list[_Stage]) -> int | None:
    """Return the number of a stage by its name or number."""
    if re.fullmatch(r"[0-9]{1,3}", name):
        return int(name) if int(name) < len(stages) else None
    found = [number for number, stage in enumerate(stages) if stage.name and stage.name == name.lower()]
    return found[-1] if found else None


def _copied(value: str, variables: Mapping[str, str], stages: list[_Stage]) -> set[int]:
    names = [expand(found[1] or found[2], variables) for found in _FROM.finditer(value)]
    return {number for name in names if (number := _numbered(name, stages)) is not None}


def _assigned(value: str, variables: Mapping[str, str]) -> Iterator[tuple[str, str | None]]:
    """Yield the names of an ARG or ENV with their values; None without one."""
    pairs = _ASSIGNED.findall(value)
    for name, given in pairs:
        yield name, expand(given.strip("\"'"), variables)
    if not pairs and (words := value.split(maxsplit=1)):
        yield words[0], expand(words[1], variables) if len(words) > 1 else None


def expand(text: str, variables: Mapping[str, str]) -> str:
    """Replace variables as a shell does, `${X:-default}` and `${X:+other}` included; what is unknown stays."""

    def value(found: re.Match[str]) -> str:
        name, operator, word = found[1] or found[4], found[2] or "", found[3] or ""
        known = variables.get(name)
        if operator.endswith("+"):
            return word if known else ""
        if operator:
            return known or word
        return known if known else found[0]

    for _ in range(_NESTED):
        expanded = _VARIABLE.sub(value, text)[:_LONGEST]
        if expanded == text:
            break
        text = expanded
    return text


def _conclude(stages: list[_Stage], path: str, firm: float, facts: Facts) -> None:
    final = _final(stages)
    chain, copied = _chain(final, stages), _reached(final, stages)
    makers = [maker for n in copied - set(chain) for maker in _makers(stages[n])]
    several = len(set(makers)) > 1
    without = any("cpu" in re.split(r"[^a-z]+", s.name) for n, s in enumerate(stages) if n not in chain)
    scope = scope_of(path)
    for number, stage in enumerate(stages):
        part = _ALTERNATIVE
        if number in chain:
            part = 0.5 if without else 1.0
        elif number in copied and not several:
            part = _COPIED
        if stage.base is None:
            add_image(stage.image, stage.spot, firm * part, facts, "its container's base image")
        inner: Scope = "documented" if scope in ("main", "component") else scope or "development"
        if number not in copied:
            inner = "optional"
        elif inner == "documented" and firm < _SPEAKS:
            inner = "development"
        own = Facts()
        for line, command in stage.commands:
            for piece in commands_of(command):
                read_command(path, line, piece, own, scope=inner, weight=0.4 * firm * part)
                read_packages(piece, Spot(path, line, quote(piece)), _TOOLKIT * firm * part, own, kind="container")
        facts.packages += own.packages
        facts.gpu += own.gpu
        facts.cuda += own.cuda
        facts.specials += own.specials
        # The Python of one of several images is not the repository's.
        facts.pythons += own.pythons if firm >= _SPEAKS else []
    for number in chain:
        if stages[number].base is None and _ON_ARM.search(stages[number].spot.quote):
            facts.specials.append(SpecialSign("aarch64", 1.5 * firm, stages[number].spot))
    if without and any(stages[n].image.weight for n in chain):
        spot = stages[chain[-1]].spot
        facts.gpu.append(GpuSign("optional", -0.5 * firm, None, spot, "its container can be built for CPUs"))
    if several and not any(stages[n].image.weight for n in chain):
        spot = next(stages[n].spot for n in sorted(copied) if _makers(stages[n]))
        facts.gpu.append(GpuSign("optional", -0.5 * firm, None, spot, "its container has builds for several GPUs"))
    if (seen := stages[final].devices) is not None and not any(stages[n].image.weight for n in chain):
        facts.gpu.append(GpuSign("container", 0.4 * firm, "nvidia", seen, "its container sees NVIDIA's GPUs"))


def _makers(stage: _Stage) -> set[tuple[Vendor | None, str | None]]:
    """Return for whose GPUs a stage has libraries, with their release if it is known."""
    found = Facts()
    for _, command in stage.commands:
        for piece in commands_of(command):
            read_packages(piece, stage.spot, 1.0, found)
    makers: set[tuple[Vendor | None, str | None]] = {("nvidia", sign.version) for sign in found.cuda}
    makers = makers or {(sign.vendor, None) for sign in found.gpu}
    if stage.image.weight:
        makers.add((stage.image.vendor, stage.image.cuda))
    return makers


def _final(stages: list[_Stage]) -> int:
    """Return the number of the stage that is the image: the last one that is not for development."""
    own = [number for number, stage in enumerate(stages) if not _FOR_DEVELOPMENT & set(words(stage.name))]
    return own[-1] if own else len(stages) - 1


def _chain(number: int, stages: list[_Stage]) -> list[int]:
    """Return a stage and those that it builds on; a stage can build only on earlier ones."""
    chain = [number]
    while (base := stages[chain[-1]].base) is not None:
        chain.append(base)
    return chain


def _reached(number: int, stages: list[_Stage]) -> set[int]:
    """Return the stages that a stage builds on or copies from, itself included."""
    reached: set[int] = set()
    ahead = [number]
    while ahead:
        if (at := ahead.pop()) not in reached:
            reached.add(at)
            ahead += [*stages[at].copies, *([] if stages[at].base is None else [stages[at].base or 0])]
    return reached


def commands_of(text: str) -> list[str]:
    """Split a line of shell into its commands, outside of quotes."""
    pieces = [""]
    for piece in _PIECES.findall(text):
        if piece in ("&&", "||", ";", "\n", "|"):
            pieces.append("")
        else:
            pieces[-1] += piece
    return [piece.strip() for piece in pieces if piece.strip()]


_HEADER = re.compile(r"^[ \t]*(bootstrap|from|stage)[ \t]*:[ \t]*(\S.*)$", re.IGNORECASE)
_SECTION = re.compile(r"^[ \t]*%(\w+)")
_DEFINITION = re.compile(r"^[ \t]*bootstrap[ \t]*:", re.IGNORECASE | re.MULTILINE)
_REGISTRIES = ("docker", "docker-daemon", "oras", "library", "shub")
_TEMPLATE = re.compile(r"\{\{\s{0,5}(\w{1,60})\s{0,5}\}\}")
_RUNS = re.compile(r"\b(?:singularity|apptainer)\b[^\n]{0,300}?\s--(nv|rocm)\b")


def read_definition(path: str, text: str, facts: Facts) -> None:
    """Read a definition of Apptainer or Singularity; other files of that ending are left alone."""
    if scope_of(path) is None or not _DEFINITION.search(text):
        return
    arguments = _arguments(text)
    section, bootstrap = "", ""
    stages: list[_Stage] = []
    for number, line in enumerate(text.split("\n"), 1):
        if opened := _SECTION.match(line):
            section = opened[1].lower()
        elif (header := _HEADER.match(line)) and (not section or header[1].lower() == "bootstrap"):
            word, value = header[1].lower(), header[2].strip()
            if word == "bootstrap" and len(stages) < _MOST_STAGES:
                section, bootstrap = "", value.lower()
                stages.append(_Stage(parse_image(""), Spot(path, number, quote(line)), "", None))
            elif word == "from" and stages and bootstrap in _REGISTRIES:
                name = _TEMPLATE.sub(lambda found: arguments.get(found[1], found[0]), value[:_LONGEST])
                stages[-1].image, stages[-1].spot = parse_image(name), Spot(path, number, quote(line))
        elif section == "post" and stages and len(stages[-1].commands) < _MOST_STEPS:
            stages[-1].commands.append((number, line.partition(" #")[0].strip()))
        if runs := _RUNS.search(line[:_LONGEST]):
            vendor: Vendor = "amd" if runs[1] == "rocm" else "nvidia"
            spot = Spot(path, number, quote(line))
            facts.gpu.append(GpuSign("container", 2.4 * firmness(path), vendor, spot, "its container is run on a GPU"))
    # The last stage is the image; it can copy from the others.
    if stages:
        stages[-1].copies = set(range(len(stages) - 1))
        _conclude(stages, path, firmness(path), facts)


def _arguments(text: str) -> dict[str, str]:
    """Return the defaults of the build arguments."""
    section, found = "", dict[str, str]()
    for line in text.split("\n"):
        if opened := _SECTION.match(line):
            section = opened[1].lower()
        elif section == "arguments":
            found.update({name: given.strip("\"'") for name, given in _ASSIGNED.findall(line[:_LONGEST])})
    return found
