"""A new site of a known kind is one entry in the catalog: a run reserves there like anywhere."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import envagent
from envagent.sandbox.process import ensure_running, stop
from tests.kit.commands import call
from tests.kit.git import PLAIN, make_repository

REGION = "Invented@Nowhere"


def add(file: Path, change: Any) -> None:
    document = json.loads(file.read_text("utf-8"))
    change(document)
    file.write_text(json.dumps(document), "utf-8")


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "home"
    folder.mkdir()
    yield folder
    stop(folder)


@pytest.mark.parametrize(
    ("kind", "alike", "resource_type"), [("baremetal", "uc", "physical:host"), ("kvm", "kvm", "flavor:instance")]
)
def test_an_invented_site(kind: str, alike: str, resource_type: str, tmp_path: Path, home: Path) -> None:
    """In a copy of the package: one entry for the catalog; the sandbox, which has to be the site, becomes alike."""
    package = tmp_path / "copy" / "envagent"
    shutil.copytree(Path(envagent.__file__).parent, package, ignore=shutil.ignore_patterns("__pycache__"))
    entry = {"uid": "inv", "region": REGION, "auth_url": "https://inv.example/v3", "kind": kind}
    add(package / "catalog/data/sites.json", lambda document: document["sites"].append(entry))
    add(package / "sandbox/data/sites.json", lambda document: document[alike].update(region=REGION))

    repository = make_repository(tmp_path / "thing", PLAIN)
    done = call(
        *("run", str(repository), "--cloud", f"sandbox-{alike}", "--new", "--json"),
        folder=home,
        environment={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "ENVAGENT_HOME": str(home),
            "ENVAGENT_SANDBOX__SPEED": "1000",
            "PYTHONPATH": str(package.parent),
        },
    )
    assert done.code == 0, done.err
    document = done.document
    assert document["site"] == REGION
    assert document["server"]["status"] == "ACTIVE"
    asked = {"as": "user", "site": alike, "service": "blazar", "method": "GET", "body": None}
    asked["path"] = f"/leases/{document['lease']['id']}"
    (reservation,) = ensure_running(home).control("act", asked)["body"]["lease"]["reservations"]
    assert reservation["resource_type"] == resource_type
