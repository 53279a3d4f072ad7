"""The check of the buckets: whether the key of the tasks opens each of them."""

from collections.abc import Iterator

from ops.doctor.check import Result, ok, wrong
from ops.doctor.stack import Stack
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET


def check_buckets(stack: Stack) -> Iterator[Result]:
    """Check that the key of the tasks in each project and domain opens their bucket."""
    troubles = [trouble for scope in stack.settings.task_scopes for trouble in _bucket(stack, scope)]
    yield from troubles
    if not troubles:
        yield ok(", ".join(scope.bucket for scope in stack.settings.task_scopes))


def _bucket(stack: Stack, scope: TaskScope) -> Iterator[Result]:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    key = stack.kept_secrets[scope.namespace].get(TASK_STORE_SECRET, {})
    access, secret = key.get("FLYTE_AWS_ACCESS_KEY_ID", ""), key.get("FLYTE_AWS_SECRET_ACCESS_KEY", "")
    if not access or not secret:
        yield wrong(
            f"there is no key: the Secret {TASK_STORE_SECRET} in {scope.namespace} is missing or empty", stack.up_again
        )
        return
    try:
        with stack.client.store(access, secret) as store:
            # Not a HEAD request: its error would not include the reason.
            store.list_objects_v2(Bucket=scope.bucket, MaxKeys=1)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code == "NoSuchBucket":
            yield wrong(f"missing bucket: {scope.bucket}", _provision_again(stack))
        elif code in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}:
            renew = stack.cluster.shown("delete", "secret", TASK_STORE_SECRET, "--namespace", scope.namespace)
            yield wrong(
                f"wrong key: the store rejects the key of {scope.namespace} ({code})", f"{renew} && {stack.up_again}"
            )
        elif code == "AccessDenied":
            yield wrong(
                f"the key of {scope.namespace} is right, but may not open its bucket {scope.bucket} ({code})",
                _provision_again(stack),
            )
        else:
            yield wrong(f"the bucket {scope.bucket} cannot be opened: {code}", stack.up_again)
    except BotoCoreError as error:
        yield wrong(
            f"not reachable: the object store at {stack.client.object_store} ({type(error).__name__})",
            stack.shown("logs", "statefulset/minio", "--tail=40"),
        )


def _provision_again(stack: Stack) -> str:
    """Return the command that runs the Job for buckets and users again."""
    jobs = [job["metadata"]["name"] for job in stack.of("Job") if job["metadata"]["name"].startswith("minio-provision")]
    delete = f"{stack.shown('delete', 'job', *jobs)} && " if jobs else ""
    return f"{delete}{stack.up_again}"
