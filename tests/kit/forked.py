"""The command line in a forked child, which need not import anew what the test has imported."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn, TextIO

from envagent.cli.main import main


def fork(arguments: Sequence[str], prepare: Callable[[], object]) -> int:
    """Run a command line in a child and return its process id.

    Args:
        arguments: What follows `envagent`.
        prepare: Called in the child first: it redirects the descriptors 0, 1 and 2, and whatever else is to be changed.
    """
    assert not (held := _open_journals()), f"SQLite's connections must not be carried over a fork: {held}"
    sys.stdout.flush()
    sys.stderr.flush()
    return os.fork() or become(arguments, prepare)


def become(arguments: Sequence[str], prepare: Callable[[], object], command: Callable[[], object] = main) -> NoReturn:
    """Go on as that command line, and end with its exit code.

    Args:
        arguments: What follows `envagent`.
        prepare: As for `fork`.
        command: What reads the arguments.
    """
    code = 1
    try:
        prepare()
        sys.stdin = open(0, closefd=False)  # noqa: SIM115 - lives as long as the process
        sys.stdout = open(1, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        sys.stderr = open(2, "w", closefd=False, encoding="utf-8")  # noqa: SIM115
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, signal.SIG_DFL)
        _forget_pytest()
        sys.argv = ["envagent", *arguments]
        command()
        code = 0
    except SystemExit as left:
        code = left.code if isinstance(left.code, int) else int(left.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def redirect(out: Path, err: Path) -> None:
    """Give this process no input, and these files for its output."""
    for number, path in enumerate((Path(os.devnull), out, err)):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
        os.dup2(descriptor, number)
        os.close(descriptor)


def _open_journals() -> list[str]:
    """List the files of journals that this process has open.

    A child would share SQLite's state of these files and none of its locks: "disk I/O error", then lost records. A
    connection that nobody closes stays open until the next garbage collection.
    """
    opened = []
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # that of the listing itself
            opened.append(str(entry.readlink()))
    return sorted({name for name in opened if Path(name).name.startswith("journal.db")})


def _forget_pytest() -> None:
    """Let errors, warnings and log lines go where they go in an interpreter of its own."""
    logging.root.handlers.clear()
    threading.excepthook = threading.__excepthook__
    sys.unraisablehook = sys.__unraisablehook__
    warnings.resetwarnings()
    for category in (DeprecationWarning, PendingDeprecationWarning, ImportWarning, ResourceWarning):
        warnings.simplefilter("ignore", category)

    def show(
        message: Warning | str,
        category: type[Warning],
        filename: str,
        lineno: int,
        file: TextIO | None = None,
        line: str | None = None,
    ) -> None:
        sys.stderr.write(warnings.formatwarning(message, category, filename, lineno, line))

    warnings.showwarning = show
