"""A real PostgreSQL of one's own in a temporary folder, reached by its socket alone."""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path

PROGRAMS = ("usr/lib/postgresql/*/bin", "usr/pgsql-*/bin", "usr/local/bin", "usr/bin")
"""Where distributions put the server's programs."""

PATIENCE = 30.0
"""Seconds until it must have started."""

QUICK = ("fsync=off", "full_page_writes=off", "synchronous_commit=off", "autovacuum=off")
"""For tests in which no machine loses its power."""


def programs() -> Path | None:
    """Return the folder of the newest server's programs; None where there is none."""
    found = [one.parent for pattern in PROGRAMS for one in sorted(Path("/").glob(f"{pattern}/initdb"))]
    return found[0] if found else None


class Postgres:
    """A server with its data; `close` stops it and removes everything."""

    def __init__(self, *settings: str) -> None:
        found = programs()
        if found is None:
            raise FileNotFoundError("no PostgreSQL is installed")
        self._programs, self._settings = found, settings
        self._folder = folder = Path(tempfile.mkdtemp(prefix="pg"))  # the path of a socket has to be short
        self._options: dict[str, str] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            owner = pwd.getpwnam("postgres")
            shutil.chown(folder, owner.pw_uid, owner.pw_gid)
            self._options["user"] = "postgres"
        made = ["-D", str(folder / "data"), "-U", "envagent", "-A", "trust", "-E", "UTF8", "--no-sync"]
        self._run("initdb", *made, "--locale=C.UTF-8")
        self._server: subprocess.Popen[bytes] | None = None
        self.databases: set[str] = set()
        self.start()

    def start(self) -> None:
        """Start the server and wait until it answers."""
        settings = [word for one in self._settings for word in ("-c", one)]
        sockets = ["-c", "listen_addresses=", "-c", f"unix_socket_directories={self._folder}"]
        with (self._folder / "log").open("ab") as log:
            self._server = subprocess.Popen(
                [self._programs / "postgres", "-D", self._folder / "data", *sockets, *settings],
                stdout=log,
                stderr=log,
                cwd=self._folder,
                user=self._options.get("user"),
            )
        ready = [str(self._programs / "pg_isready"), "-q", "-h", str(self._folder), "-U", "envagent"]
        deadline = time.monotonic() + PATIENCE
        while subprocess.run(ready, check=False).returncode != 0:
            if time.monotonic() > deadline or self._server.poll() is not None:
                raise AssertionError((self._folder / "log").read_text("utf-8"))
            time.sleep(0.05)

    @property
    def pid(self) -> int:
        """The server's process id."""
        assert self._server is not None
        return self._server.pid

    def stop(self, *, at_once: bool = False) -> None:
        """Stop the server, breaking every connection; `at_once` as a crash would, to recover at the next start."""
        if self._server is not None:
            self._server.send_signal(signal.SIGQUIT if at_once else signal.SIGINT)
            self._server.wait(PATIENCE)
            self._server = None

    def database(self, name: str) -> str:
        """Make an empty database and return its URL."""
        return self.copy(name, "template1")

    def copy(self, name: str, original: str) -> str:
        """Make a database like another one, to which nobody is connected, and return its URL."""
        self._execute(f'CREATE DATABASE "{name}" TEMPLATE "{original}"')
        self.databases.add(name)
        return self._url(name)

    def drop(self, url: str) -> str:
        """Drop a database, whoever is connected to it, and return its name."""
        name = url.removeprefix("postgresql://envagent@/").partition("?")[0]
        self._execute(f'DROP DATABASE IF EXISTS "{name}" WITH (FORCE)')
        self.databases.discard(name)
        return name

    def close(self) -> None:
        """Stop the server and remove its data."""
        self.stop(at_once=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _url(self, name: str) -> str:
        return f"postgresql://envagent@/{name}?host={self._folder}"

    def _execute(self, statement: str) -> None:
        import psycopg  # a program that only looks for the server needs no client

        with psycopg.connect(self._url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words],
            cwd=self._folder,
            capture_output=True,
            text=True,
            check=False,
            user=self._options.get("user"),
        )
        if done.returncode:
            raise AssertionError(f"{program}: {done.stderr}")
