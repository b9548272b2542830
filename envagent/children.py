"""The environment of child processes: composed here, never inherited whole.

Each child names what it needs of the user's environment on top of what every program needs; everything else stays
here: credentials, and what makes a program load code or run another one (LD_PRELOAD, GIT_*, SSH_ASKPASS).
"""

from __future__ import annotations

import os

BASICS = ("PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "SYSTEMROOT")
PROXIES = ("http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY")
CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def environment(*further: str, **own: str) -> dict[str, str]:
    """Compose a child's environment.

    Args:
        further: names of the user's variables that this child needs beside BASICS.
        own: variables that we set; they win.
    """
    return {name: os.environ[name] for name in (*BASICS, *further) if name in os.environ} | own
