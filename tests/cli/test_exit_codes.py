"""One place maps errors to exit codes, and says every error in the same form."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from envagent import config, errors
from envagent.errors import EnvagentError
from envagent.hints import Hint
from tests.cli.conftest import Cli

DOCUMENTED = {
    "EnvagentError": 1,
    "UsageError": 2,
    "AuthenticationError": 4,
    "CapacityError": 5,
    "ProvisioningError": 6,
    "CloudError": 7,
    "AdviceUnavailable": 8,
    "RepositoryRefused": 9,
    "RunStateError": 10,
    "LeftoversExist": 11,
    "OutputLost": 12,
}


def every_class(root: type[EnvagentError]) -> list[type[EnvagentError]]:
    return [root, *(one for child in root.__subclasses__() for one in every_class(child))]


ALL = [one for one in every_class(EnvagentError) if one.__module__ == errors.__name__]


def documented(kind: type[EnvagentError]) -> int:
    return next(DOCUMENTED[one.__name__] for one in kind.__mro__ if one.__name__ in DOCUMENTED)


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("as_json", [False, True])
def test_every_error_has_its_code_and_says_what_to_do(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, kind: type[EnvagentError], as_json: bool
) -> None:
    def fail(**options: object) -> None:
        raise kind("it failed\x1b[2J", hint=Hint("do this"), service_said="no\nway", request_id="req-1")

    monkeypatch.setattr(config, "load", fail)
    ended = cli("status", *(["--json"] if as_json else []))
    assert ended.code == documented(kind)
    assert ended.err == "error: it failed\\x1b[2J\n  the service said: no way (request req-1)\nhint: do this\n"
    if not as_json:
        assert ended.out == ""
        return
    error = ended.document["error"]
    assert ended.document["schema_version"] == 1
    assert (error["type"], error["exit_code"], error["request_id"]) == (kind.__name__, ended.code, "req-1")


def test_a_bug_is_one_line_and_a_report(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = "sk-" + "a1b2c3d4" * 5

    def fail(*arguments: object, **options: object) -> None:
        raise KeyError(secret)

    monkeypatch.setattr("envagent.repository.source.parse_source", fail)
    ended = cli("run", f"https://user:{secret}@example.org/x/y", "--json")
    assert ended.code == 1
    assert "Traceback" not in ended.err
    assert len(ended.err.splitlines()) == 2
    assert ended.document["error"]["exit_code"] == 1
    [report] = (cli.home / "crash").iterdir()
    assert report.stat().st_mode & 0o777 == 0o600
    assert report.parent.stat().st_mode & 0o777 == 0o700
    assert "Traceback" in report.read_text()
    assert secret not in report.read_text() + ended.err + ended.out
    report.unlink()


def test_a_traceback_is_for_those_who_ask(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ENVAGENT_DEBUG", "1")
    monkeypatch.setattr(config, "load", lambda **options: 1 / 0)
    ended = cli("status")
    assert ended.code == 1
    assert "ZeroDivisionError" in ended.err
    assert "Traceback" in ended.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rnu"], "Did you mean 'run'?"),
        (["run"], "REPO"),
        (["run", "x", "--hours", "200"], "168"),
        (["run", "x", "--on-failure", "explode"], "teardown"),
        (["run", "x", "--start", "yesterday"], "--start"),
        (["run", "x", "--start", "2020-01-01"], "has passed"),
        (["resume"], "name either one run or a file"),
        (["teardown"], "--orphans"),
        (["teardown", "x", "--orphans"], "--orphans"),
        (["teardown", "x", "--cloud", "y"], "--cloud"),
        (["teardown", "--orphans", "--delete-key"], "--delete-key"),
        (["run", ".", "--cloud", "chi", "--speed", "9"], "--speed"),
        (["run", ".", "--cloud", "sandbox", "--public-key", "nowhere.pub"], "nowhere.pub"),
    ],
)
def test_wrong_use_is_2(cli: Cli, arguments: list[str], said: str) -> None:
    for more in ([], ["--json"]) if arguments != ["rnu"] else ([],):
        ended = cli(*arguments, *more)
        assert ended.code == 2
        assert said in ended.err
        assert (ended.document["error"]["exit_code"] == 2) if more else (ended.out == "")


def test_the_codes_are_documented(cli: Cli) -> None:
    import envagent.cli.main as module

    text = f"{module.__doc__} {errors.__doc__}"
    for code in {kind.exit_code for kind in ALL} | {0, 129, 130, 143}:
        assert re.search(rf"\b{code}\b", text), code


def test_an_unusable_configuration_is_2(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    for text, said in (
        (b"[lease]\nhuors = 3\n", "lease.huors; did you mean lease.hours?"),
        (b"clod = 'x'\n", "clod; did you mean cloud?"),
        (b"[lease]\nhours = 1000\n", "lease.hours: Input should be less than"),
        (b"cloud = \n", "not valid TOML"),
        (b"\xff\xfe", "not UTF-8"),
    ):
        (cli.work / "envagent.toml").write_bytes(text)
        ended = cli("status", "--json")
        assert ended.code == 2
        assert said in ended.err
        assert ended.document["error"]["type"] == "ConfigurationError"
    (cli.work / "envagent.toml").unlink()
    (cli.work / ".env").write_bytes(b"ENVAGENT_CLOUD=\xff")
    assert cli("status").code == 2


def test_a_home_that_cannot_be_made_is_2(cli: Cli, monkeypatch: pytest.MonkeyPatch, repository: Path) -> None:
    monkeypatch.setenv("ENVAGENT_HOME", "/dev/null/home")
    for command in (["run", str(repository)], ["teardown", "--orphans"], ["sandbox", "reset"]):
        ended = cli(*command, *([] if command[0] == "sandbox" else ["--cloud", "sandbox", "--json"]))
        assert ended.code == 2
        assert "ENVAGENT_HOME" in ended.err
    ended = cli("run", str(repository), "--cloud", "nowhere", "--json")
    assert ended.code == 2
    assert json.loads(ended.out)["error"]["type"] == "ConfigurationError"
