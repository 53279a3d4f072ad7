"""The metrics of the real database and the real object store, and what the two who read them may do."""

import subprocess
import urllib.error
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from components.database import MONITOR
from components.monitoring.targets import TARGETS
from components.monitoring.token import metrics_token
from components.object_store.archives import monitor_archives
from components.object_store.users import monitor_user
from tests.metrics import names, of_service, scraped
from tests.processes import free_port, wait_until
from tests.scripts.conftest import run_script
from tests.scripts.store import BUCKET, Store, project, stopped_store
from tests.scripts.test_postgres_scripts import (  # noqa: F401 (fixtures)
    FLYTE,
    SUPERUSER,
    Cluster,
    binaries,
    cluster,
    pristine,
    uid,
)
from tests.tools import require

PASSWORD, KEY = "planted-monitor-password", "plantedMonitorKey1"
USER = monitor_user(1)
(CLUSTER_PATH, BUCKET_PATH) = next(target.paths for target in TARGETS if target.token)
REMEDY = project("remedy", "development")


# --- database -----------------------------------------------------------------------------------------------------


@pytest.fixture
def server(cluster: Cluster) -> Cluster:  # noqa: F811 (a fixture)
    """A database cluster with its server, on which no script has run yet."""
    cluster.start()
    return cluster


def create_role(server: Cluster, password: str = PASSWORD) -> subprocess.CompletedProcess[str]:
    """Run both parts of the postStart hook of a stack with monitoring."""
    server.ensure_roles()
    folder = server.work.path / "monitor"
    if not folder.exists():
        server.work.folder("monitor")
    server.work.file("monitor/password", password)
    return run_script("monitoring/monitor-role.sh", {**server.env, "MONITOR": str(folder)}, server.work)


def monitored(server: Cluster, password: str = PASSWORD) -> Cluster:
    done = create_role(server, password)
    assert done.returncode == 0, done.stderr
    return server


@contextmanager
def exporter(server: Cluster, password: str = PASSWORD) -> Iterator[str]:
    """The exporter, configured as in its pod; the address of its metrics."""
    port = free_port()
    folder = server.work.folder("exporter")
    server.work.file("exporter/password", password)
    environment = {
        "DATA_SOURCE_URI": f"127.0.0.1:{server.port}/postgres?sslmode=disable",
        "DATA_SOURCE_USER": MONITOR,
        "DATA_SOURCE_PASS_FILE": str(folder / "password"),
        "HOME": str(folder),
    }
    command = [str(require("postgres_exporter")), f"--web.listen-address=127.0.0.1:{port}"]
    log = server.work.path / "exporter.log"
    with log.open("w") as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, **server.work.identity
        )
    address = f"http://127.0.0.1:{port}/metrics"
    try:
        wait_until(lambda: process.poll() is not None or _answers(address), "the exporter's start")
        assert process.poll() is None, log.read_text()
        yield address
    finally:
        process.terminate()
        process.wait(timeout=10)


def _answers(address: str) -> bool:
    try:
        return bool(scraped(address))
    except OSError:
        return False


def test_the_exporter_has_every_metric_of_the_database_that_alerts_and_dashboards_name(server: Cluster):
    with exporter(monitored(server)) as address:
        text = scraped(address)

    assert "pg_up 1" in text
    assert 'pg_database_size_bytes{datname="flyte"}' in text
    wanted = of_service("postgres-metrics")
    assert len(wanted) > 8
    assert wanted - names(text) == set()


def test_an_exporter_with_another_password_says_that_the_database_is_down(server: Cluster):
    with exporter(monitored(server), "another-password") as address:
        assert "pg_up 0" in scraped(address)


def test_the_role_reads_statistics_and_nothing_of_flyte(server: Cluster):
    monitored(server)

    assert server.sql(
        "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls, rolconnlimit "
        "FROM pg_roles WHERE rolname = 'monitoring'"
    ) == "t|f|f|f|f|f|5"  # fmt: skip
    memberships = "SELECT pg_get_userbyid(roleid) FROM pg_auth_members WHERE member = 'monitoring'::regrole"
    assert server.sql(memberships) == "pg_monitor"
    assert server.lets_in(MONITOR, PASSWORD, "postgres")
    refused = server.login(MONITOR, PASSWORD, "flyte")
    assert refused.returncode != 0
    assert 'permission denied for database "flyte"' in refused.stderr
    for statement in ("SELECT * FROM pg_authid", "CREATE TABLE mine (id int)", "SELECT pg_read_file('PG_VERSION')"):
        assert "permission denied" in server.login(MONITOR, PASSWORD, "postgres", statement).stderr, statement


def test_another_password_replaces_the_one_of_the_role(server: Cluster):
    monitored(server)
    monitored(server, "changed-password")

    assert server.lets_in(MONITOR, "changed-password", "postgres")
    assert not server.lets_in(MONITOR, PASSWORD, "postgres")


def test_a_start_revokes_added_privileges_of_the_role_that_reads_statistics(server: Cluster):
    monitored(server)
    server.sql(f"ALTER ROLE {MONITOR} SUPERUSER CREATEDB CONNECTION LIMIT -1")
    server.sql(f"GRANT pg_read_all_data, flyte TO {MONITOR}")

    monitored(server)

    memberships = "SELECT pg_get_userbyid(roleid) FROM pg_auth_members WHERE member = 'monitoring'::regrole"
    assert server.sql(memberships) == "pg_monitor"
    rights = "SELECT rolsuper, rolcreatedb, rolconnlimit FROM pg_roles WHERE rolname = 'monitoring'"
    assert server.sql(rights) == "f|f|5"


@pytest.mark.parametrize("password", ['it\'s a "password" \\ $1 `id`', "ä"])
def test_a_password_of_the_role_with_any_character_works(server: Cluster, password: str):
    monitored(server, password)

    assert server.lets_in(MONITOR, password, "postgres")


def test_an_empty_password_of_the_role_is_an_error(server: Cluster):
    done = create_role(server, "")

    assert done.returncode == 1
    assert "missing or empty" in done.stderr


def test_no_password_of_the_role_is_in_the_log_or_in_an_argument(server: Cluster):
    monitored(server)

    for text in (server.log.read_text(), server.programs.calls):
        assert text
        for password in (PASSWORD, SUPERUSER, FLYTE):
            assert password not in text


# --- object store -------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with a project and with the user that reads metrics, provisioned as the Job does it."""
    with stopped_store() as made:
        made.mount(projects=[REMEDY])
        made.work.file(f"keys/{USER}", KEY)
        scripts = made.work.path / "scripts"
        for name, content in monitor_archives(USER, BUCKET).items():
            (scripts / name).write_bytes(content)
        with (scripts / "users").open("a") as table:
            table.write(f"{USER} {BUCKET}\n")
        made.start()
        made.provision()
        yield made


def token(key: str = KEY, user: str = USER) -> str:
    return metrics_token(user, key)


def refused(store: Store, path: str, bearer: str) -> bool:
    try:
        scraped(store.url + path, bearer)
    except urllib.error.HTTPError as error:
        return error.code == 403
    return False


def test_the_store_has_every_metric_that_alerts_and_dashboards_name(store: Store):
    assert store.mc("ls", "store/nowhere/").returncode != 0  # so that some request has failed
    store.root("pipe", f"store/{REMEDY.bucket}/data/x", text="content")
    # Otherwise it takes minutes until the store has counted its objects.
    store.root("admin", "config", "set", "store", "scanner", "speed=fastest")
    wanted = of_service("minio-metrics")
    assert len(wanted) > 8

    def found() -> set[str]:
        return {name for path in (CLUSTER_PATH, BUCKET_PATH) for name in names(scraped(store.url + path, token()))}

    wait_until(lambda: wanted <= found(), f"metrics of the store: {sorted(wanted - found())}", 150)


def test_without_a_valid_token_the_store_shows_no_metrics(store: Store):
    for path in (CLUSTER_PATH, BUCKET_PATH):
        assert not refused(store, path, token())
        assert refused(store, path, "")
        assert refused(store, path, token("anotherKey"))


def test_the_keys_of_tasks_and_of_flyte_give_no_metrics(store: Store):
    for user in ("flyte", f"flyte-tasks-{REMEDY.project}-{REMEDY.domain}"):
        key = (store.work.path / "keys" / user).read_text()
        assert refused(store, CLUSTER_PATH, token(key, user)), user


def test_another_user_that_reads_metrics_replaces_the_one_before(store: Store):
    later = monitor_user(2)
    (store.work.path / "scripts" / "access-later.zip").write_bytes(
        monitor_archives(later, BUCKET)["access-monitor.zip"]
    )
    with (store.work.path / "scripts" / "users").open("a") as table:
        table.write(f"{later} {BUCKET}\n")
    store.work.file(f"keys/{later}", "plantedMonitorKey2")
    store.provision()
    assert not refused(store, CLUSTER_PATH, token("plantedMonitorKey2", later))

    # What RetiredUsers runs after the rotation: here it removes the later one.
    with (store.work.path / "scripts" / "kept").open("a") as kept:
        kept.write(f"{USER}\n")
    store.retire()

    assert not refused(store, CLUSTER_PATH, token())
    assert refused(store, CLUSTER_PATH, token("plantedMonitorKey2", later))


def test_the_user_that_reads_metrics_can_do_nothing_else(store: Store):
    store.root("pipe", f"store/{BUCKET}/metadata/x", text="secret content")

    def denied(*arguments: str, text: str = "") -> bool:
        done = store.mc(*arguments, user=USER, key=KEY, text=text)
        return done.returncode != 0 and ("Access Denied" in done.stderr or "Insufficient permissions" in done.stderr)

    assert denied("cat", f"store/{BUCKET}/metadata/x")
    assert denied("pipe", f"store/{BUCKET}/metadata/y", text="mine")
    assert denied("rm", f"store/{BUCKET}/metadata/x")
    assert denied("ls", f"store/{BUCKET}/")
    assert denied("ls", f"store/{REMEDY.bucket}/")
    assert denied("mb", "store/own")
    assert denied("admin", "user", "list", "store")
    assert denied("admin", "user", "svcacct", "add", "store", USER)
    assert denied("admin", "user", "add", "store", USER, "anotherSecretKey1")
    assert store.root("cat", f"store/{BUCKET}/metadata/x") == "secret content"
