"""What builds are made for, in every place that shows it."""

from __future__ import annotations

import pytest

from envagent.repository.readers.dependencies import caret, conda_package, pip_package
from envagent.repository.readers.targets import cuda_version, of_build, of_url, wheel_of


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://wheels.example.org/whl/cu121", "cu121"),
        ("https://wheels.example.org/whl/nightly/cu128/", "cu128"),
        ("https://wheels.example.org/whl/cpu", "cpu"),
        ("https://wheels.example.org/whl/cpu/torch_stable.html", "cpu"),
        ("https://wheels.example.org/whl/rocm6.0", "rocm6.0"),
        ("https://wheels.example.org/whl/torch_stable.html", ""),
        ("https://wheels.example.org/whl/torch-2.1.0+cu118.html", "cu118"),
        ("https://wheels.example.org/whl/torch-2.1.0%2Bcpu.html", "cpu"),
        ("https://wheels.example.org/cu113/torch1.10/index.html", "cu113"),
        ("https://repo.example.org/rocm/manylinux/rocm-rel-6.2/", "rocm6.2"),
        ("https://wheels.nvidia.com", "cuda"),
        ("https://wheels.example.org/nvidia/label/cuda-12.4.0", "cuda"),
        ("https://index.example.org/simple", ""),
        ("https://example.org/focus/cpuinfo/", ""),
    ],
)
def test_of_urls(url: str, target: str) -> None:
    assert of_url(url) == target


@pytest.mark.parametrize(
    ("build", "target"),
    [
        ("py3.8_cuda11.1_cudnn8.0.5_0", "cu111"),
        ("cuda112py39hbc73b5e_1", "cu112"),
        ("cuda_120_py310h", "cu120"),
        ("*cuda*", "cuda"),
        ("gpu_py38h8a7d6ce_0", "cuda"),
        ("py3.9_cpu_0", "cpu"),
        ("mkl_py37h1234567_0", "cpu"),
        ("h7579374_1", ""),
    ],
)
def test_of_conda_builds(build: str, target: str) -> None:
    assert of_build(build) == target


@pytest.mark.parametrize(
    ("target", "version"),
    [("cu124", "12.4"), ("cu92", "9.2"), ("cu12", "12"), ("cuda12.1", "12.1"), ("cuda", None), ("rocm6.0", None)],
)
def test_cuda_versions_of_targets(target: str, version: str | None) -> None:
    assert cuda_version(target) == version


def test_wheels_name_their_target_and_their_python() -> None:
    wheel = wheel_of("https://wheels.example.org/whl/cu118/torch-2.0.1%2Bcu118-cp310-cp310-linux_x86_64.whl")
    assert wheel is not None
    assert (wheel.name, wheel.version, wheel.local) == ("torch", "2.0.1", "cu118")
    assert wheel.pythons == {"3.10"}
    stable = wheel_of("./thing-1.0-cp38-abi3-manylinux_2_17_x86_64.whl")
    assert stable is not None and "3.7" not in stable.pythons and {"3.8", "3.13"} <= stable.pythons
    anything = wheel_of("thing-1.0-py3-none-any.whl")
    assert anything is not None and {"3.9", "3.14"} <= anything.pythons
    assert wheel_of("thing.whl") is None


@pytest.mark.parametrize(
    ("text", "name", "pinned", "local"),
    [
        ("torch==2.1.0+cu121", "torch", "2.1.0", "cu121"),
        ("https://x.org/whl/cu118/torch-2.0.1%2Bcu118-cp310-cp310-linux_x86_64.whl", "torch", "2.0.1", "cu118"),
        ("torch @ https://x.org/torch-2.0.1%2Bcu118-cp310-cp310-linux_x86_64.whl", "torch", "2.0.1", "cu118"),
        ("git+https://github.com/owner/flash-attention.git@v2", "flash-attn", None, ""),
        ("-e git+https://github.com/owner/thing#egg=other_name", "other-name", None, ""),
        ("https://github.com/owner/thing/archive/refs/tags/v1.zip", "thing", None, ""),
        ("tensorflow==2.4.*", "tensorflow", "2.4", ""),
        ("tensorflow==2.*", "tensorflow", None, ""),
    ],
)
def test_pip_requirements(text: str, name: str, pinned: str | None, local: str) -> None:
    package = pip_package(text, "main", "requirements.txt", 1)
    assert package is not None
    assert (package.name, package.pinned, package.local) == (name, pinned, local)


@pytest.mark.parametrize(
    ("text", "name", "specifier", "local"),
    [
        ("pytorch=1.8.1=py3.8_cuda11.1_cudnn8.0.5_0", "torch", "==1.8.1.*", "cu111"),
        ("pytorch 1.8.1 py3.8_cuda11.1_cudnn8.0.5_0", "torch", "==1.8.1.*", "cu111"),
        ("conda-forge::pytorch=2.1=*cuda*", "torch", "==2.1.*", "cuda"),
        ("pytorch[version='>=2.0',build='cuda*']", "torch", ">=2.0", "cuda"),
        ("nvidia/label/cuda-11.8.0::cuda-toolkit", "cuda-toolkit", "", ""),
        ("python >=3.9, <3.11", "python", "<3.11,>=3.9", ""),
        ("python =3.8", "python", "==3.8.*", ""),
        ("jaxlib=*=*cuda*", "jaxlib", "", "cuda"),
        ("numpy", "numpy", "", ""),
        ("blas=1.0=mkl", "blas", "==1.0.*", ""),
        ("pytorch=1.9=py3.9_cpu_0", "torch", "==1.9.*", "cpu"),
    ],
)
def test_conda_requirements(text: str, name: str, specifier: str, local: str) -> None:
    package = conda_package(text, "main", "environment.yml", 1)
    assert package is not None
    assert (package.name, str(package.specifier), package.local) == (name, specifier, local)


@pytest.mark.parametrize(
    ("bound", "written"),
    [
        ("^3.8", ">=3.8,<4"),
        ("^0.2.3", ">=0.2.3,<0.3"),
        ("~3.9", "==3.9.*"),
        ("3.10", "==3.10.*"),
        (">=3.8,<3.12", ">=3.8,<3.12"),
        ("*", ""),
    ],
)
def test_carets(bound: str, written: str) -> None:
    assert caret(bound) == written
