"""What each stage of the pipeline says that it came to, as a user reads it in the step's row."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from envagent.advice.decisions import Candidate, Placement
from envagent.catalog import node_types
from envagent.cloud.port import Identity
from envagent.engine.step import Output
from envagent.repository.results import Requirements
from envagent.steps import PROVISIONING
from envagent.steps.analyze_repository import AnalyzedRepository, describe
from envagent.steps.assign_floating_ip import AllocatedAddress, AssignedAddress
from envagent.steps.ensure_keypair import ChosenKey, EnsuredKeypair
from envagent.steps.find_network import FoundNetwork
from envagent.steps.initialize import Initialized
from envagent.steps.launch_server import LaunchedServer
from envagent.steps.plan import Approved, Plan
from envagent.steps.reserve_hardware import ReservedHardware
from envagent.steps.save_state import SavedState
from envagent.steps.select_image import AvailableImages, ImageCandidates, SelectedImage
from envagent.steps.verify import Verified
from tests.unit.advice.samples import NOW, analysis, images

IMAGES = tuple(images(("CC-Ubuntu24.04", "CC-Ubuntu22.04")))
SKYLAKE = next(one for one in node_types("CHI@UC") if one.name == "compute_skylake")
PLACEMENT = Placement(
    candidates=(Candidate(node_type=SKYLAKE, free_now=3, total=5, next_free=None, su_per_hour=1.0, waste=0.0, why=""),),
    hours=4,
)


def who(**changes: object) -> Identity:
    known = {"cloud": "x", "auth_url": "https://x", "region": "CHI@UC", "project_id": "p", "project_name": "CHI-1"}
    return Identity.model_validate({**known, "user_id": "u", **changes})


def verified(**changes: object) -> Verified:
    known = {"server_status": "ACTIVE", "fixed_ip": "10.0.0.9", "floating_ip": "192.0.2.7", "ssh_user": "cc"}
    return Verified.model_validate({**known, "ssh_command": "ssh cc@192.0.2.7", "logged_in": False, **changes})


def network(external: str | None) -> FoundNetwork:
    return FoundNetwork(network_id="n", network_name="sharednet1", external_id=external, external_name="public")


def key(origin: str) -> ChosenKey:
    known = {"name": "mine", "public_key": None, "private_key": None, "origin": origin}
    return ChosenKey.model_validate(known)


CASES: list[tuple[Output, str]] = [
    (Initialized(identity=who()), "CHI@UC, project CHI-1"),
    (Initialized(identity=who(region=None, project_name=None)), "https://x, project p"),
    (
        AnalyzedRepository(url="u", commit=None, analysis=analysis(python_version="3.11")),
        "Python 3.11",
    ),
    (AvailableImages(images=IMAGES), "2 images"),
    (AvailableImages(images=IMAGES[:1]), "1 image"),
    (ImageCandidates(images=IMAGES), "2 candidates, best: CC-Ubuntu24.04"),
    (SelectedImage(image=IMAGES[0]), "CC-Ubuntu24.04"),
    (key("existing"), "mine, registered already"),
    (key("imported"), "mine, to be registered"),
    (key("created"), "mine, to be created and registered"),
    (EnsuredKeypair(name="mine", private_key=None), "mine"),
    (network("x"), "sharednet1"),
    (network(None), "sharednet1, no external network"),
    (
        Plan(placement=PLACEMENT, hours=4, hours_reason="", start=None, service_units=4.0),
        "compute_skylake for 4 h, 4 SU",
    ),
    (Approved(at=NOW), "approved"),
    (
        ReservedHardware(
            lease_id="l",
            lease_name="l",
            reservation_id="r",
            node_type="compute_skylake",
            hours=4,
            start=NOW,
            end=datetime(2026, 11, 23, 16, tzinfo=UTC),
            service_units=4.0,
        ),
        "compute_skylake for 4 h",
    ),
    (
        LaunchedServer(server_id="s", server_name="envagent-x", image_id="i", image_name="I", fixed_ips=()),
        "envagent-x",
    ),
    (AllocatedAddress(floating_ip_id="f", address="192.0.2.7"), "192.0.2.7"),
    (AllocatedAddress(floating_ip_id=None, address=None), "no floating IP"),
    (AssignedAddress(floating_ip_id="f", address="192.0.2.7"), "192.0.2.7"),
    (AssignedAddress(floating_ip_id=None, address=None), "no floating IP"),
    (verified(logged_in=True), "logged in as cc"),
    (verified(), "SSH login not verified"),
    (verified(floating_ip=None), "SSH login not verified"),
    (verified(floating_ip=None, ssh_command=None), "the server has no address to log in to"),
    (SavedState(path=Path("/home/me/thing_info.json")), "/home/me/thing_info.json"),
]


@pytest.mark.parametrize(("output", "text"), CASES, ids=lambda one: type(one).__name__)
def test_the_summary_of(output: Output, text: str) -> None:
    assert output.summary() == text


def test_every_stage_of_the_pipeline_is_summed_up() -> None:
    assert {type(output) for output, _ in CASES} == {stage.makes for stage in PROVISIONING.stages.values()}


@pytest.mark.parametrize(
    ("needs", "text"),
    [
        ({}, "no special requirements"),
        ({"gpu_required": True}, "GPU"),
        ({"gpu_required": True, "gpu_count": 2, "gpu_vendor": "amd", "gpu_memory_gb": 24.0}, "2 x AMD GPU with 24 GB"),
        (
            {"gpu_required": True, "compute_capability": "9.0", "node_count": 2},
            "GPU, compute capability 9.0, 2 machines",
        ),
        ({"gpu_optional": True, "os_type": "ubuntu", "os_version": "22.04"}, "GPU optional, Ubuntu 22.04"),
        ({"cpu_cores": 8, "ram_gb": 31.5, "disk_gb": 100.0}, "8 CPU cores, 31.5 GB RAM, 100 GB disk"),
        ({"os_type": "centos", "architecture": "aarch64"}, "CentOS, ARM64"),
        ({"cuda_required": True, "python_version": "3.11"}, "CUDA, Python 3.11"),
        ({"cuda_version": "12.1", "special_requirements": ("fpga", "rdma")}, "CUDA 12.1, fpga, rdma"),
    ],
)
def test_needs_in_words(needs: dict[str, object], text: str) -> None:
    assert describe(Requirements.model_validate(needs)) == text
