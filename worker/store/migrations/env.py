"""Run by Alembic: applies the steps inside the transaction that `migrate` opened."""

from alembic import context

from worker.store.tables import Row

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Row.metadata,
    render_as_batch=context.config.attributes["connection"].dialect.name == "sqlite",
)
context.run_migrations()
