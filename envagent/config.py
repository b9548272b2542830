"""Configuration: flag > environment (.env too) > ./envagent.toml > the user's file > default.

It owns the settings and where they come from. Cloud credentials are not settings of ours: they are read by
openstacksdk from clouds.yaml and OS_*, exactly as any OpenStack client reads them.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from platformdirs import user_config_path, user_data_path
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, SecretStr, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from envagent.errors import ConfigurationError

PROJECT_FILE = Path("envagent.toml")

KEY_NAME = r"[A-Za-z0-9_-][A-Za-z0-9 @._-]{0,254}"
"""What Nova takes as a keypair's name (@ and . from 2022 on), but for what is no file name."""

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=30 * 86400)]
"""A duration: longer ones than thirty days are slips, and no clock can count to infinity."""

AnswerSeconds: TypeAlias = Annotated[float, Field(gt=0, le=600)]
"""The engine relies on this limit: no process waits longer for one answer (`engine.intents.LONGEST_CALL`)."""


def user_file() -> Path:
    """Give the path of the user's own configuration file."""
    return user_config_path("envagent") / "envagent.toml"


class Section(BaseModel):
    """A table of the configuration file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AiSettings(Section):
    """The OpenAI-compatible service that proposes; without a key the rules decide alone."""

    base_url: str | None = None
    api_key: SecretStr | None = None
    model: str = "gpt-4o-mini"
    timeout_seconds: Seconds = 60
    retries: int = Field(default=2, ge=0, le=10)
    required: bool = False
    """End with exit code 8 when the AI does not help, instead of deciding by rules."""


class LeaseSettings(Section):
    """Reserving hardware."""

    hours: int | None = Field(default=None, ge=1, le=168)
    """The duration, where the user wants no advice on it."""
    max_hours: int = Field(default=168, ge=1, le=168)
    """The longest lease that advice may propose."""
    poll_seconds: Seconds = 10
    timeout_seconds: Seconds = 300
    """From the lease's start time to ACTIVE."""


class ServerSettings(Section):
    """Launching the server."""

    poll_seconds: Seconds = 30
    timeout_seconds: Seconds = 1800
    tries: PositiveInt = 2
    """How many servers are tried in one lease when deployment fails."""


class SshSettings(Section):
    """Proving that the server lets its user in."""

    enabled: bool = True
    port: int = Field(default=22, ge=1, le=65535)
    poll_seconds: Seconds = 15
    timeout_seconds: Seconds = 600
    """From the server's address to the first login; bare metal opens SSH minutes after ACTIVE."""


class NetworkSettings(Section):
    """Networks by name."""

    name: str = "sharednet1"
    external: str = "public"


class KeySettings(Section):
    """The SSH key."""

    name: str | None = Field(default=None, pattern=f"^{KEY_NAME}$")
    """A keypair's name in the cloud; without one, each run makes its own key."""
    public_key: Path | None = None
    """A public key to register under that name when the cloud does not have it."""


class RetrySettings(Section):
    """Entering a step again after an error that says "try again"."""

    tries: int = Field(default=8, ge=0)
    first_seconds: Seconds = 1
    longest_seconds: Seconds = 30


class SandboxSettings(Section):
    """The simulated Chameleon of `--cloud sandbox`."""

    speed: PositiveFloat = 200
    """How many times faster than reality the simulated cloud works."""


class Settings(BaseSettings):
    """All settings. Environment names are ENVAGENT_<SECTION>__<KEY>, such as ENVAGENT_SERVER__TIMEOUT_SECONDS."""

    model_config = SettingsConfigDict(
        env_prefix="ENVAGENT_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    home: Path = Field(default_factory=lambda: user_data_path("envagent"))
    cloud: str | None = None
    """The clouds.yaml name to use; also OS_CLOUD."""
    timeout_seconds: AnswerSeconds = 30
    """How long a service may be silent before a read or a login is given up."""
    write_timeout_seconds: AnswerSeconds = 120
    """The same for a write; Blazar deletes an active lease while the client waits."""
    settle_seconds: Seconds = 60
    """How long a write whose answer was lost may still be on its way."""
    removal_timeout_seconds: Seconds = 300
    ai: AiSettings = AiSettings()
    lease: LeaseSettings = LeaseSettings()
    server: ServerSettings = ServerSettings()
    ssh: SshSettings = SshSettings()
    network: NetworkSettings = NetworkSettings()
    key: KeySettings = KeySettings()
    retry: RetrySettings = RetrySettings()
    sandbox: SandboxSettings = SandboxSettings()

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first."""
        files = [TomlConfigSettingsSource(settings_cls, path) for path in (PROJECT_FILE, user_file())]
        return init_settings, env_settings, *files


def load(**flags: Any) -> Settings:
    """Read the configuration; `flags` are what the command line says (nested dictionaries, None left out).

    Raises:
        ConfigurationError: a file cannot be read, or a key or value is not one of ours.
    """
    import tomllib

    from dotenv import load_dotenv

    try:
        load_dotenv(Path(".env"))
        settings = Settings(**flags)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"a configuration file is not valid TOML: {error}", hint=_files()) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"a configuration file is not UTF-8 text: {error.reason}", hint=_files()) from None
    except ValidationError as error:
        raise ConfigurationError(_wrong(error), hint=_files()) from None
    except OSError as error:
        raise ConfigurationError(f"configuration cannot be read: {error}", hint=_files()) from None
    return _with_openai_variables(settings)


def _with_openai_variables(settings: Settings) -> Settings:
    """Take the key and the address from the variables of the openai client where ours say nothing."""
    found: dict[str, Any] = {}
    if settings.ai.api_key is None and os.environ.get("OPENAI_API_KEY"):
        found["api_key"] = SecretStr(os.environ["OPENAI_API_KEY"])
    if settings.ai.base_url is None and os.environ.get("OPENAI_BASE_URL"):
        found["base_url"] = os.environ["OPENAI_BASE_URL"]
    return settings.model_copy(update={"ai": settings.ai.model_copy(update=found)}) if found else settings


def _wrong(error: ValidationError) -> str:
    """Say the first thing that is wrong; of an unknown key, which one may be meant."""
    import difflib

    first = error.errors(include_input=False)[0]
    path = [str(part) for part in first["loc"]]
    key = ".".join(path)
    if first["type"] != "extra_forbidden":
        return f"configuration key {key}: {first['msg']}"
    known: dict[str, Any] = dict(Settings.model_fields)
    if len(path) > 1:
        known = getattr(Settings.model_fields[path[0]].annotation, "model_fields", {})
    meant = difflib.get_close_matches(path[-1], known, n=1)
    return f"there is no configuration key {key}" + (
        f"; did you mean {'.'.join([*path[:-1], *meant])}?" if meant else ""
    )


def _files() -> str:
    return f"see envagent.toml.example; files read: ./{PROJECT_FILE}, {user_file()}, ./.env, ENVAGENT_* variables"
