from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from envagent.cli.render.hint_text import hint_text
from envagent.errors import RepositoryRefused
from envagent.repository.fetch import Limits
from envagent.repository.fetch import fetch as product_fetch
from envagent.repository.git import Cancelled
from envagent.repository.source import Remote
from tests.kit.git import git
from tests.kit.loopback import fetch, find
from tests.kit.servers import free_port, relay, reset, serving
from tests.unit.repository.conftest import Make

Serve = Callable[[Path], str]
FILES = {"README.md": "# it\n", "setup.py": "setup()\n", "src/large.c": "int x;\n" * 5000}


@pytest.mark.parametrize("filters", [True, False], ids=["with filter", "without"])
def test_a_server_with_and_without_filters_gives_the_same(make: Make, serve: Serve, filters: bool) -> None:
    folder = make(FILES)
    git(folder, "config", "uploadpack.allowFilter", str(filters).lower())
    snapshot = fetch(serve(folder))
    assert snapshot.files == {"README.md": "# it\n", "setup.py": "setup()\n"}
    assert [e.path for e in snapshot.entries] == ["README.md", "setup.py", "src/large.c"]
    # Only what was fetched has a known size.
    assert {e.path: e.size for e in snapshot.entries}["src/large.c"] == (None if filters else 35000)


def test_git_itself_refuses_any_transport_but_https(make: Make, serve: Serve) -> None:
    with pytest.raises(RepositoryRefused) as refused:
        product_fetch(Remote(serve(make(FILES)), ()))
    assert "transport 'git' not allowed" in (refused.value.service_said or "")


def test_a_branch_whose_name_has_a_slash_is_found_behind_its_page(make: Make, serve: Serve) -> None:
    folder = make(FILES)
    git(folder, "branch", "topic/one")
    git(folder, "config", "uploadpack.allowFilter", "true")
    assert fetch(serve(folder), ref="topic/one").ref == "topic/one"


def test_a_commit_can_be_named(make: Make, serve: Serve) -> None:
    folder = make(FILES)
    commit = git(folder, "rev-parse", "HEAD")
    assert fetch(serve(folder), ref=commit).commit == commit


def test_a_server_of_sha256_is_read(make: Make, serve: Serve) -> None:
    folder = make(FILES, "modern", "--object-format=sha256")
    git(folder, "config", "uploadpack.allowFilter", "true")
    find(serve(folder))
    snapshot = fetch(serve(folder))
    assert snapshot.commit == git(folder, "rev-parse", "HEAD")
    assert snapshot.files == {"README.md": "# it\n", "setup.py": "setup()\n"}


@pytest.mark.parametrize(("here", "taken"), [(["trunk"], "trunk"), (["dev", "main"], "main")])
def test_a_server_whose_head_names_no_branch(make: Make, serve: Serve, here: list[str], taken: str) -> None:
    folder = make(FILES)
    git(folder, "branch", "-m", here[0])
    for name in here[1:]:
        git(folder, "branch", name)
    git(folder, "symbolic-ref", "HEAD", "refs/heads/gone")
    find(serve(folder))
    snapshot = fetch(serve(folder))
    assert (snapshot.ref, set(snapshot.files)) == (taken, {"README.md", "setup.py"})
    assert any(f"read {taken}" in note for note in snapshot.notes)


def test_a_server_without_a_likely_branch_has_its_branches_named(make: Make, serve: Serve) -> None:
    folder = make(FILES)
    git(folder, "branch", "-m", "one")
    git(folder, "branch", "two;x")
    git(folder, "symbolic-ref", "HEAD", "refs/heads/gone")
    with pytest.raises(RepositoryRefused, match="one, two") as refused:
        fetch(serve(folder))
    assert "--ref one" in hint_text(refused.value.hint)
    assert fetch(serve(folder), ref="two;x").ref == "two;x"


def test_refusals_have_their_own_words(make: Make, serve: Serve, tmp_path: Path) -> None:
    folder = make(FILES)
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    cases = {
        (serve(tmp_path / "empty"), None): "no commits",
        (serve(tmp_path / "absent"), None): "no public repository",
        (serve(folder), "nosuch"): "no branch, tag or commit 'nosuch'",
    }
    for (url, ref), words in cases.items():
        with pytest.raises(RepositoryRefused, match=words):
            fetch(url, ref=ref)


def test_one_lost_connection_is_tried_again(make: Make, serve: Serve) -> None:
    folder = make(FILES)
    git(folder, "config", "uploadpack.allowFilter", "true")
    url = serve(folder)
    port, path = url.removeprefix("git://127.0.0.1:").split("/", 1)
    seen: list[int] = []

    def lose_the_first(client: socket.socket) -> None:
        seen.append(1)
        reset(client) if len(seen) == 1 else relay(client, int(port))

    with serving(lose_the_first) as proxy:
        snapshot = fetch(f"git://127.0.0.1:{proxy}/{path}")
    assert set(snapshot.files) == {"README.md", "setup.py"}
    # The lost one, one for commit and trees, one for all files.
    assert len(seen) == 3


def test_a_host_that_is_not_there_says_so() -> None:
    with pytest.raises(RepositoryRefused, match="could not be reached in two") as refused:
        fetch(f"git://127.0.0.1:{free_port()}/x")
    assert refused.value.service_said


def test_a_server_that_says_nothing_ends_at_the_deadline_or_when_stopped() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"git://127.0.0.1:{silent.getsockname()[1]}/x"
        with pytest.raises(RepositoryRefused, match="too long"):
            fetch(url, limits=Limits(seconds=0.5))
        with pytest.raises(Cancelled):
            fetch(url, cancelled=lambda: True)


def test_a_server_that_sends_too_much_is_refused(make: Make, serve: Serve) -> None:
    folder = make(
        {"README.md": "# it\n", **{f"f{n}": bytes((n * 7 + i * 31) % 251 for i in range(60_000)) for n in range(9)}}
    )
    git(folder, "config", "uploadpack.allowFilter", "false")
    with pytest.raises(RepositoryRefused, match="sends more than"):
        fetch(serve(folder), limits=Limits(transfer_bytes=1000))


def test_what_is_not_there_is_told_without_fetching(make: Make, serve: Serve, tmp_path: Path) -> None:
    folder = make(FILES)
    git(folder, "branch", "topic/one")
    git(folder, "tag", "v1")
    (tmp_path / "empty").mkdir()
    git(tmp_path / "empty", "init", "-q")
    commit = git(folder, "rev-parse", "HEAD")
    for source in (serve(folder), str(folder)):
        for ref in (None, "main", "topic/one", "v1", commit):
            find(source, ref=ref)
        with pytest.raises(RepositoryRefused, match="no branch, tag or commit 'nosuch'"):
            find(source, ref="nosuch")
    for source in (serve(tmp_path / "empty"), str(tmp_path / "empty")):
        with pytest.raises(RepositoryRefused, match="no commits"):
            find(source)
    with pytest.raises(RepositoryRefused, match="no public repository"):
        find(serve(tmp_path / "absent"))
