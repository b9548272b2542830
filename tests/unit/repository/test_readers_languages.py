"""Manifests of languages other than Python, and files that name versions of runtimes."""

from __future__ import annotations

import pytest

from envagent.repository.facts import Facts
from tests.unit.repository.facts import facts_of


def total(facts: Facts) -> float:
    return sum(sign.weight for sign in facts.gpu)


def toolchains(path: str, text: str) -> list[str]:
    return [f"{t.name} {t.version}" for t in facts_of(path, text).toolchains]


@pytest.mark.parametrize(
    ("path", "text", "allowed"),
    [
        (".python-version", "cpython-3.9.19\n", {"3.9"}),
        (".python-version", "# mine\npypy3.10-7.3.12\n3.11.4\n3.12.0\n", {"3.11"}),
        (".python-version", "cpython-3.12.1-linux-x86_64-gnu\n", {"3.12"}),
        (".python-version", ">=3.12,<3.14\n", {"3.12", "3.13"}),
        (".python-version", "3.13t\n", {"3.13"}),
        ("runtime.txt", "python-3.9.x\n", {"3.9"}),
        ("mise.toml", '[tools]\npython = "3.9"\n', {"3.9"}),
        (".mise.toml", '[tools]\npython = ["3.10", "3.12"]\n', {"3.10"}),
        (".config/mise/config.toml", '[tools]\n"core:python" = {version = "3.11", virtualenv = ".venv"}\n', {"3.11"}),
        (".tool-versions", "python 3.8.10 3.9\n", {"3.8"}),
        ("noxfile.py", "@nox.session(python=['3.9', '3.12'])\ndef tests(session): ...\n", {"3.9", "3.12"}),
        ("tox.toml", 'env_list = ["3.9", "py312", "lint"]\n', {"3.9", "3.12"}),
        ("flake.nix", "{ packages = [ pkgs.python311 ]; }\n", {"3.11"}),
        ("renv.lock", '{"R": {"Version": "4.1.2"}, "Python": {"Version": "3.8.5"}}', {"3.8"}),
        ("README.md", "---\nsdk: gradio\npython_version: 3.9\n---\n# It\n", {"3.9"}),
    ],
)
def test_files_that_name_a_python(path: str, text: str, allowed: set[str]) -> None:
    assert facts_of(path, text).pythons[0].allowed == allowed


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".python-version", "pypy3.9-7.3.11\nminiconda3-4.7.12\nmy-environment\n"),
        ("runtime.txt", "r-4.1-2021-09-10\n"),
        ("mise.toml", '[tools]\npython = "latest"\n'),
        ("README.md", "---\nlicense: mit\npython_version: 3.9\n---\n# A model\n"),
        ("flake.nix", "{ a = pkgs.python311; b = pkgs.python312; }\n"),
    ],
)
def test_files_that_name_no_python(path: str, text: str) -> None:
    assert facts_of(path, text).pythons == []


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("runtime.txt", "r-4.1-2021-09-10\n", ["r 4.1"]),
        ("renv.lock", '{"R": {"Version": "4.1.2"}}', ["r 4.1"]),
        ("mise.toml", '[tools]\nnode = 20\njava = "temurin-17.0.5"\n', ["node 20", "java 17.0"]),
        (".tool-versions", "# tools\nnodejs 18.1.0\ngolang 1.22\n", ["node 18.1", "go 1.22"]),
        ("build.gradle.kts", "// x VERSION_19\n/* VERSION_20\n*/\nval a = JavaVersion.VERSION_17\n", ["java 17"]),
        ("build.gradle", "java { toolchain { languageVersion = JavaLanguageVersion.of(21) } }\n", ["java 21"]),
        ("build.gradle", "compileJava { options.release = 11 }\n", ["java 11"]),
        ("pom.xml", "<!-- <java.version>8</java.version> -->\n<release>17</release>\n", ["java 17"]),
        (".sdkmanrc", "# java=8\njava=17.0.2-tem\n", ["java 17"]),
        (".java-version", "temurin-17.0.2\n", ["java 17"]),
        ("package.json", '{"volta": {"node": "20.1.0"}}', ["node 20.1.0"]),
    ],
)
def test_toolchains(path: str, text: str, expected: list[str]) -> None:
    assert toolchains(path, text) == expected


def test_a_script_declares_what_it_needs() -> None:
    facts = facts_of(
        "generate.py",
        """\
        #!/usr/bin/env python
        # /// script
        # requires-python = ">=3.10,<3.12"
        # dependencies = [
        #   "vllm==0.4.2",
        #   "torch",
        # ]
        #
        # [[tool.uv.index]]
        # url = "https://wheels.example.org/whl/cu124"
        # ///
        import torch
        """,
    )
    assert [(p.name, p.local, p.scope) for p in facts.packages] == [
        ("vllm", "", "component"),
        ("torch", "cu124", "component"),
    ]
    assert facts.pythons[0].allowed == {"3.10", "3.11"} and facts.pythons[0].authority == 3


@pytest.mark.parametrize(
    "text",
    [
        "# /// script\n# dependencies = ['vllm']\n",
        "# /// script\nimport os\n# ///\n",
        "# /// other\n# dependencies = ['vllm']\n# ///\n",
    ],
)
def test_a_block_that_is_none(text: str) -> None:
    assert facts_of("tool.py", text).packages == []


def test_a_script_in_a_folder_speaks_for_itself_only() -> None:
    block = "# /// script\n# requires-python = '==3.13.*'\n# dependencies = ['vllm']\n# ///\n"
    facts = facts_of("scripts/generate.py", block)
    assert facts.pythons == [] and facts.packages == []


def test_a_script_that_trains_declares_it_too() -> None:
    facts = facts_of("train.py", "# /// script\n# dependencies = ['deepspeed']\n# ///\nimport torch\n")
    assert {"deepspeed", "torch"} <= {p.name for p in facts.packages}


def test_projects_of_mlflow() -> None:
    facts = facts_of(
        "MLproject",
        """\
        name: fit
        docker_env:
          image: nvidia/cuda:12.1.0-runtime
          docker_args: {gpus: all}
        entry_points:
          main:
            command: "torchrun train.py"
        """,
    )
    assert total(facts) > 3 and [c.version for c in facts.cuda] == ["12.1"]


@pytest.mark.parametrize(
    ("front_matter", "needed", "memory"),
    [
        ("sdk: gradio\nsuggested_hardware: a10g-large", True, 24),
        ("sdk: docker\nsuggested_hardware: t4-small", True, 16),
        ("sdk: gradio\nsuggested_hardware: a100-large", True, 80),
        ("sdk: gradio\nsuggested_hardware: zero-gpu", True, None),
        ("sdk: gradio\nsuggested_hardware: cpu-basic", False, None),
        ("sdk: static", False, None),
        ("license: mit\nsuggested_hardware: a10g-large", False, None),
    ],
)
def test_the_hardware_of_a_space(front_matter: str, needed: bool, memory: float | None) -> None:
    facts = facts_of("README.md", f"---\ntitle: x\n{front_matter}\n---\n\n# It\n")
    assert (total(facts) >= 3) is needed
    assert next((a.value for a in facts.amounts if a.what == "vram"), None) == memory


def test_packages_of_r() -> None:
    needs = (
        "Package: fit\nDepends: R (>= 4.1)\nImports:\n    torch,\n    luz\nSystemRequirements: CUDA >= 11.7, a GPU\n"
    )
    facts = facts_of("DESCRIPTION", needs)
    assert total(facts) > 4 and [c.version for c in facts.cuda] == ["11.7"] and facts.packages == []
    assert total(facts_of("DESCRIPTION", "Package: x\nSystemRequirements: CUDA (optional, for GPU support)\n")) < 0
    assert total(facts_of("DESCRIPTION", "Package: x\nSuggests: torch\nSystemRequirements: C++17\n")) == 0
    assert total(facts_of("renv.lock", '{"Packages": {"torch": {"Version": "0.11"}}}')) == 0.8
    assert total(facts_of("install.R", "# install.packages('torch')\ninstall.packages(c('dplyr', 'torch'))\n")) == 0.8


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ('[deps]\nCUDA = "05"\n', 3, 3),
        ('[deps]\nCUDA = "05"\nAMDGPU = "21"\n', 1, 2.5),
        ('[weakdeps]\nCUDA = "05"\n[extensions]\nXExt = "CUDA"\n', -1, -0.1),
        ('[deps]\nCUDA = "05"\n[weakdeps]\nCUDA = "05"\n', -1, -0.1),
        ('[extras]\nCUDA = "05"\n[targets]\ntest = ["CUDA"]\n', 0, 0),
        ('[deps]\nFlux = "58"\n', 0.8, 0.8),
    ],
)
def test_packages_of_julia(text: str, least: float, most: float) -> None:
    assert least <= total(facts_of("Project.toml", text)) <= most


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("[dependencies]\ncudarc = '0.12'\n", 3, 3),
        ("[dependencies]\ncandle-core = {version = '0.7', features = ['cuda']}\n", 3, 3),
        ("[dependencies]\nanything = {version = '1', features = ['cudnn']}\n", 3, 3),
        ("[dependencies]\ncandle-core = '0.7'\n", 0.8, 0.8),
        ("[dependencies]\ncudarc = {version = '0.12', optional = true}\n", -1, -0.1),
        ("[dependencies]\ncudarc = {version = '1', optional = true}\n[features]\ncuda = ['dep:cudarc']\n", -1, -0.1),
        (
            "[dependencies]\ncudarc = {version = '1', optional = true}\n"
            "[features]\ndefault = ['cuda']\ncuda = ['dep:cudarc']\n",
            3,
            3,
        ),
        ("[dependencies]\ncandle-nn = '1'\n[features]\ndefault = ['gpu']\ngpu = ['candle-nn/cuda']\n", 3, 3),
        ("[workspace.dependencies]\ncudarc = '0.12'\n", 0, 0),
        ("[dev-dependencies]\ncudarc = '0.12'\n", 0, 0),
        ("[target.'cfg(windows)'.dependencies]\ncudarc = '0.12'\n", 0, 0),
        ("[target.'cfg(target_os = \"linux\")'.dependencies]\ncudarc = '0.12'\n", 3, 3),
        ("[features]\ndefault = ['default']\n", 0, 0),
    ],
)
def test_crates_of_rust(text: str, least: float, most: float) -> None:
    assert least <= total(facts_of("Cargo.toml", text)) <= most


def test_one_crate_of_a_workspace_is_not_the_whole() -> None:
    assert total(facts_of("kernels/Cargo.toml", "[dependencies]\ncudarc = '0.12'\n")) < 1


def test_the_place_of_a_crate_is_its_own_line() -> None:
    facts = facts_of("Cargo.toml", "[package]\nname = 'cudarc-user'\n[dependencies]\ncudarc = '0.12'\n")
    assert facts.gpu[0].spot.line == 4


def test_features_of_crates_name_cuda() -> None:
    facts = facts_of("Cargo.toml", "[dependencies]\ncudarc = {version = '0.12', features = ['cuda-12040']}\n")
    assert [c.version for c in facts.cuda] == ["12.4"]


@pytest.mark.parametrize(
    ("specs", "least", "most", "cuda"),
    [
        ("specs: [hypre+cuda cuda_arch=80, cuda@11.8]", 3, 3, "11.8"),
        ("specs: ['hypre ^cuda@=12.1']", 3, 3, "12.1"),
        ("specs: [hypre+cuda, hypre~cuda]", 0.5, 1.9, None),
        ("specs: [hypre+rocm amdgpu_target=gfx90a]", 3, 3, None),
        ("definitions:\n  - apps: [hypre+cuda]\n  specs:\n  - matrix: [[$apps], ['%gcc']]", 3, 3, None),
        ("packages:\n    all:\n      variants: +cuda cuda_arch=70\n  specs: [hypre]", 3, 3, None),
        ("packages:\n    cuda:\n      require: '@11.7'\n  specs: [hypre+cuda]", 3, 3, "11.7"),
        ("specs: [hypre~cuda, zlib]", 0, 0, None),
    ],
)
def test_environments_of_spack(specs: str, least: float, most: float, cuda: str | None) -> None:
    facts = facts_of("spack.yaml", f"spack:\n  {specs}\n  view: true\n")
    assert least <= total(facts) <= most
    assert next((c.version for c in facts.cuda), None) == cuda


@pytest.mark.parametrize(
    ("text", "least", "most"),
    [
        ("import nixpkgs { config.cudaSupport = true; }\n", 3, 3),
        ("# cudaSupport = true;\n{ }\n", 0, 0),
        ("{ cudaSupport ? false }: mkShell { buildInputs = lib.optionals cudaSupport [ cudatoolkit ]; }\n", -1, -0.1),
        ("mkShell { buildInputs = [ cudaPackages_11_8.cudatoolkit ]; }\n", 1, 2),
    ],
)
def test_expressions_of_nix(text: str, least: float, most: float) -> None:
    assert least <= total(facts_of("shell.nix", text)) <= most
