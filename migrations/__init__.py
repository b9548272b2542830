"""Alembic revisions of the journal's schema; run by `envagent.engine.journal` when it opens an older file."""
