"""The web page: who sees what, nothing unescaped, and what every exchange must fulfill."""

from __future__ import annotations

import json
import re
import signal
import urllib.request
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError
from starlette.testclient import TestClient

from envagent.cli.documents.run_list import Labels
from envagent.cli.documents.run_models import DecisionPart
from envagent.engine.journal import Journal
from envagent.engine.step import Output
from envagent.engine.tables import RECORDS, RunRecord, StageRecord
from envagent.errors import ConfigurationError
from envagent.web import sessions
from envagent.web.guard import HEADERS
from envagent.web.pages import Fleet, application
from envagent.web.web_tokens import TokenFile, digest
from tests.cli.conftest import Cli
from tests.cli.test_run_list import a_run

LOCAL = "http://localhost"


class Visit:
    """A browser without a face."""

    def __init__(self, fleet: Fleet, log: list[dict[str, Any]], base: str = LOCAL) -> None:
        app = application(fleet, hosts=["fleet.lab.edu"], log=log.append)
        self.client = TestClient(app, base_url=base, follow_redirects=False, raise_server_exceptions=False)

    def form(self, path: str = "/login") -> str:
        found = re.search(r'name="form" value="(\w+)"', self.client.get(path).text)
        assert found is not None
        return found[1]

    def log_in(self, token: str) -> int:
        return self.client.post("/login", data={"token": token, "form": self.form()}).status_code

    def get(self, path: str) -> tuple[int, str]:
        response = self.client.get(path)
        return response.status_code, response.text


@pytest.fixture
def fleet(tmp_path: Path) -> Iterator[Fleet]:
    """Two runs of alice (one archived), two of bob, one that nobody submitted."""
    journal = Journal.open(tmp_path / "journal.db")
    for number, owner in enumerate(("alice", "bob", "alice", "bob", None)):
        with journal.transaction() as transaction:
            row, *others = a_run(number, hours=12)
            assert isinstance(row, RunRecord)
            row.owner = owner
            row.labels = json.dumps({"repository": f"https://github.com/{owner}/toy{number}", "site": "CHI@UC"})
            row.archived_at = row.created_at if number == 2 else None
            transaction.save(row, *others)
    yield Fleet(journal, lambda run_id: False, TokenFile(tmp_path / "tokens.json"))
    journal.close()


@pytest.fixture
def log() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def visit(fleet: Fleet, log: list[dict[str, Any]]) -> Visit:
    return Visit(fleet, log)


RUN = "run{:07}"


def test_an_owner_sees_their_own_runs_only_by_any_url(fleet: Fleet, visit: Visit) -> None:
    assert visit.log_in(fleet.tokens.make("alice", operator=False, days=1)) == 303
    addresses = ("/", "/?owner=bob", "/?owner=", "/?all=on&archived=on", "/?repository=bob&owner=bob", "/?state=failed")
    for address in addresses:
        status, page = visit.get(address)
        assert status == 200
        assert not {RUN.format(one) for one in (1, 3, 4)} & {*re.findall(r"run\d{7}", page)}, address
        assert not re.search(r"github.com/(bob|None)|<td>bob", page)
    assert RUN.format(0) in visit.get("/")[1]
    assert RUN.format(2) not in visit.get("/")[1]
    assert RUN.format(2) in visit.get("/?archived=on")[1]
    assert visit.get(f"/runs/{RUN.format(2)}")[0] == 200
    missing = visit.get("/runs/run0000099")
    assert missing[0] == 404
    own = RUN.format(0)
    for path in (
        *(RUN.format(one) for one in (1, 3, 4)),
        "last",
        own[:-1],
        own.upper(),
        f"{own}%00",
        f"{own}/..",
        "%25",
    ):
        assert visit.get(f"/runs/{path}") == missing, path
    assert visit.client.get("/metrics").status_code == 401


def test_an_operator_sees_all_and_can_filter(fleet: Fleet, visit: Visit) -> None:
    visit.log_in(fleet.tokens.make("carol", operator=True, days=1))
    assert {*re.findall(r"run\d{7}", visit.get("/?archived=on")[1])} == {RUN.format(one) for one in range(5)}
    table = visit.get("/?owner=bob")[1].partition("<tbody>")[2].partition("</tbody>")[0]
    assert {*re.findall(r"run\d{7}", table)} == {RUN.format(1), RUN.format(3)}
    assert "toy4" not in visit.get("/?repository=toy1")[1]
    assert visit.get(f"/runs/{RUN.format(4)}")[0] == 200


def test_without_a_valid_session_there_is_only_the_login(fleet: Fleet, log: list[dict[str, Any]]) -> None:
    token = fleet.tokens.make("alice", operator=False, days=1)
    visit = Visit(fleet, log)
    for cookie in ("", "forged", token, digest(token)):
        visit.client.cookies.set("envagent_session", cookie)
        for path in ("/", f"/runs/{RUN.format(0)}", "/runs/nothing"):
            response = visit.client.get(path)
            assert (response.status_code, response.headers["location"], response.text) == (303, "/login", "")
    visit.client.cookies.clear()
    for wrong in ("", token[:-1], "envagent_é", digest(token)):
        assert visit.log_in(wrong) == 401
    assert visit.log_in(token) == 303
    cookie = visit.client.cookies["envagent_session"]
    elsewhere = Visit(fleet, log)  # another process does not know the session
    elsewhere.client.cookies.set("envagent_session", cookie)
    assert elsewhere.get("/")[0] == 303
    fleet.tokens.make("alice", operator=False, days=1)
    assert visit.get("/")[0] == 200
    fleet.tokens.revoke("alice")
    assert visit.get("/")[0] == 303
    assert visit.log_in(token) == 401


def test_tokens_expire_and_are_stored_as_hashes(fleet: Fleet, visit: Visit) -> None:
    token = fleet.tokens.make("alice", operator=False, days=1)
    path = fleet.tokens.path
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text() and digest(token) in path.read_text()
    expired = re.sub(r'("expires_at": ")\d{4}', r"\g<1>2020", path.read_text())
    path.write_text(expired)
    assert visit.log_in(token) == 401
    assert len(fleet.tokens.tokens()) == 1
    fleet.tokens.make("bob", operator=False, days=1)
    assert [one.owner for one in fleet.tokens.tokens()] == ["bob"]
    path.chmod(0o644)
    with pytest.raises(ConfigurationError, match="other users"):
        fleet.tokens.tokens()
    assert visit.get("/healthz")[0] == 200
    assert visit.log_in(token) == 503


def test_a_login_must_come_from_its_form_and_can_be_tried_a_few_times(
    fleet: Fleet, visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = fleet.tokens.make("alice", operator=False, days=1)
    visit.client.get("/login")
    for form in ("", "0" * 64, "é"):
        assert visit.client.post("/login", data={"token": token, "form": form}).status_code == 403
    assert "envagent_session" not in visit.client.cookies
    assert visit.client.post("/login", content=b"token=" + b"x" * 10_000).status_code == 413
    for _ in range(sessions.MOST_FAILURES):
        assert visit.log_in("wrong") == 401
    refused = visit.client.post("/login", data={"token": token, "form": visit.form()})
    assert (refused.status_code, 0 < int(refused.headers["retry-after"]) <= 60) == (429, True)
    monkeypatch.setattr(sessions, "WINDOW_SECONDS", 0.0)
    assert visit.log_in(token) == 303
    assert visit.client.post("/logout", data={"form": "0" * 64}).status_code == 403
    assert visit.get("/")[0] == 200
    form, cookie = visit.form("/"), visit.client.cookies["envagent_session"]
    assert visit.client.post("/logout", data={"form": form}).status_code == 303
    visit.client.cookies.set("envagent_session", cookie)
    assert visit.get("/")[0] == 303


@pytest.mark.parametrize(("base", "prefix", "secure"), [(LOCAL, "", False), ("https://fleet.lab.edu", "__Host-", True)])
def test_a_cookie_is_kept_from_scripts_and_other_sites(
    fleet: Fleet, log: list[dict[str, Any]], base: str, prefix: str, secure: bool
) -> None:
    visit = Visit(fleet, log, base)
    form, token = visit.form(), fleet.tokens.make("alice", operator=False, days=1)
    response = visit.client.post("/login", data={"token": token, "form": form})
    name, *attributes = response.headers["set-cookie"].split("; ")
    assert name.startswith(f"{prefix}envagent_session=")
    assert {"HttpOnly", "SameSite=strict", "Path=/"} <= {*attributes}
    assert ("Secure" in attributes) is secure


def test_every_response_has_the_headers(
    fleet: Fleet, visit: Visit, monkeypatch: pytest.MonkeyPatch, log: list[dict[str, Any]]
) -> None:
    token = fleet.tokens.make("alice", operator=False, days=1)
    client = visit.client
    responses = [client.get(path) for path in ("/", "/login", "/nothing", "/style.css", "/metrics", "/healthz")]
    responses += [client.post("/"), client.get("/", headers={"Host": "evil.example"})]
    visit.log_in(token)
    responses.append(client.get(f"/?repository={token}"))
    monkeypatch.setattr(Journal, "runs", None)
    responses.append(client.get("/"))
    assert [one.status_code for one in responses] == [303, 200, 404, 200, 401, 200, 405, 400, 200, 500]
    for one in responses:
        assert {name: one.headers[name] for name in HEADERS} == HEADERS
    assert "default-src 'none'" in HEADERS["Content-Security-Policy"]
    assert (log[-1]["path"], log[-1]["status"], log[-1]["error"]) == ("/", 500, "TypeError")
    assert token not in json.dumps(log)
    assert {one["owner"] for one in log} == {None, "alice"}


@pytest.mark.parametrize(
    "host", ["evil.example", "localhost.evil.example", "127.0.0.1.nip.io", "", "[::2]", "192.0.2.1"]
)
def test_another_name_is_refused(visit: Visit, host: str) -> None:
    assert visit.client.get("/login", headers={"Host": host}).status_code == 400


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost", "[::1]:80", "FLEET.lab.edu:443"])
def test_its_own_names_are_answered(visit: Visit, host: str) -> None:
    assert visit.client.get("/login", headers={"Host": host}).status_code == 200


def test_the_figures_are_for_an_operator(fleet: Fleet, visit: Visit) -> None:
    def metrics(token: str) -> tuple[int, str]:
        response = visit.client.get("/metrics", headers={"Authorization": f"Bearer {token}"})
        return response.status_code, response.text

    assert metrics(fleet.tokens.make("alice", operator=False, days=1))[0] == 403
    assert metrics("forged")[0] == 401
    status, text = metrics(fleet.tokens.make("carol", operator=True, days=1))
    assert status == 200
    assert 'envagent_runs{state="running"} 1\n' in text  # a fleet's workers go on with it, whichever is alive
    assert 'envagent_runs{state="interrupted"} 1\n' in text
    assert 'envagent_service_units{owner="bob"} 48.0\n' in text
    assert re.search(r"^envagent_leases_ending_soon \d+$", text, re.MULTILINE)
    for _ in range(sessions.MOST_FAILURES):
        metrics("forged")
    assert metrics("forged")[0] == 429


class Structure(HTMLParser):
    """The elements of a page, with the names of their attributes; and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, tuple[str, ...]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, tuple(name for name, _ in attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def outputs() -> dict[str, type[BaseModel]]:
    found: dict[str, type[BaseModel]] = {}
    kinds: list[type[Output]] = [Output]
    for kind in kinds:
        kinds += kind.__subclasses__()
        found[kind.__name__] = kind
    return found


def poisoned(text: str, poison: str, fits: Callable[[str], object]) -> str:
    """Append the poison to every text in a JSON value that may hold any text; to the same field of a list at once."""
    document = json.loads(text)
    fields: defaultdict[str, list[tuple[Any, Any]]] = defaultdict(list)

    def collect(holder: Any, key: Any, path: str) -> None:
        value = holder[key]
        if isinstance(value, dict):
            for name in value:
                collect(value, name, f"{path}.{name}")
        elif isinstance(value, list):
            for number in range(len(value)):
                collect(value, number, f"{path}[]")
        elif isinstance(value, str):
            fields[path].append((holder, key))

    collect([document], 0, "")
    for places in fields.values():
        before = [holder[key] for holder, key in places]
        for (holder, key), value in zip(places, before, strict=True):
            holder[key] = value + poison
        try:
            fits(json.dumps(document))
        except (ValidationError, ValueError, TypeError):
            for (holder, key), value in zip(places, before, strict=True):
                holder[key] = value
    return json.dumps(document)


ERROR = {
    "error": "ServerFailed",
    "message": "no",
    "hint": None,
    "service_said": "no",
    "request_id": "r",
    "exit_code": 6,
}


def _decision_fits(row: Any, text: str) -> None:
    DecisionPart.model_validate({**json.loads(text), "name": "", "source": "", "step": "", "at": ""})


def poison_all(journal: Journal, run_id: str, poison: str) -> None:
    """Put the poison into every text that a repository, a server, a model or a user may have written."""
    models = outputs()
    checks: dict[tuple[str, str], Callable[[Any, str], object]] = {
        ("runs", "labels"): lambda row, text: Labels.model_validate_json(text),
        ("steps", "output"): lambda row, text: models[row.model].model_validate_json(text),
        ("decisions", "detail"): _decision_fits,
        ("events", "detail"): lambda row, text: None,
    }
    free = {
        "runs": ("owner",),
        "steps": ("status", "wait"),
        "resources": ("name", "cloud_id", "kind"),
        "decisions": ("reason", "source"),
        "events": ("message",),
        "intents": (),
    }
    [row] = journal.selected(RunRecord, [run_id])
    journal.take(row)
    for record in RECORDS:
        for one in journal.selected(record, [run_id]):
            for column in free[record.table_name]:
                setattr(one, column, (getattr(one, column) or "") + poison)
            for (name, column), fits in checks.items():
                if name == record.table_name and getattr(one, column):
                    text = poisoned(getattr(one, column), poison, partial(fits, one))
                    setattr(one, column, text)
            if isinstance(one, RunRecord | StageRecord):
                stage = f"launch_server{poison}.launch"
                one.error = json.dumps(
                    {**{k: v + poison if isinstance(v, str) else v for k, v in ERROR.items()}, "stage": stage}
                )
            if isinstance(one, RunRecord):
                one.epoch = row.epoch
            with journal.transaction() as transaction:
                transaction.save(one)


ATTACK = """<script>alert(1)</script>"'><img src=x onerror=alert(1)>&lt;b&gt;{{7*7}}</td></textarea>\u202e"""


def test_nothing_is_shown_unescaped(cli: Cli, repository: Path, tmp_path: Path) -> None:
    """A page has the same elements and attributes with an attack in every text as with a plain word."""
    run_id = cli.run(repository, "--new")["run_id"]
    seen = {}
    for name, poison in (("plain", "word"), ("attack", ATTACK)):
        assert cli("status").code == 0
        copy = tmp_path / f"{name}.db"
        copy.write_bytes((cli.home / "journal.db").read_bytes())
        wal = cli.home / "journal.db-wal"
        if wal.exists():
            Path(f"{copy}-wal").write_bytes(wal.read_bytes())
        journal = Journal.open(copy)
        try:
            poison_all(journal, run_id, poison)
            fleet = Fleet(journal, lambda _: False, TokenFile(tmp_path / f"{name}.json"))
            log: list[dict[str, Any]] = []
            visit = Visit(fleet, log)
            visit.log_in(fleet.tokens.make("carol", operator=True, days=1))
            addresses = ("/", f"/runs/{run_id}", "/login", "/nothing")
            pages = [visit.get(path) for path in addresses]
            reflected = visit.client.get("/", params=dict.fromkeys(("owner", "repository", "site", "state"), poison))
            pages.append((reflected.status_code, reflected.text))
        finally:
            journal.close()
        assert [status for status, _ in pages] == [200, 200, 200, 404, 200], log
        seen[name] = [Structure(page) for _, page in pages]
    for plain, attack in zip(seen["plain"], seen["attack"], strict=True):
        assert attack.elements == plain.elements
        assert not {"script", "img"} & {tag for tag, _ in attack.elements}
        assert "\u202e" not in attack.text
    page = seen["attack"][1].text
    assert page.count("<script>alert(1)</script>") > 60
    assert page.count("{{7*7}}") == page.count("<script>")
    assert "49</td>" not in page
    assert all(f"{one}\n" in page for one in ("What it rests on", "Steps", "Next", "Decisions", "Resources"))


def test_it_is_served_until_a_signal_and_stops_cleanly(cli: Cli) -> None:
    made = cli("serve", "token", "dora", "--operator", "--days", "3")
    token = made.out.strip()
    assert made.code == 0 and "all runs for 3 days" in made.err
    child = cli.start("serve", "--port", "0")
    found = re.search(r"http://127\.0\.0\.1:\d+", child.until("until Ctrl-C"))
    assert found is not None
    with urllib.request.urlopen(f"{found[0]}/healthz", timeout=10) as response:
        assert response.read() == b"ok\n"
        assert "server" not in response.headers
    asked = urllib.request.Request(f"{found[0]}/metrics?x={token}", headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(asked, timeout=10) as response:
        assert b"envagent_runs{" in response.read()
    child.send(signal.SIGTERM)
    assert child.wait() == 0
    assert "Traceback" not in child.err
    lines = [json.loads(line) for line in child.out.splitlines()]
    assert [(one["method"], one["path"], one["status"]) for one in lines] == [
        ("GET", "/healthz", 200),
        ("GET", "/metrics", 200),
    ]
    assert token not in child.out
    assert "1 token of dora revoked" in cli("serve", "token", "dora", "--operator", "--revoke").err
    (cli.home / "web_tokens.json").unlink()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--host", "0.0.0.0"), "unencrypted"),
        (("--url", "http://fleet.lab.edu"), "is not an https address"),
        (("token", "../x"), "cannot be an owner"),
    ],
)
def test_what_would_not_be_safe_is_refused(cli: Cli, arguments: tuple[str, ...], said: str) -> None:
    ended = cli("serve", *arguments)
    assert (ended.code, said in ended.err) == (2, True)
