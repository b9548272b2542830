"""A file of repositories for `run --file`: a line for each, with options of its own.

Paths are relative to the file. A line's identity is its repository, ref and options, so lines may be moved and comments
changed between two calls.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shlex
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from envagent.errors import EnvagentError, UsageError
from envagent.hints import Command, Hint

if TYPE_CHECKING:
    from envagent.cli.actions import RunOptions

EXAMPLE = """\
# what a line does not say is taken from the command line
https://github.com/karpathy/minGPT
https://github.com/openai/whisper --ref v20231117 --hours 12
../artifacts/sorting --also appendix.pdf --max-su 24
"""

LINE_OPTIONS = {
    "--ref": "branch, tag or commit",
    "--node-type": "reserve this node type",
    "--image": "use this image (name or id)",
    "--hours": "length of the lease in hours",
    "--max-su": "accept any suitable node type if the lease costs at most SU",
    "--also": "also read this document, such as the paper's artifact appendix; can be repeated",
}
"""The options that a line may have: those of `run` that differ between repositories."""

LARGEST = 1 << 20
LONGEST_LEASE = 168


@dataclass(frozen=True)
class BatchLine:
    """One line.

    Attributes:
        number: its number in the file, from 1.
        repository: a URL, or an absolute path.
        given: the options that the line gives, by their names in `RunOptions`.
        key: its identity within the batch.
    """

    number: int
    repository: str
    given: dict[str, Any]
    key: str

    def options(self, common: RunOptions) -> RunOptions:
        """Return the options of the line's run, on top of those of the command line."""
        return replace(common, repo=self.repository, **self.given)


def batch_name(file: Path) -> str:
    """Return the name by which the runs of a file are found: its absolute path. It need not exist any more."""
    return str(file.expanduser().resolve())


def read_lines(file: Path) -> list[BatchLine]:
    """Read the lines of a file.

    Raises:
        UsageError: it cannot be read, or a line is not valid; the message names it.
    """
    try:
        data = file.expanduser().read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {file}: {error.strerror}", hint=_help()) from None
    if len(data) > LARGEST or b"\0" in data:
        raise UsageError(f"{file} is not a list of repositories", hint=_help())
    folder = Path(batch_name(file)).parent
    seen: Counter[str] = Counter()
    lines = []
    for number, text in enumerate(data.decode("utf-8-sig", "replace").splitlines(), start=1):
        try:
            words = shlex.split(text, comments=True)
            if words:
                lines.append(_line(number, words, folder, seen))
        except (ValueError, EnvagentError) as error:
            reason = error.message if isinstance(error, EnvagentError) else str(error).lower()
            raise UsageError(f"{file}:{number}: {reason}", hint=_help()) from None
    if not lines:
        raise UsageError(f"{file} lists no repository", hint=_help())
    return lines


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        """Raise instead of exiting."""
        raise ValueError(message)


def _parser() -> _Parser:
    parser = _Parser(add_help=False, allow_abbrev=False)
    parser.add_argument("repo")
    types: dict[str, Any] = {"--hours": _hours, "--max-su": _amount}
    for name in LINE_OPTIONS:
        parser.add_argument(name, type=types.get(name, str), action="append" if name == "--also" else "store")
    return parser


def _hours(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= LONGEST_LEASE:
        raise argparse.ArgumentTypeError(f"from 1 to {LONGEST_LEASE}, not {text}")
    return int(text)


def _amount(text: str) -> float:
    amount = float(text)
    if not 0 < amount <= 1e6:
        raise argparse.ArgumentTypeError(f"from 0 to 1000000, not {text}")
    return amount


def _line(number: int, words: list[str], folder: Path, seen: Counter[str]) -> BatchLine:
    from envagent.repository.source import Local, parse_source

    found = vars(_parser().parse_args(words))
    repository = found.pop("repo")
    given = {name: value for name, value in found.items() if value is not None}
    source = parse_source(repository, ref=given.get("ref"))
    if isinstance(source, Local):
        repository = str(folder / source.path.expanduser())
    if "also" in given:
        given["also"] = tuple(one if "://" in one else str(folder / Path(one).expanduser()) for one in given["also"])
    identity = json.dumps([repository, given], sort_keys=True)
    seen[identity] += 1
    key = hashlib.sha256(f"{identity} {seen[identity]}".encode("utf-8", "surrogatepass")).hexdigest()[:16]
    return BatchLine(number, repository, given, key)


def _help() -> Hint:
    return Hint("what a line may say:", Command("help", ("batch",)))
