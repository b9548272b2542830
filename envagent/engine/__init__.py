"""The engine: typed steps in a DAG, run to completion through crashes.

It knows no cloud, no AI and no command line: it could run any pipeline, and its own tests run a toy one.

- `step.py`: what a step is: stages, their typed signatures, `NotYet`.
- `pipeline.py`: steps registered as a DAG whose edges are the types.
- `tables.py`, `journal.py`: what is stored, in SQLite, and how it is written.
- `loaded_run.py`: one run in memory, loaded from the journal.
- `context.py`: what a stage may do besides computing: report, decide, wait.
- `kinds.py`, `intents.py`: kinds of resources; creating and removing them, exactly one object per tag.
- `execution.py`, `runner.py`, `loop.py`: a run that this process works on, one advance of it, and the clock.
- `removal.py`: remove what a run made and prove its absence.
- `lock.py`, `clock.py`, `filesystem.py`: one process per run, the time, and which file systems are on a network.
"""
