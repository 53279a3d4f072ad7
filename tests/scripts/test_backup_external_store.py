"""The backup of a stack whose object store belongs to others: it opens the stack's own buckets, and creates none."""

# ruff: noqa: F811 (fixtures)

from tests.scripts.backup import Home
from tests.scripts.homes import binaries, home, pristine, servers, uid  # noqa: F401 (fixtures)


def test_only_the_buckets_of_the_stack_are_copied_and_come_back(home: Home):
    home.put("flyte/metadata/x", b"of flyte", flyteContentMD5="x")
    home.put("tasks/data/y", b"of tasks")
    home.put("photos/z", b"of others")
    home.use_store_of_others("flyte", "tasks")

    result = home.must_backup()
    home.delete("tasks/data/y")
    home.must_restore()

    assert result["objects"] == 2
    assert set(home.content()) >= {"flyte/metadata/x", "tasks/data/y", "photos/z"}
    assert not home.count("mc mb")
    assert home.secrets_in("work", "restore", "tmp", "scripts") == []


def test_a_key_that_the_store_rejects_is_reported_without_showing_it(home: Home):
    home.put("flyte/metadata/x", b"of flyte")
    home.use_store_of_others("flyte")
    (home.path / "store" / "store-key").write_text("plantedWrongKey")

    said = home.backup().complaint

    assert said.startswith("the object store does not let the key of the backup in: ")
    assert "planted" not in said


def test_a_bucket_that_is_missing_in_the_store_is_not_created_by_a_restore(home: Home):
    home.put("flyte/metadata/x", b"of flyte")
    home.put("tasks/data/y", b"of tasks")
    home.use_store_of_others("flyte", "tasks")
    home.must_backup()
    home.servers.store.root("rb", "--force", "store/tasks")

    done = home.restore()

    assert done.code != 0
    assert done.step == "list"
    assert "tasks" not in home.servers.store.root("ls", "store")
