"""The server process: one, found again, killed and resumed, private, and gone when idle."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openstack.config import OpenStackConfig

from envagent.sandbox import SandboxError, SetupError, control, ensure_running, read_log, reset, serve, stop
from envagent.sandbox.files import Paths

from .conftest import Sandbox, until

ROOT = Path(__file__).parents[3]


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A home folder whose server is stopped in the end."""
    yield tmp_path / "home"
    stop(tmp_path / "home")


def known(home: Path) -> dict[str, Any]:
    server: dict[str, Any] = json.loads(Paths(home).server.read_text())
    return server


def kill(home: Path) -> None:
    """SIGKILL the server and see it dead."""
    pid = known(home)["pid"]
    os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        until(lambda: Path(f"/proc/{pid}").exists(), False)


def test_twenty_processes_start_one_server(home: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from envagent.sandbox import ensure_running;"
        "print(ensure_running(Path(sys.argv[1]), speed=50, idle_seconds=60).url)"
    )
    home.mkdir()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    started = [
        subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, env=env, text=True)
        for _ in range(20)
    ]
    urls = {process.communicate(timeout=60)[0] for process in started}
    assert len(urls) == 1 and urls.pop().strip() == known(home)["url"]
    assert Paths(home).output.read_text() == ""


def test_kill_loses_nothing_and_time_goes_on(home: Path) -> None:
    sandbox = Sandbox(home, speed=300)
    me = sandbox.person()
    sandbox.faults({"action": "fail", "status": 503, "service": "neutron", "nth": 3})
    lease, reservation = me.active_lease()
    server = me.server(reservation)
    until(lambda: me.server_status(server.id), "BUILD/spawning")
    seen = sandbox.control("faults")[0]["seen"]
    log = read_log(home)
    before = known(home)
    kill(home)
    assert read_log(home) == log and [w["kind"] for w in log] == ["lease", "server"]
    time.sleep(3)
    again = Sandbox(home, speed=None)
    assert known(home)["url"] == before["url"], "the same port again"
    assert known(home)["pid"] != before["pid"]
    assert me.server_status(server.id) == "ACTIVE/None", "it was built while no process lived; the old token holds"
    launched = me.conn.compute.get_server(server.id).launched_at
    assert launched is not None
    assert again.control("settings")["speed"] == 300
    assert me.lease_status(lease["id"]) == "ACTIVE"
    assert again.control("faults")[0]["seen"] == seen, "fault counts go on"
    assert again.endpoint.clouds == sandbox.endpoint.clouds, "the accounts are the same"


def test_a_taken_port_is_replaced(home: Path) -> None:
    first = ensure_running(home, idle_seconds=60)
    kill(home)
    port = int(first.url.rsplit(":", 1)[1])
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind(("127.0.0.1", port))
        other.listen()
        second = ensure_running(home, idle_seconds=60)
        assert second.url != first.url
        assert second.url in second.clouds["sandbox"]["auth"]["auth_url"]


def test_it_stops_when_idle(home: Path) -> None:
    ensure_running(home, idle_seconds=2)
    pid = known(home)["pid"]

    def alive() -> bool:
        try:
            return os.waitpid(pid, os.WNOHANG) == (0, 0)
        except ChildProcessError:
            return Path(f"/proc/{pid}").exists()

    until(alive, False)


def test_only_one_server_per_state(home: Path) -> None:
    ensure_running(home, idle_seconds=60)
    with pytest.raises(SetupError, match="already running"):
        serve(home)


def test_files_are_private_and_the_process_detached(tmp_path: Path) -> None:
    home = tmp_path / "home"
    old = os.umask(0)
    descriptor = os.open("/dev/null", os.O_RDONLY)
    os.set_inheritable(descriptor, True)
    os.environ["SOME_API_KEY"] = "canary"
    try:
        ensure_running(home, idle_seconds=60)
        folder = Paths(home).folder
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(modes.values()) == {0o600}, modes
        pid = known(home)["pid"]
        assert os.getsid(pid) == pid
        assert b"canary" not in Path(f"/proc/{pid}/environ").read_bytes()
        assert not Path(f"/proc/{pid}/fd/{descriptor}").exists()
        assert Path(f"/proc/{pid}/fd/0").readlink() == Path("/dev/null")
        password = json.dumps(ensure_running(home).clouds["sandbox"]["auth"]["password"])
        assert password.strip('"').encode() not in Path(f"/proc/{pid}/cmdline").read_bytes()
    finally:
        os.umask(old)
        os.close(descriptor)
        del os.environ["SOME_API_KEY"]
        stop(home)


def test_reset_forgets(home: Path) -> None:
    sandbox = Sandbox(home)
    sandbox.person().lease()
    password = sandbox.endpoint.clouds["sandbox"]["auth"]["password"]
    assert len(read_log(home)) == 1
    reset(home)
    assert read_log(home) == []
    fresh = ensure_running(home, idle_seconds=60)
    assert fresh.clouds["sandbox"]["auth"]["password"] != password
    project = sandbox.endpoint.clouds["sandbox"]["auth"]["project_id"]
    assert fresh.clouds["sandbox"]["auth"]["project_id"] == project, "the inventory is always the same"


def test_settings_reach_a_running_server(home: Path, tmp_path: Path) -> None:
    ensure_running(home, speed=10, idle_seconds=60)
    faults = tmp_path / "faults.json"
    faults.write_text(json.dumps({"faults": [{"action": "drop", "name": "d"}]}))
    sandbox = Sandbox(home, speed=20, profile="upstream", faults=faults)
    settings = sandbox.control("settings")
    assert (settings["speed"], settings["profile"]) == (20, "upstream")
    assert [one["name"] for one in sandbox.control("faults")] == ["d"]
    with pytest.raises(SandboxError, match="speed must be more than 0"):
        ensure_running(home, speed=-1)


def test_serving_in_the_foreground(home: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from envagent.sandbox import serve;"
        "serve(Path(sys.argv[1]), port=0, speed=7, ready=lambda e: print(e.url, e.clouds_file, flush=True))"
    )
    home.mkdir()
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen([sys.executable, "-c", code, str(home)], stdout=subprocess.PIPE, env=env, text=True) as child:
        assert child.stdout is not None
        url, clouds = child.stdout.readline().split()
        assert ensure_running(home, speed=7).url == url
        assert Path(clouds) == Paths(home.resolve()).clouds
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=10) == 0


def module(home: Path | None, *arguments: str) -> subprocess.Popen[str]:
    """Start `python -m envagent.sandbox` as a person would."""
    kept = () if home is None else ("--home", str(home))
    command = [sys.executable, "-m", "envagent.sandbox", *kept, *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_as_a_module_it_says_how_it_is_used_and_leaves_nothing(ending: signal.Signals) -> None:
    with module(None, "--speed", "50", "--site", "tacc", "--profile", "upstream") as child:
        assert child.stdout is not None
        banner = list(itertools.takewhile(lambda line: "State:" not in line, child.stdout))
        (variables,) = (line.split()[1:] for line in banner if "export" in line)
        named = dict(variable.split("=") for variable in variables)
        file = Path(named["OS_CLIENT_CONFIG_FILE"])
        config = OpenStackConfig(config_files=[str(file)]).get_one(named["OS_CLOUD"])
        assert config.get_region_name() == "CHI@TACC" and config.get_session().get_token()
        health = control(file.parents[1], "health")
        assert (health["speed"], health["profile"]) == (50, "upstream")
        child.send_signal(ending)
        assert child.wait(timeout=10) == 0
        assert child.stderr is not None and "Traceback" not in child.stderr.read()
        assert not file.parents[1].exists()


def test_as_a_module_it_continues_with_the_state_of_a_home(home: Path) -> None:
    Sandbox(home).person().lease()
    stop(home)
    with module(home) as child:
        assert child.stdout is not None
        assert any(str(Paths(home).clouds) in line for line in child.stdout)
        assert len(control(home, "log")) == 1
        child.send_signal(signal.SIGINT)
        assert child.wait(timeout=10) == 0
    assert len(read_log(home)) == 1


def test_a_server_that_cannot_listen_leaves_no_old_address(home: Path) -> None:
    ensure_running(home, idle_seconds=60)
    kill(home)
    with socket.create_server(("127.0.0.1", 0)) as taken, module(home, "--port", str(taken.getsockname()[1])) as child:
        assert "cannot listen on port" in child.communicate(timeout=30)[1]
    assert not Paths(home).server.exists()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--port", "70000"], "'70000' is not a port"),
        (["--site", "mars"], "invalid choice: 'mars'"),
        (["--speed", "0"], "speed must be more than 0"),
        (["--settings", "{"], "not valid JSON"),
        (["--settings", "[1]"], "not a JSON object"),
        (["--settings", '{"quotas": 3}'], "wrong type: quotas"),
        (["--settings", '{"colour": 3}'], "unknown setting: colour"),
        (["--faults", "FILE"], "fault 1: action must be one of"),
        (["--faults", "NOWHERE"], "No such file"),
        (["--home", "FILE"], "cannot be created"),
    ],
)
def test_as_a_module_bad_input_is_one_error_and_2(arguments: list[str], said: str, tmp_path: Path) -> None:
    (tmp_path / "FILE").write_text('{"faults": [{"action": "explode"}]}')
    named = [str(tmp_path / one) if one.isupper() else one for one in arguments]
    with module(None, *named) as child:
        output, errors = child.communicate(timeout=30)
    assert (child.returncode, output) == (2, "")
    assert said in errors.splitlines()[-1]
    assert errors.count("error: ") == 1 and "Traceback" not in errors


def test_a_state_that_is_no_database_is_one_error(home: Path) -> None:
    Paths(home).create()
    Paths(home).state.write_text("not a database " * 100)
    with module(home) as child:
        output, errors = child.communicate(timeout=30)
    assert (child.returncode, output) == (2, "") and errors.startswith("error: the state ")
    with pytest.raises(SandboxError, match="did not start") as caught:
        ensure_running(home)
    assert caught.value.output == errors.strip()
    with pytest.raises(SandboxError, match="cannot read the log"):
        read_log(home)
    reset(home)
    assert read_log(home) == []


def test_what_cannot_be_used_is_said(home: Path, tmp_path: Path) -> None:
    with pytest.raises(SandboxError) as caught:
        ensure_running(home, profile="nope")
    assert caught.value.output == "error: the settings cannot be used: profile must be one of chameleon, upstream"
    with pytest.raises(SetupError, match="speed must be more than 0"):
        serve(home, speed=0)
