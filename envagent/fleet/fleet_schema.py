"""The tables of a fleet next to the journal's and the jobs': what is watched, what it costs, who may do what next.

Losing them loses no run: a watch is left again by the next advance, and a turn by the next request. Only what has been
spent would not be known any more.
"""

from __future__ import annotations

SCHEMA = """
CREATE TABLE IF NOT EXISTS fleet_watches (
  run_id text NOT NULL,
  cloud text NOT NULL,
  kind text NOT NULL,
  cloud_id text NOT NULL,
  shown text NOT NULL,
  begins timestamptz NOT NULL,
  every double precision NOT NULL,
  look_again timestamptz NOT NULL,
  left_at timestamptz NOT NULL DEFAULT now(),
  signalled_at timestamptz,
  PRIMARY KEY (run_id, kind, cloud_id)
);
CREATE INDEX IF NOT EXISTS fleet_watches_by_cloud ON fleet_watches (cloud, kind, look_again);
CREATE TABLE IF NOT EXISTS fleet_listings (
  cloud text NOT NULL,
  kind text NOT NULL,
  next_at timestamptz NOT NULL DEFAULT now(),
  listed_at timestamptz,
  quiet integer NOT NULL DEFAULT 0,
  failures integer NOT NULL DEFAULT 0,
  PRIMARY KEY (cloud, kind)
);
CREATE TABLE IF NOT EXISTS fleet_limits (
  name text NOT NULL,
  site text NOT NULL DEFAULT '',
  owner text NOT NULL DEFAULT '',
  value double precision NOT NULL,
  PRIMARY KEY (name, site, owner)
);
CREATE TABLE IF NOT EXISTS fleet_turns (
  run_id text NOT NULL,
  kind text NOT NULL,
  number integer NOT NULL,
  site text NOT NULL,
  owner text NOT NULL,
  su double precision NOT NULL DEFAULT 0,
  asked_at timestamptz NOT NULL DEFAULT now(),
  granted_at timestamptz,
  told_at timestamptz,
  over_at timestamptz,
  PRIMARY KEY (run_id, kind, number)
);
CREATE INDEX IF NOT EXISTS fleet_turns_by_site ON fleet_turns (kind, site, granted_at);
CREATE TABLE IF NOT EXISTS fleet_polling (
  cloud text NOT NULL,
  minute timestamptz NOT NULL,
  run_minutes double precision NOT NULL DEFAULT 0,
  listings integer NOT NULL DEFAULT 0,
  exchanges integer NOT NULL DEFAULT 0,
  PRIMARY KEY (cloud, minute)
);
"""
