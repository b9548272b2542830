"""YAML of strangers, read by the C parser where it is built in.

Owns: safe and fast loading that no document can make explode: aliases stay shared, and merge keys are not carried
out but kept under the key `<<`, because merging merged mappings grows without bound. Must not: construct anything
but plain values.
"""

from __future__ import annotations

from typing import Any

import yaml

MERGE = "<<"
_DEEPEST = 60
_Parser: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc]  # the base is chosen at run time
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys alone."""


_Loader.add_constructor("tag:yaml.org,2002:merge", lambda loader, node: MERGE)


def load_yaml(text: str) -> Any:
    """The plain value of a document.

    Raises:
        yaml.YAMLError: it is none, or nests deeper than any that people write.
    """
    if _nests_too_deep(text):
        raise yaml.YAMLError("nests too deep")
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it derives from the safe one


def _nests_too_deep(text: str) -> bool:
    """Whether brackets or indentation go deeper than the parser's stack should."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}" and depth:
            depth -= 1
    if deepest > _DEEPEST:
        return True
    # A line such as `- - - - x` opens a level a dash.
    return any(line.count("- ") > _DEEPEST or line.count("? ") > _DEEPEST for line in text.split("\n"))
