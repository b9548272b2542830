"""What `init` asks, and the file that it writes: a few answers, everything else as a comment with its default."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from pydantic import ValidationError

from envagent import config, keys
from envagent.cli.clouds import SANDBOX, is_sandbox
from envagent.cli.documents.settings_text import toml_text
from envagent.cli.interaction import can_ask, text_answer
from envagent.cli.render.terminal import Terminal
from envagent.config import LeaseSettings
from envagent.drafts import write_whole
from envagent.errors import ConfigurationError, UsageError
from envagent.hints import Hint, Option, command

T = TypeVar("T")

VARIABLES = "OS_*"
"""The choice of the credentials in the environment, instead of a name in clouds.yaml."""


@dataclass(frozen=True, slots=True)
class Answers:
    """What the user wants; None keeps the default."""

    cloud: str | None = None
    hours: int | None = None
    max_su: float | None = None
    ai: bool | None = None
    public_key: Path | None = None

    @property
    def has_ai_key(self) -> bool:
        """Whether an AI's key is in the environment."""
        return any(os.environ.get(name) for name in ("OPENAI_API_KEY", "ENVAGENT_AI__API_KEY"))

    def settings(self) -> dict[str, object]:
        """Return them as settings, by name."""
        wanted = {
            "cloud": None if self.cloud == VARIABLES else self.cloud,
            "lease.hours": self.hours,
            "lease.max_su": self.max_su,
            "ai.enabled": self.ai,
            "key.public_key": self.public_key,
        }
        return {name: value for name, value in wanted.items() if value is not None}


def check_target(path: Path, *, force: bool) -> None:
    """Refuse to overwrite a file.

    Raises:
        UsageError: it exists, and overwriting was not asked for.
    """
    if path.exists() and not force:
        show = command("config", "show", origin=True)
        raise UsageError(
            f"{path} exists", hint=Hint("to see what is set:", show, "; to overwrite it, add", Option("force"))
        )


def check(given: Answers, clouds: Sequence[str]) -> None:
    """Refuse what the settings would not accept.

    Args:
        given: the options.
        clouds: the clouds to choose from.

    Raises:
        UsageError: there is no such cloud or key.
    """
    if given.cloud is not None:
        _cloud(given.cloud, clouds)
    if given.public_key is not None:
        _public_key(str(given.public_key))


def ask(given: Answers, clouds: Sequence[str], terminal: Terminal, *, yes: bool) -> Answers:
    """Ask for what is not given.

    Args:
        given: the options.
        clouds: the clouds to choose from, the most likely one first.
        terminal: where to ask.
        yes: whether to ask nothing.

    Raises:
        UsageError: nothing is given and nobody can answer, or the input ends.
    """
    if yes or not can_ask():
        if given == Answers() and not yes:
            raise UsageError(
                "init asks what you want, and this is not a terminal",
                hint=Hint("pass options, such as:", command("init", cloud="sandbox")),
            )
        return replace(given, public_key=given.public_key and given.public_key.expanduser().absolute())
    question = f"Cloud ({', '.join(clouds)})"
    return Answers(
        cloud=given.cloud or _asked(terminal, question, partial(_cloud, names=clouds), clouds[0], said=clouds[0]),
        hours=given.hours or _asked(terminal, "Length of a lease in hours, 1 to 168", _hours, "by advice"),
        max_su=given.max_su
        or _asked(terminal, "Accept any suitable node type up to how many SU for a lease", _max_su, "ask me"),
        ai=_ai(given, terminal),
        public_key=given.public_key
        or _asked(terminal, "File of your SSH public key", _public_key, "a new key for each run"),
    )


def write(path: Path, answers: Answers) -> None:
    """Write the file, whole or not at all.

    Raises:
        ConfigurationError: it cannot be written.
    """
    text = toml_text(answers.settings())
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        write_whole(path, text)
    except OSError as error:
        raise ConfigurationError(
            f"cannot write {path}: {error.strerror}", hint=Hint("name another file with", Option("output"))
        ) from None


def cloud_choices(files: Sequence[Path]) -> list[str]:
    """List the clouds to choose from, the most likely one first.

    Args:
        files: the files named by --config.
    """
    from envagent.cloud.login import cloud_entries

    try:
        login = config.load(files=files).login
        entries = cloud_entries(login.variables, login.folder)
    except ConfigurationError:  # a file that cannot be read offers nothing
        return [SANDBOX]
    names = [one.name for one in sorted(entries, key=lambda one: one.site is None)]
    selected = login.variables.get("OS_CLOUD")
    if selected in names:
        names = [selected, *(one for one in names if one != selected)]
    if "OS_AUTH_URL" in login.variables:
        names.insert(0, VARIABLES)
    return [*names, SANDBOX]


def _cloud(answer: str, names: Sequence[str]) -> str:
    if answer not in names and not is_sandbox(answer):
        raise UsageError(f"there is no cloud {answer!r} in clouds.yaml", hint=Hint("there are:", ", ".join(names)))
    return answer


def _hours(answer: str) -> int | None:
    return _lease(hours=answer).hours


def _max_su(answer: str) -> float | None:
    return _lease(max_su=answer).max_su


def _lease(**values: object) -> LeaseSettings:
    try:
        return LeaseSettings.model_validate(values)
    except ValidationError as error:
        raise UsageError(error.errors(include_input=False)[0]["msg"]) from None


def _public_key(answer: str) -> Path:
    path = Path(answer).expanduser().absolute()
    keys.read_public_key(path)
    return path


def _ai(given: Answers, terminal: Terminal) -> bool:
    if given.ai is not None:
        return given.ai
    key = "OPENAI_API_KEY is set" if given.has_ai_key else "OPENAI_API_KEY is not set"
    default = "yes" if given.has_ai_key else "no"
    return bool(_asked(terminal, f"Let an AI make proposals? {key} (yes, no)", _yes, default, said=_yes(default)))


def _yes(answer: str) -> bool:
    word = answer.casefold()
    if word not in ("y", "yes", "n", "no"):
        raise UsageError("answer yes or no")
    return word.startswith("y")


def _asked(
    terminal: Terminal, question: str, read: Callable[[str], T], default: str, *, said: T | None = None
) -> T | None:
    """Ask until the answer can be used.

    Args:
        terminal: where to ask.
        question: what to ask.
        read: turns an answer into a value, or raises UsageError.
        default: what an empty answer means, in words.
        said: its value.
    """
    while True:
        answer = text_answer(terminal, f"{question} [{default}]: ")
        if not answer:
            return said
        try:
            return read(answer)
        except UsageError as error:
            terminal.line(f"  {error.message}")
