"""Sweeps: a run is killed, starved, contended and lied to at every boundary, and the cloud is counted afterwards.

Boundaries are counted, never listed: a counting run finds the exchanges and the commits, and each of them is a point.
The judge is the simulated cloud's own log and a listing of the project over plain HTTP, never envagent's journal.

    python -m tests.crash.crash       SIGKILL at each exchange (three places) and commit, then resume, then teardown
    python -m tests.crash.faults      each exchange meets each fault
    python -m tests.crash.late        creates that time out and come true later
    python -m tests.crash.hands       several processes on one run, several runs at once
    python -m tests.crash.stops       Ctrl-C, SIGTERM, SIGHUP at each exchange
    python -m tests.crash.lost        what a cloud does to leases, servers and deletes
    python -m tests.crash.journal     kills, disks and clocks against the journal
    python -m tests.crash.secrets     canaries, file modes, escape sequences
    python -m tests.crash.mutants     mutations of the engine that the fast tests must notice

`world.py` is the cloud with other people's things in it, `child.py` forks a command, `hooks.py` watches and strikes
inside it, `oracle.py` judges, `sweep.py` counts and reports.
"""
