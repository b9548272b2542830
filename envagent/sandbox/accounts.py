"""The clouds.yaml of the sandbox: one entry per site and person."""

from __future__ import annotations

from typing import Any

from envagent.sandbox.cloud import Sandbox
from envagent.sandbox.inventory import Account, Site, sites
from envagent.sandbox.keystone_tokens import application_credential_id

HEADER = "# Written by the envagent sandbox at each start; the accounts exist in the simulation only.\n"


def _entry(url: str, site: Site, auth_type: str, **auth: str) -> dict[str, Any]:
    common = {"region_name": site.region, "interface": "public", "identity_api_version": "3"}
    return {**common, "auth_type": auth_type, "auth": {"auth_url": f"{url}/{site.key}/identity/v3", **auth}}


def _password_entry(url: str, site: Site, user: Account, password: str) -> dict[str, Any]:
    project = next(project for project in site.projects.values() if project.id == user.projects[0])
    return _entry(
        url,
        site,
        "password",
        username=user.name,
        password=password,
        user_domain_name="Default",
        project_id=project.id,
        project_name=project.name,
        project_domain_name="Default",
    )


def _credential_entry(url: str, site: Site, kind: str, secret: str) -> dict[str, Any]:
    id = application_credential_id(site.key, kind)
    named = {"application_credential_id": id, "application_credential_secret": secret}
    return _entry(url, site, "v3applicationcredential", **named)


def entries(sandbox: Sandbox, url: str) -> dict[str, Any]:
    """Return the entries by name: the user at each site, a colleague, another project, two application credentials."""
    secrets: dict[str, str] = sandbox.state.setting("credentials")
    uc = sites()["uc"]
    clouds = {"sandbox": _password_entry(url, uc, uc.users["user"], secrets["user"])}
    for key, site in sites().items():
        clouds[f"sandbox-{key}"] = _password_entry(url, site, site.users["user"], secrets["user"])
    clouds["sandbox-mate"] = _password_entry(url, uc, uc.users["mate"], secrets["mate"])
    clouds["sandbox-other"] = _password_entry(url, uc, uc.users["other"], secrets["other"])
    clouds["sandbox-appcred"] = _credential_entry(url, uc, "unrestricted", secrets["unrestricted"])
    clouds["sandbox-appcred-restricted"] = _credential_entry(url, uc, "restricted", secrets["restricted"])
    return clouds


def clouds(sandbox: Sandbox, url: str) -> str:
    """Return the text of clouds.yaml."""
    import yaml

    return HEADER + yaml.safe_dump({"clouds": entries(sandbox, url)}, sort_keys=False)
