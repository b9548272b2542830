"""YAML of strangers, read by the C parser where it is built in.

Owns: safe and fast loading. Must not: construct anything but plain values.
"""

from __future__ import annotations

from typing import Any

import yaml

_Loader: type[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def load_yaml(text: str) -> Any:
    """The plain value of a document.

    Raises:
        yaml.YAMLError: it is none.
    """
    return yaml.load(text, Loader=_Loader)  # noqa: S506 - both loaders are the safe ones
