"""Flyte's database: the contract :class:`Database`, and what fulfils it."""

from components.database.client import CONNECT, connection
from components.database.database import PASSWORD, Database
from components.database.postgres import Postgres, PostgresArgs

__all__ = ["CONNECT", "PASSWORD", "Database", "Postgres", "PostgresArgs", "connection"]
