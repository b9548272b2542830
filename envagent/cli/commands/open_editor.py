"""envagent open: the server of a run in an editor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import typer

from envagent.cli.commands.options import CONFIG, RUN_ID, examples

if TYPE_CHECKING:
    from envagent.cli.logins import ServerLogin

EPILOG = examples("envagent open last", "envagent open last --editor cursor --folder /home/cc/data")

VS_CODE = "{scheme}://vscode-remote/ssh-remote+{host}{folder}"
URLS = {
    "code": VS_CODE.replace("{scheme}", "vscode"),
    "code-insiders": VS_CODE.replace("{scheme}", "vscode-insiders"),
    "codium": VS_CODE.replace("{scheme}", "vscodium"),
    "cursor": VS_CODE.replace("{scheme}", "cursor"),
    "windsurf": VS_CODE.replace("{scheme}", "windsurf"),
    "zed": "zed://ssh/{host}{folder}",
}
"""Each editor with the form of the URL that opens a folder on a remote host in it."""

LOOK_SECONDS = 15


def open_editor(
    run_id: RUN_ID,
    editor: Annotated[
        Literal["code", "code-insiders", "codium", "cursor", "windsurf", "zed"], typer.Option(help="Editor to open.")
    ] = "code",
    folder: Annotated[
        str | None,
        typer.Option(
            metavar="PATH", help="Folder on the server. Default: the repository's in the home folder, if it is there."
        ),
    ] = None,
    config: CONFIG = None,
) -> int:
    """Open the server of a run in an editor.

    On a desktop, starts the editor; prints its URL. Needs the entries for ssh in ~/.ssh/config: `envagent ssh --setup`.
    """
    from envagent.cli.commands.ssh_login import find_login, offer_setup
    from envagent.cli.home import Home, read_settings
    from envagent.cli.render.hint_text import command_text
    from envagent.cli.render.terminal import err, out
    from envagent.cli.ssh_config import is_included, plain_host
    from envagent.hints import Command

    home = Home.of(read_settings(config))
    login = find_login(home, run_id)
    offer_setup(home)
    host = plain_host(login.run_id)
    url = editor_url(editor, host, folder or _folder(login))
    terminal = err()
    if not is_included(home):
        setup = command_text(Command("ssh", (), (("setup", True),)))
        terminal.line(f"note: the editor finds the server only after: {setup}")
    elif _opened(url):
        terminal.line(f"Opening {host} in {editor}.")
    out().whole(url)
    return 0


def editor_url(editor: str, host: str, folder: str) -> str:
    """Return the URL that opens a folder on a server in an editor."""
    from urllib.parse import quote

    return URLS[editor].format(host=host, folder=quote(f"/{folder.lstrip('/')}"))


def _folder(login: ServerLogin) -> str:
    """Return the folder to open: the repository's, if somebody has cloned it there, or the home folder."""
    import re

    from envagent import children

    home = f"/home/{login.target.user}"
    name = re.sub(r"(\.git)?/*$", "", login.repository).rpartition("/")[2]
    if not re.fullmatch(r"\w[\w.-]*", name, re.ASCII):
        return home
    options = ("-o", "BatchMode=yes", "-o", f"ConnectTimeout={LOOK_SECONDS // 2}")
    looked = children.run([*login.target.command(), *options, "test", "-d", name], LOOK_SECONDS, "SSH_AUTH_SOCK")
    return f"{home}/{name}" if looked is not None and looked.returncode == 0 else home


def _opened(url: str) -> bool:
    """Open a URL as a click on it would, if this is a person at a desktop; return whether that was possible."""
    import os
    import shutil
    import sys

    from envagent import children

    if not sys.stdout.isatty():
        return False
    if sys.platform == "darwin":
        opener = "open"
    elif os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
        opener = "xdg-open"
    else:
        return False
    desktop = ("DISPLAY", "WAYLAND_DISPLAY", "XAUTHORITY", "XDG_RUNTIME_DIR", "XDG_CURRENT_DESKTOP", "XDG_DATA_DIRS")
    if shutil.which(opener) is None:
        return False
    done = children.run([opener, url], LOOK_SECONDS, *desktop, "DBUS_SESSION_BUS_ADDRESS")
    return done is not None and done.returncode == 0
