from __future__ import annotations

import pytest

from envagent.cli.render.hint_text import hint_text
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
        ("https://www.github.com/owner/name", "https://github.com/owner/name.git", ()),
        ("https://github.com:443/owner/name", "https://github.com/owner/name.git", ()),
        ("https://github.com/owner/name/tree/feature%2Fx", "https://github.com/owner/name.git", ("feature/x",)),
        ("https://github.com/owner/name/tree/issue%2340", "https://github.com/owner/name.git", ("issue#40",)),
        ("https://github.com/owner/name/tree/功能", "https://github.com/owner/name.git", ("功能",)),
        ("https://github.com/owner/name/tree/%E5%8A%9F%E8%83%BD", "https://github.com/owner/name.git", ("功能",)),
        ("https://github.com/owner/name/tree/release%2B1,(x)", "https://github.com/owner/name.git", ("release+1,(x)",)),
        ("https://github.com/owner/name/blob/main/.github/x.yml", "https://github.com/owner/name.git", ("main",)),
        ("https://github.com/owner/tree/tree/main", "https://github.com/owner/tree.git", ("main",)),
        ("https://github.com/owner/tree", "https://github.com/owner/tree.git", ()),
        ("https://github.com/owner/blob/blob/v1/a", "https://github.com/owner/blob.git", ("v1/a", "v1")),
        ("https://github.com/owner/name/raw/v1", "https://github.com/owner/name.git", ("v1",)),
        ("https://github.com/owner/name/blame/v1", "https://github.com/owner/name.git", ("v1",)),
        ("https://github.com/owner/name/commits/v1", "https://github.com/owner/name.git", ("v1",)),
        ("https://github.com/owner/name/releases/tag/v1", "https://github.com/owner/name.git", ("v1",)),
        (
            "https://github.com/owner/name/releases/tag/%40scope%2Fa%401.0",
            "https://github.com/owner/name.git",
            ("@scope/a@1.0",),
        ),
        (
            "https://raw.githubusercontent.com/owner/name/v1/README.md",
            "https://github.com/owner/name.git",
            ("v1/README.md", "v1"),
        ),
        ("https://bitbucket.org/team/name/src/main/", "https://bitbucket.org/team/name.git", ("main",)),
        (
            "https://bitbucket.org/team/name/src/main/a/b",
            "https://bitbucket.org/team/name.git",
            ("main/a/b", "main/a", "main"),
        ),
        ("https://bitbucket.org/team/name/branch/topic/x", "https://bitbucket.org/team/name.git", ("topic/x", "topic")),
        ("https://bitbucket.org/team/name/commits/tag/v1", "https://bitbucket.org/team/name.git", ("v1",)),
        ("https://codeberg.org/o/n/src/branch/main", "https://codeberg.org/o/n.git", ("main",)),
        ("https://git.example.org/o/tree/src/branch/main", "https://git.example.org/o/tree", ("main",)),
        ("https://git.example.org/o/tree/tree/main", "https://git.example.org/o/tree", ("main",)),
        ("https://git.example.org/o/src/n", "https://git.example.org/o/src/n", ()),
        ("https://gitlab.com/g/s/n/-/tags/v1", "https://gitlab.com/g/s/n.git", ("v1",)),
        ("https://gitlab.com/g/s/n/-/releases/v1", "https://gitlab.com/g/s/n.git", ("v1",)),
        (
            "https://gitlab.com/g/s/n/-/blob/main/a.py?ref_type=heads",
            "https://gitlab.com/g/s/n.git",
            ("main/a.py", "main"),
        ),
        ("https://gitlab.example.org:8443/g/n/-/tree/main", "https://gitlab.example.org:8443/g/n.git", ("main",)),
        (
            "https://git.sr.ht/~user/name/tree/main/item/x",
            "https://git.sr.ht/~user/name",
            ("main/item/x", "main/item", "main"),
        ),
        ("https://huggingface.co/datasets/o/n/tree/main", "https://huggingface.co/datasets/o/n", ("main",)),
        (
            "https://git.example.org/pub/linux.git/tree/Makefile?h=v6.1",
            "https://git.example.org/pub/linux.git",
            ("v6.1",),
        ),
        (
            "https://dev.azure.com/o/My%20Project/_git/My%20Code",
            "https://dev.azure.com/o/My%20Project/_git/My%20Code",
            (),
        ),
        ("https://dev.azure.com/o/p/_git/n?path=/a&version=GBx%2Fy", "https://dev.azure.com/o/p/_git/n", ("x/y",)),
        ("https://dev.azure.com/o/p/_git/n?version=GTv1", "https://dev.azure.com/o/p/_git/n", ("refs/tags/v1",)),
        ("git+https://github.com/owner/name@v1", "https://github.com/owner/name.git", ("v1",)),
        ("git+https://github.com/owner/name.git@topic/x#egg=n", "https://github.com/owner/name.git", ("topic/x",)),
        ("git+https://github.com/owner/name", "https://github.com/owner/name.git", ()),
        ("https://xn--mnchen-3ya.example.org/o/n", "https://xn--mnchen-3ya.example.org/o/n", ()),
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
        ("https://github.com/owner/name/issues", "use https://github.com/owner/name.git"),
        ("https://gitlab.com/g/n/-/issues/3", "use https://gitlab.com/g/n.git"),
        ("ssh://git@ssh.github.com:443/owner/name.git", "use https://github.com/owner/name"),
        ("ssh://git@git.example.org:2222/group/name.git", "use https://git.example.org/group/name"),
        ("ssh://github.com/owner/name", "use https://github.com/owner/name"),
        ("git+ssh://git@github.com/owner/name.git", "use https://github.com/owner/name"),
        ("github.com:owner/name.git", "use https://github.com/owner/name"),
        ("git@ssh.dev.azure.com:v3/o/p/n", "use https://dev.azure.com/o/p/_git/n"),
        ("ssh://-oProxyCommand=x/y", "https://host/owner/name"),
        ("https://münchen.example.org/o/n", "https://xn--mnchen-3ya.example.org"),
        ("https://localhost:8443/o/n", "plain https address"),
        ("https://10.0.0.5:8443/o/n", "plain https address"),
    ],
)
def test_a_refusal_says_what_to_write_instead(written: str, hint: str) -> None:
    with pytest.raises(RepositoryRefused) as refused:
        parse_source(written)
    assert hint in hint_text(refused.value.hint)


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


@pytest.mark.parametrize("scheme", ["https", "http", "ftp", "git+https", "ssh"])
def test_the_password_of_an_address_is_not_repeated(scheme: str) -> None:
    with pytest.raises(RepositoryRefused) as refused:
        parse_source(f"{scheme}://user:hunter2@github.com/owner/name")
    assert "hunter2" not in str(refused.value.message) + hint_text(refused.value.hint)


@pytest.mark.parametrize("host", ["127.0.0.1:9418", "10.0.0.1", "github.com"])
def test_gits_own_protocol_is_refused(host: str) -> None:
    with pytest.raises(RepositoryRefused, match="Only https"):
        parse_source(f"git://{host}/x")


def test_a_path_is_local() -> None:
    assert isinstance(parse_source("some/folder"), Local)
