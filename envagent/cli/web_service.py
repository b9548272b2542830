"""What connects the web page of a fleet to a home: its tokens, its journal, and the names it answers to."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from envagent.cli.home import Home
from envagent.errors import ConfigurationError, UsageError
from envagent.hints import Hint, Option, Shell

if TYPE_CHECKING:
    from envagent.web.web_tokens import TokenFile

_OWNER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


def tokens_of(home: Home) -> TokenFile:
    """Return the tokens with which people log in to the page of a home."""
    from envagent.web.web_tokens import TokenFile

    home.prepare()
    return TokenFile(home.web_tokens)


def check_owner(owner: str) -> None:
    """Check that this can be the name of an owner.

    Raises:
        UsageError: it cannot.
    """
    if _OWNER.fullmatch(owner) is None:
        raise UsageError(
            f"{owner!r} cannot be an owner", hint=Hint("use up to 64 letters, digits and . _ @ -, such as alice@lab")
        )


def public_names(host: str, url: str | None) -> list[str]:
    """Return the names under which people ask for the page.

    Args:
        host: the address to listen on.
        url: the address that people use, if it is another one.

    Raises:
        UsageError: tokens would cross the network unencrypted.
    """
    from envagent.web.guard import LOOPBACK

    if url is None:
        if host not in LOOPBACK:
            raise UsageError(
                f"on {host}, tokens would cross the network unencrypted",
                hint=Hint("let a proxy with TLS pass it on, and name its address with", Option("url", "https://HOST")),
            )
        return []
    parts = urlsplit(url)
    if parts.scheme != "https" or not parts.hostname or parts.path not in ("", "/") or parts.query:
        raise UsageError(f"{url!r} is not an https address without a path", hint=Hint("such as https://fleet.lab.edu"))
    return [parts.hostname]


def serve_fleet(
    home: Home, *, host: str, port: int, names: list[str], proxied: bool, say: Callable[[str], None]
) -> None:
    """Serve the page until Ctrl-C or SIGTERM.

    Args:
        home: the home whose journal is shown.
        host: the address to listen on.
        port: the port to listen on.
        names: the names under which people ask for the page, apart from those of this machine.
        proxied: whether a proxy says who the clients are.
        say: shows a line to whoever started it.

    Raises:
        ConfigurationError: the packages are not installed, or the address cannot be used.
    """
    try:
        from envagent.web.pages import Fleet
        from envagent.web.service import listen, serve
    except ModuleNotFoundError as error:
        if error.name != "jinja2":
            raise
        raise ConfigurationError(
            "the web page needs the fleet's packages", hint=Hint(Shell("pip", "install", "envagent[fleet]"))
        ) from None
    tokens = tokens_of(home)
    with listen(host, port) as listener, home.opened_journal(everyone=True) as journal:
        shown = f"[{host}]" if ":" in host else host
        address = f"https://{names[0]}, which a proxy passes on to port" if names else f"http://{shown}:"
        number = listener.getsockname()[1]

        def ready() -> None:
            if not tokens.tokens():
                say("nobody can log in yet; to make a token: envagent serve token OWNER --operator")
            say(f"{address} {number} until Ctrl-C" if names else f"{address}{number} until Ctrl-C")

        serve(Fleet(journal, home.is_worked_on, tokens), listener, hosts=names, proxied=proxied, ready=ready)
    say("stopped")
