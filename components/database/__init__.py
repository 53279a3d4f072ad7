"""Flyte's database: the contract :class:`Database`, and what fulfils it."""

from components.database.client import connect_script, connection
from components.database.database import PASSWORD, Database
from components.database.postgres import MONITOR, MONITOR_PASSWORD, Postgres, PostgresArgs

__all__ = [
    "MONITOR",
    "MONITOR_PASSWORD",
    "PASSWORD",
    "Database",
    "Postgres",
    "PostgresArgs",
    "connect_script",
    "connection",
]
