"""The dump and the restore of a database whose superuser the stack does not have, against a real server."""

# ruff: noqa: F811 (fixtures)

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Workspace, process, wait_until, workspace
from tests.scripts.conftest import SCRIPTS, Programs, tools
from tests.scripts.pooler import pooler
from tests.scripts.test_postgres_scripts import FLYTE, SUPERUSER, Cluster, binaries, pristine, uid  # noqa: F401

SCHEMA = Path(__file__).with_name("flyte_schema.sql")
# Rows that are easy to damage, and names that need quotes.
ODD = """
CREATE TABLE odd (id serial PRIMARY KEY, "Na me" text DEFAULT 'public.x', bytes bytea);
CREATE TABLE "empty Table" (id int REFERENCES odd (id));
INSERT INTO odd ("Na me", bytes) VALUES (E'tab\\there', '\\x00ff5c2e0a'), (E'line\\n\\\\.\\nbreak', ''),
  ('COPY public.odd FROM stdin;', NULL), (E'public.odd\\npublic.executions', NULL), ('Lücke "''%', NULL);
SELECT setval('odd_id_seq', 41);
"""
CACHED = """
INSERT INTO artifacts (dataset_project, dataset_name, dataset_domain, dataset_version, artifact_id, serialized_metadata)
VALUES ('p', 'n', 'd', 'v', 'gone', ''), ('p', 'n', 'd', 'v', 'there', '')
"""


class Owner:
    """The steps of a backup and of a restore as the role that owns the database."""

    def __init__(self, cluster: Cluster, binaries: Path, work: Workspace) -> None:
        self.cluster, self.path, self.work = cluster, work.path, work
        # The SQL of the backup and of the schedules is in one ConfigMap.
        scripts = work.folder("scripts")
        for script in [*(SCRIPTS / "backup").iterdir(), SCRIPTS / "schedules" / "skip-missed.sql"]:
            work.file(f"scripts/{script.name}", script.read_text())
        work.folder("sources")
        work.file("sources/database-password", FLYTE)
        for name in ("work", "work/incoming", "work/restored", "work/restored/set"):
            work.folder(name)
        own = {name: binaries / name for name in ("psql", "pg_dump", "pg_restore")}
        basics = (
            "sh",
            "awk",
            "sed",
            "grep",
            "cat",
            "rm",
            "mv",
            "mkdir",
            "find",
            "mktemp",
            "tail",
            "cut",
            "sort",
            "wc",
            "sleep",
        )
        self.programs = Programs(work, own | tools(*basics))
        self.env = {
            "PATH": str(self.programs.path),
            "HOME": str(work.path),
            "TMPDIR": str(work.path),
            "SCRIPTS": str(scripts),
            "WORK": str(work.path / "work"),
            "RUN": "run",
            "SOURCES": str(work.path / "sources"),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(cluster.port),
            "PGUSER": "flyte",
            "PGDATABASE": "flyte",
            "ONLY_TABLES": "public.*",
            "WAIT": "3",
        }

    def run(self, script: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a step to its end."""
        command = ["/bin/sh", str(self.path / "scripts" / script)]
        done = subprocess.run(
            command,
            env={**self.env, **environment},
            capture_output=True,
            text=True,
            timeout=300,
            cwd=self.path,
            **self.work.identity,
        )
        for secret in (FLYTE, SUPERUSER):
            assert secret not in done.stdout + done.stderr + self.programs.calls
        return done

    def must(self, script: str, **environment: str) -> str:
        done = self.run(script, **environment)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def backup(self) -> None:
        """Dump the database, and put the dump where a restore expects it."""
        self.must("dump.sh")
        made = self.path / "work" / "incoming" / "run"
        for name in ("database.dump", "rows.tsv"):
            shutil.copy(made / name, self.path / "work" / "restored" / "set" / name)
            (self.path / "work" / "restored" / "set" / name).chmod(0o644)
        shutil.copy(made / "server-version", self.path / "work" / "server-version")
        (self.path / "work" / "server-version").chmod(0o644)
        self.work.file("work/dangling.tsv", "")

    def sql(self, statements: str) -> str:
        """The output of statements of the role."""
        done = self.cluster.login("flyte", FLYTE, "flyte", statements)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tables(self) -> str:
        """All of Flyte's tables as SQL, without what differs from dump to dump."""
        command = [
            str(self.cluster._binaries / "pg_dump"),
            "-h",
            "127.0.0.1",
            "-U",
            "flyte",
            "--table=public.*",
            "flyte",
        ]
        environment = {**self.cluster.env, "PGPASSWORD": FLYTE}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
        assert done.returncode == 0, done.stderr
        return "".join(line for line in done.stdout.splitlines(True) if "restrict " not in line)


@pytest.fixture
def owner(binaries: Path, uid: int | None, pristine: Path) -> Iterator[Owner]:
    """A server with Flyte's tables and odd ones, and the steps."""
    with workspace(uid) as work, workspace(uid) as own:
        data = work.path / "data"
        subprocess.run(["cp", "-R", "-p", str(pristine), str(data)], check=True, **work.identity)
        cluster = Cluster(binaries, work, data)
        try:
            cluster.start()
            cluster.ensure_roles()
            made = Owner(cluster, binaries, own)
            made.sql(SCHEMA.read_text())
            made.sql(ODD)
            yield made
        finally:
            cluster.stop()


def test_all_tables_come_back_as_they_were_and_the_replaced_ones_stay_beside_them(owner: Owner):
    before = owner.tables()
    owner.backup()
    owner.sql('DELETE FROM odd WHERE id > 2; ALTER TABLE odd ADD later int; CREATE TABLE "later Table" (id int)')

    owner.must("database-schema.sh")
    said = owner.must("swap-schema.sh")

    assert owner.tables() == before
    assert owner.sql("SELECT count(*) FROM flyte_replaced.odd") == "2"
    assert owner.sql("SELECT nextval('odd_id_seq')") == "42"
    assert "those that they replaced are in the schema flyte_replaced" in said


def test_a_restore_into_an_empty_database_can_be_repeated(owner: Owner):
    before = owner.tables()
    owner.backup()
    owner.cluster.sql("DROP DATABASE flyte WITH (FORCE)")
    owner.cluster.ensure_roles()

    for _ in range(2):
        owner.must("database-schema.sh")
        owner.must("swap-schema.sh")

        assert owner.tables() == before


def test_a_setting_that_only_newer_servers_know_does_not_stop_a_restore(owner: Owner):
    before = owner.tables()
    owner.backup()
    program = owner.programs.path / "pg_restore"
    # As the pg_restore of PostgreSQL 17 begins; the step also asks for a list of the contents.
    program.write_text(program.read_text().replace("exec ", "echo 'SET transaction_timeout = 0;'; exec "))

    owner.must("database-schema.sh")
    owner.must("swap-schema.sh")

    assert owner.tables() == before


def test_until_the_swap_nothing_of_flyte_has_changed(owner: Owner):
    owner.backup()
    owner.sql("UPDATE odd SET bytes = 'newer'")
    before = owner.tables()

    owner.must("database-schema.sh")

    assert owner.tables() == before


def test_a_part_of_the_database_that_the_role_cannot_read_is_not_dumped(owner: Owner):
    before = owner.tables()
    owner.cluster.sql("CREATE SCHEMA monitoring; CREATE TABLE monitoring.secret (id int)", "flyte")

    owner.backup()
    owner.must("database-schema.sh")
    owner.must("swap-schema.sh")

    assert owner.tables() == before
    assert owner.cluster.sql("SELECT count(*) FROM monitoring.secret", "flyte") == "0"


def test_a_set_of_the_owner_can_be_restored_by_a_superuser(owner: Owner):
    before = owner.tables()
    owner.cluster.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC", "flyte")
    owner.backup()
    owner.sql("DROP TABLE odd CASCADE")
    owner.work.file("sources/superuser-password", SUPERUSER)

    owner.must("database.sh")
    owner.must("swap.sh")

    assert owner.tables() == before


def test_a_cached_output_without_its_object_is_removed_from_the_restored_tables_only(owner: Owner):
    owner.sql(CACHED)
    owner.backup()
    owner.must("database-schema.sh")
    # As references.sh writes it; the row of the data is what names the artifact.
    owner.sql(
        "INSERT INTO flyte_restored.artifact_data (dataset_project, dataset_name, dataset_domain, dataset_version, "
        "artifact_id, name, location) VALUES ('p', 'n', 'd', 'v', 'gone', 'o0', 's3://x')"
    )
    owner.work.file("work/dangling.tsv", "cache\tp/d/n/v/gone\ts3://x\n")

    said = owner.must("swap-schema.sh")

    assert owner.sql("SELECT artifact_id FROM artifacts") == "there"
    assert owner.sql("SELECT count(*) FROM flyte_replaced.artifacts") == "2"
    assert "1 cached outputs without their object are removed" in said


def test_nothing_is_replaced_while_flyte_uses_the_database(owner: Owner):
    owner.backup()
    owner.must("database-schema.sh")
    busy = owner.cluster.psql("-h", "127.0.0.1", "-U", "flyte", "-d", "flyte", "-c", "SELECT pg_sleep(30)")
    environment = {**owner.cluster.env, "PGPASSWORD": FLYTE}
    with process(busy, environment, owner.cluster.work):
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep(30)' AND usename = 'flyte'"
        wait_until(lambda: owner.cluster.sql(sessions) == "1", "the session of Flyte")

        done = owner.run("swap-schema.sh", WAIT="1")

    assert done.returncode != 0
    assert "Flyte still uses the database; nothing was replaced" in done.stderr
    assert owner.sql("SELECT to_regnamespace('flyte_replaced') IS NULL") == "t"


def test_sessions_that_a_pooler_keeps_do_not_hold_up_the_restore(owner: Owner):
    owner.backup()
    owner.must("database-schema.sh")
    idle = owner.cluster.psql("-h", "127.0.0.1", "-U", "flyte", "-d", "flyte")
    environment = {**owner.cluster.env, "PGPASSWORD": FLYTE}
    with process(idle, environment, owner.cluster.work, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL):
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'flyte' AND state = 'idle'"
        wait_until(lambda: owner.cluster.sql(sessions) == "1", "the idle session")

        owner.must("swap-schema.sh")


def test_a_backup_and_a_restore_come_through_a_pooler_in_session_mode(owner: Owner):
    before = owner.tables()
    access = owner.cluster.data / "pg_hba.conf"
    access.write_text(f"host all flyte 127.0.0.1/32 trust\n{access.read_text()}")
    owner.cluster.sql("SELECT pg_reload_conf()")
    with pooler(owner.cluster.port, "flyte", "flyte", transactions=False) as port:
        owner.env["PGPORT"] = str(port)
        owner.backup()
        owner.sql("DROP TABLE odd CASCADE")
        owner.must("database-schema.sh")
        owner.must("swap-schema.sh")

    assert owner.tables() == before


def test_a_damaged_dump_leaves_the_tables_of_flyte_alone(owner: Owner):
    owner.sql("INSERT INTO odd (bytes) SELECT decode(repeat('5c', 9999), 'hex') FROM generate_series(1, 50)")
    owner.backup()
    before = owner.tables()
    dump = owner.path / "work/restored/set/database.dump"
    dump.write_bytes(dump.read_bytes()[:-200_000])

    done = owner.run("database-schema.sh")

    assert done.returncode != 0
    assert owner.tables() == before


def test_a_schema_that_belongs_to_another_role_is_named_with_the_remedy(owner: Owner):
    owner.backup()
    owner.cluster.sql("ALTER SCHEMA public OWNER TO postgres", "flyte")

    done = owner.run("database-schema.sh")

    assert done.returncode != 0
    assert 'ALTER SCHEMA public OWNER TO "flyte"' in done.stderr
    owner.cluster.sql('ALTER SCHEMA public OWNER TO "flyte"', "flyte")
    owner.must("database-schema.sh")


def test_only_objects_are_restored_if_nothing_else_is_asked_for(owner: Owner):
    owner.backup()
    before = owner.tables()

    for step in ("database-schema.sh", "swap-schema.sh"):
        owner.must(step, OBJECTS_ONLY="true")

    assert owner.tables() == before
    assert owner.sql("SELECT to_regnamespace('flyte_restored') IS NULL") == "t"
