"""The settings as people read them: every one with its description, as a commented envagent.toml, and where it is set.

All of it is derived from `envagent.config`, so it cannot get stale.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue, SecretStr
from pydantic.fields import FieldInfo

from envagent.advice.untrusted import redact
from envagent.cli.documents.json_models import SCHEMA_VERSION, Document
from envagent.config import Section, Settings

MASK = "********"
WIDTH = 118
COMMENT_COLUMN = 33

INTRODUCTION = """\
# The settings of envagent and their defaults. Copy those that you change to envagent.toml in your configuration folder
# (on Linux ~/.config/envagent/) or to ./envagent.toml. Precedence: flag, environment, ./.env, ./envagent.toml, your
# own file, default. Environment variables are named ENVAGENT_<SECTION>__<KEY>, such as ENVAGENT_LEASE__MAX_HOURS.
#
# Files in the current folder are ignored if somebody else may have written them: tracked by git, inside the analyzed
# repository, or writable by other users. Even your own cannot set home, key.public_key, lease.max_su, or a base_url for
# an api_key that comes from elsewhere, unless you name them: envagent run URL --config envagent.toml (or .env, or
# clouds.yaml).
#
# Cloud credentials do not belong here: as with any OpenStack client, they are read from clouds.yaml and OS_*.
"""


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its table (empty for those outside of one), its key there, and pydantic's description of it."""

    section: str
    key: str
    field: FieldInfo

    @property
    def name(self) -> str:
        """The name as in messages, such as `ai.model`."""
        return f"{self.section}.{self.key}".lstrip(".")

    @property
    def variable(self) -> str:
        """The environment variable that sets it."""
        return f"ENVAGENT_{self.name.replace('.', '__').upper()}"

    @property
    def default(self) -> Any:
        """Its default; None where there is none."""
        return self.field.get_default(call_default_factory=True, validated_data={})


class SettingPart(Document):
    """A setting as it is in force."""

    name: str
    """Its table and key: `ai.model`."""
    value: JsonValue
    """Secrets are masked; null if it is not set and has no default."""
    source: str
    """`flag`, `environment`, the path of a file, or `default`."""
    variable: str
    """The environment variable that sets it."""
    description: str


class SettingsDocument(Document):
    """`config show`: all settings."""

    schema_version: Literal[1] = SCHEMA_VERSION
    settings: list[SettingPart]


def every_setting() -> Iterator[Setting]:
    """Yield all settings, in the order of envagent.toml: those outside of tables first."""
    tables = {name: field for name, field in Settings.model_fields.items() if isinstance(field.default, Section)}
    yield from (Setting("", name, field) for name, field in Settings.model_fields.items() if name not in tables)
    for table, field in tables.items():
        yield from (Setting(table, key, inner) for key, inner in type(field.default).model_fields.items())


def settings_document(settings: Settings) -> SettingsDocument:
    """Return all settings as they are in force, with where each comes from."""
    return SettingsDocument(settings=[_part(settings, one) for one in every_setting()])


def _part(settings: Settings, one: Setting) -> SettingPart:
    value = getattr(getattr(settings, one.section) if one.section else settings, one.key)
    source = settings.source(one.section, one.key)
    selected = settings.login.variables.get("OS_CLOUD")
    if one.name == "cloud" and value is None and selected:
        value, source = selected, "environment (OS_CLOUD)"
    shown: JsonValue = redact(str(value)) if isinstance(value, str | Path) else value
    if isinstance(value, SecretStr):
        shown = MASK
    return SettingPart(
        name=one.name, value=shown, source=source, variable=one.variable, description=one.field.description or ""
    )


def toml_text(chosen: Mapping[str, Any] | None = None) -> str:
    """Return an envagent.toml with all settings: the chosen ones set, the others as comments with their defaults.

    Args:
        chosen: values by name, such as `lease.hours`.
    """
    lines, section = [INTRODUCTION], ""
    for one in every_setting():
        if one.section != section:
            section = one.section
            words = " ".join((type(Settings.model_fields[section].default).__doc__ or "").split())
            lines += ["", f"[{section}]", *(f"# {line}" for line in textwrap.wrap(words, WIDTH - 2))]
        lines += _lines(one, (chosen or {}).get(one.name))
    return "\n".join(lines) + "\n"


def _lines(one: Setting, chosen: Any) -> Iterator[str]:
    """Yield the line of a setting, and what of its description does not fit next to it."""
    value = chosen
    if chosen is None:
        value = one.field.examples[0] if one.field.examples else one.default
    line = f"{'# ' if chosen is None else ''}{one.key} = {_toml(value)}"
    comment = " " * max(2, COMMENT_COLUMN - len(line)) + "# "
    first, *others = textwrap.wrap(one.field.description or "", WIDTH - max(COMMENT_COLUMN, len(line) + 2) - 2) or [""]
    yield f"{line}{comment}{first}" if first else line
    for text in textwrap.wrap(" ".join(others), WIDTH - COMMENT_COLUMN - 2):
        yield f"{' ' * COMMENT_COLUMN}# {text}"


def _toml(value: Any) -> str:
    if isinstance(value, bool | int | float):
        return str(value).lower()
    return json.dumps(str(value), ensure_ascii=False)
