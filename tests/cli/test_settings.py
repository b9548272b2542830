"""The settings as users see them: where each comes from, in one table and in the example file."""

from __future__ import annotations

from pathlib import Path

import pytest

from envagent.cli.documents.settings_text import toml_text
from envagent.config import user_file
from tests.cli.conftest import ROOT, Cli


def test_each_setting_is_shown_with_where_it_comes_from(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_SANDBOX__SPEED", "70")
    monkeypatch.setenv("ENVAGENT_SSH", '{"port": 2222}')
    monkeypatch.setenv("OPENAI_API_KEY", "sk-canary")
    (cli.work / ".env").write_text("ENVAGENT_LEASE__HOURS=5\nENVAGENT_SANDBOX__SPEED=71\n")
    (cli.work / "envagent.toml").write_text("[lease]\nhours = 6\nmax_hours = 9\nmax_su = 1000\n")
    user_file().parent.mkdir(parents=True)
    user_file().write_text("cloud = 'mine'\n[lease]\nmax_hours = 10\nmax_su = 20\n")
    ended = cli("config", "show", "--json")
    assert ended.code == 0, ended.err
    shown = {one["name"]: (one["value"], one["source"]) for one in ended.document["settings"]}
    assert {name: shown[name] for name in shown if shown[name][1] != "default"} == {
        "home": (str(cli.home), "environment"),
        "sandbox.speed": (70.0, "environment"),
        "ssh.port": (2222, "environment"),
        "ai.api_key": ("********", "environment (OPENAI_*)"),
        "lease.hours": (5, "./.env"),
        "lease.max_hours": (9, "./envagent.toml"),
        "lease.max_su": (20.0, str(user_file())),  # what may be spent is for the user's own file
        "cloud": ("mine", str(user_file())),
    }
    assert shown["ai.model"] == ("gpt-4o-mini", "default")
    assert "ignoring lease.max_su" in ended.err
    table = cli("config", "show", "--origin")
    assert ["lease.hours", "5", "./.env"] in [line.split() for line in table.out.splitlines()]
    assert "sk-canary" not in ended.out + ended.err + table.out


def test_the_example_is_made_from_the_settings() -> None:
    assert (ROOT / "envagent.toml.example").read_text() == toml_text(), "run: python docs/settings.py"


def test_the_limit_in_the_settings_is_that_of_the_flag(
    cli: Cli, repository: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ENVAGENT_LEASE__MAX_SU", "3")
    ended = cli("run", str(repository), "--cloud", "sandbox", "--json")
    assert ended.code == 5
    assert "more than the limit of 3 SU" in ended.err
