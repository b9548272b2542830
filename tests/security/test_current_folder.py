"""The current folder is often the clone of a stranger: what lies there decides nothing that a user did not say.

The attacks run the command as a user does, in a process of its own, with a server that remembers what it was sent.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from envagent import config
from envagent.errors import ConfigurationError
from tests.kit.commands import Ended, call
from tests.kit.git import git, make_repository
from tests.kit.servers import HttpServer, QuietHandler

ROOT = Path(__file__).parents[2]
PASSWORD = "canary-of-a-password-4711"
KEY = "sk-canary-of-an-ai-key-4711"


class Listener:
    """A server of the attacker's: it refuses everything, and remembers it."""

    def __init__(self) -> None:
        self.heard: list[str] = []
        listener = self

        class Handler(QuietHandler):
            def hear(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
                listener.heard.append(f"{self.command} {self.path}\n{self.headers}\n{body}")
                self.send_response(401)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_GET = do_POST = do_CONNECT = hear

        server = HttpServer(Handler)
        self.url = server.url
        self.close = server.close


@pytest.fixture
def listener() -> Iterator[Listener]:
    one = Listener()
    yield one
    one.close()


class Desk:
    """A user's machine: a home with their own configuration, a folder to work in, and a repository elsewhere."""

    def __init__(self, root: Path) -> None:
        self.home = root / "home"
        self.openstack = self.home / ".config" / "openstack"
        self.work = root / "work"
        self.repository = root / "repository"
        for folder in (self.openstack, self.work, self.repository):
            folder.mkdir(parents=True)
        make_repository(self.repository, {"README.md": "# toy\n"})
        self.environment = {"PATH": os.environ["PATH"], "HOME": str(self.home), "PYTHONPATH": str(ROOT)}

    def write(self, **files: str) -> None:
        """Put files into the working folder; _ in a name stands for the dot."""
        for name, text in files.items():
            (self.work / name.replace("_", ".")).write_text(text)

    def run(self, *arguments: str, **environment: str) -> Ended:
        return call(*arguments, folder=self.work, environment=self.environment | environment)

    def run_warm(self, *arguments: str, **environment: str) -> Ended:
        """Run a command where it does not matter what happens while modules are imported (tests/kit/warm.py)."""
        return call(*arguments, folder=self.work, environment=self.environment | environment, warm=True)


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


CLOUD = """\
clouds:
  chi:
    auth_type: v3password
    auth: {auth_url: %s/v3, username: u, password: %s, project_id: p, user_domain_name: Default}
"""
NO_ADDRESS = CLOUD.replace("auth_url: %s/v3, ", "")
NO_PASSWORD = CLOUD.replace("password: %s, ", "")
OWN = "http://127.0.0.1:9"


def an_address_in_their_clouds_yaml(desk: Desk, evil: str) -> dict[str, str]:
    (desk.openstack / "clouds.yaml").write_text(NO_PASSWORD % OWN)
    (desk.openstack / "secure.yaml").write_text(NO_ADDRESS % PASSWORD)
    desk.write(clouds_yaml=NO_PASSWORD % evil)
    return {}


def an_address_in_their_secure_yaml(desk: Desk, evil: str) -> dict[str, str]:
    (desk.openstack / "clouds.yaml").write_text(CLOUD % (OWN, PASSWORD))
    desk.write(secure_yaml=f"clouds: {{chi: {{auth: {{auth_url: {evil}/v3}}}}}}\n")
    return {}


def an_address_in_their_vendor_file(desk: Desk, evil: str) -> dict[str, str]:
    (desk.openstack / "clouds.yaml").write_text(
        NO_ADDRESS.replace("    auth_type", "    profile: chameleon\n    auth_type") % PASSWORD
    )
    (desk.openstack / "clouds-public.yaml").write_text(
        f"public-clouds: {{chameleon: {{auth: {{auth_url: {OWN}/v3}}}}}}\n"
    )
    (desk.work / "clouds-public.yaml").write_text(f"public-clouds: {{chameleon: {{auth: {{auth_url: {evil}/v3}}}}}}\n")
    return {}


def a_proxy(desk: Desk, evil: str) -> dict[str, str]:
    (desk.openstack / "clouds.yaml").write_text(CLOUD % ("http://chi.example.org:5000", PASSWORD))
    desk.write(_env=f"http_proxy={evil}\nHTTP_PROXY={evil}\nhttps_proxy={evil}\nREQUESTS_CA_BUNDLE=evil.pem\n")
    return {}


def an_address_beside_our_variables(desk: Desk, evil: str) -> dict[str, str]:
    desk.write(_env=f"OS_AUTH_URL={evil}/v3\n")
    return {"OS_AUTH_TYPE": "v3password", "OS_USERNAME": "u", "OS_PASSWORD": PASSWORD, "OS_PROJECT_ID": "p"} | {
        "OS_USER_DOMAIN_NAME": "Default"
    }


def a_clouds_yaml_that_variables_name(desk: Desk, evil: str) -> dict[str, str]:
    (desk.openstack / "clouds.yaml").write_text(NO_PASSWORD % OWN)
    (desk.openstack / "secure.yaml").write_text(NO_ADDRESS % PASSWORD)
    desk.write(_env="OS_CLIENT_CONFIG_FILE=evil.yaml\n", evil_yaml=NO_PASSWORD % evil)
    return {}


ATTACKS = [
    an_address_in_their_clouds_yaml,
    an_address_in_their_secure_yaml,
    an_address_in_their_vendor_file,
    a_proxy,
    an_address_beside_our_variables,
    a_clouds_yaml_that_variables_name,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
def test_the_password_goes_nowhere_else(desk: Desk, listener: Listener, attack: Callable[..., dict[str, str]]) -> None:
    """Even from an archive that was unpacked, of which nobody can tell that it is not the user's own."""
    ours = attack(desk, listener.url)
    named = () if ours else ("--cloud", "chi")
    ended = desk.run("teardown", "--orphans", "--yes", *named, **ours)
    assert not [heard for heard in listener.heard if PASSWORD in heard]
    assert ended.code != 0 and "Traceback" not in ended.err


@pytest.mark.parametrize("committed", [False, True])
def test_no_code_of_theirs_runs(desk: Desk, committed: bool) -> None:
    canary = desk.work / "canary"
    evil = desk.work / "evil"
    evil.mkdir()
    (evil / "sitecustomize.py").write_text(f"open({str(canary)!r}, 'w')\n")
    (desk.work / "README.md").write_text("# toy\n")
    desk.write(_env=f"PYTHONPATH={evil}\nENVAGENT_SANDBOX__SPEED=1000\nLD_PRELOAD=/evil.so\nGIT_SSH_COMMAND=evil\n")
    if committed:
        make_repository(desk.work)
    del desk.environment["PYTHONPATH"]
    try:
        ended = desk.run("run", str(desk.repository), "--cloud", "sandbox", "--yes", "--speed", "1000")
        assert ended.code == 0, ended.err
        assert not canary.exists()
        assert ("ignoring ./.env: git tracks it" in ended.err) is committed
    finally:
        desk.run("sandbox", "reset")


def test_no_module_of_theirs_is_imported(desk: Desk) -> None:
    """`python -m` puts the current folder first among the places that modules come from."""
    canary = desk.work / "canary"
    for name in ("dotenv", "platformdirs", "yaml", "pydantic_settings", "openstack"):
        (desk.work / f"{name}.py").write_text(f"open({str(canary)!r}, 'w')\n")
    desk.write(_env=ASKED)
    ended = desk.run("status", "--json")
    assert not canary.exists()
    assert ended.code == 0 and ended.document["runs"] == []


def test_a_resumed_run_reads_nothing_inside_its_repository_either(desk: Desk) -> None:
    make_repository(desk.work)
    desk.write(_env="ENVAGENT_LEASE__HOURS=7\n")
    fast = {"ENVAGENT_SANDBOX__SPEED": "1000"}
    try:
        for command in (("run", ".", "--cloud", "sandbox", "--yes"), ("resume", "last", "--yes")):
            ended = desk.run_warm(*command, **fast)
            assert ended.code == 0, ended.err
            assert ended.err.count("ignoring ./.env: it lies inside the repository under analysis") == 1
    finally:
        desk.run("sandbox", "reset")


def test_the_ai_key_goes_nowhere_else(desk: Desk, listener: Listener) -> None:
    desk.write(_env=f"OPENAI_BASE_URL={listener.url}/v1\n")
    ours = {"OPENAI_API_KEY": KEY, "ENVAGENT_AI__RETRIES": "0"}
    ended = desk.run_warm("analyze", str(desk.repository), https_proxy=OWN, **ours)
    assert listener.heard == []
    assert "ignoring ai.base_url in ./.env" in ended.err and "--config .env" in ended.err
    named = desk.run_warm("analyze", str(desk.repository), "--config", ".env", **ours)
    assert len(listener.heard) == 1 and KEY in listener.heard[0]
    assert named.code == 0 and "./.env" not in named.err


def test_credentials_of_the_users_own_file_are_used_as_a_whole(desk: Desk, listener: Listener) -> None:
    """The counterpart: a .env of one's own works, and OS_* reach the login although the process never has them."""
    options = {"AUTH_TYPE": "v3password", "AUTH_URL": f"{listener.url}/v3", "USERNAME": "u", "PASSWORD": PASSWORD}
    options |= {"PROJECT_ID": "p", "USER_DOMAIN_NAME": "Default"}
    desk.write(_env="".join(f"export OS_{name}='{value}'\n" for name, value in options.items()))
    ended = desk.run("teardown", "--orphans", "--yes")
    assert ended.code == 4 and PASSWORD in listener.heard[0]
    assert "./.env" not in ended.err
    listener.heard.clear()
    make_repository(desk.work)
    assert desk.run("teardown", "--orphans", "--yes").code == 2 and listener.heard == []
    assert desk.run("teardown", "--orphans", "--yes", "--config", ".env").code == 4 and listener.heard


def test_a_clouds_yaml_of_ones_own_is_read_with_its_secrets(desk: Desk, listener: Listener) -> None:
    desk.write(clouds_yaml=NO_PASSWORD % listener.url, secure_yaml=NO_ADDRESS % PASSWORD)
    assert desk.run("teardown", "--orphans", "--yes", "--cloud", "chi").code == 4
    assert PASSWORD in listener.heard[0]
    listener.heard.clear()
    make_repository(desk.work)
    refused = desk.run("teardown", "--orphans", "--yes", "--cloud", "chi")
    assert refused.code == 2 and listener.heard == []
    assert "ignoring ./clouds.yaml: git tracks it" in refused.err
    named = desk.run("teardown", "--orphans", "--yes", "--cloud", "chi", "--config", "clouds.yaml")
    assert named.code == 4 and PASSWORD in listener.heard[0]


# Which files count, each way in which a repository can bring one.

ASKED = "ENVAGENT_CLOUD=theirs\n"


@pytest.fixture
def here(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    for name in [one for one in os.environ if one.startswith(("OS_", "ENVAGENT_", "OPENAI_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(desk.home))
    monkeypatch.chdir(desk.work)
    return desk


def read(repository: Path | None = None) -> tuple[str | None, list[str]]:
    """The cloud that a file asks for, if it counts, and what is said."""
    lines: list[str] = []
    settings = config.load(repository=None if repository is None else str(repository), report=lines.append)
    return settings.cloud, lines


def committed(desk: Desk) -> None:
    make_repository(desk.work)


def staged(desk: Desk) -> None:
    git(desk.work, "init", "-q")
    git(desk.work, "add", "-f", ".env")


def ignored_and_committed(desk: Desk) -> None:
    (desk.work / ".gitignore").write_text(".env\n")
    make_repository(desk.work)


def hidden_from_status(desk: Desk) -> None:
    make_repository(desk.work)
    git(desk.work, "update-index", "--skip-worktree", ".env")


def version(number: int) -> Callable[[Desk], None]:
    def build(desk: Desk) -> None:
        (desk.work / ".editorconfig").write_text("")
        (desk.work / "sub").mkdir()
        (desk.work / "sub" / "x").write_text("")
        make_repository(desk.work)
        git(desk.work, "update-index", "--index-version", str(number))

    build.__name__ = f"index of version {number}"
    return build


def split_index(desk: Desk) -> None:
    make_repository(desk.work)
    git(desk.work, "update-index", "--split-index")


def ids_of_sha256(desk: Desk) -> None:
    git(desk.work, "init", "-q", "--object-format=sha256")
    git(desk.work, "add", "-f", ".env")


def linked_work_tree(desk: Desk) -> None:
    (desk.repository / ".env").write_text(ASKED)
    make_repository(desk.repository)
    (desk.work / ".env").unlink()
    desk.work.rmdir()
    git(desk.repository, "worktree", "add", "-q", "--detach", str(desk.work))
    os.chdir(desk.work)


def submodule(desk: Desk) -> None:
    (desk.repository / ".env").write_text(ASKED)
    make_repository(desk.repository)
    git(desk.work, "init", "-q")
    git(desk.work, "-c", "protocol.file.allow=always", "submodule", "add", "-q", str(desk.repository), "part")
    os.chdir(desk.work / "part")


def folder_within(desk: Desk) -> None:
    inner = desk.work / "a" / "b"
    inner.mkdir(parents=True)
    (inner / ".env").write_text(ASKED)
    make_repository(desk.work)
    os.chdir(inner)


def behind_a_link(desk: Desk) -> None:
    (desk.work / ".env").rename(desk.work / "other")
    (desk.work / ".env").symlink_to("other")


def writable_by_all(desk: Desk) -> None:
    (desk.work / ".env").chmod(0o666)


def of_another_user(desk: Desk) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs root to give a file away")
    os.chown(desk.work / ".env", 12345, 12345)


def pipe(desk: Desk) -> None:
    (desk.work / ".env").unlink()
    os.mkfifo(desk.work / ".env")


def of_mercurial(desk: Desk) -> None:
    (desk.work / ".hg").mkdir()


def garbage_for_an_index(desk: Desk) -> None:
    git(desk.work, "init", "-q")
    (desk.work / ".git" / "index").write_bytes(b"DIRC\0\0\0\2\xff\xff\xff\xff")


def pipe_for_an_index(desk: Desk) -> None:
    git(desk.work, "init", "-q")
    os.mkfifo(desk.work / ".git" / "index")


def endless(desk: Desk) -> None:
    (desk.work / ".env").write_text(ASKED + "#" * (2 << 20))


SUSPECT = [
    committed, staged, ignored_and_committed, hidden_from_status, version(2), version(3), version(4), split_index,
    ids_of_sha256, linked_work_tree, submodule, folder_within, behind_a_link, writable_by_all, of_another_user, pipe,
    of_mercurial, garbage_for_an_index, pipe_for_an_index, endless,
]  # fmt: skip


@pytest.mark.parametrize("build", SUSPECT, ids=lambda build: build.__name__)
def test_what_may_have_come_with_a_repository_is_not_read(here: Desk, build: Callable[[Desk], None]) -> None:
    (here.work / ".env").write_text(ASKED)
    build(here)
    cloud, lines = read()
    assert cloud is None
    assert len(lines) == 1 and lines[0].startswith("ignoring ./.env: ") and "--config .env" in lines[0]


def test_the_same_holds_for_envagent_toml(here: Desk) -> None:
    here.write(envagent_toml='cloud = "theirs"\n')
    assert read() == ("theirs", [])
    make_repository(here.work)
    cloud, [line] = read()
    assert cloud is None and line.startswith("ignoring ./envagent.toml: git tracks it")


def test_nothing_inside_the_repository_under_analysis_is_read(here: Desk) -> None:
    here.write(_env=ASKED, envagent_toml="[lease]\nhours = 168\n")
    link = here.work.with_name("link")
    link.symlink_to(here.work)
    for repository in (here.work, here.work.parent, link, here.work / "." / ".." / "work"):
        cloud, lines = read(repository)
        assert cloud is None and len(lines) == 2 and "inside the repository under analysis" in lines[0]
    assert read(here.repository) == ("theirs", [])


@pytest.mark.parametrize("name", ["GIT_DIR", "GIT_INDEX_FILE", "GIT_WORK_TREE"])
def test_git_variables_do_not_mislead(here: Desk, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    here.write(_env=ASKED)
    make_repository(here.work)
    monkeypatch.setenv(name, str(here.repository / ".git"))
    assert read()[0] is None


def test_git_is_not_run(here: Desk, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    here.write(_env=ASKED)
    make_repository(here.work)
    canary = tmp_path / "canary"
    (here.work / ".git" / "config").write_text(f'[core]\nfsmonitor = "touch {canary}"\n')
    assert read()[0] is None and not canary.exists()


def empty_repository(desk: Desk) -> None:
    git(desk.work, "init", "-q")


def others_are_tracked(desk: Desk) -> None:
    for name in (".environment", "a.env", "env", ".en"):
        (desk.work / name).write_text("")
    (desk.work / ".env").rename(desk.work.parent / "kept")
    make_repository(desk.work)
    (desk.work.parent / "kept").rename(desk.work / ".env")


def others_are_tracked_in_version_4(desk: Desk) -> None:
    others_are_tracked(desk)
    git(desk.work, "update-index", "--index-version", "4")


def others_are_tracked_with_sha256(desk: Desk) -> None:
    (desk.work / "x").write_text("")
    git(desk.work, "init", "-q", "--object-format=sha256")
    git(desk.work, "add", "x")


@pytest.mark.parametrize(
    "build",
    [empty_repository, others_are_tracked, others_are_tracked_in_version_4, others_are_tracked_with_sha256],
    ids=lambda build: build.__name__,
)
def test_an_untracked_file_of_ones_own_is_read(here: Desk, build: Callable[[Desk], None]) -> None:
    (here.work / ".env").write_text(ASKED)
    build(here)
    assert read() == ("theirs", [])


def test_the_environment_stays_as_it_was(here: Desk) -> None:
    before = dict(os.environ)
    here.write(_env="PYTHONPATH=x\nPATH=x\nOS_CLOUD=chi\nOPENAI_API_KEY=k\nENVAGENT_LEASE__HOURS=7\n")
    settings = config.load()
    assert dict(os.environ) == before
    assert settings.lease.hours == 7 and settings.login.variables == {"OS_CLOUD": "chi"}
    assert settings.ai.api_key is not None and settings.ai.api_key.get_secret_value() == "k"


def test_our_variables_are_not_woven_into_theirs(here: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """An address with ${OPENAI_API_KEY} in its path would carry the key away without any header."""
    monkeypatch.setenv("SECRET", PASSWORD)
    here.write(_env="ENVAGENT_AI__BASE_URL=http://evil.example.org/${SECRET}\nENVAGENT_AI__API_KEY=theirs\n")
    assert config.load().ai.base_url == "http://evil.example.org/${SECRET}"


@pytest.mark.parametrize(
    ("env", "toml", "said"),
    [
        ("ENVAGENT_HOME=state\n", "", "home"),
        ("", 'home = "state"\n', "home"),
        ("ENVAGENT_KEY__PUBLIC_KEY=evil.pub\n", "", "key.public_key"),
        ("", '[key]\npublic_key = "evil.pub"\n', "key.public_key"),
        ("", '[key]\ngithub = "http://evil"\n', "key.github"),
        ("OPENAI_BASE_URL=http://evil/v1\n", "", "ai.base_url"),
        ("ENVAGENT_AI__BASE_URL=http://evil/v1\n", "", "ai.base_url"),
        ("ENVAGENT_AI__API_KEY=theirs\n", '[ai]\nbase_url = "http://evil/v1"\n', "ai.base_url"),
    ],
)
def test_what_an_archive_could_misuse_must_be_named(
    here: Desk, monkeypatch: pytest.MonkeyPatch, env: str, toml: str, said: str
) -> None:
    monkeypatch.setenv("ENVAGENT_AI__API_KEY", KEY)
    files = {".env": env, "envagent.toml": toml}
    for name, text in files.items():
        if text:
            (here.work / name).write_text(text)
    lines: list[str] = []
    settings = config.load(report=lines.append)
    assert settings.home.is_absolute() and settings.key.public_key is None and settings.ai.base_url is None
    assert settings.key.github == "https://github.com"
    assert len(lines) == 1 and said in lines[0] and "--config" in lines[0]
    named = config.load(files=[Path(name) for name, text in files.items() if text], report=lines.append)
    asked = {"home": named.home == Path("state"), "key.public_key": named.key.public_key == Path("evil.pub")}
    asked["key.github"] = named.key.github == "http://evil"
    assert asked.get(said, named.ai.base_url == "http://evil/v1") and len(lines) == 1


def test_an_ai_of_the_folders_own_is_asked_with_its_own_key(here: Desk) -> None:
    here.write(_env="OPENAI_API_KEY=local\n", envagent_toml='[ai]\nbase_url = "http://127.0.0.1:8080/v1"\n')
    lines: list[str] = []
    settings = config.load(report=lines.append)
    assert settings.ai.base_url == "http://127.0.0.1:8080/v1" and lines == []
    (here.work / ".env").unlink()
    assert config.load(report=lines.append).ai.base_url == "http://127.0.0.1:8080/v1"  # a server that needs no key


def test_the_environment_is_stronger_than_files_and_named_files_stand_alone(
    here: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    here.write(
        _env="ENVAGENT_CLOUD=env\nENVAGENT_LEASE__HOURS=3\n", envagent_toml='cloud = "toml"\n[lease]\nmax_hours = 9\n'
    )
    (here.work / "other.toml").write_text("[lease]\nhours = 5\n")
    settings = config.load()
    assert (settings.cloud, settings.lease.hours, settings.lease.max_hours) == ("env", 3, 9)
    monkeypatch.setenv("ENVAGENT_CLOUD", "shell")
    assert config.load().cloud == "shell" and config.load(cloud="flag").cloud == "flag"
    named = config.load(files=[Path("other.toml")])
    assert (named.cloud, named.lease.hours, named.lease.max_hours) == ("shell", 5, 168)
    with pytest.raises(ConfigurationError, match="nowhere"):
        config.load(files=[Path("nowhere.toml")])


def test_a_home_that_others_can_write_to_is_refused(desk: Desk) -> None:
    home = desk.home / "state"
    home.mkdir()
    home.chmod(0o777)
    for command in (
        ("status", "last"),
        ("run", str(desk.repository), "--cloud", "sandbox", "--yes"),
        ("sandbox", "reset"),
    ):
        (home / "journal.db").touch()
        ended = desk.run_warm(*command, ENVAGENT_HOME=str(home))
        assert ended.code == 2 and "other users can write to the folder" in ended.err
        assert f"chmod go-w {home}" in ended.err
        assert [one.name for one in home.iterdir()] == ["journal.db"]
    (home / "journal.db").unlink()
    home.chmod(0o755)
    assert json.loads(desk.run_warm("status", "--json", ENVAGENT_HOME=str(home)).out)["runs"] == []
