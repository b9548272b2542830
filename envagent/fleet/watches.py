"""What waiting runs watch, and the one listing that serves all of them.

A run that waits for a lease to start or a server to boot leaves a watch: the object, and what it looked like. Whichever
worker's turn it is lists all leases, or all servers, of the project once, and asks for an advance of each run whose
object looks different or is missing. Nothing else is concluded from a listing: a run that acts reads for itself. The
others sleep on; without any listing each of them would still wake at its deadline.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from envagent.engine.step import FIRST_LOOK, LONGEST_WITHOUT_A_LOOK, LOOKS_PER_WAIT, Watched
from envagent.errors import EnvagentError

if TYPE_CHECKING:
    from envagent.engine.journal import Journal, Transaction

LOG = logging.getLogger("envagent.worker")

WORK_FACTOR = 4.0
"""A listing pauses for this many times as long as it took, so that it never is most of what a worker or a site does."""

LONGEST_BACKOFF = 60.0
"""Seconds between two listings that fail."""

CLAIM = 30.0
"""Seconds after which another worker lists, where one has said that it would and has not."""

SIGNAL_AGAIN = 30.0
"""Seconds after which a run is asked for again that has not looked."""

LONGEST_SLEEP = 1.0
"""Seconds between two questions whether a listing is due, at most."""

MINUTES = 5
"""Over how many minutes the figures are shown."""

TIDY_EVERY = 60.0
"""Seconds between two times that what has ended is forgotten."""


@dataclass(frozen=True, slots=True)
class Listing:
    """What a listing showed, and what it cost.

    Attributes:
        shown: by id, what a wait for the object would show.
        seconds: how long it took.
        exchanges: how many requests were sent, logins included.
        error: why there is none.
    """

    shown: Mapping[str, str]
    seconds: float
    exchanges: int
    error: EnvagentError | None = None


@dataclass(frozen=True, slots=True)
class Polling:
    """What waiting costs at one cloud, over the last minutes.

    Attributes:
        cloud: its name in clouds.yaml; empty where OS_* variables are used.
        waiting: how many runs wait now.
        run_minutes: for how many minutes runs have waited, added up.
        listings: how many listings served them.
        exchanges: how many requests that were, and those of looks that found nothing new.
    """

    cloud: str
    waiting: int
    run_minutes: float
    listings: int
    exchanges: int

    @property
    def per_run_and_minute(self) -> float:
        """The exchanges for one waiting run and minute; 0 before any has waited."""
        return self.exchanges / self.run_minutes if self.run_minutes else 0.0

    @property
    def text(self) -> str:
        """The figures as a line of a log."""
        return (
            f"{self.cloud or 'cloud'}: {self.waiting} runs wait; in {MINUTES} minutes {self.listings} listings, "
            f"{self.exchanges} exchanges, {self.per_run_and_minute:.3f} for a waiting run and minute"
        )


_SET = """
INSERT INTO fleet_watches (run_id, cloud, kind, cloud_id, shown, begins, every)
VALUES (%(run_id)s, %(cloud)s, %(kind)s, %(cloud_id)s, %(shown)s, %(begins)s, %(every)s)
ON CONFLICT (run_id, kind, cloud_id) DO UPDATE SET shown = excluded.shown, begins = excluded.begins,
  every = excluded.every, cloud = excluded.cloud, left_at = now(), signalled_at = NULL
"""

_SEEN = "greatest(w.left_at, l.listed_at)"
_WAITED = f"extract(epoch FROM {_SEEN} - w.begins)"
_DUE = f"""
{_SEEN} + make_interval(secs => greatest(
  least(w.every, greatest({_WAITED} * %(share)s, %(first)s)), least(-{_WAITED}, %(unseen)s)))
"""
"""When the object of a watch `w` has to be looked at again, by `engine.step.pause_after`: it was seen when the watch
was left, or by the last listing `l`."""

_CLAIM = f"""
UPDATE fleet_listings SET next_at = now() + make_interval(secs => %(claim)s)
WHERE (cloud, kind) = (
  SELECT cloud, kind FROM fleet_listings l
  WHERE next_at <= now() AND EXISTS (
    SELECT 1 FROM fleet_watches w WHERE w.cloud = l.cloud AND w.kind = l.kind AND {_DUE} <= now())
  ORDER BY next_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING cloud, kind
"""  # noqa: S608 - no value is put in

_NEXT = f"""
SELECT EXTRACT(EPOCH FROM min(greatest(l.next_at, {_DUE})) - now())
FROM fleet_watches w JOIN fleet_listings l USING (cloud, kind)
"""  # noqa: S608

_CHANGED = """
UPDATE fleet_watches SET signalled_at = now()
WHERE cloud = %(cloud)s AND kind = %(kind)s
  AND (signalled_at IS NULL OR signalled_at < now() - make_interval(secs => %(signal_again)s))
  AND shown IS DISTINCT FROM (%(listed)s::jsonb ->> cloud_id)
  AND left_at <= %(began)s
RETURNING run_id
"""
"""A watch that was left after the listing began may be newer than what it shows; the next one compares it."""

_LISTED = """
UPDATE fleet_listings l SET listed_at = %(began)s, failures = 0,
  next_at = now() + make_interval(secs => (0.75 + 0.5 * random()) * %(work)s * %(took)s)
FROM fleet_listings before
WHERE l.cloud = %(cloud)s AND l.kind = %(kind)s AND before.cloud = l.cloud AND before.kind = l.kind
RETURNING least(extract(epoch FROM now() - before.listed_at), 600)
"""

_ASK_ALL = f"""
UPDATE fleet_watches w SET signalled_at = now() FROM fleet_listings l
WHERE w.cloud = %(cloud)s AND w.kind = %(kind)s AND l.cloud = w.cloud AND l.kind = w.kind AND {_DUE} <= now()
RETURNING w.run_id
"""  # noqa: S608

_FAILED = """
UPDATE fleet_listings SET failures = failures + 1,
  next_at = now() + make_interval(secs => (0.75 + 0.5 * random()) *
    greatest(%(asked)s, least(%(longest)s, power(2, least(failures, 6)))))
WHERE cloud = %(cloud)s AND kind = %(kind)s
"""

_COUNT = """
INSERT INTO fleet_polling (cloud, minute, run_minutes, listings, exchanges)
VALUES (%(cloud)s, date_trunc('minute', now()), %(run_minutes)s, %(listings)s, %(exchanges)s)
ON CONFLICT (cloud, minute) DO UPDATE SET run_minutes = fleet_polling.run_minutes + excluded.run_minutes,
  listings = fleet_polling.listings + excluded.listings, exchanges = fleet_polling.exchanges + excluded.exchanges
"""

_WAITING = "SELECT count(*) FROM fleet_watches WHERE cloud = %(cloud)s AND kind = %(kind)s"

_POLLING = """
SELECT cloud, coalesce(waiting, 0), coalesce(run_minutes, 0), coalesce(listings, 0), coalesce(exchanges, 0)
FROM (SELECT cloud, count(DISTINCT run_id) AS waiting FROM fleet_watches GROUP BY cloud) AS now
FULL JOIN (
  SELECT cloud, sum(run_minutes) AS run_minutes, sum(listings) AS listings, sum(exchanges) AS exchanges
  FROM fleet_polling WHERE minute > now() - make_interval(mins => %(minutes)s) GROUP BY cloud
) AS lately USING (cloud) ORDER BY cloud
"""


_TIDY_WATCHES = "DELETE FROM fleet_watches WHERE run_id NOT IN (SELECT run_id FROM runs WHERE state = 'running')"
_TIDY_POLLING = "DELETE FROM fleet_polling WHERE minute < now() - interval '1 hour'"


_FIGURES = {
    "claim": CLAIM,
    "signal_again": SIGNAL_AGAIN,
    "unseen": LONGEST_WITHOUT_A_LOOK.total_seconds(),
    "share": LOOKS_PER_WAIT,
    "first": FIRST_LOOK.total_seconds(),
    "work": WORK_FACTOR,
    "longest": LONGEST_BACKOFF,
}


class Watches:
    """The watches in the database of a journal.

    Args:
        journal: a journal in PostgreSQL.
    """

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._tidied = time.monotonic()

    @staticmethod
    def leave(
        transaction: Transaction,
        run_id: str,
        cloud: str | None,
        watched: Iterable[Watched],
    ) -> None:
        """Watch this for a run, and nothing else any more.

        Args:
            transaction: in which the run's wait is recorded.
            run_id: the run, which this process has taken.
            cloud: its cloud.
            watched: the objects, as the run has seen them.

        Raises:
            RunTakenOver: another process has taken the run.
        """
        with transaction.alongside(run_id) as cursor:
            cursor.execute("DELETE FROM fleet_watches WHERE run_id = %(run_id)s", {"run_id": run_id})
            for one in watched:
                place = {"cloud": cloud or "", "kind": one.kind}
                cursor.execute(
                    "INSERT INTO fleet_listings (cloud, kind) VALUES (%(cloud)s, %(kind)s) ON CONFLICT DO NOTHING",
                    place,
                )
                row = {"run_id": run_id, "cloud_id": one.cloud_id, "shown": one.shown, "begins": one.begins}
                cursor.execute(_SET, {**place, **row, "every": one.every.total_seconds()})

    def tick(self, look: Callable[[str | None, str], Listing]) -> tuple[list[str], float]:
        """List what is due, if anything is; return the runs that have to look, and the seconds until the next tick.

        Args:
            look: lists the objects of a kind at a cloud.
        """
        if time.monotonic() - self._tidied > TIDY_EVERY:
            self._tidied = time.monotonic()
            self.tidy()
            for one in self.polling():
                LOG.info(one.text)
        with self._journal.cursor() as cursor:
            cursor.execute("SELECT now()")
            [[began]] = cursor.fetchall()
            cursor.execute(_CLAIM, _FIGURES)
            claimed = cursor.fetchall()
            if not claimed:
                cursor.execute(_NEXT, _FIGURES)
                [[seconds]] = cursor.fetchall()
                return [], LONGEST_SLEEP if seconds is None else min(LONGEST_SLEEP, max(0.0, float(seconds)))
        [(cloud, kind)] = claimed
        listing = look(cloud or None, kind)
        return self._compare({**_FIGURES, "cloud": cloud, "kind": kind, "began": began}, listing), 0.0

    def _compare(self, place: dict[str, Any], listing: Listing) -> list[str]:
        with self._journal.cursor() as cursor:
            changed: list[str] = []
            if listing.error is None:
                cursor.execute(_CHANGED, {**place, "listed": json.dumps(dict(listing.shown))})
                changed = [run_id for [run_id] in cursor.fetchall()]
                cursor.execute(_LISTED, {**place, "took": listing.seconds})
                [[since]] = cursor.fetchall()
            else:
                cursor.execute(_FAILED, {**place, "asked": listing.error.retry_after or 0.0})
                since = None
                if not listing.error.retryable:  # each run finds out by itself what is wrong
                    cursor.execute(_ASK_ALL, place)
                    changed = [run_id for [run_id] in cursor.fetchall()]
            cursor.execute(_WAITING, place)
            [[waiting]] = cursor.fetchall()
            minutes = 0.0 if since is None else waiting * float(since) / 60
            counted = {"run_minutes": minutes, "listings": int(listing.error is None), "exchanges": listing.exchanges}
            cursor.execute(_COUNT, {**place, **counted})
        return changed

    def count(self, cloud: str | None, exchanges: int) -> None:
        """Count the exchanges of a look that found nothing new."""
        if exchanges:
            with self._journal.cursor() as cursor:
                counted = {"run_minutes": 0.0, "listings": 0, "exchanges": exchanges}
                cursor.execute(_COUNT, {"cloud": cloud or "", **counted})

    def tidy(self) -> None:
        """Forget what runs that have ended watched, and old figures."""
        with self._journal.cursor() as cursor:
            cursor.execute(_TIDY_WATCHES)
            cursor.execute(_TIDY_POLLING)

    def polling(self, minutes: int = MINUTES) -> list[Polling]:
        """Return what waiting costs at each cloud, over the last minutes."""
        with self._journal.cursor() as cursor:
            cursor.execute(_POLLING, {"minutes": minutes})
            return [
                Polling(cloud, waiting, float(run_minutes), listings, exchanges)
                for cloud, waiting, run_minutes, listings, exchanges in cursor.fetchall()
            ]
