"""Flyte's database in its pod: what is in it, and its dump. Inside the pod, the superuser needs no password."""

import hashlib
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from ops.lib.kubectl import Cluster
from ops.lib.text import one_line
from settings.errors import SettingsError

POD = "postgres-0"
"""Name of the pod of the server."""
DATABASE = ROLE = "flyte"
"""Name of the database, and of the role that owns it."""
_SCRATCH, _REPLACED = "flyte_upgrade", "flyte_replaced"
# The rows of every table and the last number of every sequence, one line each.
_COUNTS = r"""
SELECT format('SELECT %L, count(*) FROM %I.%I', schemaname || '.' || tablename, schemaname, tablename) FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1 \gexec
SELECT format('SELECT %L, last_value FROM %I.%I', schemaname || '.' || sequencename, schemaname, sequencename)
FROM pg_sequences ORDER BY 1 \gexec
"""
# Only names of this module are in it.
_SWAP = f"""
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname IN ('{DATABASE}', '{_SCRATCH}');
BEGIN;
ALTER DATABASE {DATABASE} RENAME TO {_REPLACED};
ALTER DATABASE {_SCRATCH} RENAME TO {DATABASE};
REVOKE ALL ON DATABASE {DATABASE} FROM PUBLIC;
COMMIT;
DROP DATABASE {_REPLACED} WITH (FORCE);
"""  # noqa: S608


@dataclass(frozen=True)
class Database:
    """Flyte's database, reached through its pod."""

    cluster: Cluster
    namespace: str
    """Platform namespace of the stack."""

    def major(self) -> int | None:
        """Return the major version of PostgreSQL that wrote the files; None if the server does not run."""
        answer = self._run("sh", "-c", 'cat "$PGDATA/PG_VERSION"', check=False)
        return int(answer) if answer.strip().isdigit() else None

    def counts(self, database: str = DATABASE) -> dict[str, int]:
        """Return the number of rows of each table, and the last number of each sequence."""
        lines = self._sql(_COUNTS, database).splitlines()
        return {name: int(number) for name, _, number in (line.rpartition("|") for line in lines)}

    def size(self) -> int:
        """Return the bytes that the database takes on its volume."""
        return int(self._sql(f"SELECT pg_database_size('{DATABASE}')"))

    def free(self) -> int:
        """Return the bytes that are free on the volume of the server."""
        lines = self._run("sh", "-c", 'df -Pk "$PGDATA"').splitlines()
        return int(lines[-1].split()[3]) * 1024

    def dump(self, path: Path) -> str:
        """Write a dump that only its owner can read, completely or not at all; return its SHA-256.

        Raises:
            SettingsError: the server fails, or the disk is full.
        """
        path.parent.mkdir(mode=0o700, exist_ok=True)
        part = path.with_name(f"{path.name}.part")
        part.unlink(missing_ok=True)
        try:
            with os.fdopen(os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                self._run("pg_dump", "--username=postgres", "--format=custom", DATABASE, to=file)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise SettingsError(f"the dump cannot be written to {path.parent}: {error.strerror}") from None
        part.replace(path)
        return checksum(path)

    def verify(self, path: Path) -> None:
        """Read a dump from its beginning to its end; a list of its contents would not notice a missing end.

        Raises:
            SettingsError: it is damaged.
        """
        with path.open("rb") as file:
            self._run("pg_restore", "--file=/dev/null", given=file)

    def restore(self, path: Path, expected: Mapping[str, int]) -> None:
        """Restore a dump as the role of Flyte beside the database, compare its counts, and let it take its place.

        A repetition begins at the beginning, or does nothing if the dump is in place already.

        Raises:
            SettingsError: the server fails, the counts differ, or the database is not empty.
        """
        self._sql(f"DROP DATABASE IF EXISTS {_REPLACED} WITH (FORCE)")
        present = self.counts()
        if present == expected and present:
            return
        if present:
            raise SettingsError(
                f"the database on the new volume has {len(present)} tables that are not from the dump: Flyte has "
                "written to it. Nothing was replaced. Go back with make upgrade BACK=yes"
            )
        self._sql(f"DROP DATABASE IF EXISTS {_SCRATCH} WITH (FORCE)")
        self._sql(f"CREATE DATABASE {_SCRATCH} OWNER {ROLE} TEMPLATE template0 ENCODING 'UTF8'")
        options = ["--no-owner", "--no-privileges", "--exit-on-error", "--single-transaction"]
        with path.open("rb") as file:
            self._run("pg_restore", f"--username={ROLE}", f"--dbname={_SCRATCH}", *options, given=file)
        restored = self.counts(_SCRATCH)
        if restored != expected:
            names = sorted({*expected, *restored})
            differ = [name for name in names if expected.get(name) != restored.get(name)]
            raise SettingsError(f"the restored database differs from the dumped one in {', '.join(differ[:5])}")
        self._sql(_SWAP)

    def _sql(self, statements: str, database: str = "postgres") -> str:
        """Return the output of statements of the superuser."""
        options = ["--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1"]
        return self._run("psql", *options, "--username=postgres", f"--dbname={database}", given=statements)

    def _run(self, *command: str, given: str | IO[bytes] = "", to: IO[bytes] | None = None, check: bool = True) -> str:
        """Run a command in the pod; return its output, unless it goes into a file.

        There is no limit: a large database takes its time.
        """
        where = [POD, f"--namespace={self.namespace}", "--container=postgres"]
        text: dict[str, Any] = {"input": given.encode()} if isinstance(given, str) else {"stdin": given}
        done = subprocess.run(
            self.cluster.command("exec", "--stdin", *where, "--", *command),
            stdout=to or subprocess.PIPE,
            stderr=subprocess.PIPE,
            check=False,
            **text,
        )
        if done.returncode and check:
            raise SettingsError(f"{command[0]} in {POD}: {one_line(done.stderr.decode(errors='replace'))}")
        return "" if to or done.returncode else done.stdout.decode()


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file; empty if there is none."""
    if not path.is_file():
        return ""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
