"""The scripts of a move, against real databases and object stores: all of it arrives, or nothing of it."""

# ruff: noqa: F811 (fixtures)

import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Workspace, workspace
from tests.scripts.conftest import SCRIPTS, Programs, tools
from tests.scripts.store import ROOT_PASSWORD, Store, stopped_store
from tests.scripts.test_postgres_scripts import FLYTE, SUPERUSER, Cluster, binaries, pristine, uid  # noqa: F401
from tests.scripts.test_restore_as_owner import ODD, SCHEMA

MARK = "flyte-home: not used any more by the stack prod"
ROWS = """
INSERT INTO executions (execution_project, execution_domain, execution_name, spec, phase, mode, inputs_uri) VALUES
  ('p', 'd', 'first', '', 'SUCCEEDED', 0, 's3://flyte/metadata/p/inputs'), ('p', 'd', 'second', '', 'RUNNING', 0, '');
"""
BUCKETS = ("flyte", "tasks")


def run(
    command: list[str], env: dict[str, str], work: Workspace, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command, env=env, capture_output=True, text=True, timeout=timeout, cwd=work.path, check=False, **work.identity
    )
    for secret in (FLYTE, SUPERUSER, ROOT_PASSWORD):
        assert secret not in done.stdout + done.stderr
    return done


class Databases:
    """Two servers: the one that Flyte uses, and an empty one."""

    def __init__(self, old: Cluster, new: Cluster, binaries: Path) -> None:
        self.old, self.new, self.work = old, new, old.work
        work = self.work
        work.folder("move")
        work.folder("scripts")
        work.folder("logins")
        for script in ("move/database.sh", "backup/references.sql"):
            work.file(f"scripts/{Path(script).name}", (SCRIPTS / script).read_text())
        work.file("logins/from-password", FLYTE)
        work.file("logins/to-password", FLYTE)
        own = {name: binaries / name for name in ("psql", "pg_dump")}
        names = ("sh", "awk", "sed", "grep", "cat", "cmp", "head", "tail", "tr", "sort", "wc", "sleep", "date")
        self.programs = Programs(self._programs_of(work), own | tools(*names))
        self.env = {
            "PATH": str(self.programs.path),
            "HOME": str(work.path),
            "SCRIPTS": str(work.path / "scripts"),
            "CREDENTIALS": str(work.path / "logins"),
            "WORK": str(work.path / "move"),
            "MARK": MARK,
            "WAIT": "4",
            **self._place("FROM", old),
            **self._place("TO", new),
        }

    @staticmethod
    def _programs_of(work: Workspace) -> Workspace:
        """A workspace of its own, because the server has one of the same name."""
        return Workspace(work.folder("client"), work.uid)

    @staticmethod
    def _place(side: str, cluster: Cluster) -> dict[str, str]:
        return {
            f"{side}_HOST": "127.0.0.1",
            f"{side}_PORT": str(cluster.port),
            f"{side}_DATABASE": "flyte",
            f"{side}_USER": "flyte",
            f"{side}_TLS": "disable",
        }

    def run(self, action: str, **environment: str) -> subprocess.CompletedProcess[str]:
        command = ["/bin/sh", str(self.work.path / "scripts" / "database.sh")]
        done = run(command, {**self.env, "ACTION": action, **environment}, self.work)
        assert FLYTE not in self.programs.calls
        return done

    def back(self) -> dict[str, str]:
        """Environment of a move in the other direction."""
        return {**self._place("FROM", self.new), **self._place("TO", self.old)}

    @staticmethod
    def sql(cluster: Cluster, statements: str) -> str:
        done = cluster.login("flyte", FLYTE, "flyte", statements)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def tables(self, cluster: Cluster) -> str:
        """All tables as SQL, without what differs from dump to dump."""
        command = [
            "pg_dump",
            "--no-comments",
            "--no-owner",
            "--no-privileges",
            "-h",
            "127.0.0.1",
            "-p",
            str(cluster.port),
        ]
        env = {**self.env, "PGPASSWORD": FLYTE}
        done = run([*command, "-U", "flyte", "--table=public.*", "flyte"], env, self.work)
        assert done.returncode == 0, done.stderr
        return "\n".join(line for line in done.stdout.splitlines() if not line.startswith(("--", "\\")))

    def empty(self, cluster: Cluster) -> None:
        """Leave the database of a first start."""
        cluster.sql("DROP DATABASE IF EXISTS flyte WITH (FORCE)")
        cluster.ensure_roles()


@pytest.fixture(scope="module")
def both(binaries: Path, uid: int | None, pristine: Path) -> Iterator[Databases]:
    with workspace(uid) as one, workspace(uid) as other:
        clusters = []
        for work in (one, other):
            subprocess.run(["cp", "-R", "-p", str(pristine), str(work.path / "data")], check=True, **work.identity)
            clusters.append(Cluster(binaries, work, work.path / "data"))
        try:
            for cluster in clusters:
                cluster.start()
            yield Databases(clusters[0], clusters[1], binaries)
        finally:
            for cluster in clusters:
                cluster.stop()


@pytest.fixture
def databases(both: Databases) -> Databases:
    """Flyte's tables with some rows on the one server, and an empty database on the other."""
    both.empty(both.old)
    both.empty(both.new)
    both.sql(both.old, SCHEMA.read_text() + ODD + ROWS)
    return both


# --- the database -----------------------------------------------------------------------------------------------------


def test_every_row_sequence_and_index_arrives_and_the_old_tables_stay(databases: Databases):
    before = databases.tables(databases.old)

    checked = databases.run("check")
    copied = databases.run("copy")

    assert checked.returncode == 0, checked.stderr
    assert copied.returncode == 0, copied.stderr
    assert "the same on both sides: 7 rows" in copied.stdout
    assert databases.tables(databases.new) == before
    assert databases.tables(databases.old) == before


def test_a_setting_that_only_newer_servers_know_is_left_out_of_the_dump_but_not_of_the_rows(databases: Databases):
    setting = "SET transaction_timeout = 0;"
    databases.sql(databases.old, f"""INSERT INTO odd ("Na me") VALUES ('{setting}'), (E'x\\n{setting}')""")  # noqa: S608
    before = databases.tables(databases.old)
    program = databases.programs.path / "pg_dump"
    real = program.read_text()
    # As the pg_dump of PostgreSQL 17 begins.
    program.write_text(f"{real.replace('exec ', f'echo {setting!r}; exec ')}")
    try:
        copied = databases.run("copy")
    finally:
        program.write_text(real)

    assert copied.returncode == 0, copied.stderr
    assert databases.tables(databases.new) == before


def test_a_database_with_rows_of_others_is_rejected_and_stays_as_it_is(databases: Databases):
    databases.sql(databases.new, SCHEMA.read_text() + ROWS)
    before = databases.tables(databases.new)

    done = databases.run("check")

    assert done.returncode == 1
    assert "is not empty, and what it has was not moved by this stack: 2 executions. Nothing was changed" in done.stderr
    assert databases.tables(databases.new) == before


def test_tables_of_a_first_start_without_rows_count_as_empty(databases: Databases):
    databases.sql(databases.new, SCHEMA.read_text())

    assert databases.run("check").returncode == 0
    assert databases.run("copy").returncode == 0
    assert databases.tables(databases.new) == databases.tables(databases.old)


def test_rows_that_an_earlier_move_has_left_are_replaced_by_a_move_back(databases: Databases):
    assert databases.run("copy").returncode == 0
    assert databases.run("settle").returncode == 0
    databases.sql(databases.new, "UPDATE executions SET phase = 'SUCCEEDED' WHERE execution_name = 'second'")

    checked = databases.run("check", **databases.back())
    copied = databases.run("copy", **databases.back())

    assert "has rows that an earlier move has left there; they will be replaced" in checked.stdout
    assert copied.returncode == 0, copied.stderr
    assert databases.sql(databases.old, "SELECT count(*) FROM executions WHERE phase = 'SUCCEEDED'") == "2"


def test_a_database_in_use_has_no_mark_so_that_no_move_replaces_it(databases: Databases):
    assert databases.run("copy").returncode == 0
    assert databases.run("settle").returncode == 0

    done = databases.run("check")

    assert done.returncode == 1
    assert "is not empty" in done.stderr


def test_the_same_database_under_another_name_is_noticed(databases: Databases):
    done = databases.run("check", TO_PORT=str(databases.old.port), TO_HOST="localhost")

    assert done.returncode == 1
    assert "is the one that Flyte uses already. Nothing was changed" in done.stderr


def test_rows_that_are_written_during_the_copy_are_noticed(databases: Databases):
    program = databases.programs.path / "pg_dump"
    real = program.read_text()
    late = (
        "INSERT INTO executions (execution_project, execution_domain, execution_name, spec) VALUES ('p', 'd', 'x', '')"
    )
    program.write_text(f'{real.replace("exec ", "")}psql -q -c "{late}"\n')
    try:
        done = databases.run("copy")
    finally:
        program.write_text(real)

    assert done.returncode == 1
    assert "has changed during the copy, although Flyte is stopped" in done.stderr
    assert databases.sql(databases.old, "SELECT obj_description('executions'::regclass, 'pg_class') IS NULL") == "t"


def test_a_wrong_password_is_one_message_without_it(databases: Databases):
    wrong = databases.work.path / "logins" / "to-password"
    wrong.write_text("plantedWrong")
    try:
        done = databases.run("check", WAIT="1")
    finally:
        wrong.write_text(FLYTE)

    assert done.returncode == 1
    assert done.stderr.startswith("database: the database flyte at 127.0.0.1 does not answer: ")
    assert "planted" not in done.stderr + done.stdout


def test_a_copy_that_is_killed_anywhere_leaves_a_whole_copy_or_none(databases: Databases):
    databases.sql(
        databases.old,
        "INSERT INTO executions (execution_project, execution_domain, execution_name, spec) "
        "SELECT 'p', 'd', 'many' || i, '' FROM generate_series(1, 30000) AS i",
    )
    whole = databases.tables(databases.old)
    command = ["/bin/sh", str(databases.work.path / "scripts" / "database.sh")]
    chance = random.Random(17)  # noqa: S311 (moments, no secrets)
    found = []
    for _ in range(8):
        databases.empty(databases.new)
        process = subprocess.Popen(
            command,
            env={**databases.env, "ACTION": "copy"},
            cwd=databases.work.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
            **databases.work.identity,
        )
        time.sleep(chance.uniform(0.1, 1.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        # The server notices the end of a connection a moment later.
        time.sleep(0.3)
        there = databases.sql(databases.new, "SELECT to_regclass('public.executions') IS NOT NULL")
        if there == "t":
            assert databases.tables(databases.new) == whole
        found.append(there)

    assert "f" in found
    assert databases.run("check").returncode == 0
    assert databases.run("copy").returncode == 0
    assert databases.tables(databases.new) == whole


# --- the object store -------------------------------------------------------------------------------------------------


class Stores:
    """The store that Flyte uses, an empty one, and Flyte's database."""

    def __init__(self, old: Store, new: Store, databases: Databases, work: Workspace, client: str) -> None:
        self.old, self.new, self.databases, self.work = old, new, databases, work
        self._number = 0
        self._client = client
        work.folder("scripts")
        work.folder("logins")
        for script in ("move/store.sh", "move/compare.sh", "backup/references.sql", "backup/dangling.sh"):
            work.file(f"scripts/{Path(script).name}", (SCRIPTS / script).read_text())
        for side in ("from", "to"):
            work.file(f"logins/{side}-user", "root")
            work.file(f"logins/{side}-key", ROOT_PASSWORD)
        work.file("logins/database-password", FLYTE)
        self.mc = Programs(Workspace(work.folder("mc")), {"mc": client} | tools("cat", "date", "sleep"))
        self.env = {
            "HOME": str(work.path),
            "MC_CONFIG_DIR": str(work.path / ".mc"),
            "SCRIPTS": str(work.path / "scripts"),
            "CREDENTIALS": str(work.path / "logins"),
            "FROM_URL": old.url,
            "TO_URL": new.url,
            "BUCKETS": " ".join(BUCKETS),
            "MARK": MARK,
            "WAIT": "5",
            "PGHOST": "127.0.0.1",
            "PGPORT": str(databases.old.port),
            "PGDATABASE": "flyte",
            "PGUSER": "flyte",
            "PGSSLMODE": "disable",
        }

    def run(self, action: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run the steps of an action in a work folder of their own, as its Job does."""
        env = self.environment(action) | environment
        done = run(["/bin/sh", str(self.work.path / "scripts" / "store.sh")], env, self.work)
        assert ROOT_PASSWORD not in self.mc.calls
        if action == "copy" and not done.returncode:
            path = f"{self.databases.env['PATH']}:{os.environ['PATH']}"
            compared = run(
                ["/bin/sh", str(self.work.path / "scripts" / "compare.sh")], {**env, "PATH": path}, self.work
            )
            output = done.stdout + compared.stdout
            return subprocess.CompletedProcess(done.args, compared.returncode, output, compared.stderr)
        return done

    def environment(self, action: str) -> dict[str, str]:
        self._number += 1
        folder = self.work.folder(f"work{self._number}")
        return {**self.env, "ACTION": action, "WORK": str(folder), "PATH": str(self.mc.path)}

    def back(self) -> dict[str, str]:
        return {"FROM_URL": self.new.url, "TO_URL": self.old.url}

    @staticmethod
    def content(store: Store) -> dict[str, str]:
        """Content of every object."""
        found = {}
        for bucket in BUCKETS:
            for line in store.root("find", f"store/{bucket}").splitlines():
                found[line.removeprefix("store/")] = store.root("cat", line)
        return found


@pytest.fixture(scope="module")
def running(both: Databases) -> Iterator[Stores]:
    with workspace() as work, stopped_store() as old, stopped_store() as new:
        old.start()
        new.start()
        yield Stores(old, new, both, work, old._client)


ODD_NAMES = ("metadata/p/in puts & <more>", 'metadata/p/"quoted"', "metadata/p/Lücke", "data/%2F/x=1+2")


@pytest.fixture
def stores(running: Stores, databases: Databases) -> Stores:
    for store in (running.old, running.new):
        for bucket in BUCKETS:
            store.mc("rb", "--force", f"store/{bucket}", user="root", key=ROOT_PASSWORD)
            store.root("mb", f"store/{bucket}")
    running.old.root("pipe", "--attr", "flyteContentMD5=abc", "store/flyte/metadata/p/inputs", text="inputs of first")
    for name in ODD_NAMES:
        running.old.root("pipe", f"store/tasks/{name}", text=f"content of {name}")
    return running


def test_every_object_arrives_with_its_metadata_and_the_old_ones_stay(stores: Stores):
    before = stores.content(stores.old)

    checked = stores.run("check")
    copied = stores.run("copy")

    assert checked.returncode == 0, checked.stderr
    assert copied.returncode == 0, copied.stderr
    assert "tasks is the same in both stores: 4 objects" in copied.stdout
    assert "0 lead to nothing" in copied.stdout
    there = stores.content(stores.new)
    assert there.pop("flyte/flyte-home-move") == MARK
    assert there == before == stores.content(stores.old)
    assert "abc" in stores.new.root("stat", "--json", "store/flyte/metadata/p/inputs")


def test_a_store_with_objects_of_others_is_rejected_and_stays_as_it_is(stores: Stores):
    stores.new.root("pipe", "store/tasks/photo", text="of others")

    done = stores.run("check")

    assert done.returncode == 1
    assert "the bucket tasks at" in done.stderr
    assert "is not empty, and what it has was not moved by this stack. Nothing was changed" in done.stderr
    assert stores.content(stores.new) == {"tasks/photo": "of others"}


def test_a_bucket_that_is_missing_in_the_new_store_is_named(stores: Stores):
    stores.new.root("rb", "--force", "store/tasks")

    done = stores.run("check")

    assert done.returncode == 1
    assert "the bucket tasks at" in done.stderr
    assert "cannot be read" in done.stderr


def test_objects_that_changed_or_went_since_a_move_do_so_on_the_move_back(stores: Stores):
    assert stores.run("copy").returncode == 0
    assert stores.run("leave").returncode == 0
    assert stores.run("settle").returncode == 0
    stores.new.root("pipe", "store/flyte/metadata/p/inputs", text="INPUTS OF FIRST")
    stores.new.root("rm", f"store/tasks/{ODD_NAMES[0]}")
    stores.new.root("pipe", "store/tasks/new", text="new")
    since = stores.content(stores.new)

    checked = stores.run("check", **stores.back())
    copied = stores.run("copy", **stores.back())

    assert "has objects that an earlier move has left there" in checked.stdout
    assert copied.returncode == 0, copied.stderr
    there = stores.content(stores.old)
    del there["flyte/flyte-home-move"]
    assert there == since


def test_an_object_that_differs_after_the_copy_stops_the_move(stores: Stores):
    env = stores.environment("copy")
    assert run(["/bin/sh", str(stores.work.path / "scripts" / "store.sh")], env, stores.work).returncode == 0
    listing = Path(env["WORK"]) / "to-flyte"
    listing.write_text("".join(line for line in listing.read_text().splitlines(True) if "inputs" not in line))

    path = f"{stores.databases.env['PATH']}:{os.environ['PATH']}"
    done = run(["/bin/sh", str(stores.work.path / "scripts" / "compare.sh")], {**env, "PATH": path}, stores.work)

    assert done.returncode == 1
    assert "the bucket flyte differs after the copy in 1 objects, such as: metadata/p/inputs is missing" in done.stderr


def test_a_copy_of_objects_that_is_killed_anywhere_is_finished_by_the_next(stores: Stores):
    folder = stores.work.folder("many")
    for number in range(300):
        (folder / f"{number}").write_text(f"object {number}" * 50)
    stores.old.root("cp", "--recursive", f"{folder}/", "store/tasks/many/")
    command = ["/bin/sh", str(stores.work.path / "scripts" / "store.sh")]
    chance = random.Random(17)  # noqa: S311 (moments, no secrets)
    for _ in range(5):
        process = subprocess.Popen(
            command,
            env=stores.environment("copy"),
            cwd=stores.work.path,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        time.sleep(chance.uniform(0.1, 1.2))
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()

    checked = stores.run("check")
    copied = stores.run("copy")

    assert checked.returncode == 0, checked.stderr
    assert copied.returncode == 0, copied.stderr
    assert "tasks is the same in both stores: 304 objects" in copied.stdout


def test_a_wrong_key_is_one_message_without_it(stores: Stores):
    wrong = stores.work.path / "logins" / "to-key"
    wrong.write_text("plantedWrongKey1")
    try:
        done = stores.run("check", WAIT="1")
    finally:
        wrong.write_text(ROOT_PASSWORD)

    assert done.returncode == 1
    assert done.stderr.startswith(f"store: the object store at {stores.new.url} does not let the copy in: ")
    assert "planted" not in done.stderr + done.stdout
