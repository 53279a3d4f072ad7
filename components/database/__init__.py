"""Flyte's database: the contract :class:`Database`, and what fulfils it."""

from components.database.client import connect_script, connection, credentials_volume, tls_variables
from components.database.cloudnative_pg import CloudNativePostgres
from components.database.database import AUTHORITY, PASSWORD, Database
from components.database.external import ExternalPostgres
from components.database.postgres import MONITOR, MONITOR_PASSWORD, Postgres, PostgresArgs
from components.database.providers import FlyteDatabase, flyte_database

__all__ = [
    "AUTHORITY",
    "MONITOR",
    "MONITOR_PASSWORD",
    "PASSWORD",
    "CloudNativePostgres",
    "Database",
    "ExternalPostgres",
    "FlyteDatabase",
    "Postgres",
    "PostgresArgs",
    "connect_script",
    "connection",
    "credentials_volume",
    "flyte_database",
    "tls_variables",
]
