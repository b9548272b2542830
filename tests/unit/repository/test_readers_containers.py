"""Containers: base images, build stages, services, and the editor's container."""

from __future__ import annotations

import pytest

from envagent.repository.analyzer import analyze
from envagent.repository.readers.image_names import parse_image
from envagent.repository.readers.scopes import scope_of
from envagent.repository.results import Entry, Requirements, Snapshot
from tests.unit.repository.facts import facts_of

DOCKERFILE, COMPOSE, DEVCONTAINER, DEFINITION = "Dockerfile", "compose.yaml", ".devcontainer/devcontainer.json", "a.def"


def concluded(path: str, text: str, **more: str) -> Requirements:
    files = {path: text, **more}
    entries = tuple(Entry(path=name, size=len(content)) for name, content in files.items())
    return analyze(Snapshot(url="x", commit=None, entries=entries, files=files)).requirements


@pytest.mark.parametrize(
    ("name", "vendor", "cuda", "python"),
    [
        ("nvidia/cuda:12.4.1-cudnn-devel-ubuntu22.04", "nvidia", "12.4", None),
        ("docker.io/nvidia/cuda:11.8.0-base@sha256:0123", "nvidia", "11.8", None),
        ("registry.example.org:5000/mirror/nvidia/cuda:12.1.0-base", "nvidia", "12.1", None),
        ("pytorch/pytorch:2.1.0-cuda12.1-cudnn8-runtime", "nvidia", "12.1", None),
        ("nvcr.io/nvidia/pytorch:23.10-py3", "nvidia", "12.2", None),
        ("ghcr.io/x/train:cu118-py310", "nvidia", "11.8", "3.10"),
        ("tensorflow/tensorflow:2.12.0-gpu", "nvidia", None, None),
        ("tensorflow/tensorflow:2.12.0", None, None, None),
        ("ghcr.io/huggingface/text-embeddings-inference:cpu-1.2", None, None, None),
        ("rocm/pytorch:latest", "amd", None, None),
        ("mcr.microsoft.com/devcontainers/python:1-3.9-bullseye", None, None, "3.9"),
        ("public.ecr.aws/docker/library/python:3.11.4-slim", None, None, "3.11"),
        ("ghcr.io/astral-sh/uv:0.4.30-python3.12-bookworm", None, None, "3.12"),
        ("python:3", None, None, None),
        ("nvcr.io/nvidia/k8s-device-plugin:v0.14", None, None, None),
        ("ubuntu:22.04", None, None, None),
    ],
)
def test_image_names(name: str, vendor: str | None, cuda: str | None, python: str | None) -> None:
    image = parse_image(name)
    assert (image.vendor if image.weight else None, image.cuda if image.weight else None, image.python) == (
        vendor, cuda, python,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("text", "cuda"),
    [
        (
            "ARG V=12.4.1-base\nARG BASE=nvidia/cuda:${V}\nFROM ${BASE} AS a\nRUN make\n"
            "FROM $BASE\nCOPY --from=a /x /x\n",
            "12.4",
        ),
        ("FROM --platform=$TARGETPLATFORM nvidia/cuda:${V:-11.8.0}-base\n", "11.8"),
        ("ARG V\nFROM nvidia/cuda:${V:-12.1.0}-base\n", "12.1"),
        ("FROM nvidia/cuda:12.2.0-base AS base\nFROM base AS app\nRUN make\n", "12.2"),
        ("FROM ubuntu:22.04\nRUN apt-get update && apt-get install -y gcc cuda-toolkit-12-4\n", "12.4"),
        ("FROM ubuntu:22.04\nRUN wget https://example.org/cuda_11.8.0_520.61.05_linux.run\n", "11.8"),
        ("FROM nvidia/cuda:12.2.0-base AS app\nFROM app AS test\nRUN pytest\n", "12.2"),
    ],
)
def test_the_final_image_decides(text: str, cuda: str) -> None:
    got = concluded(DOCKERFILE, text)
    assert (got.gpu_required, got.gpu_vendor, got.cuda_version) == (True, "nvidia", cuda)


@pytest.mark.parametrize(
    "text",
    [
        "FROM nvidia/cuda:12.2.0-base AS gpu\nFROM rocm/dev AS rocm\nFROM ubuntu:22.04\nCOPY --from=gpu /a /a\nCOPY --from=rocm /a /b\n",  # noqa: E501
        "FROM nvidia/cuda:12.2.0-base AS gpu\nRUN make\nFROM ubuntu:22.04 AS cpu\nRUN make\n",
        "FROM rocm/dev AS base-amd64\nFROM base-${TARGETARCH} AS a\nRUN dnf install -y cuda-toolkit-12-8\nFROM ubuntu:22.04\nCOPY --from=a /a /a\n",  # noqa: E501
        "ARG BASE\nFROM ${BASE}\n",
        "FROM nvidia/cuda:12.2.0-devel AS build\nFROM ubuntu:22.04\nCOPY --from=build /a /a\n",
    ],
)
def test_stages_that_are_one_way_are_no_need(text: str) -> None:
    assert not concluded(DOCKERFILE, text).gpu_required


def test_commands_of_a_dockerfile_see_its_variables() -> None:
    text = "FROM python:3.10\nARG CU=cu121\nENV T=2.3.0\nRUN <<EOF\npip install torch==${T}+$CU\nEOF\nRUN apt-get update && pip install timm\n"  # noqa: E501
    packages = {p.name: (p.pinned, p.local, p.spot.line) for p in facts_of(DOCKERFILE, text).packages}
    assert packages == {"torch": ("2.3.0", "cu121", 5), "timm": (None, "", 7)}


def test_variables_that_grow_stay_small() -> None:
    grown = "".join(f"ARG A{n + 1}=${{A{n}}}${{A{n}}}${{A{n}}}${{A{n}}}\n" for n in range(40))
    assert facts_of(DOCKERFILE, f"ARG A0=aaaaaaaa\n{grown}FROM ${{A40}}\nRUN echo ${{A40}}\n").notes == []


@pytest.mark.parametrize(
    ("service", "count"),
    [
        ("deploy: {resources: {reservations: {devices: [{driver: nvidia, count: 4, capabilities: [gpu]}]}}}", 4),
        ("deploy: {resources: {reservations: {devices: [{driver: nvidia, count: all, capabilities: [gpu]}]}}}", 1),
        ("deploy: {resources: {reservations: {devices: [{device_ids: ['0', '3'], capabilities: [compute]}]}}}", 2),
        ("deploy: {resources: {reservations: {devices: [{driver: cdi, device_ids: ['nvidia.com/gpu=all']}]}}}", 1),
        ("deploy: {resources: {reservations: {devices: [{capabilities: [[gpu, utility]], count: 2}]}}}", 2),
        (
            "deploy: {resources: {reservations: {"
            "generic_resources: [{discrete_resource_spec: {kind: GPU, value: 2}}]}}}",
            2,
        ),
        ("gpus: all", 1),
        ("gpus: [{driver: nvidia, count: 2}]", 2),
        ("gpus: '${GPUS:-3}'", 3),
        ("devices: ['nvidia.com/gpu=all']", 1),
        ("devices: ['nvidia.com/gpu=0', 'nvidia.com/gpu=1']", 2),
        ("devices: ['/dev/nvidia0:/dev/nvidia0', '/dev/nvidiactl']", 1),
        ("runtime: nvidia", 1),
        ("{runtime: nvidia, environment: {NVIDIA_VISIBLE_DEVICES: '0,1'}}", 2),
        ("{runtime: nvidia, environment: [NVIDIA_VISIBLE_DEVICES=all]}", 1),
        ("{extends: {service: base}}\n  base: {gpus: 2}", 2),
    ],
)
def test_services_that_reserve_gpus(service: str, count: int) -> None:
    own = service if service.startswith("{") else f"\n    image: b\n    {service}\n"
    got = concluded(COMPOSE, f"services:\n  a: {own}\n")
    assert (got.gpu_required, got.gpu_vendor, got.gpu_count) == (True, "nvidia", count)


def test_services_of_other_cards() -> None:
    assert concluded(COMPOSE, "services: {a: {devices: [/dev/kfd, /dev/dri]}}").gpu_vendor == "amd"
    assert not concluded(COMPOSE, "services: {a: {devices: ['/dev/dri:/dev/dri']}}").gpu_required
    assert not concluded(COMPOSE, "services: {a: {devices: ['/dev/ttyUSB0']}}").gpu_required


def test_services_that_name_different_gpus() -> None:
    one = "deploy: {resources: {reservations: {devices: [{device_ids: ['%d'], capabilities: [gpu]}]}}}"
    assert concluded(COMPOSE, f"services: {{a: {{{one % 0}}}, b: {{{one % 1}}}}}").gpu_count == 2
    assert concluded(COMPOSE, f"services: {{a: {{{one % 0}}}, b: {{{one % 0}}}}}").gpu_count == 1


@pytest.mark.parametrize(
    ("image", "tag"),
    [
        ("vault.habana.ai/gaudi-docker/1.15.1/ubuntu22.04/habanalabs/pytorch-installer-2.2.0", "gaudi"),
        ("public.ecr.aws/neuron/pytorch-training-neuronx:2.1", "trainium"),
        ("dustynv/l4t-pytorch:r35.2.1", "jetson"),
    ],
)
def test_images_for_other_chips(image: str, tag: str) -> None:
    got = concluded(DOCKERFILE, f"FROM {image}\n")
    assert (got.gpu_required, got.special_requirements) == (False, (tag,))


def test_images_for_another_architecture() -> None:
    assert concluded(DOCKERFILE, "FROM --platform=linux/arm64 ubuntu:22.04\n").architecture == "aarch64"
    assert concluded(DOCKERFILE, "FROM --platform=$BUILDPLATFORM ubuntu:22.04\n").architecture is None
    assert concluded(COMPOSE, "services: {a: {image: b, platform: linux/arm64}}").architecture == "aarch64"


def test_variants_of_a_file_count_less_than_the_file() -> None:
    weights = [
        sum(s.weight for s in facts_of(path, "FROM nvidia/cuda:12.1.0-base\n").gpu)
        for path in ("Dockerfile", "Dockerfile.extra_tool", "Dockerfile.gpu", "tests/Dockerfile")
    ]
    assert weights == sorted(weights, reverse=True) and weights[0] >= 2 > weights[1]


@pytest.mark.parametrize(
    ("path", "scope"),
    [
        ("Dockerfile.amd64", "main"),
        ("docker/Dockerfile.amd", "optional"),
        ("integration/README.md", "development"),
        ("integration.py", "main"),
        ("tests/e2e/compose.yaml", "development"),
        ("deploy/pod.yaml", "component"),
        ("windows/Dockerfile", None),
    ],
)
def test_scopes_of_paths(path: str, scope: str | None) -> None:
    assert scope_of(path) == scope


def test_profiles_speak_for_the_job_where_nothing_runs_without_one() -> None:
    gpu = "{runtime: nvidia, profiles: [%s]}"
    assert concluded(COMPOSE, f"services: {{ui: {gpu % 'ui'}, other: {gpu % 'other'}}}").gpu_required
    assert concluded(COMPOSE, f"services: {{ui: {gpu % 'ui'}, ui-cpu: {{profiles: [cpu]}}}}").gpu_required
    assert not concluded(COMPOSE, f"services: {{ui: {gpu % 'ui'}, web: {{image: b}}}}").gpu_required
    assert not concluded(COMPOSE, f"services: {{llm-gpu: {gpu % 'gpu'}, llm: {{profiles: [cpu]}}}}").gpu_required


def test_services_that_run_together_add_up() -> None:
    both = "services: {a: {mem_limit: 12g, cpus: 2}, b: {mem_limit: 4096m, cpus: '${CPUS:-6}'}, c: {mem_limit: 99g, profiles: [x]}}"  # noqa: E501
    got = concluded(COMPOSE, both)
    assert (got.ram_gb, got.cpu_cores) == (16, 8)
    reserved = "services: {a: {deploy: {resources: {limits: {memory: 24G}, reservations: {memory: 12G}}}}}"
    assert concluded(COMPOSE, reserved).ram_gb == 12


@pytest.mark.parametrize(
    "text",
    [
        '{"runArgs": ["--gpus", "all"]}',
        '{"runArgs": ["--gpus=all",], // all of them\n}',
        '{"runArgs": ["--runtime=nvidia"]}',
        '{"runArgs": ["--device", "nvidia.com/gpu=all"]}',
        '{"hostRequirements": {"gpu": true}}',
        '{"hostRequirements": {"gpu": {"memory": "16gb"}}}',
    ],
)
def test_editors_containers_with_gpus(text: str) -> None:
    assert concluded(DEVCONTAINER, text).gpu_required


def test_editors_containers_do_not_speak_for_the_job() -> None:
    sizes = '{"hostRequirements": {"cpus": 4, "memory": "16gb", "gpu": "optional"}, "features": {"x/python:1": {}}}'
    assert concluded(DEVCONTAINER, sizes).ram_gb == 16
    documented = {"README.md": "# Requirements\n\n- 64 GB of RAM\n"}
    assert concluded(DEVCONTAINER, sizes, **documented).ram_gb == 64
    cuda = '{"features": {"ghcr.io/devcontainers/features/nvidia-cuda:1": {"cudaVersion": "12.4"}}, "runArgs": ["--gpus", "all"]}'  # noqa: E501
    assert concluded(DEVCONTAINER, cuda).cuda_version == "12.4"


@pytest.mark.parametrize(
    ("text", "required"),
    [
        ("Bootstrap: docker\nFrom: nvcr.io/nvidia/pytorch:23.10-py3\n\n%post\n  pip install monai\n", True),
        ("BootStrap: docker\nFrom: nvidia/cuda:{{ CUDA }}-base\n%arguments\n  CUDA=12.4.0\n", True),
        ("Bootstrap: docker\nFrom: ubuntu:22.04\n%help\n  apptainer run --nv x.sif\n", True),
        (
            "Bootstrap: docker\nFrom: nvidia/cuda:12.1.0-devel\nStage: build\n%post\n make\n\n"
            "Bootstrap: docker\nFrom: ubuntu:22.04\nStage: final\n%files from build\n /a /a\n",
            False,
        ),
        ("Bootstrap: localimage\nFrom: base.sif\n%post\n  pip install torch==2.1.0+cu121\n", True),
        ("Bootstrap: docker\nFrom: ubuntu:22.04\n", False),
        ("LIBRARY nvidia\nEXPORTS\n  cuda @1\n", False),
    ],
)
def test_definitions_of_apptainer(text: str, required: bool) -> None:
    assert concluded(DEFINITION, text).gpu_required is required


def test_commands_of_a_definition_install_packages() -> None:
    facts = facts_of(DEFINITION, "Bootstrap: docker\nFrom: python:3.10\n%post\n  apt update && pip install timm\n")
    assert [(p.name, p.spot.line) for p in facts.packages] == [("timm", 4)]
