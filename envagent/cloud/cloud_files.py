"""Checks of clouds.yaml files, their entries and auth_url, with messages for those that are nearly right.

openstacksdk and keystoneauth fail on such input with a traceback, or never return. No message repeats a value that
could be a secret.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import yaml
from openstack.config import OpenStackConfig
from openstack.config.cloud_region import CloudRegion

from envagent.errors import ConfigurationError
from envagent.hints import Hint

TRY_SANDBOX = ConfigurationError.default_hint
SET_IT = Hint(
    "set it in clouds.yaml or OS_* (on Chameleon, download a file from Horizon > Identity > Application Credentials)"
)
_TEXTS = ("auth_type", "region_name", "interface", "profile", "cacert", "cert", "key")
_AUTH_TEXTS = (
    *("auth_url", "username", "user_id", "password", "token", "project_id", "project_name"),
    *("user_domain_id", "user_domain_name", "project_domain_id", "project_domain_name"),
    *("application_credential_id", "application_credential_name", "application_credential_secret"),
)
_NEEDED = ("auth_type", "region_name", "auth.auth_url")
KEYSTONE = "use the address of Keystone (at Chameleon, https://<site>.chameleoncloud.org:5000/v3)"


def keystone_address(given: str) -> str:
    """Return the address of Keystone's v3 API for what people set as auth_url.

    Surrounding blanks, the path of the tokens and a second /v3 are dropped, and a missing /v3 is added.

    Raises:
        ConfigurationError: it is not a valid address, or not one of v3.
    """
    url = given.strip()
    if not re.match(r"https?://", url, re.I):
        raise ConfigurationError(
            f"auth_url does not begin with https:// or http://: {_without_user(url)}", hint=Hint(KEYSTONE)
        )
    try:
        parts = urlsplit(url)
        valid = bool(parts.hostname) and parts.port != 0 and re.search(r"[\s\\<>\"'{}|^`]", url) is None
    except ValueError:
        valid = False
    if not valid or not url.isprintable():
        raise ConfigurationError(f"auth_url is not a valid address: {_without_user(url)}", hint=Hint(KEYSTONE))
    if "@" in parts.netloc:
        raise ConfigurationError(
            "auth_url contains a user name or a password", hint=Hint("set username and password instead")
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(f"auth_url has a query or a fragment: {_without_user(url)}", hint=Hint(KEYSTONE))
    path = re.sub(r"(/auth)?(/tokens)?/*$", "", re.sub(r"/{2,}", "/", parts.path))
    if re.search(r"/v2(\.0)?$", path):
        now = urlunsplit((parts.scheme, parts.netloc, re.sub(r"/v2(\.0)?$", "/v3", path), "", ""))
        raise ConfigurationError(
            "auth_url names version 2.0 of Keystone's API, which no longer exists",
            hint=Hint(f"set auth_url (OS_AUTH_URL) to {now}, with user_domain_name and project_domain_name"),
        )
    path = re.sub(r"(/v3)*$", "/v3", path, count=1)
    return urlunsplit((parts.scheme, parts.netloc, path, "", ""))


def _without_user(url: str) -> str:
    shown = re.sub(r"[?#].*", "", url).rpartition("@")[2]
    return repr(shown[:200])


def check_clouds(path: Path, *, complete: bool) -> None:
    """Refuse a clouds.yaml, or (where it may be incomplete) a secure.yaml, that is not a mapping of clouds."""
    correct = Hint("correct the file; or", TRY_SANDBOX)
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise ConfigurationError(f"{path} cannot be read: {error.strerror}", hint=TRY_SANDBOX) from None
    except (yaml.YAMLError, ValueError, RecursionError):
        raise ConfigurationError(f"{path} is not valid YAML", hint=correct) from None
    clouds = document.get("clouds", None if complete else {}) if isinstance(document, dict) else None
    if not isinstance(clouds, dict):
        raise ConfigurationError(f"{path} has no mapping of clouds under 'clouds:'", hint=correct)
    for name, entry in clouds.items():
        if not isinstance(name, str):
            raise ConfigurationError(
                f"{path}: the name of a cloud must be a string: {name!r}", hint=Hint("quote it; or", TRY_SANDBOX)
            )
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{path}: cloud {name!r} must be a mapping", hint=correct)


def check_entry(entry: dict[str, Any], name: str, config: OpenStackConfig) -> None:
    """Refuse an entry on which openstacksdk or keystoneauth would fail; its values may be secrets."""
    where = f"cloud {name!r}" + (f" in {config.config_filename}" if config.config_filename else "")
    auth = entry.get("auth", {})
    if not isinstance(auth, dict):
        raise ConfigurationError(
            f"`auth` must be a mapping: {where}", hint=Hint("put auth_url and the rest below it;", SET_IT)
        )
    for key in ("regions", "networks"):
        if not isinstance(entry.get(key, []), list):
            raise ConfigurationError(f"`{key}` must be a list: {where}", hint=Hint("correct the file; or", TRY_SANDBOX))
    values = [(key, entry.get(key, "")) for key in _TEXTS] + [(f"auth.{key}", auth.get(key, "")) for key in _AUTH_TEXTS]
    for key, value in values:
        if isinstance(value, str) or (value is None and key not in _NEEDED):
            continue
        rule = "put it in quotes" if isinstance(value, int | float) else "give it one value, in quotes"
        raise ConfigurationError(f"`{key}` must be a string: {where}", hint=Hint(f"{rule}; or", TRY_SANDBOX))


def check_certificates(region: CloudRegion) -> None:
    """Refuse missing certificate and key files: requests would fail on them in the middle of a run."""
    verify, certificate = region.get_requests_verify_args()
    files = [verify, *(certificate if isinstance(certificate, tuple) else (certificate,))]
    for file in files:
        if isinstance(file, str) and not Path(file).exists():
            raise ConfigurationError(
                f"there is no certificate or key file {file}",
                hint=Hint("correct cacert, cert, key (OS_CACERT, OS_CERT, OS_KEY) or verify"),
            )
