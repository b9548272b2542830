"""Many runs on several machines: PostgreSQL holds the journal and the jobs, workers carry them out.

The work is given out by Procrastinate, whose jobs live in the journal's database. Nothing is trusted to it: a run is
exact because its epoch is compared (`engine/journal.py`), and a job that is lost is found by a sweep (`worker.py`).
"""
