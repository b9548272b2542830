"""Whose turn it is to reserve and to build: limits of sites, budgets of owners, and fairness between them.

A run asks before it requests a lease or a server, and before it stores an intent to. Its turn is a row in the database.
What cannot be granted at once is granted later by whichever worker looks next, to the owner who has least in use, and
the run is woken. Without a limit every turn is granted at once.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from envagent.errors import QuotaExceeded
from envagent.hints import Hint, command

if TYPE_CHECKING:
    from envagent.engine.journal import Journal

LimitName: TypeAlias = Literal["builds", "lease_requests", "su"]

LIMIT_OF: dict[str, LimitName] = {"lease": "lease_requests", "build": "builds"}
"""By kind of turn, which limit of the site applies."""

LOCK = 7_236_851_906
"""The advisory lock of granting turns: any number that nobody else in the database uses."""


@dataclass(frozen=True, slots=True)
class Limit:
    """A limit and what of it is in use.

    Attributes:
        name: builds at once, lease requests a minute, or service units.
        site: where it applies; empty for service units.
        owner: whose service units; empty for those of all together.
        value: how many.
        used: how many of them.
    """

    name: LimitName
    site: str
    owner: str
    value: float
    used: float


@dataclass(frozen=True, slots=True)
class _Waiting:
    run_id: str
    number: int
    owner: str
    su: float


_USED = """
SELECT owner, count(*) FROM fleet_turns t JOIN runs r USING (run_id, owner)
WHERE kind = %(kind)s AND site = %(site)s AND CASE WHEN kind = 'lease'
  THEN granted_at > now() - interval '1 minute'
  ELSE granted_at IS NOT NULL AND over_at IS NULL AND r.state = 'running' END
GROUP BY owner
"""
"""Lease requests of the last minute; builds of runs that are under way."""

_WAITING = """
SELECT run_id, number, owner, su FROM fleet_turns t JOIN runs r USING (run_id, owner)
WHERE kind = %(kind)s AND site = %(site)s AND granted_at IS NULL AND over_at IS NULL
  AND r.state = 'running' AND r.teardown_at IS NULL
ORDER BY asked_at, run_id
"""

_ASK = """
INSERT INTO fleet_turns (run_id, kind, number, site, owner, su)
VALUES (%(run_id)s, %(kind)s, %(number)s, %(site)s, %(owner)s, %(su)s)
ON CONFLICT (run_id, kind, number) DO UPDATE SET su = CASE WHEN fleet_turns.granted_at IS NULL THEN excluded.su
  ELSE fleet_turns.su END
"""

_LIMITED = """
SELECT 1 FROM fleet_limits WHERE name = %(limit)s AND site = %(site)s OR name = 'su' AND %(kind)s = 'lease' LIMIT 1
"""

_ASK_AT_ONCE = """
INSERT INTO fleet_turns (run_id, kind, number, site, owner, su, granted_at, told_at)
VALUES (%(run_id)s, %(kind)s, %(number)s, %(site)s, %(owner)s, %(su)s, now(), now())
ON CONFLICT (run_id, kind, number) DO UPDATE SET granted_at = coalesce(fleet_turns.granted_at, now()), told_at = now(),
  su = CASE WHEN fleet_turns.granted_at IS NULL THEN excluded.su ELSE fleet_turns.su END
"""
"""Where there is no limit, nobody waits for the lock; runs that waited for one are granted their turns soon after."""

_EARLIER = """
UPDATE fleet_turns t SET over_at = coalesce(over_at, now()), su = 0
WHERE run_id = %(run_id)s AND (kind = %(kind)s AND number < %(number)s
  OR kind = 'extension' AND %(kind)s = 'lease' AND asked_at < (
    SELECT asked_at FROM fleet_turns WHERE run_id = t.run_id AND kind = 'lease' AND number = %(number)s))
"""
"""What a run asked for before came to nothing, or is replaced."""

_EXTEND = """
INSERT INTO fleet_turns (run_id, kind, number, site, owner, su, granted_at, told_at)
VALUES (%(run_id)s, 'extension', %(number)s, '', %(owner)s, %(su)s, now(), now())
ON CONFLICT (run_id, kind, number) DO UPDATE SET su = excluded.su, over_at = NULL
"""

_WITHDRAW = """
UPDATE fleet_turns SET over_at = now(), su = 0
WHERE run_id = %(run_id)s AND kind = 'extension' AND number = %(number)s
"""

_GRANT = """
UPDATE fleet_turns SET granted_at = now() WHERE kind = %(kind)s AND run_id = %(run_id)s AND number = %(number)s
"""


_TAKEN = """
UPDATE fleet_turns SET told_at = now()
WHERE run_id = %(run_id)s AND kind = %(kind)s AND number = %(number)s AND granted_at IS NOT NULL RETURNING run_id
"""

_TELL = """
UPDATE fleet_turns SET told_at = now() WHERE granted_at IS NOT NULL AND told_at IS NULL AND over_at IS NULL
RETURNING run_id
"""
"""Whoever asks grants the turns of others as well, who do not know yet."""

_SETTLE = """
UPDATE fleet_turns t SET over_at = coalesce(over_at, now()), su = CASE WHEN kind = 'lease' AND number = (
  SELECT max(number) FROM fleet_turns WHERE run_id = t.run_id AND kind = t.kind) THEN %(su)s ELSE 0 END
WHERE run_id = %(run_id)s
"""


class Turns:
    """The turns of one journal's runs.

    Args:
        journal: a journal in PostgreSQL.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def ask(self, kind: str, run_id: str, number: int, *, site: str, owner: str, su: float = 0.0) -> str | None:
        """Ask for a turn; return why the run has to wait, or None if it has its turn.

        Raises:
            QuotaExceeded: the budget is spent, whatever is released.
        """
        turn = {"run_id": run_id, "kind": kind, "number": number, "site": site, "owner": owner, "su": su}
        with self._journal.cursor() as cursor:
            cursor.execute(_LIMITED, {**turn, "limit": LIMIT_OF[kind]})
            if not cursor.fetchall():
                cursor.execute(_ASK_AT_ONCE, turn)
                cursor.execute(_EARLIER, turn)
                return None
            cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            cursor.execute(_ASK, turn)
            cursor.execute(_EARLIER, turn)
            refused = self._grant(cursor, kind, site)
            cursor.execute(_TAKEN, turn)
            granted = cursor.fetchall()
        if granted:
            return None
        if run_id in refused:
            self._check_possible(owner, su)
            return refused[run_id]
        words = "lease requests a minute" if kind == "lease" else "builds at once"
        return f"{self._limit(kind, site):g} {words} at {site}"

    def _limit(self, kind: str, site: str) -> float:
        with self._journal.cursor() as cursor:
            return _limits(cursor, LIMIT_OF[kind], site).get("", math.inf)

    def _check_possible(self, owner: str, su: float) -> None:
        """Raise if what is spent for good leaves too little."""
        with self._journal.cursor() as cursor:
            beyond = _beyond(_limits(cursor, "su", ""), _spent(cursor, for_good=True), owner, su)
        if beyond is not None:
            raise _exceeded("the lease may cost", su, beyond)

    def extend(self, run_id: str, number: int, *, owner: str, su: float) -> None:
        """Count what a longer lease costs in addition; the same extension counts once.

        Raises:
            QuotaExceeded: the budget leaves less.
        """
        turn = {"run_id": run_id, "number": number, "owner": owner, "su": su}
        with self._journal.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            cursor.execute(_WITHDRAW, turn)
            if (beyond := _beyond(_limits(cursor, "su", ""), _spent(cursor), owner, su)) is not None:
                raise _exceeded("the extension costs", su, beyond)
            cursor.execute(_EXTEND, turn)

    def withdraw(self, run_id: str, number: int) -> None:
        """Count an extension no more: it was refused."""
        with self._journal.cursor() as cursor:
            cursor.execute(_WITHDRAW, {"run_id": run_id, "number": number})

    def grant_all(self) -> list[str]:
        """Grant what can be granted now; return the runs that have been given a turn since they asked."""
        with self._journal.cursor() as cursor:
            cursor.execute("SELECT DISTINCT kind, site FROM fleet_turns WHERE granted_at IS NULL AND over_at IS NULL")
            places = cursor.fetchall()
            if places:
                cursor.execute(f"SELECT pg_advisory_xact_lock({LOCK})")
            for kind, site in places:
                self._grant(cursor, kind, site)
            cursor.execute(_TELL)
            return [run_id for [run_id] in cursor.fetchall()]

    def _grant(self, cursor: Any, kind: str, site: str) -> dict[str, str]:
        """Grant turns to those who have least in use, first come first served within an owner.

        Returns:
            By run: which budget it would exceed.
        """
        place = {"kind": kind, "site": site}
        cursor.execute(_WAITING, place)
        waiting: defaultdict[str, list[_Waiting]] = defaultdict(list)
        for row in cursor.fetchall():
            waiting[row[2]].append(_Waiting(*row))
        cursor.execute(_USED, place)
        used = Counter({str(owner): int(count) for owner, count in cursor.fetchall()})
        free = _limits(cursor, LIMIT_OF[kind], site).get("", math.inf) - used.total()
        budgets = _limits(cursor, "su", "") if kind == "lease" else {}
        spent = _spent(cursor) if budgets else Counter[str]()
        refused: dict[str, str] = {}
        order = list(waiting)
        while free >= 1 and any(waiting.values()):
            owner = min((name for name in order if waiting[name]), key=lambda name: used[name])
            turn = waiting[owner].pop(0)
            if (beyond := _beyond(budgets, spent, owner, turn.su)) is not None:
                left, limit, whose = beyond
                refused[turn.run_id] = f"{left:g} of {limit:g} SU of {whose} are left, it needs {turn.su:g}"
                continue
            free -= 1
            used[owner] += 1
            spent.update({owner: turn.su, "": turn.su})
            cursor.execute(_GRANT, {"kind": kind, "run_id": turn.run_id, "number": turn.number})
        return refused

    def release(self, run_id: str) -> None:
        """End the builds of a run: it has its server, or gave it up."""
        with self._journal.cursor() as cursor:
            cursor.execute(
                "UPDATE fleet_turns SET over_at = now()"
                " WHERE run_id = %(run_id)s AND kind = 'build' AND granted_at IS NOT NULL AND over_at IS NULL",
                {"run_id": run_id},
            )

    def settle(self, run_id: str, su: float) -> None:
        """Replace what a run's leases might have cost by what they have: nothing more is charged for them."""
        with self._journal.cursor() as cursor:
            cursor.execute(_SETTLE, {"run_id": run_id, "su": su})

    def limits(self) -> list[Limit]:
        """List the limits with what is in use."""
        with self._journal.cursor() as cursor:
            cursor.execute("SELECT name, site, owner, value FROM fleet_limits ORDER BY name, site, owner")
            stored = cursor.fetchall()
            spent = _spent(cursor)
            found = []
            for name, site, owner, value in stored:
                used = spent[owner]
                if name != "su":
                    kind = next(one for one, limit in LIMIT_OF.items() if limit == name)
                    cursor.execute(_USED, {"kind": kind, "site": site})
                    used = sum(count for _, count in cursor.fetchall())
                found.append(Limit(name, site, owner, float(value), float(used)))
        return found

    def set(self, name: LimitName, value: float | None, *, site: str = "", owner: str = "") -> None:
        """Set a limit, or remove it with None."""
        row = {"name": name, "site": site, "owner": owner, "value": value}
        with self._journal.cursor() as cursor:
            cursor.execute(
                "DELETE FROM fleet_limits WHERE name = %(name)s AND site = %(site)s AND owner = %(owner)s", row
            )
            if value is not None:
                cursor.execute("INSERT INTO fleet_limits VALUES (%(name)s, %(site)s, %(owner)s, %(value)s)", row)


def _exceeded(costs: str, su: float, beyond: tuple[float, float, str]) -> QuotaExceeded:
    left, limit, whose = beyond
    return QuotaExceeded(
        f"{costs} {su:g} SU, and {left:g} of the {limit:g} SU of {whose} are left",
        hint=Hint("to see the budgets:", command("limits")),
    )


def _limits(cursor: Any, name: str, site: str) -> dict[str, float]:
    """Return the limits of a name at a site by owner."""
    cursor.execute(
        "SELECT owner, value FROM fleet_limits WHERE name = %(name)s AND site = %(site)s", {"name": name, "site": site}
    )
    return {str(owner): float(value) for owner, value in cursor.fetchall()}


def _spent(cursor: Any, *, for_good: bool = False) -> Counter[str]:
    """Return by owner what leases have cost, and unless `for_good` may still cost; that of all under no name."""
    cursor.execute(
        "SELECT owner, sum(su) FROM fleet_turns WHERE kind IN ('lease', 'extension') AND granted_at IS NOT NULL"
        " AND (over_at IS NOT NULL OR NOT %(for_good)s) GROUP BY owner",
        {"for_good": for_good},
    )
    spent: Counter[str] = Counter()
    for owner, su in cursor.fetchall():
        spent[owner] += su
        spent[""] += su
    return spent


def _beyond(budgets: dict[str, float], spent: Counter[str], owner: str, su: float) -> tuple[float, float, str] | None:
    """Return what is left of the budget that a lease would exceed, the budget, and whose it is."""
    for name in (owner, ""):
        limit = budgets.get(name)
        if limit is not None and spent[name] + su > limit:
            return max(limit - spent[name], 0.0), limit, name or "all owners"
    return None


class RunTurns:
    """The turns of one run, as its steps ask for them.

    Args:
        turns: those of all runs.
        run_id: the run.
        owner: who submitted it.
    """

    def __init__(self, turns: Turns, run_id: str, owner: str) -> None:
        self._turns, self._run_id, self._owner = turns, run_id, owner

    def lease(self, number: int, site: str, su: float) -> str | None:
        """Ask to request a lease; return why the run has to wait.

        Raises:
            QuotaExceeded: the budget is spent.
        """
        return self._turns.ask("lease", self._run_id, number, site=site, owner=self._owner, su=su)

    def build(self, number: int, site: str) -> str | None:
        """Ask to build a server; return why the run has to wait."""
        return self._turns.ask("build", self._run_id, number, site=site, owner=self._owner)

    def extension(self, number: int, su: float) -> None:
        """Count what a longer lease costs in addition.

        Raises:
            QuotaExceeded: the budget leaves less.
        """
        self._turns.extend(self._run_id, number, owner=self._owner, su=su)

    def withdraw(self, number: int) -> None:
        """Count an extension no more: it was refused."""
        self._turns.withdraw(self._run_id, number)
