"""What a restore checks and repairs before the database that it has restored takes the place of Flyte's."""

# ruff: noqa: F811 (fixtures)
# ruff: noqa: S608 (the SQL has only what the tests write)

import json
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.processes import wait_until
from tests.scripts.backup import FLYTE, SUPERUSER, Home, plant
from tests.scripts.homes import binaries, home, pristine, servers, uid  # noqa: F401 (fixtures)

WRONG = "plantedWrongSecret1"
DATASET = "00000000-0000-4000-8000-000000000001"
# A name whose length takes two bytes in a protobuf message.
LONG = f"flyte/code/{'long' * 40}.tar.gz"
CACHE = ("artifacts", "artifact_data", "partitions", "tags")


def message(name: str) -> str:
    """A protobuf message with the URI of an object between other fields, as SQL."""
    uri = f"s3://{name}".encode()
    size = bytes([len(uri)]) if len(uri) < 128 else bytes([len(uri) % 128 + 128, len(uri) // 128])
    content = b"\x08\x01\x12" + size + uri + b"\x18\x02"
    return f"decode('{content.hex()}', 'hex')"


def cached(home: Home, name: str, outputs: str) -> None:
    """Insert a cached output, as Flyte's data catalog does."""
    key = f"'remedy', 'flyte_task-t', 'development', 'v', '{name}'"
    columns = "dataset_project, dataset_name, dataset_domain, dataset_version, artifact_id"
    home.sql(
        f"""
        INSERT INTO artifacts ({columns}, dataset_uuid) VALUES ({key}, '{DATASET}');
        INSERT INTO artifact_data ({columns}, name, location) VALUES ({key}, 'o0', 's3://{outputs}');
        INSERT INTO partitions (dataset_uuid, key, value, artifact_id) VALUES ('{DATASET}', 'k', 'v', '{name}');
        INSERT INTO tags ({columns}, tag_name, dataset_uuid) VALUES ({key}, 'tag-{name}', '{DATASET}');
        """
    )


def execution(home: Home, name: str, phase: str, inputs: str, outputs: str) -> None:
    """Insert an execution with the URIs of its inputs and, inside its closure, of its outputs."""
    home.sql(
        f"""
        INSERT INTO executions (execution_project, execution_domain, execution_name, phase, spec, inputs_uri, closure)
        VALUES ('remedy', 'development', '{name}', '{phase}', '', 's3://{inputs}', {message(outputs)})
        """
    )


def rows_and_objects(home: Home) -> None:
    """Rows of every kind that refer to an object, one of each with the object and one without."""
    for name in ("flyte/closure.pb", LONG, "flyte/inputs.pb", "flyte/outputs.pb", "tasks/directory/part-1"):
        home.put(name, b"content")
    home.put("flyte/whole.pb", b"\x0a\x16s3://tasks/directory/\x12\x02{}")
    home.put("flyte/hollow.pb", b"\x0a\x12s3://tasks/missing\x12\x02{}")
    names = [f"s3://{name}" for name in ("tasks/Größe", "tasks/with space.csv", "elsewhere/others", "tasks/plain")]
    home.put("flyte/named.pb", b"\x00".join(name.encode() for name in names) + b" see there")
    home.put("tasks/with space.csv", b"content")
    home.put("tasks/Größe", b"content")
    home.put("tasks/plain", b"content")
    for number, name in enumerate(("flyte/closure.pb", "flyte/lost-closure.pb")):
        home.sql(
            "INSERT INTO workflows (project, domain, name, version, remote_closure_identifier) "
            f"VALUES ('remedy', 'development', 'w', '{number}', 's3://{name}')"
        )
    for number, name in enumerate((LONG, f"{LONG}.lost", "elsewhere/others")):
        home.sql(
            "INSERT INTO tasks (project, domain, name, version, closure) "
            f"VALUES ('remedy', 'development', 't', '{number}', {message(name)})"
        )
    for name in ("whole", "named", "hollow", "lost"):
        cached(home, name, f"flyte/{name}.pb")
    execution(home, "whole", "SUCCEEDED", "flyte/inputs.pb", "flyte/outputs.pb")
    execution(home, "lost", "SUCCEEDED", "flyte/lost-inputs.pb", "flyte/lost-outputs.pb")
    execution(home, "failed", "FAILED", "flyte/inputs.pb", "flyte/never-written.pb")


def test_rows_without_their_object_are_listed_and_cached_outputs_without_it_are_dropped(home: Home):
    rows_and_objects(home)
    home.must_backup()
    home.servers.empty_database()

    done = home.must_restore()

    assert done.result["dangling"] == {"workflow": 1, "task": 1, "cache": 2, "inputs": 1, "outputs": 1}
    listed = {line.split(": ")[-1] for line in done.output.splitlines() if line.startswith("references:   ")}
    assert listed == {
        "s3://flyte/lost-closure.pb",
        f"s3://{LONG}.lost",
        "s3://flyte/lost.pb",
        "s3://tasks/missing",
        "s3://flyte/lost-inputs.pb",
        "s3://flyte/lost-outputs.pb",
    }
    assert [line for line in done.output.splitlines() if "cached outputs" in line] == [
        "swap: 2 cached outputs without their object are removed; their tasks will run again"
    ]
    for table in CACHE:
        assert home.sql(f"SELECT artifact_id FROM {table} ORDER BY 1") == "named\nwhole"
    # The other rows stay: they are the history of the stack.
    counts = [home.sql(f"SELECT count(*) FROM {table}") for table in ("workflows", "tasks", "executions")]
    assert counts == ["2", "3", "3"]


def test_a_drill_notes_its_result_and_leaves_the_database(home: Home):
    home.put("flyte/closure.pb", b"content")
    add = "INSERT INTO workflows (project, domain, name, version, remote_closure_identifier) VALUES ('p', 'd', 'w', "
    home.sql(f"{add} '1', 's3://flyte/closure.pb')")
    home.must_backup()
    home.sql(f"{add} '2', 's3://flyte/lost.pb')")

    # The extension that it needs is in the image of the database, and not in the package of the tests.
    (home.path / "image-postgres/programs/pg_amcheck").write_text("#!/bin/sh\n")
    home.must_restore(DRILL="true")

    assert home.sql("SELECT count(*) FROM workflows") == "2"
    home.must_backup()
    refused = home.restore(DRILL="true")
    assert refused.step == "result"
    lacking = refused.complaint.partition(" has rows whose objects it lacks: ")[2]
    assert json.loads(lacking) == {"workflow": 1}
    first, second = home.sets()
    assert [bool(each["drilled"]) for each in (first, second)] == [True, False]
    assert [bool(each["drill_failed"]) for each in (first, second)] == [False, True]


@pytest.mark.parametrize(("wanted", "moved"), [("false", True), ("true", False)])
def test_schedules_make_up_for_what_they_missed_only_if_that_is_wanted(home: Home, wanted: str, moved: bool):
    home.put("flyte/kept", b"kept")
    home.sql(
        "INSERT INTO schedulable_entities (project, domain, name, version, active, updated_at) VALUES "
        "('p', 'd', 'on', '1', true, now() - interval '9 days'), ('p', 'd', 'off', '1', false, '2025-01-01 00:00Z')"
    )
    home.must_backup()

    home.must_restore(RUN_MISSED_SCHEDULES=wanted)

    recent = home.sql("SELECT updated_at > now() - interval '1 minute' FROM schedulable_entities WHERE name = 'on'")
    assert recent == ("t" if moved else "f")
    assert home.sql("SELECT updated_at = '2025-01-01 00:00Z' FROM schedulable_entities WHERE name = 'off'") == "t"


def test_an_interrupted_restore_leaves_a_whole_database_and_can_be_repeated(home: Home):
    plant(home)
    content = home.content()
    home.must_backup()
    restored = home.rows()
    home.sql("CREATE TABLE later (id int)")
    home.delete("tasks/a/b/c/d")
    changed = home.rows()
    began = time.monotonic()
    home.must_restore()
    whole = time.monotonic() - began
    home.sql("CREATE TABLE later (id int)")

    for _ in range(3):
        moment = random.SystemRandom().uniform(0, whole)
        home.killed_restore(moment)
        assert home.rows() in (changed, restored), f"killed after {moment} s"

    home.must_restore()
    assert home.rows() == restored
    assert home.content() == content


@contextmanager
def session(home: Home, user: str, *statements: str) -> Iterator[subprocess.Popen[str]]:
    """A client of the database that keeps its connection until the context ends."""
    database = "flyte" if user == "flyte" else "postgres"
    where = ["-h", "127.0.0.1"] if user == "flyte" else []
    server = home.servers.database
    command = server.psql(*where, "-U", user, "-d", database)
    with subprocess.Popen(
        command,
        env={**server.env, "PGPASSWORD": FLYTE},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        **server.work.identity,
    ) as client:
        assert client.stdin
        assert client.stdout
        client.stdin.write("".join(f"{statement};\n" for statement in (*statements, "SELECT 'connected'")))
        client.stdin.flush()
        assert client.stdout.readline().strip() == "connected"
        yield client
        client.stdin.close()


def test_a_swap_that_is_killed_between_its_two_renames_has_changed_nothing(home: Home):
    home.put("flyte/kept", b"kept")
    home.must_backup()
    restored = home.rows()
    home.sql("CREATE TABLE later (id int)")
    changed = home.rows()
    home.must_restore(until="references")
    waits = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%RENAME TO flyte;'"

    # The second rename waits for any other session that has locked the restored database.
    with session(home, "postgres", "BEGIN", "COMMENT ON DATABASE flyte_restored IS 'locked'"):
        with home.started_restore_step("swap"):
            wait_until(lambda: home.servers.database.sql(waits) == "1", "the second rename")
        assert home.servers.database.sql("SELECT datname FROM pg_database WHERE datname LIKE 'flyte%' ORDER BY 1") == (
            "flyte\nflyte_restored"
        )

    wait_until(lambda: home.servers.database.sql(waits.replace("wait_event_type = 'Lock' AND ", "")) == "0", "its end")
    assert home.rows() == changed
    assert home.restore_step("swap").code == 0
    assert home.rows() == restored
    assert home.servers.database.sql("SELECT to_regclass('later')", "flyte_replaced") == "later"


def test_a_database_that_flyte_uses_is_not_replaced(home: Home):
    home.put("flyte/kept", b"kept")
    home.must_backup()
    home.sql("CREATE TABLE later (id int)")
    home.must_restore(until="references")

    with session(home, "flyte"):
        refused = home.restore_step("swap", WAIT="1")

    assert refused.complaint == "Flyte still uses the database; nothing was replaced. make restore stops it"
    assert home.sql("SELECT to_regclass('later')") == "later"
    # Others, such as a client that only looks, are disconnected.
    with session(home, "postgres", "\\connect flyte"):
        assert home.restore_step("swap", WAIT="1").code == 0
    assert home.sql("SELECT to_regclass('later')") == ""


def test_what_cannot_be_restored_is_refused_before_anything_is_touched(home: Home):
    home.put("flyte/kept", b"kept")
    home.must_backup()
    made = json.loads(home.restic("snapshots", "--json", "--tag", "set"))[0]["id"]
    (record,) = json.loads(home.restic("snapshots", "--json", "--tag", "record"))
    home.delete("flyte/kept")
    before = home.source()

    def refused(step: str, *words: str, at: str = "latest", **environment: str) -> None:
        done = home.restore(at, **environment)
        assert done.step == step
        for word in words:
            assert word in done.complaint
        assert WRONG not in done.output + done.errors
        assert home.source() == before

    refused("fetch", "AT: there is no set 'ffffffff'; make backups STACK=dev lists them", at="ffffffff")
    (home.path / "root-database/superuser-password").write_text(WRONG)
    refused("database", "password authentication failed for user", "restart it", WAIT="1")
    (home.path / "root-database/superuser-password").write_text(SUPERUSER)
    home.must_restore(until="fetch")
    (home.path / "restore/server-version").write_text("99.1\n")
    older = home.restore_step("database")
    assert older.complaint.startswith("the set was made by PostgreSQL 99.1")
    home.restic("forget", record["id"])
    refused("fetch", "was never verified", "choose another: make backups STACK=dev", at=made[:8])
    refused("fetch", "AT: there is no set 'latest'")
