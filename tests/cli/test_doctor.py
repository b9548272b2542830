"""doctor: one line for each thing that a run needs, with the fix; whatever is broken, the rest is checked."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from envagent.cli.render import times
from envagent.sandbox import process
from tests.cli.conftest import Cli

FACTS = (
    *("settings", "git", "ssh", "home", "journal", "key", "AI", "credentials", "login", "roles", "trust"),
    *("services", "clock", "images", "leases", "servers", "keypairs", "addresses", "network"),
)


def checks(document: Any) -> dict[str, Any]:
    return {one["name"]: one for one in document["checks"]}


def failed(document: Any) -> set[str]:
    return {one["name"] for one in document["checks"] if one["state"] == "fail"}


def test_everything_is_in_place_in_the_sandbox(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")  # nobody is asked
    cli.home.chmod(0o700)
    ended = cli("doctor", "--cloud", "sandbox", "--json")
    assert (ended.code, failed(ended.document)) == (0, set())
    assert tuple(checks(ended.document)) == FACTS
    assert "gpt-4o-mini at http://127.0.0.1:9/v1" in checks(ended.document)["AI"]["text"]
    shown = cli("doctor", "--cloud", "sandbox")
    assert len(re.findall(r"^ok ", shown.out, re.MULTILINE)) == len(FACTS)
    assert "sk-canary" not in ended.out + ended.err + shown.out


def test_a_wrong_clock_a_used_up_quota_and_a_missing_network(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    now = times.now
    monkeypatch.setattr(times, "now", lambda: now() + timedelta(minutes=7, seconds=30))
    monkeypatch.setenv("ENVAGENT_NETWORK__NAME", "nowhere")
    process.control(cli.home, "settings", {"quotas": {"floatingip": 0}})
    try:
        ended = cli("doctor", "--cloud", "sandbox", "--json")
    finally:
        process.control(cli.home, "settings", {"quotas": {}})
    found = checks(ended.document)
    assert failed(ended.document) == {"clock", "addresses", "network"}
    assert "7 min" in found["clock"]["text"] and "ahead" in found["clock"]["text"]
    assert found["clock"]["fix"] == "set the clock: timedatectl set-ntp true"
    assert [found[name]["exit_code"] for name in ("clock", "addresses", "network")] == [2, 5, 6]
    assert ended.code == ended.document["exit_code"] == 2  # the first one's


def test_a_restricted_application_credential_is_found(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_CLOUD", "sandbox-appcred-restricted")
    ended = cli("doctor", "--json")
    assert (ended.code, failed(ended.document)) == (4, {"trust"})
    assert ended.document["cloud"] == "sandbox-appcred-restricted"
    assert "unrestricted" in checks(ended.document)["trust"]["fix"]


@pytest.mark.parametrize("content", [None, "clouds: [", "clouds:\n  chi: {auth: 7}\n"])
def test_a_clouds_yaml_that_is_absent_or_broken_is_one_line(
    cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str | None
) -> None:
    home = tmp_path / "open"
    home.mkdir(0o755)
    home.chmod(0o755)
    monkeypatch.setenv("ENVAGENT_HOME", str(home))
    if content is not None:
        (tmp_path / "clouds.yaml").write_text(content)
        monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    ended = cli("doctor", "--cloud", "chi", "--json")
    assert (ended.code, failed(ended.document)) == (2, {"credentials"})
    assert "sandbox" in checks(ended.document)["credentials"]["fix"] or content
    assert checks(ended.document)["home"]["fix"] == f"chmod go-rwx {home}"
    assert tuple(checks(ended.document)) == FACTS[:8]


def test_settings_that_cannot_be_read_hide_nothing_of_the_machine(cli: Cli) -> None:
    (cli.work / "envagent.toml").write_text("[lease]\nhuors = 3\n")
    ended = cli("doctor", "--cloud", "sandbox")
    assert ended.code == 2
    assert re.findall(r"^(\w+) +(\w+)", ended.out, re.MULTILINE)[:3] == [
        ("fail", "settings"),
        ("ok", "git"),
        ("ok", "ssh"),
    ]
    assert "lease.hours" in ended.out
