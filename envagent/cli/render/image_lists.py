"""Names of images in a list: a dated build is superseded by the one without a date, so it is only counted."""

from __future__ import annotations

from collections.abc import Sequence


def image_names(names: Sequence[str], chosen: str | None = None) -> str:
    """Join names of images, without those of dated builds.

    Args:
        names: the names, best first.
        chosen: the image that was chosen, which is named in any case.

    >>> image_names(["CC-Ubuntu24.04", "CC-Ubuntu22.04", "CC-Ubuntu24.04-20250422"])
    'CC-Ubuntu24.04, CC-Ubuntu22.04 and 1 dated build'
    """
    from envagent.advice.images import is_dated

    named = [one for one in names if one == chosen or not is_dated(one)] or list(names[:1])
    left = len(names) - len(named)
    return ", ".join(named) + ("" if not left else f" and {left} dated build{'' if left == 1 else 's'}")
