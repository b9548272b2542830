"""The command line: parse, call, render.

`main.py` alone maps errors to exit codes. Nothing heavy is imported before a command needs it.

- `commands/`: one file per command, and the options that they share.
- `actions.py`: what the commands on runs do, for them and for `envagent.api`; `audience.py`: whom they show it to.
- `run_session.py`, `teardown_session.py`, `orphans.py`, `duplicates.py`: from the question to the result.
- `inputs.py`, `interaction.py`: what a user gives to a command; stop signals and questions while it runs.
- `home.py`, `clouds.py`, `wiring.py`: what a command works with: settings, journal, cloud, runner, teardown.
- `documents/`: the JSON documents, and how they are filled.
- `render/`: the terminal, the progress of a run, and the screens.
"""
