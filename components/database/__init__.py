"""Flyte's database: the contract :class:`Database`, and what fulfils it."""

from components.database.database import Database
from components.database.postgres import Postgres, PostgresArgs

__all__ = ["Database", "Postgres", "PostgresArgs"]
