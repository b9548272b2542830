"""Sweeps: a run is killed, starved, contended and lied to at every boundary, and the cloud is counted afterwards.

    python -m pytest -m sweep -n 2 --dist worksteal tests/crash             all of them
    python -m pytest -m sweep tests/crash/test_kills.py                     one of them
    python -m pytest -m sweep --sample 40 --seed 7 tests/crash              40 points of each, drawn by a seed
    python -m pytest -m sweep --bounded -n 2 tests/crash                    the part that each commit must pass
    python -m pytest -m sweep --journal postgresql tests/crash              with PostgreSQL, and with workers
    python -m tests.crash.mutants                                           do the tests notice missing safeguards?

Boundaries are counted, never listed by hand: a recorded run shows the exchanges and the commits, and each is a point.
The judge is the simulated cloud's own log and a listing of the project over plain HTTP, never envagent's journal.

`world.py` is the cloud with other people's things in it, `databases.py` where journals are, `child.py` forks a
command, `hooks.py` watches and strikes inside it, `recording.py` records the clean run, `oracle.py` judges.
"""
