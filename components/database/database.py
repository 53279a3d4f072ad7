"""The contract of a database: what Flyte needs of it, whichever server provides it."""

from dataclasses import dataclass

import pulumi

PASSWORD = "flyte-password"  # noqa: S105 (a key)
"""Key of the role's password in the Secret."""


@dataclass(frozen=True)
class Database:
    """A PostgreSQL database and the role that owns it."""

    host: pulumi.Input[str]
    """Host name at which Flyte reaches the server."""
    port: int
    """Port of the server."""
    name: str
    """Name of the database."""
    username: str
    """Name of the role that owns the database."""
    password: pulumi.Input[str]
    """Password of the role: no spaces, quotes or backslashes, because Flyte's connection string does not quote it."""
    credentials: pulumi.Input[str]
    """Name of the Secret with the password of the role, under the key `PASSWORD`."""
    max_connections: int
    """Number of connections the server accepts in total."""
