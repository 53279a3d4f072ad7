"""How a script in a pod reaches the database as the role that owns it."""

import pulumi

from components.database.database import Database
from paths import ROOT


def connect_script() -> dict[str, str]:
    """The script that others source, by its file name, to be mounted beside them."""
    return {"connect.sh": (ROOT / "scripts" / "database" / "connect.sh").read_text()}


def connection(database: Database, credentials: str, scripts: str) -> dict[str, pulumi.Input[str]]:
    """Environment variables of a script that sources connect.sh.

    Args:
        database: the database.
        credentials: directory of the mounted Secret with the password.
        scripts: directory of the mounted scripts.
    """
    return {
        "PGHOST": database.host,
        "PGPORT": str(database.port),
        "PGDATABASE": database.name,
        "PGUSER": database.username,
        "CREDENTIALS": credentials,
        "SCRIPTS": scripts,
        "HOME": "/tmp",  # noqa: S108 (psql writes nothing there)
    }
