"""Waiting for what happens in another process or in the cloud."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any


def until(look: Callable[[], Any], what: str = "it", seconds: float = 60.0, pause: float = 0.02) -> Any:
    """Look until there is something, and return it.

    Args:
        look: Returns something true in the end.
        what: What is waited for, said when it does not come.
        seconds: How long.
        pause: Seconds between two looks.
    """
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain for {what}"
        time.sleep(pause)
    return found
