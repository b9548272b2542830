"""Showing and setting the limits of a fleet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import cast

from envagent.cli.documents.limit_models import LimitPart, LimitsDocument
from envagent.cli.home import Home, read_settings
from envagent.cli.render.terminal import out, print_document
from envagent.cli.submission import shared_jobs
from envagent.errors import UsageError
from envagent.fleet.turns import LimitName, Turns
from envagent.hints import Hint, Option

WORDS = {"builds": "builds at once", "lease_requests": "lease requests a minute", "su": "SU"}


def change_limits(
    given: Mapping[str, str], *, site: str | None, owner: str | None, config: Sequence[Path] | None
) -> None:
    """Set limits, or remove those that are `none`.

    Args:
        given: by name: the value as it was typed.
        site: the site of those that have one.
        owner: whose budget; None for that of all together.
        config: the files named by --config.

    Raises:
        UsageError: a value is not valid, the site is missing, or only an operator may.
        ConfigurationError: the journal is not shared.
    """
    of_site = [name for name in given if name != "su"]
    if of_site and site is None:
        raise UsageError("these are limits of a site", hint=Hint("name it with", Option("site", "CHI@UC")))
    values = {name: _number(name, text) for name, text in given.items()}
    with _turns(config, to_change=True) as turns:
        for name, value in values.items():
            place = {"owner": owner or ""} if name == "su" else {"site": site or ""}
            turns.set(cast(LimitName, name), value, **place)


def show_limits(*, as_json: bool, config: Sequence[Path] | None) -> None:
    """Print all limits with what is in use.

    Raises:
        ConfigurationError: the journal is not shared.
    """
    with _turns(config) as turns:
        found = turns.limits()
    parts = [
        LimitPart(
            name=one.name, site=one.site or None, owner=one.owner or None, limit=one.value, used=round(one.used, 2)
        )
        for one in found
    ]
    if as_json:
        print_document(LimitsDocument(limits=parts))
        return
    if not parts:
        out().line("No limits are set.")
        return
    rows = [
        (WORDS[one.name], one.site or one.owner or "all owners", f"{one.limit:g}", f"{one.used:g}") for one in parts
    ]
    out().table(rows, head=("limit", "of", "at most", "used"), indent=0)


@contextmanager
def _turns(config: Sequence[Path] | None, *, to_change: bool = False) -> Iterator[Turns]:
    settings = read_settings(config)
    shared_jobs(settings)
    home = Home.of(settings)
    if to_change and home.owner is not None:
        raise UsageError("only an operator sets limits", hint=Hint("set operator = true in [fleet] of envagent.toml"))
    with home.opened_journal() as journal:
        yield Turns(journal)


def _number(name: str, text: str) -> float | None:
    """Read a limit.

    Raises:
        UsageError: it is neither a number nor `none`.
    """
    if text == "none":
        return None
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number <= 1e9 or (name != "su" and number != int(number)):
        option = name.replace("_", "-")
        raise UsageError(f"--{option} {text!r} is not a valid limit", hint=Hint("such as 20, or none"))
    return number
