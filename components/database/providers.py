"""Which component provides the database: one for each ``postgres.mode``."""

from typing import TypeAlias

import pulumi

from components.database.cloudnative_pg import CloudNativePostgres
from components.database.external import ExternalPostgres
from components.database.postgres import Postgres, PostgresArgs

FlyteDatabase: TypeAlias = Postgres | CloudNativePostgres | ExternalPostgres
"""A component with the attribute ``database``, the contract."""


def flyte_database(name: str, args: PostgresArgs, opts: pulumi.ResourceOptions) -> FlyteDatabase:
    """The component for the mode in the settings."""
    if args.settings.mode == "external":
        return ExternalPostgres(name, args, opts)
    if args.settings.mode == "cloudnative-pg":
        return CloudNativePostgres(name, args, opts)
    return Postgres(name, args, opts)
