"""Alembic's entry: runs migrations on the connection it is handed."""

from __future__ import annotations

from alembic import context

from spinney.store.tables import metadata

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=metadata, render_as_batch=connection.dialect.name == "sqlite")
context.run_migrations()
