"""What the key of a task can and cannot access in a real object store."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.config import Config

from tests.scripts.store import BUCKET, SECRET_KEY, USER, Store, key_of, project, stopped_store, user_of

OWN, OTHERS = project("remedy", "development"), project("remedy", "production")
# Names of objects as Flyte and tasks choose them.
OWN_CODE = "remedy/development/HASH/script.tar.gz"
OWN_METADATA = "metadata/propeller/remedy-development-a1/n0/data/0/outputs.pb"
FORBIDDEN = {
    "another domain's data": (OTHERS.bucket, "data/x"),
    "another domain's metadata": (BUCKET, "metadata/propeller/remedy-production-a1/n0/data/0/outputs.pb"),
    "another domain's code": (BUCKET, "remedy/production/HASH/script.tar.gz"),
    "what flyte keeps for itself": (BUCKET, "metadata/admin/remedy/development/a1/inputs.pb"),
    "the root of flyte's bucket": (BUCKET, "x"),
    "a bucket that is not the stack's": ("photos", "x"),
}
CONTENT = b"not for everybody"


@pytest.fixture(scope="module")
def store() -> Iterator[Store]:
    """A store with two domains of a project, a bucket outside the stack, and objects in all of them."""
    with stopped_store() as made:
        made.start()
        made.mount(projects=[OWN, OTHERS])
        made.provision()
        made.root("mb", "store/photos")
        for bucket, key in (*FORBIDDEN.values(), (OWN.bucket, "data/x"), (BUCKET, OWN_CODE), (BUCKET, OWN_METADATA)):
            made.root("pipe", f"store/{bucket}/{key}", text=CONTENT.decode())
        yield made


def s3(store: Store, user: str, key: str) -> Any:
    """A client of the store that uses the key of this user."""
    return boto3.client(
        "s3",
        endpoint_url=store.url,
        aws_access_key_id=user,
        aws_secret_access_key=key,
        region_name="us-east-1",
        config=Config(signature_version="s3v4", s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )


@pytest.fixture
def task(store: Store) -> Any:
    """The client of a task in remedy-development."""
    return s3(store, user_of(OWN), key_of(OWN))


def refused(task: Any, call: str, **arguments: Any) -> bool:
    """Whether the store denies the call; any other failure is an error."""
    try:
        getattr(task, call)(**arguments)
    except task.exceptions.ClientError as error:
        if error.response["Error"]["Code"] not in {"AccessDenied", "403"}:
            raise
        return True
    return False


@pytest.mark.parametrize("what", FORBIDDEN)
@pytest.mark.parametrize(
    ("call", "arguments"),
    [
        ("get_object", {}),
        ("head_object", {}),
        ("put_object", {"Body": b"from the task"}),
        ("delete_object", {}),
        ("create_multipart_upload", {}),
        ("copy_object", {"CopySource": {"Bucket": OWN.bucket, "Key": "data/x"}}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_tasks_key_opens_nothing_of_others(store: Store, task: Any, what: str, call: str, arguments: dict[str, Any]):
    bucket, key = FORBIDDEN[what]

    assert refused(task, call, Bucket=bucket, Key=key, **arguments)
    assert store.root("cat", f"store/{bucket}/{key}") == CONTENT.decode()


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_task_cannot_copy_objects_of_others_to_a_place_it_can_read(store: Store, task: Any, what: str):
    bucket, key = FORBIDDEN[what]
    target = {"Bucket": OWN.bucket, "Key": "data/stolen"}

    assert refused(task, "copy_object", **target, CopySource={"Bucket": bucket, "Key": key})
    signed_copy = task.generate_presigned_url("copy_object", Params={**target, "CopySource": f"{bucket}/{key}"})
    signed_put = task.generate_presigned_url("put_object", Params=target)
    for url in (signed_copy, signed_put):
        source = {"x-amz-copy-source": f"/{bucket}/{key}"}
        request = urllib.request.Request(url, method="PUT", headers=source)  # noqa: S310 (the URL is ours)
        with pytest.raises(urllib.error.HTTPError, match="403"):
            urllib.request.urlopen(request, timeout=10)  # noqa: S310 (the URL is ours)
    assert "stolen" not in store.root("ls", f"store/{OWN.bucket}/data/")


@pytest.mark.parametrize("what", FORBIDDEN)
def test_a_signed_url_opens_no_more_than_its_key(task: Any, what: str):
    bucket, key = FORBIDDEN[what]
    url = task.generate_presigned_url("get_object", Params={"Bucket": bucket, "Key": key})

    with pytest.raises(urllib.error.HTTPError, match="403"):
        urllib.request.urlopen(url, timeout=10)  # noqa: S310 (the URL is ours)


@pytest.mark.parametrize(
    ("bucket", "prefix"),
    [
        (OTHERS.bucket, ""),
        ("photos", ""),
        (BUCKET, ""),
        (BUCKET, "metadata/"),
        (BUCKET, "metadata/propeller/"),
        (BUCKET, "metadata/propeller/remedy-production-"),
        (BUCKET, "remedy/"),
        (BUCKET, "remedy/production/"),
    ],
)
def test_a_tasks_key_lists_nothing_of_others(task: Any, bucket: str, prefix: str):
    assert refused(task, "list_objects_v2", Bucket=bucket, Prefix=prefix)


def test_a_task_sees_only_the_buckets_it_uses(task: Any):
    assert {bucket["Name"] for bucket in task.list_buckets()["Buckets"]} <= {BUCKET, OWN.bucket}


@pytest.mark.parametrize(("bucket", "key"), [(OWN.bucket, "data/own"), (BUCKET, OWN_METADATA)])
def test_a_task_reads_and_changes_its_own_data(task: Any, bucket: str, key: str):
    task.put_object(Bucket=bucket, Key=key, Body=b"of the task")

    assert task.get_object(Bucket=bucket, Key=key)["Body"].read() == b"of the task"
    assert key in [found["Key"] for found in task.list_objects_v2(Bucket=bucket, Prefix=key)["Contents"]]
    task.delete_object(Bucket=bucket, Key=key)
    assert "Contents" not in task.list_objects_v2(Bucket=bucket, Prefix=key)


def test_a_task_can_read_but_not_change_its_registered_code(task: Any):
    assert task.get_object(Bucket=BUCKET, Key=OWN_CODE)["Body"].read() == CONTENT
    assert refused(task, "put_object", Bucket=BUCKET, Key=OWN_CODE, Body=b"another program")
    assert refused(task, "delete_object", Bucket=BUCKET, Key=OWN_CODE)


def test_a_task_can_upload_in_parts(task: Any):
    part = b"x" * (5 << 20)
    upload = task.create_multipart_upload(Bucket=OWN.bucket, Key="data/large")["UploadId"]
    where = {"Bucket": OWN.bucket, "Key": "data/large", "UploadId": upload}
    tags = [
        {"PartNumber": number, "ETag": task.upload_part(**where, PartNumber=number, Body=part)["ETag"]}
        for number in (1, 2)
    ]
    task.complete_multipart_upload(**where, MultipartUpload={"Parts": tags})

    assert task.head_object(Bucket=OWN.bucket, Key="data/large")["ContentLength"] == 2 * len(part)


@pytest.mark.parametrize(
    "call",
    [
        ["admin", "user", "list", "store"],
        ["admin", "user", "svcacct", "add", "store", user_of(OWN)],
        ["admin", "policy", "attach", "store", "readwrite", "--user", user_of(OWN)],
        ["mb", "store/remedy-development-2"],
        ["rb", "--force", f"store/{OWN.bucket}"],
        ["anonymous", "set", "public", f"store/{OWN.bucket}"],
    ],
    ids=" ".join,
)
def test_a_tasks_key_cannot_administer_the_store(store: Store, call: list[str]):
    done = store.mc(*call, user=user_of(OWN), key=key_of(OWN))

    assert done.returncode != 0
    assert "Access Denied" in done.stderr


@pytest.mark.parametrize(("user", "key"), [(USER, SECRET_KEY), (user_of(OWN), key_of(OWN))])
def test_no_user_changes_a_key_whether_its_own_or_anothers(store: Store, user: str, key: str):
    for whose in (USER, user_of(OWN), user_of(OTHERS), "new-user"):
        changed = store.mc("admin", "user", "add", "store", user=user, key=key, text=f"{whose}\nanother-key-1\n")
        assert "Access Denied" in changed.stderr, whose
    for call in (
        ["admin", "accesskey", "create", "store", user],
        ["admin", "user", "disable", "store", user_of(OTHERS)],
        ["admin", "user", "remove", "store", user_of(OTHERS)],
        ["admin", "policy", "create", "store", user, "/dev/stdin"],
        ["admin", "info", "store"],
        ["admin", "config", "get", "store", "api"],
    ):
        assert store.mc(*call, user=user, key=key, text='{"Version": "2012-10-17", "Statement": []}').returncode != 0

    assert s3(store, user, key).list_buckets()["Buckets"]
    assert s3(store, user_of(OTHERS), key_of(OTHERS)).list_buckets()["Buckets"]


def test_flyte_can_access_the_buckets_of_all_projects_and_no_other_bucket(store: Store):
    flyte = s3(store, USER, SECRET_KEY)

    for bucket in (BUCKET, OWN.bucket, OTHERS.bucket):
        flyte.put_object(Bucket=bucket, Key="of-flyte", Body=b"x")
        assert flyte.get_object(Bucket=bucket, Key="of-flyte")["Body"].read() == b"x"
        flyte.delete_object(Bucket=bucket, Key="of-flyte")
    assert refused(flyte, "get_object", Bucket="photos", Key="x")
    assert refused(flyte, "list_objects_v2", Bucket="photos")
