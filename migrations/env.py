"""Alembic's entry: migrate over the connection that the journal hands in."""

from alembic import context

from envagent.engine.tables import all_tables

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=all_tables(),
    render_as_batch=True,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
