"""Set up what is compiled: C and C++ by their build systems, Rust, Go, and R packages."""

from __future__ import annotations

import re
from collections.abc import Iterator

from envagent.environment.declared_commands import before_tests
from envagent.environment.findings import Findings, step, usual, verbatim
from envagent.environment.setup_plan import Command, SetupStep

_CHECKED = re.compile(r"enable_testing\s*\(|include\s*\(\s*CTest|add_test\s*\(", re.IGNORECASE)
_TOOLS = ((r"\bcmake\b|\bctest\b", "cmake"), (r"\bmeson\b", "meson"), (r"\bmeson\b|\bninja\b|-G ?Ninja", "ninja-build"))
"""What a command of CI needs that a build system of another kind does not bring."""
_MOST_DECLARED = 12
_R_BASE = frozenset([
    "R", "methods", "stats", "utils", "graphics", "grDevices", "datasets", "tools", "parallel", "compiler", "grid",
    "splines", "stats4", "tcltk",
])  # fmt: skip


def native_steps(found: Findings) -> Iterator[SetupStep]:
    """Yield the steps that set up a C or C++ project, by the build system that it has."""
    tools = {"cmake": ["cmake"], "meson": ["meson", "ninja-build"], "autotools": ["autoconf", "automake", "libtool"]}
    kind, name = _build_system(found)
    declared = [one for one in before_tests(found.ci) if one.is_build and not one.apt_packages]
    named = [one.text for one in (*declared, *found.tests_in_ci)]
    tools[kind] = [*tools.get(kind, ()), *(two for word, two in _TOOLS if any(re.search(word, one) for one in named))]
    needed = ["build-essential", "pkg-config", "git", "ca-certificates", *dict.fromkeys(tools[kind])]
    yield step(
        "compilers",
        "toolchain",
        f"a compiler{'' if kind == 'make' else f', and {kind}'}",
        ("apt_install", *needed),
        reasons=[found.reason(name)],
        done=("cc", "--version"),
    )
    yield step(
        "libraries",
        "dependencies",
        "the libraries whose headers its sources include",
        ("install_headers",),
        reasons=[usual("CI's machines have common ones, so that no file names them")],
    )
    whole = declared and not any(one.of_the_runner for one in found.ci if not one.is_test) and found.folder == ""
    commands, checks = _usual_build(found, kind)
    if whole and any(re.search(r"\bmake\b|--build|\bninja\b|meson compile", one.text) for one in declared):
        yield step(
            "build",
            "build",
            "its build, as CI does it",
            verbatim("\n".join(one.text for one in declared[:_MOST_DECLARED])),
            reasons=[one.reason for one in declared],
            done=("built",),
            minutes=60,
        )
        tested = found.tests_in_ci[:1]
        checks = verbatim(tested[0].text) if tested else None
        reasons = [one.reason for one in tested]
    else:
        yield step(
            "build",
            "build",
            f"its build with {kind}",
            *commands,
            reasons=[found.reason(name)],
            done=("built",),
            minutes=60,
        )
        reasons = [found.reason(name)]
    if checks is not None:
        yield step(
            "checks",
            "proof",
            "the checks of its build",
            checks,
            reasons=reasons,
            minutes=20,
            proves="its own checks pass",
        )
    else:
        yield step(
            "built",
            "proof",
            "something was built",
            ("built",),
            reasons=[usual("its build has no checks")],
            minutes=5,
            proves="it builds; nothing was run",
        )


def _build_system(found: Findings) -> tuple[str, str]:
    for kind, names in (
        ("cmake", ("CMakeLists.txt",)),
        ("meson", ("meson.build",)),
        ("autotools", ("configure.ac", "configure.in", "configure", "autogen.sh")),
    ):
        if (name := found.has(*names)) is not None:
            return kind, name
    return "make", found.has("Makefile", "makefile", "GNUmakefile") or "Makefile"


def _usual_build(found: Findings, kind: str) -> tuple[list[Command], Command | None]:
    """Return the usual commands of a build system, and its checks if it has any."""
    match kind:
        case "cmake":
            checks: Command = ("in_work", "ctest", "--test-dir", "build", "--output-on-failure", "--timeout", "300")
            configure = ("in_work", "cmake", "-S", ".", "-B", "build", "-DCMAKE_BUILD_TYPE=Release")
            has_checks = _CHECKED.search(found.text("CMakeLists.txt")) is not None
            return [configure, ("in_work", "cmake", "--build", "build")], checks if has_checks else None
        case "meson":
            has_checks = "test(" in found.text("meson.build") or "subdir('test" in found.text("meson.build")
            checks = ("in_work", "meson", "test", "-C", "build", "--print-errorlogs")
            return [("in_work", "meson", "setup", "build"), ("in_work", "meson", "compile", "-C", "build")], (
                checks if has_checks else None
            )
        case "autotools":
            first: list[Command] = []
            if found.has("configure") is None:
                first = [
                    ("in_work", "bash", "autogen.sh") if found.has("autogen.sh") else ("in_work", "autoreconf", "-fi")
                ]
            return [*first, ("in_work", "./configure"), ("in_work", "make")], ("in_work", "make", "check")
    text = found.text("Makefile") or found.text("makefile") or found.text("GNUmakefile")
    target = next((one for one in ("check", "test", "tests") if re.search(rf"(?m)^{one}\s*:", text)), None)
    return [("in_work", "make")], None if target is None else ("in_work", "make", target)


def rust_steps(found: Findings) -> Iterator[SetupStep]:
    """Yield the steps that set up a Rust project."""
    locked = ("--locked",) if found.has("Cargo.lock") else ()
    manifest = found.reason("Cargo.toml", "[package]" if "[package]" in found.text("Cargo.toml") else "[workspace]")
    yield step(
        "rust",
        "toolchain",
        "Rust",
        ("apt_install", "build-essential", "pkg-config", "curl", "ca-certificates", "libssl-dev"),
        ("get_rust",),
        reasons=[found.reason(name) if (name := found.has("rust-toolchain.toml", "rust-toolchain")) else manifest],
        done=("cargo", "--version"),
    )
    yield step("build", "build", "its build", ("in_work", "cargo", "build", *locked), reasons=[manifest], minutes=60)
    yield step(
        "tests",
        "proof",
        "its tests",
        ("in_work", "cargo", "test", "--quiet", *locked),
        reasons=[*(one.reason for one in found.tests_in_ci[:1]), manifest],
        minutes=20,
        proves="its tests pass",
    )


def go_steps(found: Findings) -> Iterator[SetupStep]:
    """Yield the steps that set up a Go module."""
    named = re.search(r"(?m)^go (\d+\.\d+(?:\.\d+)?)", found.text("go.mod"))
    module = found.reason("go.mod", named[0]) if named else found.reason("go.mod")
    yield step(
        "go",
        "toolchain",
        f"Go {named[1] if named else ''}".rstrip(),
        ("apt_install", "curl", "ca-certificates", "build-essential"),
        ("get_go", named[1] if named else "1.0"),
        reasons=[module],
        done=("go", "version"),
    )
    yield step(
        "modules", "dependencies", "the modules that it names", ("in_work", "go", "mod", "download"), reasons=[module]
    )
    yield step("build", "build", "its build", ("in_work", "go", "build", "./..."), reasons=[module])
    yield step(
        "tests",
        "proof",
        "its short tests",
        ("in_work", "go", "test", "-short", "-timeout", "15m", "./..."),
        reasons=[*(one.reason for one in found.tests_in_ci[:1]), module],
        minutes=20,
        proves="its short tests pass",
    )


def r_steps(found: Findings) -> Iterator[SetupStep]:
    """Yield the steps that set up an R package, or the library that renv locks."""
    text = found.text("DESCRIPTION")
    package = re.search(r"(?m)^Package:\s*(\S+)", text)
    yield step(
        "r",
        "toolchain",
        "R with compilers",
        ("apt_install", "r-base-core", "r-base-dev", "build-essential"),
        reasons=[found.reason("DESCRIPTION" if package else "renv.lock")],
        done=("Rscript", "--version"),
    )
    if package is None:
        restore = ("in_work", "Rscript", "-e", "renv::restore(prompt = FALSE)")
        yield step(
            "r-packages", "dependencies", "the library that renv locks", ("r_packages", "renv"), restore,
            reasons=[found.reason("renv.lock")], minutes=60,
        )  # fmt: skip
        yield step(
            "library", "proof", "the library is complete",
            ("in_work", "Rscript", "-e", "stopifnot(renv::status()$synchronized)"),
            reasons=[found.reason("renv.lock")], minutes=5, proves="the locked packages are installed; nothing was run",
        )  # fmt: skip
        return
    needed = [one for one in _r_names(text, "Depends", "Imports", "LinkingTo") if one not in _R_BASE]
    tests = "testthat" in _r_names(text, "Suggests") and any("tests/testthat/" in one for one in found.paths)
    wanted = [*needed, *(["testthat"] if tests else [])]
    if wanted:
        yield step(
            "r-packages", "dependencies", "the packages that it imports", ("r_packages", *wanted),
            reasons=[found.reason("DESCRIPTION", "Imports")], minutes=60,
        )  # fmt: skip
    name = package[1]
    yield step(
        "install", "build", "the package itself",
        ("in_work", "R", "CMD", "INSTALL", "--no-docs", "-l", ".r-library", "."),
        reasons=[found.reason("DESCRIPTION", "Package")],
    )  # fmt: skip
    yield step(
        "load", "proof", f"library({name})",
        ("in_work", "Rscript", "-e", "library(commandArgs(TRUE), character.only = TRUE)", name),
        reasons=[found.reason("DESCRIPTION", "Package")], minutes=5, proves=f"{name} can be loaded", decides=not tests,
    )  # fmt: skip
    if tests:
        run = 'testthat::test_dir("tests/testthat", package = commandArgs(TRUE), load_package = "installed")'
        yield step(  # without NOT_CRAN: snapshots, which depend on the packages' releases, and the network are left out
            "tests", "proof", "its tests", ("in_work", "Rscript", "-e", run, name),
            reasons=[found.reason("DESCRIPTION", "testthat")], minutes=20, proves="its tests pass",
        )  # fmt: skip


def _r_names(text: str, *fields: str) -> list[str]:
    names: list[str] = []
    for one in fields:
        if listed := re.search(rf"(?m)^{one}:((?:.*\n?)(?:[ \t]+.*\n?)*)", text):
            names += re.findall(r"([A-Za-z][\w.]*)\s*(?:\([^)]*\))?\s*(?:,|$)", listed[1].replace("\n", " "))
    return list(dict.fromkeys(names))
