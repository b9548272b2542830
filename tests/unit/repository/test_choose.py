from __future__ import annotations

import re

import pytest

from envagent.repository.choose import choose
from envagent.repository.readers.registry import KINDS, Kind, kind_of
from envagent.repository.results import Entry


def chosen(*paths: str) -> list[str]:
    return [e.path for e in choose([Entry(path=p, size=10) for p in paths])]


def test_telling_files_of_every_kind_are_chosen() -> None:
    telling = (
        "README.md", "docs/install.md", "docs/inference.md", "requirements/base.txt", "pyproject.toml", "setup.cfg",
        "environment.yml", "Pipfile", "uv.lock", ".python-version", "docker/Dockerfile.gpu", "compose.yaml",
        ".devcontainer/devcontainer.json", ".github/workflows/ci.yml", "go.mod", "CMakeLists.txt", "Vagrantfile",
        "demo.ipynb", "train.py", "User_Guide.md",
        "docs/src/content/docs/start/system-requirements.mdx",
    )  # fmt: skip
    assert set(chosen(*telling, "src/a.c", "data.csv", "LICENSE", "lib/deep/er/still/README.md")) == set(telling)


def test_other_peoples_code_is_not_read() -> None:
    assert chosen("third_party/x/README.md", "node_modules/y/package.json", "vendor/z/setup.py") == []


def test_the_shallow_come_before_the_deep() -> None:
    many = [f"part{n}/README.md" for n in range(30)]
    taken = chosen(*many, "README.md")
    assert taken[0] == "README.md"
    assert len(taken) < 20


def test_empty_files_are_not_fetched() -> None:
    assert choose([Entry(path="README.md", size=0)]) == []


def test_of_many_files_of_one_kind_few_are_chosen() -> None:
    assert len(chosen(*(f"a/b{n}/requirements.txt" for n in range(20_000)))) < 40


def test_an_environment_may_have_any_name() -> None:
    assert chosen("neural.yaml", "conf/model.yaml") == ["neural.yaml"]


def a_path(pattern: str) -> str:
    """Return a path that fits the pattern, a folder or a letter in place of its wildcards."""
    return re.sub(r"\[(.)[^]]*\]", r"\1", pattern).replace("*", "x").replace("?", "-")


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.patterns[0])
def test_each_pattern_chooses_files_for_its_own_reader(kind: Kind) -> None:
    """A pattern that an earlier kind takes over, or that matches nothing, would name files that another reader gets."""
    for pattern in kind.patterns:
        path = a_path(pattern)
        assert chosen(path) == [path]
        found = kind_of(path)
        assert found is not None and found.reader is kind.reader, f"{pattern} belongs to {found}"


@pytest.mark.parametrize("path", ["a.yml", "Dockerfile.gpu.md", "README.md", "docs/install.md", "x/y/z/w/README.md"])
def test_a_file_is_read_if_and_only_if_it_is_chosen(path: str) -> None:
    assert (chosen(path) == [path]) is (kind_of(path) is not None)


def test_pictures_take_no_place_of_a_readme() -> None:
    pictures = [f"readme-{n}.{ending}" for n in range(20) for ending in ("gif", "png", "mp4")]
    assert chosen(*pictures, "README.md", "readme_zh.md", "README.linux", "README") == [
        "README", "README.md", "readme_zh.md", "README.linux",
    ]  # fmt: skip
