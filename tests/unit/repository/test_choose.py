from __future__ import annotations

from envagent.repository.choose import choose
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
