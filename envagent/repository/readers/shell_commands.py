"""Shell commands, wherever they occur: readmes, scripts, Makefiles, Dockerfiles.

Owns: the words of commands that show a GPU, MPI or special hardware in use, and the packages they install.
Must not: run anything.
"""

from __future__ import annotations

import re
from dataclasses import replace

from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from envagent.repository.facts import (
    CudaSign,
    Facts,
    GpuSign,
    Installation,
    Scope,
    SpecialSign,
    Spot,
    Vendor,
    minors,
    quote,
)
from envagent.repository.patterns import any_of
from envagent.repository.readers import batch, chameleon
from envagent.repository.readers.dependencies import add_pip, conda_package, python_sign
from envagent.repository.readers.targets import FRAMEWORKS, cuda_version, of_url, shared

_GPU: tuple[tuple[float, Vendor | None, re.Pattern[str]], ...] = (
    (
        1.2,
        "nvidia",
        any_of(r"--gpus[ =]+(?:all|\"?device|\d)|--runtime[ =]nvidia|\bnvidia-docker\b|\bnvidia\.com/gpu="),
    ),
    (1.2, "nvidia", any_of(r"\b(?:singularity|apptainer)\b.{0,200}\s--nv(?:ccli)?\b")),
    (1.2, "amd", any_of(r"\b(?:singularity|apptainer)\b.{0,200}\s--rocm\b")),
    (1.2, "amd", any_of(r"--device[ =]/dev/kfd|\brocm-smi\b|\bhipcc\b|/opt/rocm\b")),
    (1.0, "nvidia", any_of(r"\b(?:CUDA_HOME|CUDA_PATH|NCCL_HOME)=|\bnvcc +(?:-(?!-?v)|\S+\.cu\b)")),
    # These only check whether a GPU is present.
    (0.4, "nvidia", any_of(r"\bnvidia-smi\b|\bnvcc\b")),
    (1.0, "nvidia", any_of(r"\bCUDA_VISIBLE_DEVICES=\d")),
    (1.0, "nvidia", any_of(r"(?:--device[ =]|device\s*=\s*|\.to\(|torch\.device\()['\"]?cuda|\.cuda\(\)")),
    (
        1.0,
        None,
        any_of(r"--nproc[-_]per[-_]node[ =]\$?\{?[A-Z0-9]|\btorchrun\b|\btorch\.distributed\.(?:launch|run)\b"),
    ),
    (1.2, "nvidia", any_of(r"\baccelerate launch\b|^\s*\$?\s*deepspeed\b|--deepspeed\b|--tensor[-_]parallel")),
    (0.8, None, any_of(r"--(?:n[-_]?gpus?|num[-_]gpus?|gpus?(?:[-_]ids?)?|devices)[ =]\[?\d|--(?:fp16|bf16|amp)\b")),
    (0.8, None, any_of(r"mixed[-_]precision")),
    (1.0, None, any_of(r"\$\{?(?:NUM_?)?N?GPUS?\b")),
    (1.0, None, any_of(r"--gres[= ]gpu|--gpus-per-(?:task|node)|-l (?:ngpus|select=.*ngpus)")),
    (1.0, "nvidia", any_of(r"\b(?:trtllm-|trtexec|tritonserver)\b")),
)
# A neural network being trained or sampled; only the framework used shows whether it is one.
_NETWORK = any_of(
    r"\bpython[\d.]* .*(?:train|\.(?:pt|pth|ckpt|safetensors)\b|--(?:batch[-_]size|epochs|lr|ckpt|checkpoint)\b)",
)
_CPU = any_of(r"is_available\(\)|--device[ =]['\"]?cpu\b|--cpu\b|--no[-_]cuda\b|--force[-_]cpu|whl/cpu\b|\bcpuonly\b")
_MPI = any_of(r"\bmpi(?:run|exec|cc|cxx|c\+\+|f90|fort)\b|\bsrun -n")
_CUDA_PACKAGE = any_of(r"\b(?:(?:cudatoolkit|pytorch-cuda|cuda-toolkit|cuda-version)[= ]+|cuda[-_=])(\d{1,2}\.\d{1,2})")
_URL = re.compile(r"https?://[^\s\"'\\]{1,300}")
_PIP = re.compile(r"\bpip3?(?:\.\d+)? install\b(.*)", re.IGNORECASE)
_CONDA = re.compile(r"\b(?:conda|mamba|micromamba) (?:create|install)\b(.*)", re.IGNORECASE)
_WORD = re.compile(r"\"[^\"]*\"|'[^']*'|\S+")
_SOURCE = re.compile(r"git\+https?://|https?://\S{1,400}\.whl")
_SEPARATOR = re.compile(r"&&|\|\||;")
# The package by its folder or its name, and its extras.
_OWN = re.compile(r"(?:\.{1,2}(?:/[\w./-]*)?|([A-Za-z0-9][\w.-]*))(?:\[([\w.,\s-]*)\])?")
_TOOL = re.compile(r"\b(?:uv (?:sync|(run))|poetry install|pdm (?:install|sync))\b(.*)")
_GROUP = re.compile(r"(?:--extras?|--group|--with|-E|-G)[ =]([\w.,-]+|\"[^\"]*\"|'[^']*')")
_ALL_GROUPS = re.compile(r"--all-extras|--all-groups|-G :all")
_MAX_WORD = 300
_TAKES_VALUE = frozenset([
    "-n", "--name", "-p", "--prefix", "-c", "--channel", "-r", "--requirement", "-f", "--find-links", "--file",
    "-i", "--index-url", "--extra-index-url", "-t", "--target",
])  # fmt: skip
_MAX_LENGTH = 2000


def read_command(path: str, line: int | None, text: str, facts: Facts, *, scope: Scope, weight: float) -> None:
    """Read one command: the packages it installs, with their scope, and other signs, with a weight of 1 in a readme."""
    text = text[:_MAX_LENGTH]
    spot = Spot(path, line, quote(text))
    _accelerator(text, spot, facts, weight)
    chameleon.read(path, text, facts)
    batch.read_command(path, line, text, facts, weight=0.7 * weight)
    if _MPI.search(text):
        facts.specials.append(SpecialSign("mpi", 0.8 * weight, spot))
    if (pip := _PIP.search(text)) and "{" not in text:
        target = shared(of_url(url) for url in _URL.findall(pip[1]))
        for word in _arguments(pip[1]):
            framework = re.split(r"[^A-Za-z0-9]", word, maxsplit=1)[0].lower() in FRAMEWORKS
            add_pip(facts, word, scope, path, line, local=target if framework else "")
    _installations(text, spot, facts, scope)
    if (conda := _CONDA.search(text)) and "{" not in text:
        _conda(_arguments(conda[1]), path, line, spot, facts, scope)


def _accelerator(text: str, spot: Spot, facts: Facts, weight: float) -> None:
    if _CPU.search(text):
        facts.gpu.append(GpuSign("optional", -0.5 * weight, None, spot, "a command that runs on the CPU"))
        return
    for strength, vendor, pattern in _GPU:
        if pattern.search(text):
            facts.gpu.append(GpuSign("command", strength * weight, vendor, spot, "a command that uses a GPU"))
            break
    if _NETWORK.search(text):
        facts.gpu.append(GpuSign("network", weight, None, spot, "trains a network or uses its weights"))
    named = _CUDA_PACKAGE.search(text)
    versions = [named[1]] if named else [v for url in _URL.findall(text) if (v := cuda_version(of_url(url)))]
    if versions:
        facts.cuda.append(CudaSign(versions[0], 0.5 * weight, spot))
        facts.gpu.append(GpuSign("command", 0.8 * weight, "nvidia", spot, "installs CUDA builds"))


def _conda(words: list[str], path: str, line: int | None, spot: Spot, facts: Facts, scope: Scope) -> None:
    for word in words:
        package = conda_package(word, scope, path, line)
        if package is None or not re.match(r"[a-z0-9]", package.name):
            continue
        if package.name == "python":
            if sign := python_sign(package, 1, "the documented environment"):
                facts.pythons.append(replace(sign, spot=spot))
        elif scope != "main" or package.name not in ("create", "env"):
            facts.packages.append(package)


def _installations(text: str, spot: Spot, facts: Facts, scope: Scope) -> None:
    """Record commands that install the repository's own package, by its folder or its name, with their extras."""
    for command in _SEPARATOR.split(text):
        found: list[tuple[str, frozenset[str]]] = []
        if pip := _PIP.search(command):
            words = (word.strip("\"'") for word in _WORD.findall(pip[1]))
            named = (_OWN.fullmatch(word) for word in words if len(word) < _MAX_WORD)
            found += [(canonicalize_name(n[1]) if n[1] else "", _groups(n[2] or "")) for n in named if n]
        elif tool := _TOOL.search(command):
            options = _GROUP.findall(tool[2])
            groups = frozenset(group for option in options for group in _groups(option))
            everything = frozenset({"*"}) if _ALL_GROUPS.search(tool[2]) else frozenset()
            if groups or tool[1] != "run":
                found.append(("", groups | everything))
        # What is shown as an option makes nothing mandatory.
        facts.installations += [
            Installation(n, groups, spot) for n, groups in found if scope != "optional" or not groups
        ]


def _groups(text: str) -> frozenset[str]:
    return frozenset(canonicalize_name(name) for name in re.split(r"[\s,\"']+", text) if name)


def _arguments(text: str) -> list[str]:
    """Return the words that name packages: no options, no option values, nothing after a separator."""
    kept: list[str] = []
    skip = False
    for word in _WORD.findall(re.split(r"&&|\|\||;|\||(?<!\S)#", text, maxsplit=1)[0]):
        word = word.strip("\"'")
        if skip:
            skip = False
        elif word.startswith("-"):
            skip = word in _TAKES_VALUE
        elif word not in (".", "\\") and ("/" not in word or _SOURCE.match(word)):
            kept.append(word)
    return kept


def python_specifier(text: str) -> frozenset[str]:
    """Parse a version written as 3.9, 3.9.1 or 3.9.x to its minors."""
    if found := re.match(r"(\d\.\d{1,2})", text):
        return minors(SpecifierSet(f"=={found[1]}.*"))
    return frozenset()
