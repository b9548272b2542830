"""The command line: parse, call, render.

One file per command; `main.py` alone maps errors to exit codes. Nothing heavy is imported before a command needs it,
so that `--help` and shell completion answer at once.

- `main.py`: the application, its commands, exit codes.
- `run.py`, `resume.py`, `status.py`, `teardown.py`, `analyze.py`, `sandbox.py`: one command each.
- `session.py`, `clouds.py`: what a command works with: settings, journal, lock, runner, cloud.
- `drive.py`, `approval.py`, `failure.py`, `stop.py`: one run from its start to its last line.
- `documents.py`, `report.py`: the JSON documents, and how they are made of journal rows.
- `board.py`, `output.py`, `live.py`, `views.py`: what a person sees.
- `terminal.py`, `text.py`, `times.py`: the only way to a terminal, harmless text, readable times.
"""
