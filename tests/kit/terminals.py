"""The user's end of a pseudoterminal."""

from __future__ import annotations

import os
from collections.abc import Callable


def read_to_end(leader: int, arrived: Callable[[bytes], object]) -> None:
    """Read what is shown until nobody has the other end any more; one read may give any part of it.

    Args:
        leader: Descriptor of this end.
        arrived: Called with each part, as it comes.
    """
    try:
        while part := os.read(leader, 65536):
            arrived(part)
    except OSError:  # how Linux says the end
        pass
