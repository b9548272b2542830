"""envagent: from a repository URL to a Chameleon server that you can log in to.

`envagent.analyze`, `plan`, `run`, `run_file`, `resume`, `status`, `extend`, `teardown` and `orphans` are calls of
`envagent.api`, imported at their first use.
"""

from typing import TYPE_CHECKING

__version__ = "0.1.0"
__all__ = [
    "__version__",
    "analyze",
    "extend",
    "orphans",
    "plan",
    "resume",
    "run",
    "run_file",
    "status",
    "teardown",
]

if TYPE_CHECKING:
    from envagent.api import analyze, extend, orphans, plan, resume, run, run_file, status, teardown
else:

    def __getattr__(name: str) -> object:
        if name.startswith("_") or name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from envagent import api

        return globals().setdefault(name, getattr(api, name))

    def __dir__() -> list[str]:
        return sorted({*globals(), *__all__})
