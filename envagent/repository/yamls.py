"""Load untrusted YAML, with the C parser where available.

Owns: safe and fast loading that no document can make explode: aliases stay shared, and merge keys are kept under `<<`
instead of being carried out, because merging merged mappings grows without bound. Must not: construct anything but
plain values.
"""

from __future__ import annotations

from typing import Any

import yaml

MERGE = "<<"
_DEEPEST = 60
_MOST_DOCUMENTS = 50
_Parser: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Parser):  # type: ignore[misc]  # the base is chosen at run time
    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Leave merge keys alone."""


_Loader.add_constructor("tag:yaml.org,2002:merge", lambda loader, node: MERGE)


def load_yaml(text: str) -> Any:
    """Load a document as plain values.

    Raises:
        yaml.YAMLError: invalid, or nested deeper than anything people write.
    """
    if _nests_too_deep(text):
        raise yaml.YAMLError("nests too deep")
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - it derives from the safe one


def load_documents(text: str) -> list[Any]:
    """Load the documents of a stream, at most 50 of them, and those before the first that is invalid.

    Raises:
        yaml.YAMLError: the first document is invalid, or something nests deeper than anything people write.
    """
    if _nests_too_deep(text):
        raise yaml.YAMLError("nests too deep")
    found: list[Any] = []
    try:
        for document in yaml.load_all(text, Loader=_Loader):
            found.append(document)
            if len(found) == _MOST_DOCUMENTS:
                break
    except (yaml.YAMLError, ValueError, RecursionError):
        if not found:
            raise
    return found


def _nests_too_deep(text: str) -> bool:
    """Return whether brackets or indentation exceed what the parser's stack can take."""
    depth = deepest = 0
    for character in text:
        if character in "[{":
            depth += 1
            deepest = max(deepest, depth)
        elif character in "]}" and depth:
            depth -= 1
    if deepest > _DEEPEST:
        return True
    # A line such as `- - - - x` opens a level per dash.
    return any(line.count("- ") > _DEEPEST or line.count("? ") > _DEEPEST for line in text.split("\n"))
