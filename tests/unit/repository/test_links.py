from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from envagent.repository.analyzer import analyze
from envagent.repository.links import follow
from tests.kit.git import git
from tests.kit.loopback import fetch
from tests.unit.repository.conftest import Make

NEEDS = "# It\n\n## Requirements\n\nAn NVIDIA GPU with 24 GB of memory and CUDA 12.1.\n"


@pytest.mark.parametrize(
    ("links", "end"),
    [
        ({"README": "doc/a"}, "doc/a"),
        ({"README": "./doc//a"}, "doc/a"),
        ({"README": "one", "one": "two", "two": "doc/a"}, "doc/a"),
        ({"README": "d/a", "d": "doc"}, "doc/a"),
        ({"README": "d/../b", "d": "doc/deep"}, "doc/b"),
        ({"doc/README": "../b"}, "b"),
        ({"doc/README": "a"}, "doc/a"),
        ({"README": "/doc/a"}, None),
        ({"README": "../x/doc/a"}, None),
        ({"README": "doc/../../b"}, None),
        ({"README": "d/a", "d": "/etc"}, None),
        ({"README": "README"}, None),
        ({"README": "x", "x": "README"}, None),
        ({"README": "README/README"}, None),
        ({"README": "doc"}, None),
        ({"README": "absent"}, None),
        ({"README": ""}, None),
        ({"README": "l0", **{f"l{n}": f"l{n + 1}" for n in range(60)}, "l60": "b"}, None),
    ],
)
def test_a_link_is_followed_within_the_tree_alone(links: dict[str, str], end: str | None) -> None:
    contents = {path: target.encode() for path, target in links.items()}
    found = follow(contents, {"doc/a", "doc/b", "b"})
    assert found.get(next(iter(links))) == end


def linked(make: Make, links: dict[str, str], files: dict[str, str | bytes]) -> Path:
    folder = make({"LICENSE": "x", **files})
    for path, target in links.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).symlink_to(target)
    git(folder, "add", "-A")
    git(folder, "commit", "-qm", "links")
    return folder


Source = Callable[[Path], str]


@pytest.fixture(params=["folder", "server", "server without filters"])
def source(request: pytest.FixtureRequest, serve: Source) -> Source:
    def name(folder: Path) -> str:
        git(folder, "config", "uploadpack.allowFilter", str(request.param != "server without filters").lower())
        return str(folder) if request.param == "folder" else serve(folder)

    return name


def test_a_file_behind_a_link_is_read_under_its_telling_name(make: Make, source: Source) -> None:
    links = {"README.md": "doc/introduction.md", "requirements.txt": "reqs/base.lst", "Dockerfile": "image"}
    image = "FROM nvidia/cuda:12.1.1-devel-ubuntu22.04\n"
    files: dict[str, str | bytes] = {"doc/introduction.md": NEEDS, "reqs/base.lst": "torch==2.1.0\n", "image": image}
    snapshot = fetch(source(linked(make, links, files)))
    assert snapshot.files == {"README.md": NEEDS, "requirements.txt": "torch==2.1.0\n", "Dockerfile": image}
    assert {entry.path for entry in snapshot.entries} == {"LICENSE", *files}
    assert not any("Not followed" in note for note in snapshot.notes)
    assert any("README.md is a symbolic link; read doc/introduction.md" in note for note in snapshot.notes)
    requirements = analyze(snapshot).requirements
    assert requirements.gpu_required and requirements.gpu_memory_gb == 24


def test_a_file_with_several_telling_names_is_read_once(make: Make, source: Source) -> None:
    links = {"docs/README.md": "../README.md", "INSTALL.md": "docs/install.md", "docs/building.md": "install.md"}
    files: dict[str, str | bytes] = {"README.md": NEEDS, "docs/install.md": "# Install\n"}
    snapshot = fetch(source(linked(make, links, files)))
    assert snapshot.files == {"README.md": NEEDS, "INSTALL.md": "# Install\n"}
    assert not any("Not followed" in note for note in snapshot.notes)


def test_only_links_with_telling_names_are_followed(make: Make, source: Source) -> None:
    links = {"lib.so": "lib.so.1", "README.rst": "/etc/hostname", "outside": os.devnull}
    snapshot = fetch(source(linked(make, links, {"README.md": "# it\n", "lib.so.1": "x"})))
    assert snapshot.files == {"README.md": "# it\n"}
    assert any("Not followed: 3 symbolic links" in note for note in snapshot.notes)
