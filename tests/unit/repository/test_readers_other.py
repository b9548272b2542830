from __future__ import annotations

import pytest

from tests.unit.repository.facts import facts_of


def total(path: str, text: str) -> float:
    return sum(sign.weight for sign in facts_of(path, text).gpu)


def test_dockerfiles() -> None:
    text = (
        "FROM nvidia/cuda:12.1.1-devel-ubuntu22.04 AS build\nRUN pip install torch==2.1.0 && \\\n    pip install timm\n"
    )
    facts = facts_of("Dockerfile", text)
    assert facts.gpu[0].vendor == "nvidia" and facts.gpu[0].spot.line == 1
    assert facts.cuda[0].version == "12.1"
    assert facts.systems == [], "a container's system is not the host's"
    assert facts_of("Dockerfile", "FROM python:3.9-slim\n").pythons[0].allowed == {"3.9"}
    assert total("docker/Dockerfile.gpu", text) < total("Dockerfile", text)
    assert facts_of("Dockerfile", "FROM rocm/pytorch\n").gpu[0].vendor == "amd"


def test_compose_files() -> None:
    text = """\
        services:
          web:
            image: x
            deploy:
              resources:
                reservations:
                  memory: 12G
                  devices:
                    - driver: nvidia
                      count: 1
                      capabilities: [gpu]
        """
    facts = facts_of("docker-compose.yml", text)
    assert facts.gpu[0].vendor == "nvidia"
    assert [(a.what, a.value) for a in facts.amounts] == [("gpus", 1), ("ram", 12.0)]
    assert total("docker-compose.yml", "services:\n  a:\n    runtime: nvidia\n") > 1
    with_another = "services:\n  a:\n    runtime: nvidia\n    profiles: [gpu]\n  b:\n    image: c\n"
    assert total("docker-compose.yml", with_another) < 0
    assert facts_of("docker-compose.yml", "services:\n  a:\n    image: b\n").gpu == []


def test_devcontainers_with_comments() -> None:
    facts = facts_of(
        ".devcontainer/devcontainer.json",
        """\
        {
          // how large
          "hostRequirements": {"cpus": 8, "memory": "16gb", "storage": "64gb", "gpu": true,},
        }
        """,
    )
    assert {a.what: a.value for a in facts.amounts} == {"cores": 8, "ram": 16.0, "disk": 64.0}
    assert facts.gpu[0].weight > 2
    assert total("devcontainer.json", '{"hostRequirements": {"gpu": "optional"}}') < 0


@pytest.mark.parametrize(
    ("surely", "maybe"),
    [
        ("project(x LANGUAGES CXX CUDA)\n", "option(USE_CUDA x OFF)\nif(USE_CUDA)\n  enable_language(CUDA)\nendif()\n"),
        ("find_package(CUDAToolkit REQUIRED)\n", "find_package(CUDAToolkit QUIET)\n"),
        ("project(x\n  VERSION 1  # (\n  LANGUAGES CXX CUDA\n)\n", "project(x\n  LANGUAGES CXX)\n"),
        ('message("(")\nenable_language(CUDA)\n', "if(A\n  AND B)\n  enable_language(CUDA)\nendif()\n"),
    ],
)
def test_cmake_conditions_make_it_a_choice(surely: str, maybe: str) -> None:
    assert total("CMakeLists.txt", surely) >= 2 > 1 > total("CMakeLists.txt", maybe)


@pytest.mark.parametrize(
    ("presets", "least", "most"),
    [
        ('{"name": "a", "cacheVariables": {"ENABLE_CUDA": "ON"}}', 1.5, 3),
        (
            '{"name": "a", "inherits": "base"}, {"name": "base", "hidden": true, "cacheVariables": {"X_CUDA": "1"}}',
            1.5,
            3,
        ),
        ('{"name": "a", "cacheVariables": {"ENABLE_CUDA": {"value": "ON"}}}, {"name": "b"}', -1, -0.1),
        ('{"name": "a", "inherits": "a"}', 0, 0),
        ('{"name": "a", "cacheVariables": {"CMAKE_CUDA_ARCHITECTURES": "80"}}', 0, 0),
    ],
)
def test_presets_of_cmake(presets: str, least: float, most: float) -> None:
    assert least <= total("CMakePresets.json", f'{{"configurePresets": [{presets}]}}') <= most


def test_configurations_of_bazel() -> None:
    assert total(".bazelrc", "build --copt=-O2\nbuild --config=cuda\n") > 1.5
    assert total(".bazelrc", "build:gpu --config=cuda\n") < 0
    assert total(".bazelrc", "# build --config=cuda\n") == 0
    assert total(".bazelrc", "build --@rules_cuda//cuda:enable=false\n") == 0
    assert total(".bazelrc", "build --@rules_cuda//cuda:enable=true\n") > 1.5


def test_a_target_architecture_is_not_a_minimum() -> None:
    facts = facts_of("CMakeLists.txt", "project(x CUDA)\nset(CMAKE_CUDA_ARCHITECTURES 80 90)\n")
    assert facts.amounts == [] and facts.gpu


def test_build_files_name_special_features() -> None:
    def tags(path: str, text: str) -> set[str]:
        return {s.tag for s in facts_of(path, text).specials if s.weight >= 1.4}

    assert tags("CMakeLists.txt", "find_package(MPI REQUIRED)\n") == {"mpi"}
    assert tags("CMakeLists.txt", "find_package(OpenEnclave CONFIG REQUIRED)\n") == {"sgx"}
    assert tags("Makefile", "run:\n\tgramine-sgx app\n") == {"sgx"}
    assert tags("Makefile", "LIBS = -libverbs -lpthread\n") == {"rdma"}
    assert tags("Makefile", "ifdef CONFIG_RDMA\nLIBS += -libverbs\nendif\n") == set()
    assert tags("Makefile", "obj-m += mod.o\n") == {"kernel-module"}


@pytest.mark.parametrize(
    ("path", "text", "expected"),
    [
        ("go.mod", "module x\n\ngo 1.22\n", "go 1.22"),
        ("Cargo.toml", '[package]\nrust-version = "1.75"\n', "rust 1.75"),
        ("package.json", '{"engines": {"node": ">=18"}}', "node >=18"),
        ("pom.xml", "<properties><java.version>23</java.version></properties>", "java 23"),
        ("build.gradle", "sourceCompatibility = JavaVersion.VERSION_17\n", "java 17"),
        ("DESCRIPTION", "Package: x\nDepends: R (>= 4.0.0)\n", "r 4.0"),
        ("Project.toml", '[compat]\njulia = "1.9"\n', "julia 1.9"),
    ],
)
def test_toolchains_of_other_languages(path: str, text: str, expected: str) -> None:
    assert [f"{t.name} {t.version}" for t in facts_of(path, text).toolchains] == [expected]


def test_a_reader_that_fails_leaves_a_note() -> None:
    assert "not valid YAML" in facts_of("environment.yml", "a: [b\n").notes[0]
    assert "not valid JSON" in facts_of("Pipfile.lock", "{").notes[0]
    assert facts_of("environment.yml", "dependencies: 7\n").packages == []


def test_yaml_that_would_explode_does_not() -> None:
    bomb = "a: &a [x]\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} [{','.join(['*' + chr(97 + n)] * 9)}]\n" for n in range(20)
    )
    merged = "a: &a {k: v}\n" + "".join(
        f"{chr(98 + n)}: &{chr(98 + n)} {{<<: [{','.join(['*' + chr(97 + n)] * 9)}]}}\n" for n in range(20)
    )
    for text in (bomb, merged, "[" * 50_000, "- " * 50_000):
        facts_of("docker-compose.yml", "services:\n  x: 1\n" + text)
        facts_of("environment.yml", text)
