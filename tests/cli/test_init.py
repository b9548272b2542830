"""init: a few questions, and a file with every setting that envagent reads as it was meant."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from envagent import config
from envagent.cli.documents.settings_text import toml_text
from envagent.cli.setup_questions import Answers, cloud_choices
from envagent.config import user_file
from tests.cli.conftest import Cli
from tests.kit.commands import Ended


def test_the_answers_are_in_the_users_own_file(cli: Cli, real_cloud: str, tmp_path: Path) -> None:
    key = tmp_path / "key.pub"
    key.write_text("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDQ3r0x4zQ1yJq5qgX6Zt3cJ08bq2nQbGJxXl3Yk5b6M me\n")
    asked = cli.on_terminal("init")
    for question, answer in (
        ("Cloud (", "nowhere"),
        ("there is no cloud 'nowhere'", real_cloud),
        ("hours, 1 to 168", "500"),
        ("less than or equal to 168", "12"),
        ("how many SU", "40"),
        ("OPENAI_API_KEY is not set", "yes"),
        ("public key", str(key)),
    ):
        asked.until(question)
        asked.type(f"{answer}\n")
    assert asked.end() == 0, asked.plain
    assert "export OPENAI_API_KEY=" in asked.plain
    written = user_file()
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert written.read_text() == toml_text(
        {
            "cloud": real_cloud,
            "lease.hours": 12,
            "lease.max_su": 40.0,
            "ai.enabled": True,
            "key.public_key": key,
        }
    )
    settings = config.load()
    assert (settings.cloud, settings.lease.hours, settings.lease.max_su) == (real_cloud, 12, 40)
    assert settings.key.public_key == key


def test_options_answer_without_a_terminal_and_nothing_is_overwritten(cli: Cli) -> None:
    def call(*more: str) -> Ended:
        return cli("init", "--cloud", "sandbox", "--no-ai", "-o", "envagent.toml", *more)

    assert call().code == 0
    assert config.load().cloud == "sandbox"
    assert config.load().ai.enabled is False
    again = call("--hours", "5")
    assert (again.code, config.load().lease.hours) == (2, None)
    assert "--force" in again.err
    assert call("--hours", "5", "--force").code == 0
    assert config.load().lease.hours == 5
    assert [one.name for one in cli.work.iterdir()] == ["envagent.toml"]


def test_without_a_terminal_and_options_it_is_one_error(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = cli("init")
    assert (ended.code, ended.out, len(ended.err.splitlines())) == (2, "", 2)
    assert cli("init", "--cloud", "nowhere").code == 2
    monkeypatch.setenv("OS_AUTH_URL", "https://chi.example.org:5000/v3")
    assert cloud_choices([]) == ["OS_*", "sandbox"]
    assert Answers(cloud="OS_*", hours=3).settings() == {"lease.hours": 3}
    assert not user_file().exists()
