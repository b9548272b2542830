"""The figures of a fleet for Prometheus, in its text format."""

from __future__ import annotations

from collections.abc import Iterable

from envagent.cli.documents.fleet_document import FleetDocument

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def metrics_text(fleet: FleetDocument) -> str:
    """Return the metrics."""
    return "".join(
        [
            _metric("envagent_runs", "Runs by state.", _by("state", fleet.states.items())),
            _metric(
                "envagent_leases_ending_soon", "Running leases that end within 2 hours.", [("", len(fleet.ending))]
            ),
            _metric(
                "envagent_leases_running",
                "Leases that are charged now, by owner.",
                _by("owner", ((one.owner, one.leases_running) for one in fleet.owners)),
            ),
            _metric(
                "envagent_service_units",
                "Service units used so far, by owner.",
                _by("owner", ((one.owner, one.su_so_far) for one in fleet.owners)),
            ),
            _metric(
                "envagent_service_units_per_hour",
                "Service units charged per hour now, by owner.",
                _by("owner", ((one.owner, one.su_per_hour_now) for one in fleet.owners)),
            ),
            _metric(
                "envagent_runs_waiting",
                "Runs that wait for a lease to start or a server to boot.",
                _by("cloud", ((one.cloud, one.waiting) for one in fleet.polling)),
            ),
            _metric(
                "envagent_exchanges_per_waiting_run_and_minute",
                "Requests to the cloud for a waiting run and minute, over 5 minutes.",
                _by("cloud", ((one.cloud, one.per_run_and_minute) for one in fleet.polling)),
            ),
        ]
    )


def _by(label: str, figures: Iterable[tuple[str | None, float]]) -> list[tuple[str, float]]:
    return [(f'{{{label}="{_escaped(name or "")}"}}', figure) for name, figure in figures]


def _metric(name: str, meaning: str, samples: Iterable[tuple[str, float]]) -> str:
    lines = [f"# HELP {name} {meaning}", f"# TYPE {name} gauge", *(f"{name}{label} {one}" for label, one in samples)]
    return "".join(f"{line}\n" for line in lines)


def _escaped(value: str) -> str:
    r"""Escape the value of a label.

    >>> _escaped('a "b"\n')
    'a \\"b\\"\\n'
    """
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
