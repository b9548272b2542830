"""Credentials: read as openstacksdk reads them, with a message for every way in which they fail.

It chooses the configuration (clouds.yaml or OS_*), makes the checks that the SDK leaves out, and interprets Keystone's
refusals. No message repeats a value that could be a secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from keystoneauth1 import exceptions as keystone_errors
from openstack import exceptions as sdk_errors
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion
from openstack.config.loader import CONFIG_FILES, CONFIG_SEARCH_PATH, SECURE_FILES, VENDOR_FILES

from envagent import catalog
from envagent.cloud.cloud_files import (
    KEYSTONE,
    SET_IT,
    TRY_SANDBOX,
    check_certificates,
    check_clouds,
    check_entry,
    keystone_address,
)
from envagent.cloud.error_response import ErrorResponse
from envagent.cloud.rules import Known
from envagent.errors import AuthenticationError, CloudUnreachable, ConfigurationError, EnvagentError
from envagent.hints import Hint, Option, Shell

Kind = Literal["password", "oidc", "application_credential", "token", "other"]

_KINDS: dict[str, Kind] = {
    "password": "password",
    "v3password": "password",
    "v3oidcpassword": "oidc",
    "v3applicationcredential": "application_credential",
    "token": "token",
    "v3token": "token",
}
# The plugins without a version ask Keystone for its versions first; v3 is the only one left.
_VERSIONED = {"password": "v3password", "token": "v3token"}
_ENDINGS = ("yaml", "yml", "json")
# As in openstacksdk: some OS_* only select and are not credentials, others belong to OpenStack's own test runs.
_SELECTORS = {"OS_CLOUD", "OS_CLOUD_NAME", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE"}
_NO_OPTIONS = ("OS_TEST", "OS_STD", "OS_LOG")
_SET_OR_TRY = Hint(SET_IT, "; or", TRY_SANDBOX)
_UNVERSIONED_OPTIONS = ("default_domain_id", "default_domain_name", "tenant_id", "tenant_name")


@dataclass(frozen=True)
class Credentials:
    """The credentials that openstacksdk found; `cloud` is the clouds.yaml name, None for OS_* alone."""

    region: CloudRegion
    cloud: str | None
    kind: Kind

    @property
    def auth_url(self) -> str:
        """Keystone's address."""
        return str(self.region.config["auth"].get("auth_url", ""))


@dataclass(frozen=True)
class CloudEntry:
    """An entry of clouds.yaml.

    Attributes:
        name: its name.
        site: the region of the Chameleon site that it is for; None for another OpenStack.
    """

    name: str
    site: str | None


class _Config(OpenStackConfig):
    """openstacksdk's configuration, from given variables and folders.

    By itself it reads os.environ, and the current folder before the user's: see `envagent.config`.

    Args:
        variables: the OS_* variables.
        folder: the only one whose clouds.yaml and secure.yaml count; None for the user's.
    """

    def __init__(self, variables: Mapping[str, str], folder: Path | None) -> None:
        self._variables = variables
        clouds, secrets = _elsewhere(CONFIG_FILES), _elsewhere(SECURE_FILES)
        if folder is not None:
            clouds, secrets = ([str(folder / f"{name}.{kind}") for kind in _ENDINGS] for name in ("clouds", "secure"))
        super().__init__(config_files=clouds, secure_files=secrets, vendor_files=_elsewhere(VENDOR_FILES))

    def _get_envvar(self, key: str, default: str | None = None) -> str | None:
        return self._variables.get(key, default)

    def _get_os_environ(self, envvar_prefix: str | None = None) -> dict[str, Any] | None:
        said = {k: v for k, v in self._variables.items() if k.startswith("OS_") and not k.startswith(_NO_OPTIONS)}
        if not set(said) - _SELECTORS:
            return None
        options = {name.removeprefix("OS_").lower(): value for name, value in said.items()}
        return {**self._defaults_module.get_defaults(), **options}


def _elsewhere(files: list[str]) -> list[str]:
    """Leave out what openstacksdk would look for in the current folder, which it puts first."""
    return [path for path in files if str(Path(path).parent) in CONFIG_SEARCH_PATH[1:]]


def cloud_entries(variables: Mapping[str, str], folder: Path | None) -> tuple[CloudEntry, ...]:
    """List the entries of the user's clouds.yaml.

    Args:
        variables: the OS_* variables that count (OS_CLIENT_CONFIG_FILE names a file).
        folder: the one whose clouds.yaml counts instead of the user's own.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    _check_files(None, variables, folder)
    try:
        config = _Config(variables, folder)
        entries = {name: config.cloud_config["clouds"][name] for name in config.get_cloud_names()}
    except (sdk_errors.SDKException, yaml.YAMLError, OSError) as error:
        raise ConfigurationError(f"cannot read clouds.yaml: {error}") from None
    listed = {name: entry for name, entry in entries.items() if name not in (config.envvar_key, "defaults")}
    return tuple(CloudEntry(name, _known_site(entry)) for name, entry in listed.items())


def _known_site(entry: Mapping[str, Any]) -> str | None:
    """Return the region of the Chameleon site that an entry names, or whose Keystone it names."""
    auth = entry.get("auth")
    host = _host(str(auth.get("auth_url", ""))) if isinstance(auth, dict) else ""
    region = str(entry.get("region_name")).casefold()
    for site in catalog.sites():
        if region == site.region.casefold() or host == _host(site.auth_url):
            return site.region
    return None


def _host(address: str) -> str:
    return re.sub(r"^https?://|[:/].*$", "", address.strip().casefold())


def read_credentials(
    cloud: str | None,
    clouds_yaml: Path | None,
    *,
    variables: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Credentials:
    """Find the credentials; nothing is sent.

    Args:
        cloud: a clouds.yaml name, or None for what OS_CLOUD or OS_* say.
        clouds_yaml: the only file to read, and then OS_* do not count; None for the places where openstacksdk looks.
        variables: the OS_* variables that count; None for the process's own.
        folder: the one whose clouds.yaml counts instead of the user's own.

    Raises:
        ConfigurationError: nothing is configured, the name is unknown, a file is unreadable, an option is missing.
    """
    variables = os.environ if variables is None else variables
    _check_files(clouds_yaml, variables, folder)
    try:
        config = _config(clouds_yaml, variables, folder)
        name = cloud or (variables.get("OS_CLOUD") if clouds_yaml else config.default_cloud)
        if not config.cloud_config["clouds"] or name in (None, "defaults"):
            raise ConfigurationError(
                _not_chosen(config), hint=Hint("choose one with", Option("cloud"), "or OS_CLOUD; or", TRY_SANDBOX)
            )
        if name not in config.get_cloud_names():
            known = sorted(set(config.get_cloud_names()) - {config.envvar_key, "defaults"})  # the SDK's own names
            raise ConfigurationError(
                f"no cloud {name!r} is configured; "
                + (f"clouds.yaml has: {', '.join(known)}" if known else "there is no clouds.yaml"),
                hint=Hint("check", Option("cloud"), "and OS_CLOUD; or", TRY_SANDBOX),
            )
        check_entry(config.cloud_config["clouds"].get(name, {}), str(name), config)
        region = _region(config, str(name))
    except keystone_errors.NoMatchingPlugin as error:
        raise ConfigurationError(
            f"the login plugin {error.name} is not installed",
            hint=Hint(
                "install the package that provides it (for v3chameleonoidc:",
                Shell("pip", "install", "ccauth"),
                "), or use another auth_type",
            ),
        ) from None
    except keystone_errors.MissingRequiredOptions as error:
        raise _missing(", ".join(option.dest for option in error.options)) from None
    except keystone_errors.OptionError as error:
        raise ConfigurationError(f"the credentials are incomplete: {error}", hint=_SET_OR_TRY) from None
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise _wrong_options(str(error), str(name)) from None
    except sdk_errors.ConfigException as error:
        raise ConfigurationError(f"the configuration of the cloud is invalid: {error}", hint=TRY_SANDBOX) from None
    kind = _KINDS.get(str(region.config.get("auth_type")), "other")
    _check_kind(region, kind)
    check_certificates(region)
    return Credentials(region=region, cloud=None if name == config.envvar_key else str(name), kind=kind)


def _config(clouds_yaml: Path | None, variables: Mapping[str, str], folder: Path | None) -> OpenStackConfig:
    if clouds_yaml is None:
        return _Config(variables, folder)
    secure = clouds_yaml.with_name("secure.yaml")
    return OpenStackConfig(config_files=[str(clouds_yaml)], secure_files=[str(secure)], load_envvars=False)


def _region(config: OpenStackConfig, name: str) -> CloudRegion:
    region = config.get_one(name)
    auth = region.config["auth"]
    if not auth.get("auth_url"):
        return region
    chosen: dict[str, Any] = {"auth": {"auth_url": keystone_address(auth["auth_url"])}}
    versioned = _VERSIONED.get(str(region.config.get("auth_type")))
    if versioned and not any(auth.get(option) for option in _UNVERSIONED_OPTIONS):
        chosen["auth_type"] = versioned
    return config.get_one(name, **chosen)


def _check_files(clouds_yaml: Path | None, variables: Mapping[str, str], folder: Path | None) -> None:
    """Refuse a file that exists and cannot be read: openstacksdk would skip it silently."""
    for kind, candidates in _files(clouds_yaml, variables, folder).items():
        for path in [one for one in candidates if one == clouds_yaml or one.exists()][:1]:
            check_clouds(path, complete=kind == "clouds")


def _files(clouds_yaml: Path | None, variables: Mapping[str, str], folder: Path | None) -> dict[str, list[Path]]:
    """List by kind where the credentials may be; the first file that exists counts."""
    found = {}
    for kind, variable, usual in (
        ("clouds", "OS_CLIENT_CONFIG_FILE", CONFIG_FILES),
        ("secure", "OS_CLIENT_SECURE_FILE", SECURE_FILES),
    ):
        if clouds_yaml is not None:
            found[kind] = [clouds_yaml if kind == "clouds" else clouds_yaml.with_name("secure.yaml")]
        elif folder is not None:
            found[kind] = [folder / f"{kind}.{ending}" for ending in _ENDINGS]
        else:
            named = variables.get(variable)
            found[kind] = [Path(path) for path in ([named] if named else []) + _elsewhere(usual)]
    return found


class Logins:
    """Credentials that the connections of one process share, and with them a token and the services' addresses.

    They are read again once a file has changed that they may come from. Safe to use from several threads.
    """

    def __init__(self) -> None:
        self._kept: dict[tuple[str | None, Path | None], tuple[object, Credentials]] = {}

    def find(
        self, cloud: str | None, clouds_yaml: Path | None, *, variables: Mapping[str, str] | None, folder: Path | None
    ) -> Credentials:
        """Find the credentials as `read_credentials` does.

        Raises:
            ConfigurationError: as from `read_credentials`.
        """
        variables = os.environ if variables is None else variables
        paths = [path for paths in _files(clouds_yaml, variables, folder).values() for path in paths]
        state = (dict(variables), folder, [_state(path) for path in paths])
        kept = self._kept.get((cloud, clouds_yaml))
        if kept is not None and kept[0] == state:
            return kept[1]
        found = read_credentials(cloud, clouds_yaml, variables=variables, folder=folder)
        self._kept[cloud, clouds_yaml] = (state, found)
        return found


def _state(path: Path) -> tuple[int, ...] | None:
    """Return what changes with a file's content; None where there is no file."""
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _not_chosen(config: OpenStackConfig) -> str:
    names = sorted(config.get_cloud_names()) if config.config_filename else []
    if len(names) > 1:
        return f"no cloud is chosen; {config.config_filename} has: {', '.join(names)}"
    return "no cloud is configured: there are no OS_* variables and no clouds.yaml"


def _check_kind(region: CloudRegion, kind: Kind) -> None:
    auth = region.config["auth"]
    stray = [key for key in ("application_credential_id", "application_credential_secret") if region.config.get(key)]
    if kind == "password" and stray and not auth.get("password"):
        raise ConfigurationError(
            "there is an application credential, but auth_type is password",
            hint=Hint("set auth_type (OS_AUTH_TYPE) to v3applicationcredential"),
        )
    if kind == "password" and not (auth.get("username") or auth.get("user_id")):
        raise _missing("username")


def _missing(options: str) -> ConfigurationError:
    return ConfigurationError(f"the credentials lack: {options}", hint=_SET_OR_TRY)


def _wrong_options(error: str, name: str) -> ConfigurationError:
    """Interpret a TypeError of a keystoneauth plugin: an option is missing, or belongs to another kind of login."""
    if "argument" not in error:
        return ConfigurationError(
            f"cannot read the settings of cloud {name!r}: a value has the wrong type",
            hint=Hint("compare its entry in clouds.yaml with one that the site's dashboard generates; or", TRY_SANDBOX),
        )
    named = re.search(r"'(\w+)'", error)
    option = named.group(1) if named else "an option"
    if "missing" in error:
        return _missing(option)
    return ConfigurationError(
        f"two kinds of credentials are mixed: {option} does not belong to this auth_type",
        hint=Hint(f"remove {option} (OS_{option.upper()}), or set auth_type (OS_AUTH_TYPE) to the kind it belongs to"),
    )


def login_failed(error: keystone_errors.ClientException, credentials: Credentials) -> EnvagentError:
    """Return the error for a login that Keystone, the identity provider or the service catalog refused."""
    where = credentials.cloud or "OS_*"
    if isinstance(error, keystone_errors.EndpointNotFound | keystone_errors.EmptyCatalog):
        return _no_endpoint(error, credentials, where)
    if isinstance(error, keystone_errors.DiscoveryFailure) and isinstance(error.__context__, keystone_errors.HttpError):
        error = error.__context__
    if not isinstance(error, keystone_errors.HttpError):
        return _without_status(error, credentials, where)
    response = None if error.response is None else ErrorResponse.read("identity", "POST", error.response)
    text = response.text if response else ""
    status = error.http_status
    said, request_id = text or None, error.request_id
    if status >= 500 or status in (408, 413, 425, 429):
        return CloudUnreachable(
            f"cannot log in to {where}: the login service is failing (HTTP {status})",
            service_said=said,
            request_id=request_id,
            retry_after=response.retry_after if response else None,
        )
    is_keystone = response is None or response.enveloped
    meaning, hint = _refusal(status if is_keystone or status == 401 else 404, text, credentials)
    return AuthenticationError(
        f"cannot log in to {where}: {meaning}", hint=hint, service_said=said, request_id=request_id
    )


_REJECTED: dict[Kind, tuple[str, Hint]] = {
    "password": (
        "the user, the password or the project is wrong",
        Hint(
            "check username, password, project and their domains; on Chameleon, use the CLI password from the portal "
            "with auth_type v3oidcpassword"
        ),
    ),
    "oidc": (
        "the identity provider or Keystone does not accept this user, password or project",
        Hint(
            "on Chameleon, use the CLI password that you set in the portal, not your institution's; "
            "project_id must be this site's"
        ),
    ),
    "application_credential": (
        "the application credential's secret is wrong, or it has expired",
        Hint("create a new, unrestricted one at this site (Horizon > Identity > Application Credentials)"),
    ),
    "token": (
        "the token is wrong or has expired",
        Hint("a token cannot renew itself: get a new one, or better, use an application credential"),
    ),
    "other": ("the login is rejected", AuthenticationError.default_hint),
}


_REFUSALS = (
    Known(
        "application credentials cannot request a scope",
        "an application credential belongs to one project, and the settings name a project as well",
        Hint(
            "remove the settings of project and domain:",
            Shell("unset", "OS_PROJECT_ID", "OS_PROJECT_NAME", "OS_PROJECT_DOMAIN_NAME", "OS_USER_DOMAIN_NAME"),
        ),
    ),
    Known(
        "could not find application credential",
        "the application credential does not exist at this site",
        Hint("its id is wrong, it was deleted, or it belongs to another site; create an unrestricted one here"),
    ),
    Known(
        "could not recognize fernet token|failed to validate token",
        "the token belongs to another site, or was revoked",
        Hint("get a new token from this site; each Chameleon site has its own"),
    ),
    Known(
        "expecting to find",
        "the credentials are incomplete",
        Hint(
            "set project_id, or project_name with project_domain_name (at Chameleon: chameleon), "
            "and user_domain_name with a username"
        ),
    ),
)


def _refusal(status: int, text: str, credentials: Credentials) -> tuple[str, Hint | None]:
    for known in _REFUSALS:
        if known.is_in(text):
            return known.meaning, known.hint
    if status == 404:
        return f"there is no Keystone v3 at {credentials.auth_url}", Hint("check auth_url:", KEYSTONE)
    if status == 403:
        return "this user may not log in here", Hint("ask the project's PI, or the help desk")
    return _REJECTED[credentials.kind]


def _without_status(error: keystone_errors.ClientException, credentials: Credentials, where: str) -> EnvagentError:
    if isinstance(error, keystone_errors.DiscoveryFailure):
        return CloudUnreachable(
            f"cannot log in to {where}: no Keystone responds at {credentials.auth_url}",
            hint=Hint("check auth_url:", KEYSTONE),
        )
    if isinstance(error, keystone_errors.AuthorizationFailure | keystone_errors.MissingAuthPlugin):
        meaning, hint = _REJECTED[credentials.kind]
        return AuthenticationError(f"cannot log in to {where}: {meaning}", hint=hint)
    return CloudUnreachable(
        f"cannot log in to {where}: the response is unreadable ({type(error).__name__})",
        hint=Hint("check auth_url; something between here and the cloud may be responding in its place"),
    )


def _no_endpoint(error: keystone_errors.ClientException, credentials: Credentials, where: str) -> ConfigurationError:
    region = credentials.region.get_region_name()
    at = f" in region {region}" if region else ""
    service = re.search(r"for (\S+) service", str(error))
    if service and service.group(1) == "reservation":
        return ConfigurationError(
            f"{where} offers no reservations (Blazar){at}",
            hint=Hint(
                "check region_name (OS_REGION_NAME); or choose a Chameleon site with",
                Option("cloud"),
                ", or",
                Option("cloud", "sandbox"),
            ),
        )
    what = f"service {service.group(1)}" if service else "service catalog"
    return ConfigurationError(
        f"{where} has no {what}{at}",
        hint=Hint("check region_name (OS_REGION_NAME), interface, and that the credentials name a project"),
    )
