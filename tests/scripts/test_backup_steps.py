"""A backup and its restore, with real servers: everything comes back as it was."""

# ruff: noqa: F811 (fixtures)

import shutil

from tests.scripts.backup import LARGE, NAMES, TARGET_KEY, Home, plant
from tests.scripts.homes import binaries, home, pristine, servers, uid  # noqa: F401 (fixtures)


def test_everything_comes_back_into_an_empty_database_and_store(home: Home):
    home.use_bucket(create=False)
    home.servers.target.root("mb", f"store/{home.bucket}")
    plant(home)
    rows, content = home.rows(), home.content()
    home.must_backup()
    home.servers.empty_database()
    home.servers.empty_store()

    done = home.must_restore()

    assert home.rows() == rows
    assert home.content() == content
    assert done.result["dangling"] == {}
    assert done.result["objects"] == len(NAMES) + 3
    # No secret is in an argument or in a file of the steps.
    assert "planted" not in home.calls
    assert home.secrets_in("work", "restore", "tmp", "scripts") == []


def test_what_was_changed_or_deleted_comes_back_and_nothing_else_is_uploaded(home: Home):
    plant(home)
    rows, content = home.rows(), home.content()
    home.must_backup()
    home.sql('DELETE FROM odd; ALTER TABLE odd ADD later int; DROP TABLE "empty Table"; CREATE TABLE later (id int)')
    home.put("tasks/a/b/c/d", b"CONTENT 4")
    home.put("flyte/code/archive.tar.gz", b"other", flyteContentMD5="other")
    home.delete("tasks/with space")
    home.put("tasks/later", b"later")

    done = home.must_restore()

    assert home.rows() == rows
    after = home.content()
    assert after.pop("tasks/later")  # what the set does not have stays
    assert after == content
    assert f"compare: 3 of {len(NAMES) + 3} objects have to be uploaded" in done.output


def test_a_backup_stores_only_what_is_new_and_notices_another_content_of_the_same_size(home: Home):
    home.put("tasks/large", LARGE)
    home.put("tasks/small", b"first.")
    first = home.must_backup()
    home.put("tasks/small", b"second")

    second = home.must_backup()

    assert first["added"] > len(LARGE)
    assert second["added"] < 100_000
    assert second["bytes"] == first["bytes"]
    for made, content in ((first, "first."), (second, "second")):
        home.must_restore(made["id"][:12], until="fetch")
        assert (home.path / "restore/restored/objects/tasks/small").read_text() == content


def test_what_the_copy_lacks_is_found_even_if_it_is_everything(home: Home):
    home.put("flyte/kept", b"kept")
    home.runs += 1
    assert home.step("dump").code == 0
    assert home.step("copy").code == 0
    (home.path / "work/objects/flyte/kept").unlink()

    assert home.step("snapshot").complaint.startswith("1 objects of the copy differ from the object store")


def test_a_bucket_that_was_emptied_is_empty_in_the_set_after_the_next(home: Home):
    home.put("flyte/deleted", b"deleted")
    home.must_backup()
    home.delete("flyte/deleted")
    home.must_backup()

    assert home.must_backup()["objects"] == 0


def test_an_object_that_is_deleted_after_the_dump_is_in_this_set_and_not_in_the_next(home: Home):
    home.put("flyte/kept", b"kept")
    home.put("flyte/deleted", b"deleted")
    home.must_backup()
    home.runs += 1
    assert home.step("dump").code == 0
    home.delete("flyte/deleted")
    assert home.step("copy").code == 0
    done = home.step("snapshot")
    assert done.code == 0, done.errors

    home.must_restore(done.result["id"], until="fetch")
    assert (home.path / "restore/restored/objects/flyte/deleted").read_text() == "deleted"
    third = home.must_backup()
    home.must_restore(third["id"], until="fetch")
    assert not (home.path / "restore/restored/objects/flyte/deleted").exists()
    assert not (home.path / "work/objects/flyte/deleted").exists()


def test_an_object_that_only_this_set_has_is_restored(home: Home):
    home.put("flyte/kept", b"kept")
    home.put("flyte/deleted", b"deleted")
    home.must_backup()
    home.delete("flyte/deleted")
    home.must_backup()

    home.must_restore()

    assert home.servers.store.root("cat", "store/flyte/deleted") == "deleted"


def test_the_copy_is_made_again_if_its_volume_was_lost(home: Home):
    home.put("flyte/kept", b"kept")
    home.must_backup()
    shutil.rmtree(home.path / "work")
    (home.path / "work").mkdir()

    assert home.must_backup()["objects"] == 1


def test_a_damaged_copy_of_an_object_is_found_before_it_is_stored(home: Home):
    home.put("flyte/kept", b"kept")
    home.runs += 1
    assert home.step("dump").code == 0
    assert home.step("copy").code == 0
    (home.path / "work/objects/flyte/kept").write_bytes(b"KEPT")

    done = home.step("snapshot")

    assert done.complaint.startswith("1 objects of the copy differ from the object store")
    assert home.must_backup()["objects"] == 1
    home.must_restore(until="fetch")
    assert (home.path / "restore/restored/objects/flyte/kept").read_bytes() == b"kept"


def test_the_state_of_pulumi_is_in_the_set(home: Home):
    home.put("flyte/kept", b"kept")
    (home.path / "state/part-1").write_text("sealed\n")

    assert home.must_backup()["state"] == "sealed"
    home.must_restore(until="fetch")
    assert (home.path / "restore/restored/set/state/part-1").read_text() == "sealed\n"
    assert home.sets()[0]["state"] == "sealed"


def test_the_key_of_the_target_reaches_restic_only(home: Home):
    place = home.use_bucket()
    home.put("flyte/kept", b"kept")
    home.must_backup()

    assert "snapshots" in home.servers.target.root("ls", f"{place}/")
    assert TARGET_KEY not in home.calls
