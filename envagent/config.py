"""Configuration: flag > environment > .env > envagent.toml > the user's file > default.

The current folder is often a clone of somebody else's repository, so what is read from it is limited:

1. A file found there (.env, envagent.toml, clouds.yaml with its siblings) is used if it is the user's: nothing
   indicates that it came with a repository or that others can write to it (`envagent.provenance`).
2. For an unpacked archive that cannot be known. So a file that was found controls only what it brings itself: the AI's
   address only together with its own key, OS_* and clouds.yaml only as a whole, never mixed with credentials from
   elsewhere; and it never sets which SSH key is let in, what may be spent or where the journal is.

What is ignored is reported in one line. A file named with --config is used in full, and then nothing is searched for in
the current folder. Of a .env only ENVAGENT_*, OPENAI_* and OS_* are used; they never reach the process's environment,
and so no library and no child process.

Cloud credentials are not settings: openstacksdk reads clouds.yaml and OS_* from where `LoginSources` says.
"""

from __future__ import annotations

import io
import json
import os
import tomllib
from collections.abc import Callable, Iterable, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, TypeAlias

from platformdirs import user_config_path, user_data_path
from pydantic import BaseModel, ConfigDict, Field, PositiveFloat, PositiveInt, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import BaseSettings, InitSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict

from envagent.errors import ConfigurationError
from envagent.hints import Hint
from envagent.provenance import NotOurs, own_file

SETTINGS_FILE = "envagent.toml"
VARIABLES_FILE = ".env"
CLOUDS, SECURE, PUBLIC = (
    tuple(f"{name}.{kind}" for kind in ("yaml", "yml", "json")) for name in ("clouds", "secure", "clouds-public")
)
"""What openstacksdk would read in the current folder: clouds, their secrets, and vendors' addresses of Keystone."""

_PREFIXES = ("ENVAGENT_", "OPENAI_", "OS_")
_NAME_FILES = ("OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE")
_LAYERS: ContextVar[tuple[dict[str, Any], ...]] = ContextVar("layers", default=())

KEY_NAME = r"[A-Za-z0-9_-](?:[A-Za-z0-9 @._-]{0,253}[A-Za-z0-9@._-])?"
"""What Nova accepts as a keypair's name (@ and . since 2022), if it is also a file name."""

Seconds: TypeAlias = Annotated[float, Field(gt=0, le=30 * 86400)]
"""A duration of at most thirty days."""

AnswerSeconds: TypeAlias = Annotated[float, Field(gt=0, le=600)]
"""The engine relies on this limit: no process waits longer for one response (`wire.LONGEST_CALL`)."""


def user_file() -> Path:
    """Return the path of the user's own configuration file."""
    return user_config_path("envagent") / "envagent.toml"


class Section(BaseModel):
    """A table of the configuration file; an unknown key is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class AiSettings(Section):
    """Any service with an OpenAI-compatible API that makes proposals; without a key, the rules decide on their own.

    OPENAI_API_KEY and OPENAI_BASE_URL are read, too. Keep the key in the environment or in ./.env rather than here.
    """

    enabled: bool = Field(default=True, description="whether an AI makes proposals if there is a key")
    base_url: str | None = Field(default=None, examples=["https://api.openai.com/v1"], description="its address")
    api_key: SecretStr | None = Field(default=None, examples=["..."], description="its key")
    model: str = Field(default="gpt-4o-mini", description="the model to ask")
    timeout_seconds: Seconds = Field(default=60, description="how long to wait for an answer")
    retries: int = Field(default=2, ge=0, le=10, description="how often a failed question is repeated")
    max_cost_factor: float = Field(
        default=4,
        ge=1,
        allow_inf_nan=False,
        description="the AI's choices may cost this many times the rules' choice unless a person agrees",
    )
    repair: bool = Field(
        default=True, description="whether it proposes commands that repair failed steps of a set-up, on the server"
    )
    required: bool = Field(
        default=False, description="fail with exit code 8 if the AI is unavailable, instead of deciding by rules"
    )

    @property
    def configured(self) -> bool:
        """Whether there is an AI to ask."""
        return self.enabled and (self.api_key is not None or self.base_url is not None)


class LeaseSettings(Section):
    """Reserving hardware."""

    hours: int | None = Field(
        default=None,
        ge=1,
        le=168,
        examples=[24],
        description="length of a lease, 1 to 168; by default rules and AI choose it",
    )
    max_su: float | None = Field(
        default=None,
        gt=0,
        allow_inf_nan=False,
        examples=[50],
        description="accept any suitable node type if the lease costs at most this many service units",
    )
    max_hours: int = Field(default=168, ge=1, le=168, description="the longest duration that rules and AI may choose")
    poll_seconds: Seconds = Field(default=10, description="pause between two looks")
    timeout_seconds: Seconds = Field(default=300, description="from the lease's start time until it is ACTIVE")


class ServerSettings(Section):
    """Launching the server."""

    poll_seconds: Seconds = Field(default=30, description="pause between two looks")
    timeout_seconds: Seconds = Field(default=1800, description="from the request until it is ACTIVE")
    tries: PositiveInt = Field(default=2, description="deployments to try, on one node after another, if one fails")
    cleaning_seconds: Seconds = Field(
        default=900, description="how long to wait for a node to be cleaned if no other one is free"
    )


class SshSettings(Section):
    """Verifying the login."""

    enabled: bool = Field(default=True, description="whether a run succeeds only after an SSH login")
    port: int = Field(default=22, ge=1, le=65535, description="port of the server")
    poll_seconds: Seconds = Field(default=15, description="pause between two attempts")
    timeout_seconds: Seconds = Field(
        default=600, description="until the first login; bare metal opens SSH minutes after ACTIVE"
    )


class NetworkSettings(Section):
    """Networks by name."""

    name: str = Field(default="sharednet1", description="network of the server")
    external: str = Field(default="public", description="where floating IPs come from")


class KeySettings(Section):
    """The SSH key."""

    name: str | None = Field(
        default=None,
        pattern=f"^{KEY_NAME}$",
        examples=["mykey"],
        description="a keypair in the cloud; without a name, each run creates its own key",
    )
    public_key: Path | None = Field(
        default=None,
        examples=["~/.ssh/id_ed25519.pub"],
        description="registered under that name if the cloud does not have it",
    )
    github: str = Field(
        default="https://github.com",
        pattern=r"^https?://[\w.:-]+(/[\w./-]*)?$",
        description="where `share --key gh:USER` looks for USER.keys",
    )


class RetrySettings(Section):
    """Retrying a step after a transient error."""

    tries: int = Field(default=8, ge=0, description="how often")
    first_seconds: Seconds = Field(default=1, description="the first pause; each further one is twice as long")
    longest_seconds: Seconds = Field(default=30, description="the longest pause")


class SandboxSettings(Section):
    """The simulated Chameleon of `--cloud sandbox`."""

    speed: PositiveFloat = Field(
        default=200, description="how many times faster than real time the simulated Chameleon runs"
    )


class FleetSettings(Section):
    """Workers that carry out submitted runs; they share a journal in PostgreSQL."""

    owner: str | None = Field(
        default=None, examples=["ada"], description="whose the runs are that you submit; default: your login name"
    )
    operator: bool = Field(
        default=False, description="find, and act on, the runs of all owners of a shared journal; advisory"
    )
    concurrency: PositiveInt = Field(default=8, description="how many runs a worker advances at a time")
    stale_seconds: PositiveFloat = Field(
        default=30, description="after this time without a sign of life, a worker's runs are given to others"
    )
    sweep_seconds: PositiveFloat = Field(
        default=10, description="pause between two looks for runs that nobody advances"
    )


@dataclass(frozen=True)
class LoginSources:
    """Where openstacksdk may look for credentials.

    Attributes:
        variables: the OS_* variables to use.
        folder: the current folder, if its clouds.yaml is used.
    """

    variables: Mapping[str, str] = field(default_factory=lambda: _openstack(os.environ))
    folder: Path | None = None


class Settings(BaseSettings):
    """All settings. Environment names are ENVAGENT_<SECTION>__<KEY>, such as ENVAGENT_SERVER__TIMEOUT_SECONDS."""

    model_config = SettingsConfigDict(
        env_prefix="ENVAGENT_", env_nested_delimiter="__", extra="forbid", frozen=True, hide_input_in_errors=True
    )

    home: Path = Field(
        default_factory=lambda: user_data_path("envagent"),
        examples=["/path/to/folder"],
        description="journal, keys, sandbox; default: the platform's folder for application data",
    )
    journal: str | None = Field(
        default=None,
        examples=["postgresql://envagent@db.example.org/envagent"],
        description="a PostgreSQL database that several machines share; its password belongs in ~/.pgpass; default: a "
        "file in home",
    )
    cloud: str | None = Field(
        default=None,
        examples=["chi_uc"],
        description="name in clouds.yaml; `sandbox` needs no account; default: OS_CLOUD or OS_*",
    )
    timeout_seconds: AnswerSeconds = Field(
        default=30,
        description="a read or a login fails after this much silence, or after three times as long in total (six times "
        "with login and all pages, and never after more than ten minutes); raise it on a slow network",
    )
    write_timeout_seconds: AnswerSeconds = Field(
        default=120, description="the same for a write; Blazar deletes an active lease while the client waits"
    )
    settle_seconds: Seconds = Field(
        default=60, description="how long a write whose response was lost may still take effect"
    )
    removal_timeout_seconds: Seconds = Field(
        default=300, description="after this time teardown reports an object that is still there as a leftover"
    )
    ai: AiSettings = AiSettings()
    lease: LeaseSettings = LeaseSettings()
    server: ServerSettings = ServerSettings()
    ssh: SshSettings = SshSettings()
    network: NetworkSettings = NetworkSettings()
    key: KeySettings = KeySettings()
    retry: RetrySettings = RetrySettings()
    sandbox: SandboxSettings = SandboxSettings()
    fleet: FleetSettings = FleetSettings()

    _login: LoginSources = PrivateAttr(default_factory=LoginSources)
    _sources: tuple[tuple[str, Mapping[str, Any]], ...] = PrivateAttr(default=())

    @property
    def login(self) -> LoginSources:
        """Where the cloud's credentials come from."""
        return self._login

    def source(self, section: str, key: str) -> str:
        """Return where a setting comes from: a flag, the environment, a file; `default` if it is set nowhere.

        Args:
            section: its table, or nothing.
            key: its name there.
        """
        for source, layer in self._sources:
            table = layer.get(section) if section else layer
            if isinstance(table, str):  # a whole table in one variable
                table = json.loads(table)
            if isinstance(table, Mapping) and key in table:
                return source
        return "default"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Order the sources, strongest first; `load` has read the files."""
        return init_settings, env_settings, *(InitSettingsSource(settings_cls, layer) for layer in _LAYERS.get())


@dataclass
class _Files:
    """The content of the files other than the user's own.

    Attributes:
        settings: the content of envagent.toml.
        variables: the variables of .env that are used.
        clouds: a clouds.yaml that was named, or the current folder if its own is used.
        found: whether they were found in the current folder, not named.
        settings_name: how to name the envagent.toml.
        variables_name: how to name the .env.
    """

    settings: dict[str, Any] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    clouds: Path | None = None
    found: bool = False
    settings_name: str = f"./{SETTINGS_FILE}"
    variables_name: str = f"./{VARIABLES_FILE}"

    @property
    def layers(self) -> tuple[dict[str, Any], ...]:
        """The settings, strongest first."""
        return _nested(self.variables), self.settings

    @property
    def ai_key(self) -> str | None:
        """The AI's key in these files."""
        sections = [layer.get("ai") for layer in self.layers]
        keys = [one.get("api_key") for one in sections if isinstance(one, dict)]
        return next((str(key) for key in (*keys, self.variables.get("OPENAI_API_KEY")) if key), None)

    def leave_out(self, section: str, key: str, *variables: str) -> str | None:
        """Drop a setting, and return the name of the file that it was in."""
        there = [self.variables.pop(name, None) for name in variables]
        table = self.settings.get(section) if section else self.settings
        if isinstance(table, dict) and table.pop(key, None) is not None:
            return SETTINGS_FILE
        return VARIABLES_FILE if any(there) else None


def load(
    *,
    files: Iterable[Path] = (),
    repository: str | None = None,
    report: Callable[[str], None] = lambda line: None,
    **flags: Any,
) -> Settings:
    """Read the configuration.

    Args:
        files: read these, and none in the current folder.
        repository: the repository under analysis; files inside it are ignored.
        report: called with a line about each thing in the current folder that is ignored.
        **flags: settings from the command line, as nested dictionaries.

    Raises:
        ConfigurationError: a file cannot be read, or a key or value is not valid.
    """
    named = tuple(files)
    try:
        read = _named(named) if named else _found(repository, report)
        settings = _composed(flags, read, report)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError(f"a configuration file is not valid TOML: {error}", hint=_files()) from None
    except UnicodeDecodeError as error:
        raise ConfigurationError(f"a configuration file is not UTF-8 text: {error.reason}", hint=_files()) from None
    except ValidationError as error:
        raise ConfigurationError(_wrong(error), hint=_files()) from None
    except OSError as error:
        raise ConfigurationError(f"configuration cannot be read: {error}", hint=_files()) from None
    settings._login = _login_sources(read, report)
    return settings


def _named(paths: Iterable[Path]) -> _Files:
    """Read the files that were named; the extension decides the kind."""
    read = _Files()
    for path in (one.expanduser().absolute() for one in paths):
        content = path.read_bytes()
        if path.suffix in (".yaml", ".yml", ".json"):
            read.clouds = path
        elif path.suffix == ".toml":
            read.settings, read.settings_name = _parsed(content), str(path)
        else:
            read.variables, read.variables_name = _variables(content), str(path)
    return read


def _found(repository: str | None, report: Callable[[str], None]) -> _Files:
    """Read those files of the current folder that are the user's own."""
    read = _Files(found=True)
    try:
        here = Path.cwd()
    except OSError:  # it was removed
        return read
    refused = []

    def own(name: str) -> bytes:
        try:
            return own_file(here / name, repository) or b""
        except NotOurs as doubt:
            refused.append(name)
            report(f"ignoring ./{name}: {doubt} (to use it anyway: --config {name})")
            return b""

    if here != user_file().parent:
        read.settings = _parsed(own(SETTINGS_FILE))
    read.variables = _variables(own(VARIABLES_FILE))
    clouds, secrets, public = ([name for name in names if own(name)] for names in (CLOUDS, SECURE, PUBLIC))
    if clouds and not {*CLOUDS, *SECURE} & set(refused):
        read.clouds = here
    for name in (*(() if clouds else secrets), *public):
        report(f"ignoring ./{name}: it could change the clouds of another file (move it to ~/.config/openstack)")
    return read


def _parsed(content: bytes) -> dict[str, Any]:
    return tomllib.loads(content.decode())


def _variables(content: bytes) -> dict[str, str]:
    """Read a .env; ${NAME} is not expanded: it could put a secret of our environment into an address."""
    from dotenv import dotenv_values

    values = dotenv_values(stream=io.StringIO(content.decode("utf-8-sig")), interpolate=False)
    return {name: value for name, value in values.items() if value and name.startswith(_PREFIXES)}


def _nested(variables: Mapping[str, str]) -> dict[str, Any]:
    """Turn ENVAGENT_<SECTION>__<KEY> into a layer of settings; unknown names are ignored."""
    layer: dict[str, Any] = {}
    for name, value in variables.items():
        section, _, key = name.removeprefix("ENVAGENT_").lower().partition("__")
        if not name.startswith("ENVAGENT_") or section not in Settings.model_fields:
            continue
        if key and isinstance(layer.setdefault(section, {}), dict):
            layer[section][key] = value
        elif not key:
            layer[section] = value
    return layer


def _openstack(variables: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in variables.items() if name.startswith("OS_")}


def _composed(flags: dict[str, Any], read: _Files, report: Callable[[str], None]) -> Settings:
    """Combine all sources, except for what files that were only found must not set."""
    if not read.found:
        return _settings(flags, read)
    for section, key, variable, what in (
        ("", "home", "ENVAGENT_HOME", "where the journal and the keys are"),
        ("", "journal", "ENVAGENT_JOURNAL", "where the journal is"),
        ("key", "public_key", "ENVAGENT_KEY__PUBLIC_KEY", "which key the server lets in"),
        ("key", "github", "ENVAGENT_KEY__GITHUB", "where public keys are looked for"),
        ("lease", "max_su", "ENVAGENT_LEASE__MAX_SU", "what may be spent without asking"),
    ):
        if file := read.leave_out(section, key, variable):
            name = f"{section}.{key}".lstrip(".")
            report(f"ignoring {name} in ./{file}: only a named file may set {what} (--config {file})")
    settings = _settings(flags, read)
    key_in_use = settings.ai.api_key
    if key_in_use is not None and key_in_use.get_secret_value() != read.ai_key:
        asked = settings.ai.base_url
        file = read.leave_out("ai", "base_url", "ENVAGENT_AI__BASE_URL", "OPENAI_BASE_URL")
        settings = _settings(flags, read) if file else settings
        if asked != settings.ai.base_url:
            report(
                f"ignoring ai.base_url in ./{file}: the AI's key comes from elsewhere, and only a named file may set "
                f"where it is sent (--config {file})"
            )
    return settings


def _settings(flags: dict[str, Any], read: _Files) -> Settings:
    user = user_file()
    variables, file = read.layers
    layers = (
        (read.variables_name, variables),
        (read.settings_name, file),
        (str(user), _parsed(user.read_bytes()) if user.is_file() else {}),
        ("environment (OPENAI_*)", _of_openai(os.environ)),
        (f"{read.variables_name} (OPENAI_*)", _of_openai(read.variables)),
    )
    token = _LAYERS.set(tuple(layer for _, layer in layers))
    try:
        settings = Settings(**flags)
    finally:
        _LAYERS.reset(token)
    settings._sources = (("flag", flags), ("environment", _nested(os.environ)), *layers)
    return settings


def _of_openai(variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the key and the address in the openai client's variables: used where they are not set otherwise."""
    names = {"api_key": "OPENAI_API_KEY", "base_url": "OPENAI_BASE_URL"}
    return {"ai": {key: variables[name] for key, name in names.items() if variables.get(name)}}


def _login_sources(read: _Files, report: Callable[[str], None]) -> LoginSources:
    """Choose where credentials come from; those in a file that was found are never mixed with others."""
    variables, brought = _openstack(os.environ), _openstack(read.variables)
    if not read.found:
        variables = {**brought, **variables}
        if read.clouds is not None:
            variables["OS_CLIENT_CONFIG_FILE"] = str(read.clouds)
            secure = read.clouds.with_name("secure.yaml")
            if secure.is_file():
                variables["OS_CLIENT_SECURE_FILE"] = str(secure)
        return LoginSources(variables)
    if brought and variables:
        report("ignoring OS_* in ./.env: the environment has OS_* as well (to use both: --config .env)")
    elif brought:
        for name in [one for one in _NAME_FILES if brought.pop(one, None)]:
            report(f"ignoring {name} in ./.env: only a named file may set it (--config .env)")
        variables = brought
    return LoginSources(variables, None if "OS_CLIENT_CONFIG_FILE" in variables else read.clouds)


def _wrong(error: ValidationError) -> str:
    """Describe the first problem; for an unknown key, suggest a similar one."""
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
    return f"unknown configuration key {key}" + (f"; did you mean {'.'.join([*path[:-1], *meant])}?" if meant else "")


def _files() -> Hint:
    return Hint(
        f"see envagent.toml.example; read are ./{SETTINGS_FILE}, {user_file()}, ./.env and ENVAGENT_* variables"
    )
