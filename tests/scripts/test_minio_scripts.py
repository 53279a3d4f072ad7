"""The script that provisions the object store, against a real server."""

import json
import shutil
import time
import zipfile
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from components.object_store import archives, policies
from tests.processes import wait_until
from tests.scripts.conftest import start_script
from tests.scripts.store import (
    BUCKET,
    CHANGED_KEY,
    RETIRE,
    SCRIPT,
    SECRET_KEY,
    USER,
    Store,
    key_of,
    project,
    stopped_store,
    user_of,
)


@pytest.fixture
def down() -> Iterator[Store]:
    """A store whose server is not running."""
    with stopped_store() as made:
        yield made


@pytest.fixture
def store(down: Store) -> Store:
    """A store on which no script has run yet, with its server running."""
    down.start()
    return down


@pytest.fixture(scope="module")
def ready() -> Iterator[Store]:
    """A provisioned store with a second bucket that does not belong to the user. It is shared, so do not change it."""
    with stopped_store() as made:
        made.start()
        made.provision()
        made.root("mb", "store/other")
        made.root("pipe", "store/other/object", text="not for everybody")
        yield made


def test_the_first_run_creates_bucket_and_user(store: Store):
    assert store.root("ls", "store") == ""

    store.provision()

    assert store.root("ls", "store").split()[-1] == f"{BUCKET}/"
    assert store.lets_in(SECRET_KEY)


def test_a_repeated_run_succeeds_and_keeps_objects(ready: Store):
    assert ready.mc("pipe", f"store/{BUCKET}/kept", text="kept").returncode == 0

    ready.provision()

    assert ready.mc("cat", f"store/{BUCKET}/kept").stdout == "kept"
    assert ready.root("cat", "store/other/object") == "not for everybody"


def test_the_user_can_write_list_read_and_delete_in_its_bucket(ready: Store):
    name = f"store/{BUCKET}/run/1"

    assert ready.mc("pipe", name, text="a result").returncode == 0
    assert ready.mc("ls", f"store/{BUCKET}/run/").stdout.split()[-1] == "1"
    assert ready.mc("cat", name).stdout == "a result"
    assert ready.mc("rm", name).returncode == 0
    assert ready.mc("ls", f"store/{BUCKET}/run/").stdout == ""


def test_the_user_can_upload_an_object_in_parts(ready: Store):
    # More than one part; the client sends parts of 16 MiB.
    content = "0123456789abcdef" * (2 << 20)

    assert ready.mc("pipe", f"store/{BUCKET}/large", text=content).returncode == 0

    assert ready.mc("cat", f"store/{BUCKET}/large").stdout == content


@pytest.mark.parametrize(
    "call",
    [
        ["ls", "store/other"],
        ["cat", "store/other/object"],
        ["pipe", "store/other/object"],
        ["pipe", "store/other/new"],
        ["rm", "store/other/object"],
    ],
    ids=" ".join,
)
def test_the_user_cannot_open_another_bucket(ready: Store, call: list[str]):
    done = ready.mc(*call, text="from the user")

    assert done.returncode != 0
    assert "Access Denied" in done.stderr or "Insufficient permissions" in done.stderr
    assert "everybody" not in done.stdout
    assert [line.split()[-1] for line in ready.root("ls", "store/other").splitlines()] == ["object"]
    assert ready.root("cat", "store/other/object") == "not for everybody"


@pytest.mark.parametrize(
    "call",
    [
        ["admin", "info", "store"],
        ["admin", "user", "list", "store"],
        ["admin", "user", "add", "store", "another", "another-key"],
        ["admin", "policy", "attach", "store", "consoleAdmin", "--user", USER],
        ["admin", "user", "svcacct", "add", "store", USER],
        ["mb", "store/another"],
        ["rb", "--force", f"store/{BUCKET}"],
        ["anonymous", "set", "public", f"store/{BUCKET}"],
    ],
    ids=" ".join,
)
def test_the_user_may_do_nothing_but_use_objects(ready: Store, call: list[str]):
    done = ready.mc(*call)

    assert done.returncode != 0
    assert "Access Denied" in done.stderr
    assert [line.split()[-1] for line in ready.root("ls", "store").splitlines()] == [f"{BUCKET}/", "other/"]


def test_requests_without_a_key_are_rejected(ready: Store):
    assert ready.mc("pipe", f"store/{BUCKET}/object", text="not for everybody").returncode == 0

    assert ready.answers(f"/{BUCKET}/object") == 403
    assert ready.answers(f"/{BUCKET}") == 403


def test_a_changed_secret_key_replaces_the_old_one(store: Store):
    store.provision()
    assert not store.lets_in(CHANGED_KEY)

    store.mount(secret_key=CHANGED_KEY)
    store.provision()

    assert store.lets_in(CHANGED_KEY)
    assert not store.lets_in(SECRET_KEY)


def test_a_renamed_bucket_is_created_and_the_old_one_keeps_its_objects_but_not_its_user(store: Store):
    store.provision()
    assert store.mc("pipe", f"store/{BUCKET}/run", text="kept").returncode == 0

    store.mount(bucket="renamed")
    store.provision()

    assert store.mc("pipe", "store/renamed/run", text="new").returncode == 0
    assert store.mc("ls", f"store/{BUCKET}").returncode != 0
    assert store.root("cat", f"store/{BUCKET}/run") == "kept"


def test_a_rejected_root_password_is_an_error_that_names_the_address_but_not_the_password(store: Store):
    store.mount(root_password="plantedWrongPassword")

    start = time.monotonic()
    done = store.run(wait=3)
    took = time.monotonic() - start

    assert done.returncode != 0
    assert took < 20
    assert store.programs.count("mc ls") >= 2  # immediately, and again within the waiting time
    assert f"the object store at {store.url} does not let root in" in done.stderr
    assert "planted" not in done.stdout + done.stderr
    assert store.root("ls", "store") == ""


@pytest.mark.parametrize(
    ("archive", "file", "content"),
    [
        ("access-broken.zip", "iam-assets/policies.json", "{"),
        ("access-broken.zip", "iam-assets/user_mappings.json", '{"flyte": {"version": 1, "policy": "missing"}}'),
        ("buckets-broken.zip", f"{BUCKET}/quota.json", '{"quota": -1, "quotatype": "hard"}'),
    ],
)
def test_an_import_that_the_store_rejects_is_an_error_and_is_tried_again(
    store: Store, archive: str, file: str, content: str
):
    path = store.work.path / "scripts" / archive
    with zipfile.ZipFile(path, "w") as broken:
        broken.writestr(file, content)

    for _ in range(2):
        done = store.run()
        assert done.returncode != 0
        assert f"provision: {path}" in done.stderr
    path.unlink()
    store.provision()


def test_a_missing_secret_key_is_an_error(store: Store):
    store.mount(secret_key="")

    assert store.run().returncode != 0


def test_the_script_waits_for_a_server_that_starts_late(down: Store):
    with (
        start_script(SCRIPT, down.env(wait=0), down.work) as impatient,
        start_script(SCRIPT, down.env(wait=20), down.work) as patient,
    ):
        output, errors = impatient.communicate(timeout=20)
        assert impatient.returncode != 0
        assert f"the object store at {down.url} does not let root in" in errors
        assert "connection refused" in errors
        assert "planted" not in output + errors

        # The client retries by itself; a second call of the client is a retry of the script.
        wait_until(lambda: down.programs.count("mc ls") == 3, "the script's second try")
        assert patient.poll() is None
        down.start()
        _, errors = patient.communicate(timeout=20)

    assert patient.returncode == 0, errors
    assert down.lets_in(SECRET_KEY)


def test_secrets_appear_neither_in_arguments_nor_in_output_nor_in_files(store: Store):
    done = store.provision()
    written = [path.read_text(errors="replace") for path in store.home.rglob("*") if path.is_file()]

    assert store.programs.count("mc admin user add") == 1
    assert written  # the client does write its own files there
    for text in (store.programs.calls, *written, done.stdout, done.stderr):
        assert "planted" not in text


def test_a_new_project_gets_its_bucket_and_key_without_affecting_the_others(store: Store):
    first, second = project("remedy", "development"), project("other", "development")
    store.mount(projects=[first])
    store.provision()
    assert (
        store.mc("pipe", "store/remedy-development/x", user=user_of(first), key=key_of(first), text="kept").returncode
        == 0
    )

    store.mount(projects=[first, second])
    store.provision()

    assert store.mc("ls", "store/other-development", user=user_of(second), key=key_of(second)).returncode == 0
    assert store.mc("cat", "store/remedy-development/x", user=user_of(first), key=key_of(first)).stdout == "kept"


def test_the_key_of_a_removed_project_opens_nothing_and_its_data_stays(store: Store):
    first, second = project("remedy", "development"), project("other", "development")
    store.mount(projects=[first, second])
    store.provision()
    done = store.mc("pipe", "store/other-development/x", user=user_of(second), key=key_of(second), text="kept")
    assert done.returncode == 0

    store.mount(projects=[first])
    store.provision()
    store.retire()

    refused = store.mc("ls", "store/other-development", user=user_of(second), key=key_of(second))
    assert refused.returncode != 0
    assert "does not exist" in refused.stderr
    left = store.root("admin", "user", "list", "store") + store.root("admin", "policy", "list", "store")
    assert user_of(second)[:20] not in left
    assert store.root("cat", "store/other-development/x") == "kept"
    assert store.mc("ls", "store/remedy-development", user=user_of(first), key=key_of(first)).returncode == 0

    store.mount(projects=[first, second])
    store.provision()
    assert store.mc("cat", "store/other-development/x", user=user_of(second), key=key_of(second)).stdout == "kept"


def test_both_keys_work_until_the_old_one_is_retired(store: Store):
    store.provision()
    store.mount(user=f"{USER}.2", secret_key=CHANGED_KEY)
    store.provision()

    assert store.lets_in(SECRET_KEY)
    assert store.lets_in(CHANGED_KEY, user=f"{USER}.2")
    store.retire()

    assert store.mc("ls", f"store/{BUCKET}").returncode != 0
    assert store.lets_in(CHANGED_KEY, user=f"{USER}.2")


def test_users_are_not_retired_before_the_window_ends(store: Store):
    store.provision()
    store.mount(user=f"{USER}.2", secret_key=CHANGED_KEY)
    store.provision()

    with start_script(RETIRE, store.env(20) | {"AFTER": "4"}, store.work) as later:
        time.sleep(1)
        assert store.lets_in(SECRET_KEY)
        assert later.wait(timeout=30) == 0

    assert store.mc("ls", f"store/{BUCKET}").returncode != 0


def test_a_repeated_run_leaves_correct_users_alone(store: Store):
    found = project("remedy", "development")
    store.mount(projects=[found])
    store.provision()
    added = store.programs.count("mc admin user add")

    store.provision()
    assert store.programs.count("mc admin user add") == added == 2
    store.mount(projects=[found], secret_key=CHANGED_KEY)
    store.provision()

    assert store.programs.count("mc admin user add") == added + 1
    assert store.lets_in(CHANGED_KEY)
    assert store.mc("ls", "store/remedy-development", user=user_of(found), key=key_of(found)).returncode == 0


def test_a_user_gets_back_a_removed_policy_or_access(store: Store):
    store.provision()

    store.root("admin", "policy", "detach", "store", USER, "--user", USER)
    store.provision()
    assert store.lets_in(SECRET_KEY)
    store.root("admin", "user", "disable", "store", USER)
    store.provision()

    assert store.lets_in(SECRET_KEY)


def test_a_single_failed_user_is_an_error_although_others_succeed(store: Store):
    projects = [project("remedy", domain) for domain in ("a-dev", "b-dev", "c-dev")]
    store.mount(projects=projects)
    store.work.file(f"keys/{user_of(projects[0])}", "short")

    assert store.run().returncode != 0


@pytest.mark.parametrize("user", ["backup", "flyte2", "flytetasks", "other-flyte-tasks-remedy-development"])
def test_users_of_others_stay(store: Store, user: str):
    store.root("admin", "user", "add", "store", user, "a-key-of-the-backup")

    store.provision()
    store.retire()

    # The user still exists; it only has no policy.
    assert "Access Denied" in store.mc("ls", "store", user=user, key="a-key-of-the-backup").stderr


def test_the_next_run_completes_a_removal_that_was_killed(store: Store):
    gone = project("other", "development")
    store.mount(projects=[gone])
    store.provision()
    store.root("admin", "policy", "detach", "store", user_of(gone), "--user", user_of(gone))

    store.mount()
    store.retire()

    assert store.mc("ls", "store", user=user_of(gone), key=key_of(gone)).returncode != 0


def test_a_bucket_holds_no_more_than_its_quota_until_the_quota_is_removed(store: Store):
    limited, free = project("limited", "development", bucketQuota="100Mi"), project("free", "development")
    store.mount(projects=[limited, free])
    store.provision()

    def quota(bucket: str) -> int:
        return int(json.loads(store.root("quota", "info", f"store/{bucket}", "--json")).get("quota", 0))

    assert quota(limited.bucket) == 100 * 1024**2
    assert quota(free.bucket) == quota(BUCKET) == 0
    large = "x" * (101 * 1024**2)
    refused = store.mc("pipe", f"store/{limited.bucket}/large", user=user_of(limited), key=key_of(limited), text=large)
    assert "quota" in refused.stderr
    assert (
        store.mc("pipe", f"store/{free.bucket}/large", user=user_of(free), key=key_of(free), text=large).returncode == 0
    )

    store.mount(projects=[project("limited", "development"), free])
    store.provision()

    assert quota(limited.bucket) == 0


def test_a_temporary_key_ends_with_the_user_that_asked_for_it(store: Store):
    remedy = project("remedy", "development")
    store.mount(projects=[remedy])
    store.provision()
    options: dict[str, Any] = {"endpoint_url": store.url, "region_name": "us-east-1"}
    own = {"aws_access_key_id": user_of(remedy), "aws_secret_access_key": key_of(remedy)}
    answer = boto3.client("sts", **options, **own).assume_role(
        RoleArn="arn:aws:iam::1:role/any", RoleSessionName="any", DurationSeconds=604800
    )
    temporary = boto3.client(
        "s3",
        **options,
        aws_access_key_id=answer["Credentials"]["AccessKeyId"],
        aws_secret_access_key=answer["Credentials"]["SecretAccessKey"],
        aws_session_token=answer["Credentials"]["SessionToken"],
    )
    assert temporary.list_objects_v2(Bucket=remedy.bucket)["KeyCount"] == 0

    store.mount()
    store.retire()

    with pytest.raises(temporary.exceptions.ClientError, match=r"AccessDenied|InvalidAccessKeyId"):
        temporary.list_objects_v2(Bucket=remedy.bucket)


def test_a_run_takes_long_only_for_users_and_buckets_that_are_new(store: Store):
    many = [project(f"project-{number}", "development") for number in range(10)]
    store.mount(projects=many)
    store.provision()
    first = store.programs.count("mc ")
    store.provision()
    repeated = store.programs.count("mc ") - first
    assert (store.programs.count("mc admin user add"), store.programs.count("mc mb")) == (11, 1)

    store.mount(projects=[*many, project("more", "development")])
    store.provision()
    assert (store.programs.count("mc admin user add"), store.programs.count("mc mb")) == (12, 2)

    # The number of other calls does not depend on the number of users.
    store.mount(projects=many[:1])
    before = store.programs.count("mc ")
    store.provision()
    assert store.programs.count("mc ") - before == repeated


def test_the_next_run_corrects_what_was_changed_by_hand(store: Store):
    remedy, other = project("remedy", "development", bucketQuota="100Mi"), project("other", "development")
    store.mount(projects=[remedy, other])
    store.provision()
    everything = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
    file = str(store.work.file("everything.json", json.dumps(everything)))

    # More rights: another content of a policy, another policy. Fewer rights: Flyte's policy without a bucket.
    store.root("admin", "policy", "create", "store", user_of(remedy), file)
    store.root("admin", "policy", "attach", "store", "readwrite", "--user", user_of(other))
    narrow = {"Effect": "Allow", "Action": ["s3:*"], "Resource": [f"arn:aws:s3:::{BUCKET}/*", f"arn:aws:s3:::{BUCKET}"]}
    file = str(store.work.file("narrow.json", json.dumps(everything | {"Statement": [narrow]})))
    store.root("admin", "policy", "create", "store", USER, file)
    store.root("quota", "clear", f"store/{remedy.bucket}")
    assert store.mc("ls", f"store/{other.bucket}", user=user_of(remedy), key=key_of(remedy)).returncode == 0
    assert store.mc("ls", f"store/{remedy.bucket}", user=user_of(other), key=key_of(other)).returncode == 0
    assert store.mc("ls", f"store/{remedy.bucket}").returncode != 0
    # The next run has also something new to do.
    store.mount(projects=[remedy, other, project("more", "development")])
    store.provision()

    for one, another in ((remedy, other), (other, remedy)):
        assert store.mc("ls", f"store/{one.bucket}", user=user_of(one), key=key_of(one)).returncode == 0
        assert store.mc("ls", f"store/{another.bucket}", user=user_of(one), key=key_of(one)).returncode != 0
        assert store.mc("ls", f"store/{one.bucket}").returncode == 0
    assert json.loads(store.root("quota", "info", f"store/{remedy.bucket}", "--json"))["quota"] == 100 * 1024**2


def test_the_next_run_creates_what_was_removed_by_hand_or_lost(store: Store):
    remedy, other = project("remedy", "development"), project("other", "development")

    def both_work() -> bool:
        opened = [
            store.mc("ls", f"store/{found.bucket}", user=user_of(found), key=key_of(found)).returncode
            for found in (remedy, other)
        ]
        return opened == [0, 0] and store.lets_in(SECRET_KEY)

    store.mount(projects=[remedy, other])
    store.provision()
    store.root("admin", "user", "remove", "store", user_of(remedy))
    store.root("admin", "user", "remove", "store", USER)
    store.root("admin", "policy", "remove", "store", user_of(remedy))
    store.root("rb", f"store/{remedy.bucket}")
    store.provision()
    assert both_work()

    store.stop()
    shutil.rmtree(store.work.path / "data")
    store.start()
    store.provision()
    assert both_work()


# The calls of a first run: a listing, users, policies, quotas, a trial of every key.
@pytest.mark.parametrize("call", ["admin policy list", "mb", "admin user add", "admin cluster iam", "admin cluster b"])
@pytest.mark.parametrize("server", [True, False])
def test_a_run_that_is_interrupted_is_completed_by_the_next(store: Store, call: str, server: bool):
    projects = [project(f"project-{number}", "development") for number in range(6)]
    store.mount(projects=projects)
    with start_script(SCRIPT, store.env(20), store.work) as run:
        wait_until(lambda: store.programs.count(f"mc {call}") > 0, "the call")
        if server:
            store.kill()
            assert run.wait(timeout=60) != 0
        else:
            run.kill()
            run.wait()
    if server:
        store.start()
    store.provision()

    for found in projects:
        assert store.mc("ls", f"store/{found.bucket}", user=user_of(found), key=key_of(found)).returncode == 0
        assert store.mc("ls", f"store/{found.bucket}").returncode == 0
        assert store.mc("ls", f"store/{BUCKET}", user=user_of(found), key=key_of(found)).returncode != 0


def test_flyte_opens_every_bucket_with_more_than_one_policy(store: Store, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(policies, "_BUCKETS_OF_A_POLICY", 3)
    monkeypatch.setattr(archives, "_SCOPES_OF_AN_ARCHIVE", 3)
    many = [project(f"project-{number}", "development") for number in range(7)]
    store.mount(projects=many)
    store.provision()
    store.root("mb", "store/others")

    for found in many:
        place = f"store/{found.bucket}/x"
        assert store.mc("pipe", place, text="of flyte").returncode == 0
        assert store.mc("cat", place, user=user_of(found), key=key_of(found)).stdout == "of flyte"
        assert store.mc("cat", place, user=user_of(many[0]), key=key_of(many[0])).returncode == int(found != many[0])
    assert store.mc("ls", "store/others").returncode != 0
    assert f"{USER}.buckets-3" in store.root("admin", "policy", "list", "store")

    store.mount(projects=many[:3])
    store.provision()
    store.retire()

    listed = store.root("admin", "policy", "list", "store")
    assert (f"{USER}.buckets-2" in listed, f"{USER}.buckets-3" in listed) == (True, False)
    assert store.mc("ls", f"store/{many[2].bucket}").returncode == 0
    assert store.mc("ls", f"store/{many[3].bucket}").returncode != 0


def test_rights_are_those_of_the_newest_run_also_after_a_return_to_earlier_settings(store: Store):
    one, two = project("one", "development"), project("two", "development")
    for projects in ([one], [one, two], [one]):
        store.mount(projects=projects)
        store.provision()

    assert store.mc("ls", f"store/{one.bucket}").returncode == 0
    assert store.mc("ls", f"store/{two.bucket}").returncode != 0


def test_a_store_of_an_earlier_version_keeps_its_users_and_their_keys(store: Store):
    remedy = project("remedy", "development")
    for user, key, bucket in ((USER, SECRET_KEY, BUCKET), (user_of(remedy), key_of(remedy), remedy.bucket)):
        policy = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*"], "Resource": ["*"]}]}
        file = store.work.file("old.json", json.dumps(policy))
        store.root("mb", f"store/{bucket}")
        store.root("admin", "policy", "create", "store", user, str(file))
        store.root("admin", "user", "add", "store", text=f"{user}\n{key}\n")
        store.root("admin", "policy", "attach", "store", user, "--user", user)

    store.mount(projects=[remedy])
    store.provision()
    store.retire()

    assert store.programs.count("mc admin user add") == 0
    assert store.lets_in(SECRET_KEY)
    assert store.mc("ls", f"store/{remedy.bucket}", user=user_of(remedy), key=key_of(remedy)).returncode == 0
    assert store.mc("ls", f"store/{BUCKET}", user=user_of(remedy), key=key_of(remedy)).returncode != 0


# --- lifecycles ---------------------------------------------------------------------------------------------------


def expiring(store: Store, bucket: str) -> dict[str, int]:
    """Days after which objects expire, by prefix, as the store itself shows its rules."""
    shown = json.loads(store.root("ilm", "rule", "export", f"store/{bucket}"))
    return {
        rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in shown["Rules"] if rule["Status"] == "Enabled"
    }


def test_the_store_deletes_the_data_of_executions_and_nothing_else(store: Store):
    scope = project("remedy", "development")
    store.mount(projects=[scope], days=30)

    store.provision()

    assert expiring(store, BUCKET) == {"metadata/propeller/": 30, "metadata/remedy/": 30}
    assert expiring(store, "remedy-development") == {"data/": 30}


def test_lifecycles_that_are_no_longer_wanted_are_switched_off(store: Store):
    scope = project("remedy", "development")
    store.mount(projects=[scope], days=30)
    store.provision()

    store.mount(projects=[scope])
    store.provision()

    assert expiring(store, BUCKET) == expiring(store, "remedy-development") == {}
