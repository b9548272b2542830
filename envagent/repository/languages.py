"""Survey a listing: languages and their share, and sources that only a GPU compiler accepts.

Owns: file endings. Must not: open a file.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from envagent.repository.facts import Facts, GpuSign, SpecialSign, Spot, Vendor
from envagent.repository.results import Entry

_ENDINGS = {
    "Python": "py pyx", "Jupyter": "ipynb", "C": "c h", "C++": "cc cpp cxx hpp hh hxx inl", "CUDA": "cu cuh",
    "HIP": "hip", "Fortran": "f f77 f90", "Rust": "rs", "Go": "go", "Java": "java", "Scala": "scala", "Kotlin": "kt",
    "JavaScript": "js jsx mjs", "TypeScript": "ts tsx", "Ruby": "rb", "PHP": "php", "C#": "cs", "Swift": "swift",
    "R": "r", "Julia": "jl", "MATLAB": "m", "Haskell": "hs", "OCaml": "ml", "Elixir": "ex exs", "Erlang": "erl",
    "Lua": "lua", "Perl": "pl pm", "Shell": "sh", "OpenCL": "cl", "Verilog": "v", "SystemVerilog": "sv",
    "VHDL": "vhd vhdl", "Zig": "zig", "Nim": "nim", "Dart": "dart", "Clojure": "clj", "P4": "p4",
    "Nextflow": "nf", "Snakemake": "smk", "WDL": "wdl", "CWL": "cwl",
}  # fmt: skip
_LANGUAGE_OF = {ending: language for language, endings in _ENDINGS.items() for ending in endings.split()}
_NATIVE = ("C", "C++", "CUDA", "HIP", "Fortran")
_HARDWARE = ("Verilog", "SystemVerilog", "VHDL")
_BORROWED = re.compile(
    r"(^|/)(third[-_]?party|3rdparty|vendor|external|extern|deps|node_modules|submodules)(/|$)", re.IGNORECASE
)


_TRAINS = re.compile(r"(?:scripts/|tools/|src/)?(?:main_|run_)?(?:pre)?train\.(?:py|sh)")


@dataclass(frozen=True)
class Survey:
    """Counts over the repository's own files.

    Attributes:
        languages: file count per language, most first.
        total_bytes: of all files, third-party code included; 0 where sizes are unknown.
    """

    languages: dict[str, int]
    total_bytes: int

    def share(self, *names: str) -> float:
        """Return the share of these languages among all source files."""
        return sum(self.languages.get(name, 0) for name in names) / max(sum(self.languages.values()), 1)


def survey(entries: Sequence[Entry]) -> Survey:
    """Count the source files per language, and all bytes."""
    counts: Counter[str] = Counter()
    total = 0
    for entry in entries:
        total += entry.size or 0
        language = _LANGUAGE_OF.get(_ending(entry.path))
        if language is not None and not _BORROWED.search(entry.path):
            counts[language] += 1
    return Survey(dict(counts.most_common()), total)


def read(entries: Sequence[Entry], survey: Survey, facts: Facts) -> None:
    """Add the signs found in file names."""
    languages = survey.languages
    native = sum(languages.get(name, 0) for name in _NATIVE)
    vendors: dict[str, Vendor] = {"CUDA": "nvidia", "HIP": "amd"}
    for language, vendor in vendors.items():
        count = languages.get(language, 0)
        if not count:
            continue
        first = next(e.path for e in entries if _LANGUAGE_OF.get(_ending(e.path)) == language)
        share = count / max(native, 1)
        # In a repository of mostly Python, a few kernels are only part of the job.
        most = 2.0 if native >= 0.3 * sum(languages.values()) else 1.2
        weight = most if share >= 0.3 else 0.8 if share >= 0.1 else 0.3
        spot = Spot(first, None, f"{count} {language} files of {native} native ones")
        facts.gpu.append(GpuSign("sources", weight, vendor, spot, "its sources are compiled for GPUs"))
    hardware = sum(languages.get(name, 0) for name in _HARDWARE)
    if hardware >= 5 and hardware >= 0.2 * sum(languages.values()):
        first = next(e.path for e in entries if _LANGUAGE_OF.get(_ending(e.path)) in _HARDWARE)
        facts.specials.append(SpecialSign("fpga", 1.5, Spot(first, None, f"{hardware} files of hardware description")))
    _modules(entries, facts)
    _training(entries, facts)


def _ending(path: str) -> str:
    stem, dot, ending = path.rpartition("/")[2].rpartition(".")
    return ending.lower() if stem and dot else ""


def _training(entries: Sequence[Entry], facts: Facts) -> None:
    for entry in entries:
        if _TRAINS.fullmatch(entry.path.lower()):
            spot = Spot(entry.path, None, entry.path)
            facts.gpu.append(GpuSign("network", 1.0, None, spot, "a training program"))
            return


def _modules(entries: Sequence[Entry], facts: Facts) -> None:
    for entry in entries:
        name = entry.path.rsplit("/", 1)[-1].lower()
        if name == "kbuild":
            facts.specials.append(SpecialSign("kernel-module", 1.0, Spot(entry.path, None, name)))
        elif name.endswith((".bpf.c", "_kern.c")):
            facts.specials.append(SpecialSign("kernel", 0.8, Spot(entry.path, None, name)))
