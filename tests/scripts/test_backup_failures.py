"""Failures of a backup: one message each that says what to do, no secret, nothing stored, and the stack untouched."""

# ruff: noqa: F811 (fixtures)

import itertools
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import free_port, workspace
from tests.scripts.backup import PASSWORD, TARGET_KEY, Done, Home, Servers
from tests.scripts.homes import binaries, home, pristine, servers, uid  # noqa: F401 (fixtures)

WRONG = "plantedWrongSecret1"
NUMBERS = itertools.count(1)
CHANGED = (
    "access/password",
    "access/credentials",
    "database/database-password",
    "store/store-key",
    "image-postgres/programs/pg_dump",
    "image-restic/programs/restic",
)
"""Files that a test may change."""
QUICK = 100
"""Seconds within which a backup has to give up on a busy machine; restic would try for a quarter of an hour."""


@pytest.fixture
def filled(home: Home) -> Home:
    """A stack with an object."""
    home.put("flyte/kept", b"kept")
    return home


@pytest.fixture(scope="module")
def shared(servers: Servers, binaries: Path) -> Iterator[Home]:
    """A stack with an object, none of whose backups succeeds."""
    servers.reset()
    with workspace() as work:
        made = Home(servers, work, binaries, "")
        made.put("flyte/kept", b"kept")
        yield made


@pytest.fixture
def failing(shared: Home) -> Iterator[Home]:
    """The same stack, with everything right until the test changes it."""
    settings, files = shared.settings, [shared.path / name for name in CHANGED]
    content = [file.read_bytes() for file in files]
    shared.bucket = f"failing-{next(NUMBERS)}"
    shutil.rmtree(shared.path / "created", ignore_errors=True)
    yield shared
    shared.settings = settings
    for file, before in zip(files, content, strict=True):
        file.write_bytes(before)


def failed(home: Home, step: str, **environment: str) -> str:
    """The message of a backup that has to fail at this step."""
    before = home.source()
    began = time.monotonic()

    done = home.backup(**environment)

    assert time.monotonic() - began < QUICK
    assert done.step == step
    assert home.source() == before
    assert WRONG not in done.output + done.errors + home.calls
    return done.complaint


def test_a_wrong_password_of_the_repository(failing: Home):
    failing.access(WRONG, TARGET_KEY)

    message = failed(failing, "snapshot")

    assert message.startswith(f"flyte-home:backup.target: the repository at {failing.repository} has another password")
    assert "restore with its recovery key" in message


def test_a_wrong_secret_key_of_the_target(failing: Home):
    failing.use_bucket(key=WRONG)

    message = failed(failing, "snapshot")

    assert message.startswith(f"flyte-home:backupCredentials: {failing.settings.target} rejects them")
    assert "correct them" in message


def test_an_access_key_that_the_target_does_not_have(failing: Home):
    failing.use_bucket(user="absent")

    message = failed(failing, "snapshot")

    assert message.startswith("flyte-home:backup.accessKeyId: ")
    assert "'absent'" in message


def test_a_target_that_does_not_answer(failing: Home):
    failing.use_bucket(create=False)
    failing.with_settings(target=f"s3:http://127.0.0.1:{free_port()}/{failing.bucket}/flyte")

    message = failed(failing, "snapshot", PATIENCE="3")

    assert message == (
        f"flyte-home:backup.target: {failing.settings.target} does not answer; start the server, or correct the address"
    )


def test_a_bucket_that_does_not_exist(failing: Home):
    failing.use_bucket(create=False)

    message = failed(failing, "snapshot", PATIENCE="100")

    assert message == (
        f"flyte-home:backup.target: the bucket of {failing.settings.target} does not exist; create it, or correct the "
        "name"
    )


@pytest.mark.parametrize("name", ["tab\there", "line\nbreak", "ends.part.minio"])
def test_an_object_whose_name_no_file_can_have_is_named(failing: Home, name: str):
    failing.put(f"flyte/{name}", b"odd")
    try:
        message = failed(failing, "snapshot")
    finally:
        failing.delete(f"flyte/{name}")

    assert message.startswith(
        "objects whose names have tabs or line breaks, or end in .part.minio, cannot be backed up"
    )
    assert name.encode("unicode_escape").decode() in message
    assert message.endswith("rename or delete them")


def test_a_target_that_was_emptied_after_earlier_sets(filled: Home):
    place = filled.use_bucket()
    filled.must_backup()
    filled.servers.target.root("rm", "--recursive", "--force", place)

    message = failed(filled, "snapshot")

    assert message.startswith(f"flyte-home:backup.target: the repository at {filled.settings.target} has disappeared")
    assert "delete the volume claim backup-work" in message
    assert filled.servers.target.root("ls", "--recursive", f"store/{filled.bucket}") == ""


def replaced(home: Home, program: str, script: str) -> None:
    """Replace a program of an image. In the script, $REAL is the real one."""
    (path,) = (file for file in home.path.glob(f"image-*/programs/{program}") if not file.is_symlink())
    real = shutil.copy(path, path.with_name(f"{program}.real"))
    path.write_text(f"#!/bin/sh\nREAL={real}\n{script}\n")


def test_a_bucket_that_is_full(failing: Home):
    failing.use_bucket()
    said = "Storage backend has reached its minimum free drive threshold. Please delete a few objects to proceed."
    retries = f'echo "Save(<data/09b6eb345d>) returned error, retrying after 10s: client.PutObject: {said}" >&2'
    # Restic as it was seen at a MinIO on a full disk, where it tries for a quarter of an hour.
    replaced(
        failing, "restic", f'[ "$1" = backup ] || exec "$REAL" "$@"\n{retries}\ntrap "exit 130" TERM\nsleep 600 &\nwait'
    )

    message = failed(failing, "snapshot")

    assert message.startswith(f"flyte-home:backup.target: {failing.settings.target} is full; free space there")


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of four mebibytes at ``folder``, with what was in it."""
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("needs root and mount, for a file system that is full")
    content = folder.with_name(f"{folder.name}-before")
    folder.rename(content)
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(folder)], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"needs a file system that is full: {mounted.stderr.strip()}")
    try:
        shutil.copytree(content, folder, dirs_exist_ok=True)
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_target_that_is_full_and_works_again_once_there_is_space(filled: Home):
    filled.put("flyte/large", os.urandom(2 * 1024 * 1024))
    with small_disk(filled.path / "target"):
        other = filled.path / "target/other"
        other.write_bytes(bytes(3 * 1024 * 1024))
        message = failed(filled, "snapshot")

        assert message == (
            f"flyte-home:backup.target: {filled.repository} is full; free space there, or keep fewer sets with "
            "flyte-home:backup.keep"
        )
        other.unlink()
        made = filled.must_backup()
        assert [each["id"] for each in filled.sets()] == [made["id"]]
        assert filled.check("check", SUBSET="1/1").code == 0


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param('truncate -s -100 "$dump"', id="truncated"),
        pytest.param(': >"$dump"', id="empty"),
    ],
)
def test_a_dump_that_cannot_be_read_back(failing: Home, damage: str):
    failing.sql(
        "CREATE TABLE IF NOT EXISTS much AS SELECT number, md5(number::text) FROM generate_series(1, 2000) AS number"
    )
    replaced(failing, "pg_dump", f'"$REAL" "$@" && for last; do dump=${{last#--file=}}; done && {damage} 2>/dev/null')

    message = failed(failing, "dump")

    assert message.startswith("the dump cannot be read back; nothing was stored: pg_restore: error: ")
    assert list(failing.repository.joinpath("snapshots").iterdir()) == []


def test_a_dump_that_fails(failing: Home):
    replaced(
        failing, "pg_dump", 'echo "pg_dump: error: could not write to output file: No space left on device" >&2; exit 1'
    )

    message = failed(failing, "dump")

    assert message.startswith("the database cannot be dumped; nothing was stored: ")
    assert "No space left on device" in message
    assert "flyte-home:backup.volume" in message


def test_a_password_that_the_database_rejects(failing: Home):
    (failing.path / "database/database-password").write_text(WRONG)

    message = failed(failing, "dump", WAIT="1")

    assert message.startswith("the database does not let flyte in: ")
    assert 'password authentication failed for user "flyte"; restart Postgres' in message


def test_a_database_that_does_not_answer(failing: Home):
    message = failed(failing, "dump", WAIT="1", PGPORT=str(free_port()))

    assert message.startswith("the database does not let flyte in: ")
    assert "make doctor" in message


def test_a_key_that_the_object_store_rejects(failing: Home):
    (failing.path / "store/store-key").write_text(WRONG)

    message = failed(failing, "copy", WAIT="1")

    assert message.startswith("the object store does not let flyte.backup in: ")
    assert "make up" in message


def test_an_object_store_that_does_not_answer(failing: Home):
    message = failed(failing, "copy", WAIT="1", STORE_URL=f"http://127.0.0.1:{free_port()}")

    assert "connection refused" in message
    assert "make doctor" in message


def flip_a_bit(home: Home) -> None:
    """Change a bit in the middle of the largest file of the repository."""
    pack = max(
        (file for file in (home.repository / "data").rglob("*") if file.is_file()), key=lambda file: file.stat().st_size
    )
    content = bytearray(pack.read_bytes())
    content[len(content) // 2] ^= 1
    pack.chmod(0o600)
    pack.write_bytes(content)


def test_a_changed_bit_in_the_repository_is_found_and_nothing_is_restored_from_it(filled: Home):
    filled.put("flyte/large", os.urandom(1024 * 1024))
    filled.must_backup()
    flip_a_bit(filled)
    before = filled.source()

    def refused(done: Done, step: str) -> None:
        assert done.step == step
        assert done.complaint == (
            f"the repository at {filled.repository} is damaged; see 'A damaged repository' in docs/backup.md"
        )

    refused(filled.check("check", SUBSET="1/1"), "check")
    refused(filled.restore(), "fetch")
    assert filled.source() == before


def test_a_repository_of_another_stack_has_no_sets_of_this_one(filled: Home):
    filled.must_backup()

    assert filled.check("list", STACK="prod").result["sets"] == []
    assert filled.check("state", STACK="prod").complaint.startswith("AT: there is no set 'latest' of the stack prod")
    assert PASSWORD not in filled.calls
