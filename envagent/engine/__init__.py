"""The engine: typed steps in a DAG, run to the end through crashes.

It knows no cloud, no AI and no command line: it could run any pipeline, and its own tests run a toy one.

- `step.py`: what a step is: stages, their typed signatures, "not yet".
- `pipeline.py`: steps registered as a DAG whose edges are the types.
- `tables.py`, `journal.py`: what is remembered, in SQLite, and how it is written.
- `run.py`: one run in memory, loaded from the journal.
- `context.py`: what a stage may do besides computing: report, decide, wait.
- `intents.py`: creating and removing in the outside world, exactly one per mark.
- `runner.py`: one advance of one run, and the loops that call it.
- `teardown.py`: remove what a run made and prove its absence.
- `lock.py`, `clock.py`: one process per run; the time.
"""
