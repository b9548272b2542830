from __future__ import annotations

import json

import pytest

from envagent.repository.facts import Facts
from envagent.repository.instances import clouds_in, node_of_testbed
from envagent.repository.readers.registry import read_file
from tests.unit.repository.facts import facts_of


@pytest.mark.parametrize(
    ("text", "name", "gpu", "count", "ram"),
    [
        ("an AWS p3.2xlarge is enough", "p3.2xlarge", "V100", 1, 61),
        ("on g4dn.12xlarge", "g4dn.12xlarge", "T4", 4, 192),
        ('machine_type = "a2-highgpu-1g"', "a2-highgpu-1g", "A100", 1, 85),
        ('vm_size = "Standard_NC6s_v3"', "nc6s_v3", "V100", 1, 112),
        ("c5.4xlarge", "c5.4xlarge", "", 0, 32),
        ("r6g.2xlarge", "r6g.2xlarge", "", 0, 64),
        ("n2-highmem-16", "n2-highmem-16", "", 0, 128),
    ],
)
def test_instances_of_clouds(text: str, name: str, gpu: str, count: int, ram: float) -> None:
    ((found, at),) = clouds_in(text)
    assert (found.name, found.ram_gb) == (name, ram) and text[at:].lower().removeprefix("standard_").startswith(name)
    assert (gpu in found.gpu.model and found.gpu.count == count) if found.gpu else not gpu
    assert found.architecture == ("aarch64" if "6g." in name else "x86_64")


def test_what_is_no_instance() -> None:
    assert list(clouds_in("nc6 and v3.2xlarge, xp3.2xlargest; c5.small, n2-standard")) == []
    assert node_of_testbed("c220g5") and not node_of_testbed("c220g9")


PROFILE = """\
    import geni.portal as portal
    pc.defineParameter("phystype", "Type", portal.ParameterType.STRING, "{}")
    pc.defineParameter("node_count", "Number", portal.ParameterType.INTEGER, {})
    node = request.RawPC("a")
    node.disk_image = "urn:publicid:IDN+emulab.net+image+emulab-ops//UBUNTU22-64-STD"
    """


def test_cloudlab_profiles() -> None:
    facts = facts_of("profile.py", PROFILE.format("d6515", 3))
    assert facts.systems[0].versions == ("22.04",) and facts.gpu == []
    assert {(a.what, a.value) for a in facts.amounts} == {("cores", 32), ("ram", 128), ("nodes", 3)}
    assert {a.stance for a in facts.amounts if a.what != "nodes"} == {"mentioned"}, "a testbed has more than one needs"
    gpu = facts_of("cloudlab_profile.py", PROFILE.format("r7525", 1))
    assert gpu.gpu[0].vendor == "nvidia" and {a.value for a in gpu.amounts if a.what == "vram"} == {32}
    assert facts_of("profile.py", PROFILE.format("m400", 1)).specials[0].tag == "aarch64"
    assert facts_of("profile.py", "ROWS = ['r7525']\n") == Facts()


def test_virtual_machines_and_their_host() -> None:
    text = """\
        config.vm.box = "ubuntu/bionic64"
        a.memory = 2048
        b.customize ["modifyvm", :id, "--memory", "8192"]
        b.cpus = 4
        """
    facts = facts_of("Vagrantfile", text)
    assert {(a.what, a.value) for a in facts.amounts} == {("ram", 10.0), ("cores", 4)}
    assert facts.systems == [], "the system in the virtual machine is not its host's"


def test_instances_in_terraform() -> None:
    facts = facts_of("main.tf", 'instance_type = "g5.2xlarge"\n# instance_type = "p3.2xlarge"\n')
    assert facts.gpu[0].vendor == "nvidia" and facts.gpu[0].spot.line == 1
    assert {(a.what, a.value, a.stance) for a in facts.amounts if a.what == "ram"} == {("ram", 32, "tested")}
    assert facts_of("deploy/main.tf", 'type = gpu ? "g5.2xlarge" : "m5.xlarge"\n').gpu == []
    inventory = facts_of("inventory.ini", "[servers]\nnode1 ansible_host=10.0.0.1\nnode2\n\n[all:vars]\nuser=me\n")
    assert [(a.what, a.value) for a in inventory.amounts] == [("nodes", 2)]


def test_chameleons_own_names() -> None:
    code = [
        "import chi\n",
        'lease.add_node_reservation(node_type="gpu_rtx_6000")\n',
        "server = chi.server.create_server(image_name='CC-Ubuntu22.04-CUDA')\n",
    ]
    notebook = json.dumps({"cells": [{"cell_type": "code", "source": code}], "metadata": {}})
    facts = facts_of("cc-reserve.ipynb", notebook)
    assert [(s.distribution, s.versions, s.weight) for s in facts.systems] == [("ubuntu", ("22.04",), 3.0)]
    assert [s.tag for s in facts.specials if s.weight > 1] == ["node type: gpu_rtx_6000"]
    assert sum(sign.weight for sign in facts.gpu) >= 3 and {a.value for a in facts.amounts} == {24}
    command = "openstack server create --image CC-Ubuntu20.04 x\n"
    for path in ("run.sh", "scripts/launch.sh", "README.md"):
        text = command if path.endswith(".sh") else f"# x\n\n```\n{command}```\n"
        assert facts_of(path, text).systems[0].versions == ("20.04",)


def test_of_several_node_types_none_is_asked_for() -> None:
    facts = facts_of("reserve.py", 'node_type = "gpu_v100" if big else "compute_skylake"\n')
    assert {s.tag for s in facts.specials if s.weight > 0} == set()


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("README.md", "# x\n\nAny machine will do. Use the node type gpu_a100_pcie for it.\n"),
        ("main.py", "import chi\n# gpu_a100_pcie with CC-Ubuntu20.04\n"),
        ("train.py", 'name = "gpu_a100_pcie"\n'),
    ],
)
def test_node_types_outside_of_code_ask_for_nothing(path: str, text: str) -> None:
    facts = facts_of(path, text)
    assert [s.tag for s in facts.specials if "node type" in s.tag] == [] and facts.gpu == []


def test_install_scripts() -> None:
    text = """\
        #!/bin/bash
        # for nvidia-driver-999 on ubuntu16.04
        wget https://content.mellanox.com/ofed/MLNX_OFED_LINUX-5.8-ubuntu20.04-x86_64.tgz
        sudo apt-get install -y nvidia-driver-535 cuda-toolkit-12-1 linux-headers-$(uname -r)
        """
    facts = facts_of("scripts/install_deps.sh", text)
    assert [s.versions for s in facts.systems] == [("20.04",)]
    assert "12.1" in {c.version for c in facts.cuda} and {s.vendor for s in facts.gpu} == {"nvidia"}
    assert {"rdma", "kernel"} <= {s.tag for s in facts.specials}
    several = 'add-apt-repository "deb http://apt.llvm.org/jammy/ llvm-toolchain-jammy main"\ndeb http://x focal main\n'
    assert [s.versions for s in facts_of("setup.sh", several).systems] == [("20.04", "22.04")]
    shown = facts_of("install.sh", "echo Ubuntu 20.04 noble | tee x\necho 'now: insmod x.ko'\n")
    assert shown.systems == [] and shown.specials == []


def test_scripts_that_look_for_a_gpu_do_without() -> None:
    install = "apt-get install -y nvidia-driver-535\n"
    looking = f"if lspci | grep -i nvidia; then\n  {install}fi\n"
    weights = [facts_of("install.sh", text).gpu[0].weight for text in (install, looking)]
    assert weights[0] > 1 > 0.5 > weights[1]


def test_hostile_machine_files_cost_little() -> None:
    for path in ("Vagrantfile", "profile.py", "main.tf", "inventory.ini", "install.sh", "reserve.py"):
        for text in (
            "geni chi " + "a" * 200_000,
            "memory = " * 30_000,
            "deb " * 60_000,
            "p3." * 60_000,
            "ubuntu-" * 40_000,
        ):
            read_file(path, text, Facts())
