"""Credentials: read as openstacksdk reads them, and every way in which they fail, in words.

It owns the choice of the configuration (clouds.yaml or OS_*), the checks that the SDK leaves out, and the meaning of
Keystone's refusals. No message of it repeats a value that could be a secret.
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

from envagent.cloud.answer import Answer
from envagent.cloud.shapes import (
    KEYSTONE,
    SET_IT,
    TRY_SANDBOX,
    check_certificates,
    check_clouds,
    check_entry,
    keystone_address,
)
from envagent.errors import AuthenticationError, CloudUnreachable, ConfigurationError, EnvagentError
from envagent.hints import Hint

Kind = Literal["password", "oidc", "application_credential", "token", "other"]

_KINDS: dict[str, Kind] = {
    "password": "password",
    "v3password": "password",
    "v3oidcpassword": "oidc",
    "v3applicationcredential": "application_credential",
    "token": "token",
    "v3token": "token",
}
# The plugins without a version ask Keystone for its versions first; v3 is the only one that is left.
_VERSIONED = {"password": "v3password", "token": "v3token"}
_ENDINGS = ("yaml", "yml", "json")
# As openstacksdk has it: OS_* that only choose are no credentials, and some belong to OpenStack's own test runs.
_SELECTORS = {"OS_CLOUD", "OS_CLOUD_NAME", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE"}
_NO_OPTIONS = ("OS_TEST", "OS_STD", "OS_LOG")
_UNVERSIONED_OPTIONS = ("default_domain_id", "default_domain_name", "tenant_id", "tenant_name")


@dataclass(frozen=True)
class Credentials:
    """What openstacksdk found: `cloud` is the clouds.yaml name, None where OS_* alone speaks."""

    region: CloudRegion
    cloud: str | None
    kind: Kind

    @property
    def auth_url(self) -> str:
        """Keystone's address."""
        return str(self.region.config["auth"].get("auth_url", ""))


class _Config(OpenStackConfig):
    """openstacksdk's configuration, from variables and folders that are handed in.

    By itself it reads os.environ, and the current folder before the user's own: see `envagent.config`.

    Args:
        variables: the OS_* variables.
        folder: one whose clouds.yaml and secure.yaml are the only ones that count; None for the user's own.
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


def cloud_names(variables: Mapping[str, str], folder: Path | None) -> tuple[str, ...]:
    """List the names in the user's clouds.yaml.

    Args:
        variables: the OS_* variables that count (OS_CLIENT_CONFIG_FILE names a file).
        folder: the one whose clouds.yaml counts instead of the user's own.

    Raises:
        ConfigurationError: the file cannot be read.
    """
    try:
        config = _Config(variables, folder)
        return tuple(name for name in config.get_cloud_names() if name not in (config.envvar_key, "defaults"))
    except (sdk_errors.SDKException, yaml.YAMLError, OSError) as error:
        raise ConfigurationError(f"clouds.yaml cannot be read: {error}") from None


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
            raise ConfigurationError(_nothing_said(config), hint=f"{TRY_SANDBOX}; or name one with --cloud or OS_CLOUD")
        if name not in config.get_cloud_names():
            known = sorted(set(config.get_cloud_names()) - {config.envvar_key, "defaults"})  # what the SDK makes up
            raise ConfigurationError(
                f"no cloud {name!r} is configured; "
                + (f"known are: {', '.join(known)}" if known else "there is no clouds.yaml"),
                hint=f"check --cloud and OS_CLOUD; {TRY_SANDBOX}",
            )
        check_entry(config.cloud_config["clouds"].get(name, {}), str(name), config)
        region = _region(config, str(name))
    except keystone_errors.NoMatchingPlugin as error:
        raise ConfigurationError(
            f"the login plugin {error.name} is not installed here",
            hint="install the package that brings it (v3chameleonoidc: pip install ccauth), or use another auth_type",
        ) from None
    except keystone_errors.MissingRequiredOptions as error:
        names = ", ".join(option.dest for option in error.options)
        raise ConfigurationError(f"the credentials lack: {names}", hint=f"{SET_IT}; or {TRY_SANDBOX}") from None
    except keystone_errors.OptionError as error:
        raise ConfigurationError(
            f"the credentials say too little: {error}", hint=f"{SET_IT}; or {TRY_SANDBOX}"
        ) from None
    except (TypeError, ValueError, AttributeError, LookupError) as error:
        raise _wrong_options(str(error), str(name)) from None
    except sdk_errors.ConfigException as error:
        raise ConfigurationError(f"the cloud's configuration is not usable: {error}", hint=TRY_SANDBOX) from None
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
    """Refuse what openstacksdk would skip in silence: a file that is there and cannot be read."""
    for kind, variable, usual in (
        ("clouds", "OS_CLIENT_CONFIG_FILE", CONFIG_FILES),
        ("secure", "OS_CLIENT_SECURE_FILE", SECURE_FILES),
    ):
        if clouds_yaml is not None:
            candidates = [clouds_yaml if kind == "clouds" else clouds_yaml.with_name("secure.yaml")]
        elif folder is not None:
            candidates = [folder / f"{kind}.{ending}" for ending in _ENDINGS]
        else:
            named = variables.get(variable)
            candidates = [Path(path) for path in ([named] if named else []) + _elsewhere(usual)]
        for path in [one for one in candidates if one == clouds_yaml or one.exists()][:1]:
            check_clouds(path, complete=kind == "clouds")


def _nothing_said(config: OpenStackConfig) -> str:
    names = sorted(config.get_cloud_names()) if config.config_filename else []
    if len(names) > 1:
        return f"no cloud is chosen; {config.config_filename} has: {', '.join(names)}"
    return "no cloud is configured: there are no OS_* variables and no clouds.yaml"


def _check_kind(region: CloudRegion, kind: Kind) -> None:
    auth = region.config["auth"]
    stray = [key for key in ("application_credential_id", "application_credential_secret") if region.config.get(key)]
    if kind == "password" and stray and not auth.get("password"):
        raise ConfigurationError(
            "there is an application credential, but auth_type says password",
            hint="set auth_type (OS_AUTH_TYPE) to v3applicationcredential",
        )
    if kind == "password" and not (auth.get("username") or auth.get("user_id")):
        raise ConfigurationError("the credentials lack: username", hint=f"{SET_IT}; or {TRY_SANDBOX}")


def _wrong_options(error: str, name: str) -> ConfigurationError:
    """What keystoneauth's plugins say by TypeError: an option is missing, or belongs to another kind of login."""
    if "argument" not in error:
        return ConfigurationError(
            f"the settings of cloud {name!r} cannot be read: a value has the wrong shape",
            hint=f"compare its entry in clouds.yaml with one that the site's dashboard makes; {TRY_SANDBOX}",
        )
    named = re.search(r"'(\w+)'", error)
    option = named.group(1) if named else "an option"
    if "missing" in error:
        return ConfigurationError(f"the credentials lack: {option}", hint=f"{SET_IT}; or {TRY_SANDBOX}")
    return ConfigurationError(
        f"settings of two kinds of credentials are mixed: auth_type does not know {option}",
        hint=f"remove {option} (OS_{option.upper()}), or set auth_type (OS_AUTH_TYPE) to the kind it belongs to",
    )


def login_failed(error: keystone_errors.ClientException, credentials: Credentials) -> EnvagentError:
    """The error for a login that Keystone, the identity provider or the service catalog refused."""
    where = credentials.cloud or "OS_*"
    if isinstance(error, keystone_errors.EndpointNotFound | keystone_errors.EmptyCatalog):
        return _no_endpoint(error, credentials, where)
    if isinstance(error, keystone_errors.DiscoveryFailure) and isinstance(error.__context__, keystone_errors.HttpError):
        error = error.__context__
    if not isinstance(error, keystone_errors.HttpError):
        return _without_status(error, credentials, where)
    answer = Answer.read("identity", "POST", error.response) if error.response is not None else None
    words = answer.words if answer else ""
    status = error.http_status
    said, request_id = words or None, error.request_id
    if status >= 500 or status in (408, 413, 425, 429):
        return CloudUnreachable(
            f"cannot log in to {where}: the login service fails at the moment (HTTP {status})",
            service_said=said,
            request_id=request_id,
            retry_after=answer.retry_after if answer else None,
        )
    is_keystone = answer is None or answer.enveloped
    meaning, hint = _refusal(status if is_keystone or status == 401 else 404, words, credentials)
    return AuthenticationError(
        f"cannot log in to {where}: {meaning}", hint=hint, service_said=said, request_id=request_id
    )


_WRONG: dict[Kind, tuple[str, Hint | str]] = {
    "password": (
        "the user, the password or the project is wrong",
        "check username, password, project and their domains; on Chameleon use the CLI password of the portal "
        "with auth_type v3oidcpassword",
    ),
    "oidc": (
        "the identity provider or Keystone does not accept this user, password or project",
        "on Chameleon the password is the CLI password, set in the portal, not that of your institution; "
        "project_id must be this site's",
    ),
    "application_credential": (
        "the application credential's secret is wrong, or it has expired",
        "make a new one at this site (Horizon > Identity > Application Credentials), unrestricted",
    ),
    "token": (
        "the token is wrong or has expired",
        "a token cannot renew itself: get a new one, or better use an application credential",
    ),
    "other": ("the login is not accepted", AuthenticationError.default_hint),
}


def _refusal(status: int, words: str, credentials: Credentials) -> tuple[str, Hint | str]:
    said = words.lower()
    if "application credentials cannot request a scope" in said:
        return (
            "an application credential has its project already, and another is asked for",
            "remove project and domain settings beside it: "
            "unset OS_PROJECT_ID OS_PROJECT_NAME OS_PROJECT_DOMAIN_NAME OS_USER_DOMAIN_NAME",
        )
    if "could not find application credential" in said:
        return (
            "the application credential does not exist at this site",
            "its id is wrong, it was deleted, or it belongs to another site; make one here, unrestricted",
        )
    if "could not recognize fernet token" in said or "failed to validate token" in said:
        return (
            "the token is not of this site, or was revoked",
            "get a new token from this site; each Chameleon site has its own",
        )
    if "expecting to find" in said:
        return (
            "the credentials do not say enough",
            "set project_id, or project_name with project_domain_name (at Chameleon: chameleon), "
            "and user_domain_name with a username",
        )
    if status == 404:
        return (
            f"there is no Keystone v3 at {credentials.auth_url}",
            f"check auth_url: {KEYSTONE}",
        )
    if status == 403:
        return ("the user may not log in here", "ask the project's PI, or the help desk")
    return _WRONG[credentials.kind]


def _without_status(error: keystone_errors.ClientException, credentials: Credentials, where: str) -> EnvagentError:
    if isinstance(error, keystone_errors.DiscoveryFailure):
        return CloudUnreachable(
            f"cannot log in to {where}: no Keystone answers at {credentials.auth_url}",
            hint=f"check auth_url: {KEYSTONE}",
        )
    if isinstance(error, keystone_errors.AuthorizationFailure | keystone_errors.MissingAuthPlugin):
        meaning, hint = _WRONG[credentials.kind]
        return AuthenticationError(f"cannot log in to {where}: {meaning}", hint=hint)
    return CloudUnreachable(
        f"cannot log in to {where}: the answer is unreadable ({type(error).__name__})",
        hint="check auth_url; something between here and the cloud may answer in its place",
    )


def _no_endpoint(error: keystone_errors.ClientException, credentials: Credentials, where: str) -> ConfigurationError:
    region = credentials.region.get_region_name()
    at = f" in region {region}" if region else ""
    service = re.search(r"for (\S+) service", str(error))
    if service and service.group(1) == "reservation":
        return ConfigurationError(
            f"{where} offers no reservations (Blazar){at}",
            hint="check region_name (OS_REGION_NAME); choose a Chameleon site with --cloud, or --cloud sandbox",
        )
    what = f"service {service.group(1)}" if service else "service catalog"
    return ConfigurationError(
        f"{where} has no {what}{at}",
        hint="check region_name (OS_REGION_NAME), interface, and that the credentials name a project",
    )
