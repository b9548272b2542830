from __future__ import annotations

import pytest

from envagent.errors import RepositoryRefused
from envagent.repository.source import Local, Remote, parse_source


@pytest.mark.parametrize(
    ("written", "url", "refs"),
    [
        ("https://github.com/owner/name", "https://github.com/owner/name.git", ()),
        ("https://github.com/owner/name.git", "https://github.com/owner/name.git", ()),
        ("https://github.com/owner/name/", "https://github.com/owner/name.git", ()),
        ("HTTPS://GitHub.com/owner/name", "https://github.com/owner/name.git", ()),
        ("https://github.com/owner/name?tab=readme-ov-file#usage", "https://github.com/owner/name.git", ()),
        ("https://github.com/owner/name/tree/v1.2", "https://github.com/owner/name.git", ("v1.2",)),
        ("https://github.com/owner/name/tree/a/b", "https://github.com/owner/name.git", ("a/b", "a")),
        ("https://github.com/owner/name/commit/" + "a" * 40, "https://github.com/owner/name.git", ("a" * 40,)),
        ("https://gitlab.com/group/sub/name/-/tree/main", "https://gitlab.com/group/sub/name.git", ("main",)),
        ("https://git.example.org/pub/name.git", "https://git.example.org/pub/name.git", ()),
        ("https://git.example.org/~user/name", "https://git.example.org/~user/name", ()),
    ],
)
def test_addresses_that_people_paste_become_our_own_url(written: str, url: str, refs: tuple[str, ...]) -> None:
    assert parse_source(written) == Remote(url, refs)


def test_a_reference_given_apart_wins_over_the_one_in_the_address() -> None:
    named = parse_source("https://github.com/owner/name/tree/main", ref="v2")
    assert named.refs == ("v2",)


@pytest.mark.parametrize(
    ("written", "hint"),
    [
        ("git@github.com:owner/name.git", "https://github.com/owner/name"),
        ("ssh://git@github.com/owner/name", "https://github.com/owner/name"),
        ("http://github.com/owner/name", "https://"),
        ("file:///etc", "without file://"),
        ("https://user:word@github.com/owner/name", "before the @"),
        ("https://github.com:8443/owner/name", "plain https address"),
        ("https://github.com/owner", "owner/name"),
        ("https://github.com/owner/name/issues", "owner/name"),
    ],
)
def test_a_refusal_says_what_to_write_instead(written: str, hint: str) -> None:
    with pytest.raises(RepositoryRefused) as refused:
        parse_source(written)
    assert hint in refused.value.hint


@pytest.mark.parametrize(
    "written",
    [
        "",
        " ",
        "-upload-pack=x",
        "ext::sh -c x",
        "git://127.0.0.1/x",
        "https://[::1]/a/b",
        "https://h/..",
        "https://h/a%2fb",
    ],
)
def test_what_git_could_take_for_something_else_is_refused(written: str) -> None:
    with pytest.raises(RepositoryRefused):
        parse_source(written)


def test_the_password_of_an_address_is_not_repeated() -> None:
    with pytest.raises(RepositoryRefused) as refused:
        parse_source("https://user:hunter2@github.com/owner/name")
    assert "hunter2" not in str(refused.value.message) + refused.value.hint


def test_loopback_git_only_when_allowed() -> None:
    url = "git://127.0.0.1:9418/x"
    assert parse_source(url, allow_loopback_git=True) == Remote(url, ())
    with pytest.raises(RepositoryRefused):
        parse_source("git://10.0.0.1/x", allow_loopback_git=True)


def test_a_path_is_local() -> None:
    assert isinstance(parse_source("some/folder"), Local)
