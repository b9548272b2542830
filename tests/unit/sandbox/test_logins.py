"""Servers can be logged in to: by whom, from when to when, and what their shell says."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from envagent import keys
from envagent.sandbox.node_facts import Disk, Gpu, Node, system_of
from envagent.sandbox.node_files import MAX_BYTES, Files
from envagent.sandbox.node_programs import programs_of, system_files
from envagent.sandbox.node_shell import MAX_OUTPUT, Shell
from envagent.sandbox.process import stop

from .conftest import SPEED, Person, Sandbox, until

pytestmark = pytest.mark.skipif(shutil.which("ssh") is None, reason="no ssh client here")


@dataclass
class Login:
    """How a server is logged in to."""

    me: Person
    server: str
    address: Any
    key: Path
    port: int

    def __call__(self, command: str, *, user: str = "cc", given: str = "") -> subprocess.CompletedProcess[str]:
        options = ("BatchMode=yes", "StrictHostKeyChecking=accept-new", "LogLevel=ERROR", "IdentitiesOnly=yes")
        hosts = [f"-oUserKnownHostsFile={self.key}.hosts", "-p", str(self.port), "-i", str(self.key)]
        place = f"{user}@{self.address.floating_ip_address}"
        words = ["ssh", "-F", "none", *(f"-o{option}" for option in options), *hosts, place, command]
        return subprocess.run(words, input=given, capture_output=True, text=True, timeout=20, check=False)


@pytest.fixture(scope="module")
def login(shared: Sandbox, user: Person, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Login]:
    key = tmp_path_factory.mktemp("keys") / "key"
    keys.create_private_key(key)
    user.conn.compute.create_keypair(name="login", public_key=keys.public_key_of(key))
    _, reservation = user.active_lease("gpu_v100")
    yield launched(shared, user, reservation, key)


def launched(sandbox: Sandbox, me: Person, reservation: str, key: Path) -> Login:
    """Boot a server with an address."""
    server = me.server(reservation, key_name="login", image_id=me.conn.image.find_image("CC-Ubuntu24.04-CUDA").id)
    until(lambda: me.server_status(server.id), "ACTIVE/None")
    port = next(iter(me.conn.network.ports(device_id=server.id)))
    address = me.address(port_id=port.id)
    return Login(me, server.id, address, key, sandbox.control("health")["ssh_port"])


def test_the_key_of_the_server_logs_in_and_nothing_else_does(login: Login, tmp_path: Path) -> None:
    until(lambda: login("true").returncode, 0)
    done = login("hostname; whoami; nproc; nvidia-smi --query-gpu=name,memory.total --format=csv,noheader")
    assert done.stdout.splitlines() == ["a-server", "cc", "80", *["Tesla V100-SXM2-32GB, 32768 MiB"] * 4]
    assert login("cat > notes; exit 3", given="kept\n").returncode == 3
    assert login("cat notes").stdout == "kept\n"
    assert "denied (publickey)" in login("true", user="root").stderr
    keys.create_private_key(tmp_path / "other")
    other = Login(login.me, login.server, login.address, tmp_path / "other", login.port)
    assert "denied (publickey)" in other("true").stderr


def test_a_session_without_a_command_is_a_shell(login: Login) -> None:
    done = login("", given="cd /tmp\npwd\nfoo\nexit 4\necho never\n")
    assert (done.returncode, done.stdout) == (4, "/tmp\n")
    assert done.stderr == "bash: foo: command not found\n"


def test_the_door_follows_the_address_the_process_and_the_installation(login: Login, sandbox: Sandbox) -> None:
    network = login.me.conn.network
    until(lambda: login("true").returncode, 0)
    port = login.address.port_id
    network.update_ip(login.address, port_id=None)
    until(lambda: login("true").returncode, 255)
    network.update_ip(login.address, port_id=port)
    until(lambda: login("true").returncode, 0)
    stop(sandbox.home)
    Sandbox(sandbox.home)
    until(lambda: login("true").returncode, 0)
    sandbox.control("mishap", {"what": "host_key_changes", "id": login.server})
    until(lambda: "Host key verification failed" in login("true").stderr, True)
    login.me.conn.compute.delete_server(login.server)
    until(lambda: "refused" in login("true").stderr, True)


LONG = 4_000_000

FAULTS: list[dict[str, Any]] = [
    {"action": "ssh_silent"},
    {"action": "ssh_refused", "seconds": LONG},
    {"action": "ssh_late", "seconds": LONG},
    {"action": "node_shows", "gpus": 1, "memory_gb": 64, "cores": 8, "disk_gb": 100},
    {"action": "node_shows", "driver": None},
]
LOOK = "nproc; nvidia-smi -L | wc -l; free -b | grep Mem; lsblk -bdno SIZE; lspci | grep -c NVIDIA"


def test_faults_of_the_running_node(login: Login, sandbox: Sandbox) -> None:
    sandbox.faults(*({**one, "nth": number} for number, one in enumerate(FAULTS, 1)))
    reservations = [login.me.active_lease("gpu_rtx_6000")[1] for _ in FAULTS[:3]]
    silent, refused, late = (launched(sandbox, login.me, one, login.key) for one in reservations)
    assert "refused" in late("true").stderr
    until(lambda: "denied (publickey)" in refused("true").stderr, True)
    sandbox.control("clock", {"seconds": LONG / SPEED})
    until(lambda: refused("true").returncode, 0)
    until(lambda: late("true").returncode, 0)
    assert "refused" in silent("true").stderr
    four, undriven = (
        launched(sandbox, login.me, login.me.active_lease(kind)[1], login.key) for kind in ("gpu_v100", "gpu_v100")
    )
    until(lambda: four("true").returncode, 0)
    cores, gpus, memory, disk, devices = four(LOOK).stdout.splitlines()
    assert (cores, gpus, disk.strip(), devices) == ("16", "1", "100000000000", "1")
    assert 62 << 30 < int(memory.split()[1]) < 64 << 30
    until(lambda: undriven("true").returncode, 0)
    assert (undriven("nvidia-smi").returncode, undriven("lspci | grep -c NVIDIA").stdout) == (127, "4\n")


NODE = Node(
    hostname="n1",
    address="127.0.0.9",
    architecture="x86_64",
    processor="CPU",
    megahertz=2000,
    sockets=2,
    threads=8,
    threads_per_core=2,
    memory=8 << 30,
    disks=(Disk("nvme0n1", 10**11, "disk", rotational=False),),
    gpus=(Gpu("AMD", "Arcturus GL-XL [Instinct MI100]", "Instinct MI100", 0),),
    system=system_of("CC-Ubuntu22.04"),
    booted_at=0.0,
)

LINES = [
    ("echo a  'b  c' \"$USER $?\" \\$x", "a b  c cc 0 $x\n", "", 0),
    ("false && echo a || echo b; echo $?", "b\n0\n", "", 0),
    ("cat /nope 2>/dev/null || true", "", "", 0),
    ("cat /nope > all 2>&1; cat all", "cat: /nope: No such file or directory\n", "", 0),
    ("echo one > f; echo two >> f; wc -l < f; ls", "2\nf\n", "", 0),
    ("x='a b'; echo $x | wc -w; echo \"$(hostname)-$x\"", "2\nn1-a b\n", "", 0),
    ("mkdir -p d/e && cd d && pwd && rm -r ../d && cd .. && ls", "/home/cc/d\n", "", 0),
    ("echo x > /etc/os-release", "", "bash: /etc/os-release: Permission denied\n", 1),
    ("cat ../../etc/passwd", "", "cat: ../../etc/passwd: No such file or directory\n", 1),
    ("nvidia-smi; rsync", "", "bash: nvidia-smi: command not found\nbash: rsync: command not found\n", 127),
    ("which python3 nvidia-smi || echo $(rsync)-", "/usr/bin/python3\n-\n", "bash: rsync: command not found\n", 0),
    ("lsb_release -ds; python3 --version", "Ubuntu 22.04.5 LTS\nPython 3.10.12\n", "", 0),
    ("sudo timeout -k 1 5 uname -rm", "5.15.0-138-generic x86_64\n", "", 0),
    ("bash -c 'cd /tmp; exit 3'; echo $? $(pwd; exit 4) $?", "3 /home/cc 4\n", "", 0),
    ("echo a; exit 3; echo never", "a\n", "", 3),
    ("while true; do echo; done", "", "bash: while: this simulated shell has no loops, conditions or functions\n", 2),
    ("echo 'a", "", "bash: unexpected EOF while looking for matching `''\n", 2),
    ("echo a |", "", "bash: syntax error near unexpected token `newline'\n", 2),
]


def new_shell() -> Shell:
    return Shell(NODE, Files(system_files(NODE)), programs_of(NODE), "cc")


@pytest.mark.parametrize(("line", "out", "err", "code"), LINES, ids=[line for line, *_ in LINES])
def test_the_shell(line: str, out: str, err: str, code: int) -> None:
    answer = new_shell().run(line)
    assert (answer.out, answer.err, answer.code) == (out, err, code)


@pytest.mark.parametrize(
    "line",
    [
        "x=1234567890;" + "x=$x$x$x$x$x$x$x$x;" * 100 + "echo $x",
        "echo " + "$(echo " * 50 + ")" * 50,
        "echo 1234567 > f;" + "cat f f f f f f f f > g; cat g g g g g g g g > f;" * 60 + "cat" + " f" * 5000,
        "bash -c " * 500 + "x",
        "sudo " * 3000 + "id",
        "true;" * 3000,
    ],
    ids=["variables", "substitutions", "files", "shells", "prefixes", "commands"],
)
def test_what_a_line_can_cost_is_bounded(line: str) -> None:
    shell = new_shell()
    answer = shell.run(line)
    assert len(answer.out) <= MAX_OUTPUT and len(answer.err) <= MAX_OUTPUT
    assert sum(len(shell.files.read(f"/home/cc/{name}")) for name in shell.files.list("/home/cc")) <= MAX_BYTES
