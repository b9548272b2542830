"""What stays on the user's machine: private, whatever the umask; and no secret in any of it."""

from __future__ import annotations

import os
import stat
import tempfile
import tomllib
from pathlib import Path

import pytest

from envagent import config
from envagent.cli.clouds import is_sandbox, paced
from envagent.cli.home import Home
from envagent.config import Settings
from tests.cli.conftest import ROOT, Cli


def test_everything_is_private_under_umask_0(
    cli: Cli, repository: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "open" / "home"
    monkeypatch.setenv("ENVAGENT_HOME", str(home))
    monkeypatch.setenv("ENVAGENT_SANDBOX__SPEED", "1000")
    os.umask(0)
    try:
        running = cli.start("run", str(repository), "--cloud", "sandbox")
    finally:
        os.umask(0o022)
    assert running.wait() == 0, running.err
    for path in [home, *home.rglob("*"), *cli.work.glob("*_info.json")]:
        mode = path.lstat().st_mode
        assert stat.S_IMODE(mode) == (0o700 if stat.S_ISDIR(mode) else 0o600), path
    assert cli("sandbox", "reset").code == 0


def test_no_secret_is_printed_or_kept(
    cli: Cli, repository: Path, real_cloud: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    monkeypatch.setenv("ENVAGENT_HOME", str(home))
    monkeypatch.setenv("ENVAGENT_DEBUG", "1")
    key = "sk-canary-0123456789abcdef0123"
    monkeypatch.setenv("OPENAI_API_KEY", key)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("ENVAGENT_AI__RETRIES", "0")
    clouds = (tmp_path / "clouds.yaml").read_text()
    secrets = [
        line.split(":", 1)[1].strip() for line in clouds.splitlines() if "password:" in line or "secret:" in line
    ]
    assert len(secrets) >= 4
    ended = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--json")
    assert ended.code == 0
    assert "the AI gave no answer" in ended.err
    wrong = clouds.replace(secrets[0], "canary-wrong-password")
    (tmp_path / "clouds.yaml").write_text(wrong)
    second = cli("run", str(repository), "--cloud", real_cloud, "--yes", "--new", "--json").document
    refused = cli("resume", second["run_id"], "--json")
    assert refused.code == 4
    (tmp_path / "clouds.yaml").write_text(clouds)
    removed = cli("teardown", ended.document["run_id"], "--yes", "--json")
    private = Path(ended.document["private_key"]).read_text().splitlines()[1]
    texts = [one.err + one.out for one in (ended, refused, removed)]
    texts += [path.read_bytes().decode(errors="replace") for path in home.rglob("*") if path.is_file()]
    texts = [text for text in texts if private not in text or "PRIVATE KEY" not in text]
    assert len(texts) >= 5
    for text in texts:
        assert not [secret for secret in (*secrets, key, private, "canary-wrong-password") if secret in text]


def test_the_example_names_every_setting_with_its_default(cli: Cli) -> None:
    lines = []
    for line in (ROOT / "envagent.toml.example").read_text().splitlines():
        is_setting = line.startswith("# ") and " = " in line.split("#")[1] and line[2:].split(" ")[0].islower()
        lines.append(line[2:] if is_setting else line)
    example = tomllib.loads("\n".join(lines))
    monkeyed = {key: value for key, value in example.items() if key not in ("home", "cloud")}
    settings = config.load(**monkeyed)
    given = {
        "ai": {"base_url", "api_key"},
        "lease": {"hours", "max_su"},
        "key": {"name", "public_key"},
        "fleet": {"owner"},
    }
    for name in Settings.model_fields:
        assert name in example, name
        default = Settings.model_fields[name].get_default(call_default_factory=True, validated_data={})
        if name in ("home", "cloud", "journal"):  # an example, because the default is nothing that can be written down
            continue
        if isinstance(example[name], dict):
            assert set(example[name]) == set(type(default).model_fields), name
            for key in set(example[name]) - given.get(name, set()):
                assert example[name][key] == getattr(default, key), (name, key)
        else:
            assert example[name] == default, name
    assert settings.lease.hours == 24


def test_pauses_are_shorter_in_the_sandbox_unless_they_are_set() -> None:
    settings = config.load(home="/nowhere", lease={"poll_seconds": 7})
    fast = paced(settings, 100)
    assert fast.settle_seconds == 0.6
    assert fast.lease.poll_seconds == 7
    assert fast.server.poll_seconds == 0.3
    assert fast.ssh.poll_seconds == 0.15
    assert fast.server.timeout_seconds == settings.server.timeout_seconds
    assert paced(settings, 1e9).server.poll_seconds == 0.05
    assert paced(settings, 0.5).server.poll_seconds == settings.server.poll_seconds


@pytest.mark.parametrize(
    ("name", "simulated"),
    [("sandbox", True), ("sandbox-tacc", True), ("sandboxed", False), ("my-sandbox", False), (None, False)],
)
def test_which_names_mean_the_simulation(name: str | None, simulated: bool) -> None:
    assert is_sandbox(name) is simulated


def test_the_sandbox_keeps_the_speed_that_somebody_gave_it(cli: Cli, repository: Path) -> None:
    from envagent.sandbox.process import ensure_running

    sandbox = ensure_running(cli.home)
    cli.run(repository, "--speed", "2000")
    assert sandbox.control("health")["speed"] == 2000
    assert cli("teardown", "last").code == 0
    assert sandbox.control("health")["speed"] == 2000
    unknown = cli("run", str(repository), "--cloud", "sandbox-nowhere", "--json")
    assert unknown.code == 2
    assert "sandbox-tacc" in unknown.document["error"]["message"]


def test_a_home_on_a_network_file_system_is_told_once(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    memory = Path("/dev/shm")
    if not memory.is_dir() or not os.access(memory, os.W_OK):
        pytest.skip("there is no second file system here")
    monkeypatch.setattr("envagent.engine.filesystem.NETWORK", {0x01021994: "NFS"})  # tmpfs
    with tempfile.TemporaryDirectory(dir=memory) as folder:
        for said in (True, False):
            with Home(Path(folder)).opened_journal():
                pass
            assert ("runs without WAL" in capfd.readouterr().err) is said
