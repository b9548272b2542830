"""envagent: from a repository URL to a Chameleon server that you can log in to.

`envagent.plan`, `run`, `resume`, `status` and `teardown` are calls of `envagent.api`, imported at their first use.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = ["__version__", "plan", "resume", "run", "status", "teardown"]

if TYPE_CHECKING:
    from envagent.api import plan, resume, run, status, teardown
else:

    def __getattr__(name: str) -> object:
        if name.startswith("_") or name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from envagent import api

        return globals().setdefault(name, getattr(api, name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
