"""The scripts that delete old rows and skip missed schedules, against a real server with Flyte's own schema."""

# ruff: noqa: S608 (the SQL has only what the tests write)

import subprocess
from pathlib import Path

import pytest

from tests.scripts.conftest import SCRIPTS, run_script, start_script, tools
from tests.scripts.test_postgres_scripts import (  # noqa: F401 (fixtures)
    FLYTE,
    Cluster,
    binaries,
    cluster,
    pristine,
    running,
    uid,
)

SCHEMA = Path(__file__).with_name("flyte_schema.sql")
FINAL = ["SUCCEEDED", "FAILED", "ABORTED", "TIMED_OUT"]
OF_AN_EXECUTION = [
    "execution_events",
    "execution_tags",
    "executions",
    "node_execution_events",
    "node_executions",
    "signals",
    "task_executions",
]
OF_THE_CACHE = ["artifact_data", "artifacts", "partitions", "tags"]


class Flyte:
    """A database with Flyte's schema, and the scripts, run as their pods run them."""

    def __init__(self, server: Cluster, binaries: Path) -> None:  # noqa: F811
        self.server = server
        server.ensure_roles()
        schema = server.work.file("schema.sql", SCHEMA.read_text())
        done = subprocess.run(
            server.psql("-h", "127.0.0.1", "-U", "flyte", "-d", "flyte", "-f", str(schema)),
            env={**server.env, "PGPASSWORD": FLYTE},
            capture_output=True,
            text=True,
            **server.work.identity,
        )
        assert done.returncode == 0, done.stderr
        # As the pod mounts them: all in one folder.
        self.mounted = server.work.folder("mounted")
        for folder in ("retention", "schedules", "database"):
            for path in (SCRIPTS / folder).iterdir():
                server.work.file(f"mounted/{path.name}", path.read_text())
        server.work.folder("client")
        own = tools("cat", "sleep", "date", "echo", "sh", "dirname")
        names = {"psql": binaries / "psql", **own}
        for name, program in names.items():
            (server.work.path / "client" / name).symlink_to(program)
        self.env = {
            "PATH": str(server.work.path / "client"),
            "HOME": str(server.work.path),
            "CREDENTIALS": server.env["CREDENTIALS"],
            "SCRIPTS": str(self.mounted),
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGDATABASE": "flyte",
            "PGUSER": "flyte",
            "EXECUTION_DAYS": "30",
            "CACHE_DAYS": "0",
        }

    def sql(self, statement: str) -> str:
        done = self.server.login("flyte", FLYTE, statement=statement)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def execution(self, name: str, phase: str = "SUCCEEDED", age: int = 40, parent: str = "", source: str = "") -> None:
        """Insert an execution with a node and a task, as Flyte's admin does."""
        key = f"'remedy', 'development', '{name}'"
        when = f"now() - interval '{age} days'"
        launched = f"(SELECT id FROM node_executions WHERE execution_name = '{parent}')" if parent else "0"
        recovered = f"(SELECT id FROM executions WHERE execution_name = '{source}')" if source else "0"
        columns = "execution_project, execution_domain, execution_name"
        self.sql(
            f"""
            INSERT INTO executions ({columns}, phase, spec, execution_created_at, execution_updated_at,
                                    parent_node_execution_id, source_execution_id)
            VALUES ({key}, '{phase}', '', {when}, {when}, {launched}, {recovered});
            INSERT INTO execution_events ({columns}, phase) VALUES ({key}, 'RUNNING'), ({key}, 'SUCCEEDED');
            INSERT INTO execution_tags ({columns}, key, value) VALUES ({key}, 'team', 'home');
            INSERT INTO signals ({columns}, signal_id, type) VALUES ({key}, 'go', '');
            INSERT INTO node_executions ({columns}, node_id, phase) VALUES ({key}, 'n0', 'SUCCEEDED');
            INSERT INTO node_execution_events ({columns}, node_id, phase) VALUES ({key}, 'n0', 'RUNNING');
            INSERT INTO task_executions (project, domain, name, version, {columns}, node_id, retry_attempt)
            VALUES ('remedy', 'development', 't', 'v', {key}, 'n0', 0);
            """
        )

    def cached(self, name: str, age: int) -> None:
        """Insert a cached output, as Flyte's data catalog does."""
        key = f"'remedy', 'flyte_task-t', 'development', 'v', '{name}'"
        columns = "dataset_project, dataset_name, dataset_domain, dataset_version, artifact_id"
        when = f"now() - interval '{age} days'"
        dataset = "'00000000-0000-4000-8000-000000000001'"
        self.sql(
            f"""
            INSERT INTO datasets (project, name, domain, version, uuid)
            VALUES ('remedy', 'flyte_task-t', 'development', 'v', {dataset}) ON CONFLICT DO NOTHING;
            INSERT INTO artifacts ({columns}, dataset_uuid, created_at) VALUES ({key}, {dataset}, {when});
            INSERT INTO artifact_data ({columns}, name, location) VALUES ({key}, 'o0', 's3://flyte/metadata/{name}');
            INSERT INTO partitions (dataset_uuid, key, value, artifact_id) VALUES ({dataset}, 'k', '{name}', '{name}');
            INSERT INTO tags ({columns}, tag_name, dataset_uuid) VALUES ({key}, 'tag-{name}', {dataset});
            """
        )

    def names(self, table: str = "executions") -> set[str]:
        column = "artifact_id" if table in OF_THE_CACHE else "execution_name"
        return set(self.sql(f"SELECT DISTINCT {column} FROM {table}").split())

    def collect(self, **environment: str) -> subprocess.CompletedProcess[str]:
        done = run_script("retention/collect.sh", self.env | environment, self.server.work)
        assert done.returncode == 0, done.stderr
        return done


@pytest.fixture
def flyte(running: Cluster, binaries: Path) -> Flyte:  # noqa: F811
    return Flyte(running, binaries)


def test_old_finished_executions_go_with_all_their_rows_and_young_ones_stay(flyte: Flyte):
    for phase in FINAL:
        flyte.execution(f"old-{phase}", phase)
    flyte.execution("young", age=29)

    done = flyte.collect()

    assert "retention: 4 finished executions older than 30 days deleted" in done.stdout
    for table in OF_AN_EXECUTION:
        assert flyte.names(table) == {"young"}, table


@pytest.mark.parametrize("phase", ["UNDEFINED", "QUEUED", "RUNNING", "SUCCEEDING", "FAILING", "ABORTING"])
def test_a_running_execution_is_never_deleted(flyte: Flyte, phase: str):
    flyte.execution("running", phase, age=400)

    flyte.collect()

    for table in OF_AN_EXECUTION:
        assert flyte.names(table) == {"running"}, table


def test_an_execution_that_a_running_one_has_launched_stays(flyte: Flyte):
    flyte.execution("parent", "RUNNING")
    flyte.execution("child", parent="parent")
    flyte.execution("grandchild", parent="child")

    flyte.collect()

    assert flyte.names() == {"parent", "child", "grandchild"}


def test_launched_executions_go_after_the_one_that_launched_them(flyte: Flyte):
    flyte.execution("parent")
    flyte.execution("child", parent="parent")
    flyte.execution("grandchild", parent="child")
    flyte.execution("young", age=2, parent="parent")

    flyte.collect(BATCH="1")

    assert flyte.names() == {"young"}


def test_the_source_of_a_running_recovery_stays_until_the_recovery_has_ended(flyte: Flyte):
    flyte.execution("source", "FAILED")
    flyte.execution("recovery", "RUNNING", age=1, source="source")
    flyte.collect()
    assert flyte.names() == {"source", "recovery"}

    flyte.sql("UPDATE executions SET phase = 'SUCCEEDED' WHERE execution_name = 'recovery'")
    flyte.collect()

    assert flyte.names() == {"recovery"}


def test_nothing_that_is_registered_is_deleted(flyte: Flyte):
    for table, columns, values in (
        ("workflows", "remote_closure_identifier", "'s3://flyte/x'"),
        ("tasks", "closure", "''"),
        ("launch_plans", "spec, closure", "'', ''"),
        ("schedulable_entities", "active", "true"),
    ):
        flyte.sql(
            f"INSERT INTO {table} (project, domain, name, version, updated_at, created_at, {columns}) "
            f"VALUES ('remedy', 'development', 'w', 'v', now() - interval '9 years', now(), {values})"
        )
    flyte.execution("old")

    flyte.collect(CACHE_DAYS="1")

    assert flyte.names() == set()
    for table in ("workflows", "tasks", "launch_plans", "schedulable_entities"):
        assert flyte.sql(f"SELECT count(*) FROM {table}") == "1"


def test_a_dry_run_counts_exactly_what_a_run_deletes_and_deletes_nothing(flyte: Flyte):
    flyte.execution("running", "RUNNING")
    flyte.execution("of-the-running-one", parent="running")
    flyte.execution("parent")
    flyte.execution("child", parent="parent")
    flyte.execution("source")
    flyte.execution("recovery", "QUEUED", source="source")
    flyte.execution("young", age=1)
    flyte.cached("old", age=40)
    before = {table: flyte.names(table) for table in (*OF_AN_EXECUTION, *OF_THE_CACHE)}

    dry = flyte.collect(DRY_RUN="1", CACHE_DAYS="30")

    assert {table: flyte.names(table) for table in before} == before
    assert "retention: cached outputs older than 30 days that would go: 1" in dry.stdout
    assert "retention: finished executions older than 30 days that would go: 2" in dry.stdout
    done = flyte.collect(CACHE_DAYS="30")
    assert "retention: 1 cached outputs older than 30 days deleted" in done.stdout
    assert "retention: 2 finished executions older than 30 days deleted" in done.stdout


def test_a_cached_output_goes_with_all_its_rows_but_its_task_stays_known(flyte: Flyte):
    flyte.cached("old", age=31)
    flyte.cached("young", age=29)

    flyte.collect(EXECUTION_DAYS="0", CACHE_DAYS="30")

    for table in OF_THE_CACHE:
        assert flyte.names(table) == {"young"}, table
    assert flyte.sql("SELECT count(*) FROM datasets") == "1"


def test_a_number_of_days_of_zero_keeps_everything(flyte: Flyte):
    flyte.execution("old", age=4000)
    flyte.cached("old", age=4000)

    done = flyte.collect(EXECUTION_DAYS="0", CACHE_DAYS="0")

    assert "finished executions are kept for ever" in done.stdout
    assert (flyte.names(), flyte.names("artifacts")) == ({"old"}, {"old"})


def test_every_batch_is_a_transaction_so_that_a_killed_run_loses_nothing_and_can_be_repeated(flyte: Flyte):
    for number in range(40):
        flyte.execution(f"old{number}")

    with start_script("retention/collect.sh", flyte.env | {"BATCH": "1"}, flyte.server.work) as run:
        assert run.stdout
        for line in run.stdout:
            if "3 finished executions deleted so far" in line:
                break
    left = flyte.names()
    assert 0 < len(left) < 40
    for table in OF_AN_EXECUTION:
        assert flyte.names(table) == left, table

    flyte.collect()

    assert flyte.names() == set()


def test_what_flyte_changes_at_this_moment_is_skipped_and_flyte_is_not_locked_out(flyte: Flyte):
    flyte.execution("changing")
    flyte.execution("old")
    hold = "BEGIN; UPDATE executions SET abort_cause = 'x' WHERE execution_name = 'changing'; SELECT pg_sleep(30)"
    command = flyte.server.psql("-h", "127.0.0.1", "-U", "flyte", "-d", "flyte", "-c", hold)
    holder = subprocess.Popen(
        command, env={**flyte.server.env, "PGPASSWORD": FLYTE}, stdout=subprocess.DEVNULL, **flyte.server.work.identity
    )
    try:
        while "1" not in flyte.server.sql("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'"):
            pass
        flyte.collect()
        assert flyte.names() == {"changing"}
    finally:
        flyte.server.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event = 'PgSleep'")
        holder.wait(10)


def test_a_wrong_password_is_an_error_without_the_password_in_any_output(flyte: Flyte):
    flyte.server.mount(flyte="another-planted-password")

    done = run_script("retention/collect.sh", flyte.env | {"WAIT": "1"}, flyte.server.work)

    assert done.returncode == 1
    assert "does not let flyte in" in done.stderr
    assert "planted" not in done.stdout + done.stderr


# --- schedules ----------------------------------------------------------------------------------------------------


def schedule(flyte: Flyte, name: str, hours: float, *, active: bool = True) -> None:
    flyte.sql(
        "INSERT INTO schedulable_entities (project, domain, name, version, cron_expression, active, updated_at) "
        f"VALUES ('remedy', 'development', '{name}', 'v', '0 * * * *', {active}, now() - interval '{hours} hours')"
    )


def hours_back(flyte: Flyte, name: str) -> float:
    """Hours since the time from which Flyte would start missed executions of a schedule without a snapshot."""
    statement = f"SELECT extract(epoch FROM now() - updated_at) / 3600 FROM schedulable_entities WHERE name = '{name}'"
    return float(flyte.sql(statement))


def skip_missed(flyte: Flyte, age: str) -> str:
    done = run_script("schedules/skip-missed.sh", flyte.env | {"AGE": age}, flyte.server.work)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_times_missed_longer_ago_than_the_limit_are_skipped_and_newer_ones_stay(flyte: Flyte):
    schedule(flyte, "away", 72)
    schedule(flyte, "recent", 0.5)

    skip_missed(flyte, "2 hours")

    assert hours_back(flyte, "away") == pytest.approx(2, abs=0.02)
    assert hours_back(flyte, "recent") == pytest.approx(0.5, abs=0.02)


def test_an_age_of_zero_skips_everything_that_was_missed(flyte: Flyte):
    schedule(flyte, "away", 72)

    skip_missed(flyte, "0 minutes")

    assert hours_back(flyte, "away") == pytest.approx(0, abs=0.02)


def test_an_inactive_schedule_is_not_touched(flyte: Flyte):
    schedule(flyte, "off", 72, active=False)

    skip_missed(flyte, "1 hours")

    assert hours_back(flyte, "off") == pytest.approx(72, abs=0.02)


def test_a_new_database_without_tables_does_not_keep_flyte_from_starting(flyte: Flyte):
    flyte.sql("DROP TABLE schedulable_entities")

    assert "no schedules yet" in skip_missed(flyte, "1 hours")


@pytest.mark.parametrize("file", sorted((SCRIPTS / "retention").glob("*.sql")), ids=lambda path: path.name)
def test_every_file_of_sql_is_used_by_the_script(file: Path):
    assert file.name.removesuffix(".sql").removesuffix("-preview") in (SCRIPTS / "retention/collect.sh").read_text()
