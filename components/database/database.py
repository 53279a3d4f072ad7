"""The contract of a database: what Flyte needs of it, whichever server provides it."""

from dataclasses import dataclass
from typing import Any

import pulumi

from settings.postgres_external import TlsMode

PASSWORD = "flyte-password"  # noqa: S105 (a key)
"""Key of the role's password in the Secret."""
AUTHORITY = "ca.crt"
"""Key, and name of the file, of the certificate of the server's authority."""


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
    superuser: bool
    """Whether the same Secret has the password of the superuser postgres, under the key ``superuser-password``."""
    tls: TlsMode = "disable"
    """How clients check the server."""
    authority: pulumi.Input[str] | None = None
    """Name of the Secret with the certificate of the server's authority under the key `AUTHORITY`; None without one."""

    @property
    def outputs(self) -> dict[str, Any]:
        """The contract as a component registers it, so that commands find it in the state. It has no password."""
        return {
            "host": self.host,
            "port": self.port,
            "database": self.name,
            "username": self.username,
            "credentials": self.credentials,
            "tls": self.tls,
            "authority": self.authority or "",
        }
