"""The check of the buckets: whether the key of the tasks opens each of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from settings import PROJECT
from settings.external_store import STORE_KEY
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET

_UNREACHABLE = "unreachable: "


def check_buckets(stack: Stack) -> Iterator[Result]:
    """Check that the key of the tasks in each project and domain opens their bucket.

    The policies of an external store are not the stack's. There, it also checks that no key opens another bucket.
    """
    external = stack.settings.minio.used_external
    if external and external.auth == "iam":
        yield ok("opened by roles of AWS, which cannot be tried from here")
        return
    scopes = stack.settings.task_scopes
    troubles = [trouble for scope in scopes for trouble in _bucket(stack, scope)]
    yield from troubles
    if external and not troubles:
        yield from _open_buckets(stack)
    if not troubles:
        yield ok(", ".join(scope.bucket for scope in scopes))


def _bucket(stack: Stack, scope: TaskScope) -> Iterator[Result]:
    access, _ = _key(stack, scope)
    if not access:
        yield wrong(
            f"there is no key: the Secret {TASK_STORE_SECRET} in {scope.namespace} is missing or empty", stack.up_again
        )
        return
    code, remedies = _rejection(stack, scope, scope.bucket), _remedies(stack, scope)
    if not code:
        return
    if code == "NoSuchBucket":
        yield wrong(f"missing bucket: {scope.bucket}", remedies.provision)
    elif code in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}:
        yield wrong(f"wrong key: the store rejects the key of {scope.namespace} ({code})", remedies.renew)
    elif code == "AccessDenied":
        yield wrong(
            f"the key of {scope.namespace} is right, but may not open its bucket {scope.bucket} ({code})",
            remedies.provision,
        )
    elif code.startswith(_UNREACHABLE):
        error = code.removeprefix(_UNREACHABLE)
        yield wrong(f"not reachable: the object store at {stack.client.object_store} ({error})", remedies.look)
    else:
        yield wrong(f"the bucket {scope.bucket} cannot be opened: {code}", stack.up_again)


def _open_buckets(stack: Stack) -> Iterator[Result]:
    """Find keys that open the bucket of another task scope."""
    scopes = stack.settings.task_scopes
    for scope, other in zip(scopes, [*scopes[1:], scopes[0]], strict=True):
        if scope != other and not _rejection(stack, scope, other.bucket):
            yield remark(
                f"the key of {scope.namespace} also opens the bucket {other.bucket} of {other.namespace}; the policies "
                "of docs/outgrowing.md close it, if the store has users and policies"
            )


def _key(stack: Stack, scope: TaskScope) -> tuple[str, str]:
    """Return the key of the tasks; empty texts if there is none."""
    content = stack.kept_secrets[scope.namespace].get(TASK_STORE_SECRET, {})
    key = content.get("FLYTE_AWS_ACCESS_KEY_ID", ""), content.get("FLYTE_AWS_SECRET_ACCESS_KEY", "")
    return key if all(key) else ("", "")


def _rejection(stack: Stack, scope: TaskScope, bucket: str) -> str:
    """Return the error with which the store answers when tasks list a bucket; empty if they can."""
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    try:
        with stack.client.store(*_key(stack, scope)) as store:
            # Not a HEAD request: its error would not include the reason.
            store.list_objects_v2(Bucket=bucket, MaxKeys=1)
    except ClientError as error:
        return str(error.response.get("Error", {}).get("Code", "unknown"))
    except BotoCoreError as error:
        return _UNREACHABLE + type(error).__name__
    return ""


@dataclass(frozen=True)
class _Remedies:
    """Commands that fix a problem, or show more."""

    provision: str
    """For a bucket that is missing or closed."""
    renew: str
    """For a key that the store rejects."""
    look: str
    """For a store that does not answer."""


def _remedies(stack: Stack, scope: TaskScope) -> _Remedies:
    if stack.settings.minio.mode == "bundled":
        renew = stack.cluster.shown("delete", "secret", TASK_STORE_SECRET, "--namespace", scope.namespace)
        look = stack.shown("logs", "statefulset/minio", "--tail=40")
        return _Remedies(_provision_again(stack), f"{renew} && {stack.up_again}", look)
    name = stack.settings.store_key_settings[scope.namespace]
    if name not in stack.settings.secret_values:
        name = STORE_KEY
    return _Remedies(
        "less docs/outgrowing.md  # says which buckets and policies the store needs",
        f"pulumi config set --secret {PROJECT}:{name} --stack {stack.name} < key.json && {stack.up_again}",
        f"curl -v {stack.client.object_store}",
    )


def _provision_again(stack: Stack) -> str:
    """Return the command that runs the Job for buckets and users again."""
    jobs = [job["metadata"]["name"] for job in stack.of("Job") if job["metadata"]["name"].startswith("minio-provision")]
    delete = f"{stack.shown('delete', 'job', *jobs)} && " if jobs else ""
    return f"{delete}{stack.up_again}"
