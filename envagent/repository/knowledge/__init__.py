"""General facts about packages, wheels, systems and GPUs, as dated tables in this folder.

Owns: loading them. They name no repository, only what holds wherever a name occurs. Must not: judge a repository.
"""

from __future__ import annotations

import re
import tomllib
from fnmatch import translate
from functools import cache
from importlib.resources import files
from typing import Any


@cache
def table(name: str) -> dict[str, Any]:
    """Return the table `name`, parsed once."""
    return tomllib.loads((files(__package__) / f"{name}.toml").read_text(encoding="utf-8"))


@cache
def rows_by_name(name: str, key: str) -> tuple[tuple[re.Pattern[str], dict[str, Any]], ...]:
    """Return the rows at `key` of a table, each with a pattern of the whole names of packages that it is for."""
    return tuple((re.compile("|".join(map(translate, row["names"]))), row) for row in table(name)[key])
