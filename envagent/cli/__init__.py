"""The command line: parse, call, render.

One file per command; `main.py` alone maps errors to exit codes. Nothing heavy is imported before a command needs it,
so that `--help` and shell completion answer at once.

- `main.py`: the application, its commands, exit codes.
- `run.py`, `resume.py`, `status.py`, `teardown.py`, `analyze.py`, `sandbox.py`: one command each.
- `shared.py`, `completion.py`: options of several commands, run ids to complete.
- `repository.py`, `names.py`: what a user may name, checked before anything begins.
- `session.py`, `clouds.py`, `sites.py`: what a command works with: settings, journal, lock, runner, cloud, best site.
- `drive.py`, `removal.py`, `orphans.py`: one run from its start to its last line, its teardown, what has no journal.
- `approval.py`, `stop.py`: the questions to a person, and signals.
- `documents.py`, `report.py`, `analysis.py`, `summary.py`: the JSON documents, and how they are made of journal rows.
- `refresh.py`: a look at what a run made, for `status --refresh`.
- `board.py`, `output.py`, `live.py`, `usual.py`, `views.py`, `layout.py`: what a person sees.
- `terminal.py`, `text.py`, `times.py`: the only way to a terminal, harmless text, readable times.
- `crash.py`: reports of bugs.
"""
