"""MLflow's projects: MLproject and python_env.yaml.

Owns: their syntax. Must not: follow the files that they name; `references` does.
"""

from __future__ import annotations

import re

from envagent.repository.facts import Facts, line_of, spot_of
from envagent.repository.readers.dependencies import MOST_OF_A_FILE
from envagent.repository.readers.gpu_requests import add_gpus, firmness, parse_gpus
from envagent.repository.readers.image_names import add_image, parse_image
from envagent.repository.readers.parsing import strings, table, yaml_table
from envagent.repository.readers.pyproject import python_bound
from envagent.repository.readers.requirements import read_lines
from envagent.repository.readers.scopes import scope_of
from envagent.repository.readers.shell_commands import read_command

_MOST_ENTRIES = 20


def read(path: str, text: str, facts: Facts) -> None:
    """Read MLproject: the image that it runs in, with its arguments, and the commands of its entry points."""
    loaded, firm = yaml_table(path, text, facts), firmness(path)
    image = table(loaded, "docker_env").get("image")
    if isinstance(image, str) and firm:
        add_image(parse_image(image), spot_of(path, text, image), firm, facts, "the image of its MLflow project")
        gpus = table(loaded, "docker_env", "docker_args").get("gpus")
        if gpus is not None and gpus is not False:
            number = re.fullmatch(r"\d{1,3}", str(gpus))
            ways = [parse_gpus(float(number[0]))] if number else []
            add_gpus(facts, spot_of(path, text, "gpus"), firm, "its MLflow project passes GPUs on", ways)
    for entry in list(table(loaded, "entry_points").values())[:_MOST_ENTRIES]:
        command = entry.get("command") if isinstance(entry, dict) else None
        if isinstance(command, str) and firm:
            line = line_of(text, [command.split("\n")[0].strip()[:100]])[0]
            read_command(path, line, command.replace("\n", " "), facts, scope="documented", weight=0.5 * firm)


def read_python_env(path: str, text: str, facts: Facts) -> None:
    """Read python_env.yaml: its Python, and requirements that are written as pip's lines."""
    loaded, scope = yaml_table(path, text, facts), scope_of(path)
    if scope is None:
        return
    python = loaded.get("python")
    if isinstance(python, str | float):
        python_bound(str(python), path, text, facts, authority=3, note="the environment's pin")
    lines = [(line_of(text, [item])[0], item) for item in strings(loaded.get("dependencies"))[:MOST_OF_A_FILE]]
    read_lines(lines, scope, path, facts)
