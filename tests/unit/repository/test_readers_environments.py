"""Environments of Python: uv, poetry, pdm, pixi, conda, MLflow, and the options of pip."""

from __future__ import annotations

import pytest

from tests.unit.repository.facts import facts_of


def scopes(path: str, text: str) -> dict[str, str]:
    return {p.name: p.scope for p in facts_of(path, text).packages}


def targets(path: str, text: str) -> dict[str, str]:
    return {p.name: p.local for p in facts_of(path, text).packages if p.local}


def test_an_index_of_cuda_builds_gives_the_frameworks_their_target() -> None:
    facts = facts_of("requirements.txt", "--extra-index-url https://wheels.example.org/whl/cu121\ntorch\nnumpy\n")
    assert {p.name: p.local for p in facts.packages} == {"torch": "cu121", "numpy": ""}
    assert [c.version for c in facts.cuda] == ["12.1"]


def test_two_indexes_for_different_builds_give_none() -> None:
    text = "-f https://x.org/whl/cu121\n-f https://x.org/whl/cpu\ntorch\n"
    assert targets("requirements.txt", text) == {}


def test_a_wheel_in_a_requirements_file_pins_the_python() -> None:
    facts = facts_of("requirements.txt", "https://x.org/whl/cu118/torch-2.0.1%2Bcu118-cp310-cp310-linux_x86_64.whl\n")
    assert facts.pythons[0].allowed == {"3.10"}
    assert facts_of("requirements.txt", "torch @ https://x.org/t-1-cp39-cp39-any.whl ; python_version == '3.9'\n")


def test_constraints_install_nothing() -> None:
    assert scopes("constraints.txt", "vllm==0.4.2\n") == {}


def test_groups_that_uv_installs_always() -> None:
    text = """\
        [dependency-groups]
        train = ["deepspeed", {include-group = "data"}]
        data = ["datasets"]
        extra = ["peft"]
        dev = ["pytest"]
        [tool.uv]
        default-groups = ["train", "dev"]
        """
    assert {"deepspeed": "main", "peft": "optional", "pytest": "development"}.items() <= scopes(
        "pyproject.toml", text
    ).items()
    included = [p.scope for p in facts_of("pyproject.toml", text).packages if p.name == "datasets"]
    assert included == ["main", "main"]


def test_a_group_of_developers_may_include_one_of_the_job() -> None:
    groups = '[dependency-groups]\nrun = ["vllm"]\ndocs = ["sphinx"]\n'
    text = f'{groups}dev = [{{include-group = "run"}}, {{include-group = "docs"}}]\n'
    found = {(p.name, p.scope) for p in facts_of("pyproject.toml", text).packages}
    assert ("vllm", "main") in found and ("sphinx", "main") not in found


def test_groups_that_include_each_other_end() -> None:
    text = '[dependency-groups]\na = [{include-group = "b"}, "x"]\nb = [{include-group = "a"}, "y"]\n'
    assert set(scopes("pyproject.toml", text)) == {"x", "y"}


@pytest.mark.parametrize(
    ("sources", "expected"),
    [
        ("torch = {index = 'pt'}", "cu124"),
        ("torch = [{index = 'pt', marker = \"sys_platform == 'linux'\"}]", "cu124"),
        ("torch = [{index = 'pt', marker = \"sys_platform == 'win32'\"}]", ""),
        ("torch = [{index = 'pt', extra = 'gpu'}]", ""),
        ("torch = {url = 'https://x.org/torch-2.5.1%2Bcu121-cp311-cp311-linux_x86_64.whl'}", "cu121"),
    ],
)
def test_sources_of_uv(sources: str, expected: str) -> None:
    text = f"""\
        [project]
        name = "x"
        dependencies = ["torch>=2.5"]
        [project.optional-dependencies]
        gpu = ["torch", "flash-attn"]
        [tool.uv.sources]
        {sources}
        [[tool.uv.index]]
        name = "pt"
        url = "https://wheels.example.org/whl/cu124"
        explicit = true
        """
    main = [p for p in facts_of("pyproject.toml", text).packages if p.name == "torch" and p.scope == "main"]
    assert [p.local for p in main] == [expected]


def test_an_index_of_uv_that_is_not_explicit_serves_all() -> None:
    index = "[[tool.uv.index]]\nurl = 'https://wheels.example.org/whl/cu126'\n"
    project = "[project]\nname = 'x'\ndependencies = ['torch', 'numpy']\n"
    assert targets("pyproject.toml", project + index) == {"torch": "cu126"}
    backend = "[tool.uv.pip]\ntorch-backend = 'cu128'\n"
    assert targets("pyproject.toml", project + backend) == {"torch": "cu128"}


def test_sources_and_groups_of_poetry() -> None:
    text = """\
        [tool.poetry.dependencies]
        torch = [
            {version = "2.1", source = "pt", platform = "linux"},
            {version = "2.1", platform = "darwin"},
        ]
        jax = {version = "^0.4", extras = ["cuda12"]}
        cupy = {version = "*", optional = true}
        [tool.poetry.extras]
        gpu = ["cupy"]
        [tool.poetry.group.train.dependencies]
        deepspeed = "*"
        [tool.poetry.group.big]
        optional = true
        [tool.poetry.group.big.dependencies]
        vllm = "*"
        [[tool.poetry.source]]
        name = "pt"
        url = "https://wheels.example.org/whl/cu118"
        priority = "explicit"
        """
    facts = facts_of("pyproject.toml", text)
    assert {p.name: (p.scope, p.group) for p in facts.packages} == {
        "torch": ("main", ""),
        "jax": ("main", ""),
        "cupy": ("optional", "gpu"),
        "deepspeed": ("main", "train"),
        "vllm": ("optional", "big"),
    }
    assert facts.packages[0].local == "cu118" and facts.packages[1].extras == {"cuda12"}


def test_a_source_of_poetry_serves_what_project_declares() -> None:
    text = """\
        [project]
        name = "x"
        dependencies = ["torch (>=2.5)"]
        [tool.poetry.dependencies]
        torch = {source = "pt"}
        [[tool.poetry.source]]
        name = "pt"
        url = "https://wheels.example.org/whl/cu124"
        """
    assert targets("pyproject.toml", text) == {"torch": "cu124"}


PIXI = """\
    [workspace]
    platforms = ["linux-64", "osx-arm64"]
    [dependencies]
    python = "3.10.*"
    numpy = "*"
    [pypi-dependencies]
    monai = { version = ">=1.3", extras = ["all"] }
    [target.osx-arm64.dependencies]
    pyobjc = "*"
    [feature.cuda.system-requirements]
    cuda = "12.4"
    [feature.cuda.dependencies]
    pytorch-gpu = "2.4.*"
    [feature.test.dependencies]
    pytest = "*"
    """


@pytest.mark.parametrize(
    ("environments", "scope", "cuda"),
    [
        ("default = ['cuda']", "main", ["12.4"]),
        ("default = {features = ['cuda'], solve-group = 'x'}", "main", ["12.4"]),
        ("cuda = ['cuda']", "optional", []),
    ],
)
def test_features_of_pixi(environments: str, scope: str, cuda: list[str]) -> None:
    facts = facts_of("pixi.toml", f"{PIXI}\n    [environments]\n    {environments}\n    test = ['test']\n")
    assert {p.name: p.scope for p in facts.packages} == {
        "numpy": "main",
        "monai": "main",
        "pytorch-gpu": scope,
        "pytest": "development",
    }
    assert [c.version for c in facts.cuda] == cuda
    assert (facts.gpu[0].weight > 2) is bool(cuda)
    assert facts.pythons[0].allowed == {"3.10"}


def test_pixi_where_only_environments_hold_packages() -> None:
    features = "[feature.a.dependencies]\ncupy = '*'\n[feature.b.dependencies]\ntk = '*'\n"
    text = features + "[environments]\nx = ['a']\ny = ['a', 'b']\n"
    assert scopes("pixi.toml", text) == {"cupy": "main", "tk": "optional"}


def test_pixi_for_other_platforms_or_in_pyproject() -> None:
    assert scopes("pixi.toml", "[project]\nplatforms = ['osx-arm64']\n[dependencies]\nmlx = '*'\n") == {}
    facts = facts_of(
        "pyproject.toml", "[tool.pixi.system-requirements]\ncuda = '12'\n[tool.pixi.dependencies]\nx = '1'\n"
    )
    assert [c.version for c in facts.cuda] == ["12"] and [p.name for p in facts.packages] == ["x"]


def test_conda_environments_name_cuda_in_many_ways() -> None:
    facts = facts_of(
        "environment.yml",
        """\
        channels: [nvidia/label/cuda-11.8.0, conda-forge]
        dependencies:
          - pytorch=1.8.1=py3.8_cuda11.1_cudnn8.0.5_0
          - cuda-nvcc>=11.3
          - __cuda >=11
          - pip:
            - --extra-index-url https://wheels.example.org/whl/cu113
            - torchvision
        variables:
          CONDA_OVERRIDE_CUDA: "11.2"
        """,
    )
    assert {c.version for c in facts.cuda} == {"11.8", "11.1", "11.3", "11", "11.2"}
    assert {p.name: p.local for p in facts.packages if p.local} == {"torch": "cu111", "torchvision": "cu113"}
    assert {"3.8"} in [p.allowed for p in facts.pythons]
    assert max(s.weight for s in facts.gpu) == 3


def test_the_environment_of_an_mlflow_project() -> None:
    facts = facts_of("python_env.yaml", 'python: "3.8.15"\nbuild_dependencies: [pip]\ndependencies:\n  - vllm==0.4\n')
    assert facts.pythons[0].allowed == {"3.8"}
    assert [p.name for p in facts.packages] == ["vllm"]


def test_a_pipfile_with_a_source_of_cuda_builds() -> None:
    text = """\
        [[source]]
        name = "pt"
        url = "https://wheels.example.org/whl/cu118"
        [packages]
        torch = {version = "==2.0.1", index = "pt"}
        pywin32 = {version = "*", sys_platform = "== 'win32'"}
        [requires]
        python_full_version = "3.9.1"
        """
    assert targets("Pipfile", text) == {"torch": "cu118"}
    assert facts_of("Pipfile", text).pythons[0].allowed == {"3.9"}


def test_extras_keep_their_name() -> None:
    texts = {
        "pyproject.toml": "[project]\nname = 'x'\n[project.optional-dependencies]\nGPU_all = ['cupy']\n",
        "setup.cfg": "[options.extras_require]\ngpu_all =\n    cupy\n",
        "setup.py": "from setuptools import setup\nsetup(name='x', extras_require={'gpu.all': ['cupy']})\n",
    }
    for path, text in texts.items():
        assert [(p.name, p.group) for p in facts_of(path, text).packages] == [("cupy", "gpu-all")]


@pytest.mark.parametrize(
    ("command", "package", "target", "cuda"),
    [
        ("pip install torch --index-url https://wheels.example.org/whl/cu121", "torch", "cu121", "12.1"),
        ("pip install torch -f https://x.org/whl/cu113/torch_stable.html", "torch", "cu113", "11.3"),
        ("pip install https://x.org/torch-2.0.1%2Bcu118-cp310-cp310-linux_x86_64.whl", "torch", "cu118", "11.8"),
        ("pip install git+https://github.com/owner/flash-attention", "flash-attn", "", None),
        ("conda install pytorch pytorch-cuda=11.8 -c nvidia", "torch", "", "11.8"),
    ],
)
def test_commands_install_builds(command: str, package: str, target: str, cuda: str | None) -> None:
    facts = facts_of("Dockerfile", f"FROM ubuntu\nRUN {command}\n")
    assert (package, target) in [(p.name, p.local) for p in facts.packages]
    assert next((c.version for c in facts.cuda), None) == cuda
