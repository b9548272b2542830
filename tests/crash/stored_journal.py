"""Store a journal of this revision, with a finished and an interrupted run, for the tests of later versions.

python -m tests.crash.stored_journal        (makes tests/fixtures/journals/REVISION.db anew)
"""

from __future__ import annotations

import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path

from envagent.engine.journal import REVISION
from tests.crash.child import Home
from tests.crash.hooks import Exchange, Strike
from tests.crash.world import World

FOLDER = Path(__file__).parents[1] / "fixtures" / "journals"


def main() -> None:
    """Store it."""
    world = World.start(Path(tempfile.mkdtemp(prefix="envagent-crash-")))
    try:
        home = Home.make(world, "fixture")
        strike = Strike("before", Exchange("POST", "/uc/network/v2.0/floatingips", 1))
        home.call(*home.run_arguments()).check()
        killed = home.call(*home.run_arguments(), strikes=[strike])
        assert killed.struck, killed
        target = FOLDER / f"{REVISION}.db"
        target.unlink(missing_ok=True)
        with closing(sqlite3.connect(home.journal)) as connection:
            connection.execute("VACUUM INTO ?", (str(target),))
        print(target)
    finally:
        world.stop()


if __name__ == "__main__":
    main()
