"""What each user of the object store may do.

The policies are written in the language of AWS IAM, as MinIO reads it
(https://min.io/docs/minio/linux/administration/identity-access-management/policy-based-access-control.html).
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from settings.projects import TaskScope

Policy: TypeAlias = dict[str, Any]
"""A policy, ready for JSON."""

_OBJECT = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
_PARTS = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
_BUCKET = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
# MinIO lets every user create further keys for itself, which would survive a rotation, and change its own. Temporary
# keys (AssumeRole) cannot be denied. They end with the user, which a rotation replaces.
_NO_ADMINISTRATION = {"Effect": "Deny", "Action": ["admin:*"]}
_ON_ITSELF = [
    *("admin:GetUser", "admin:CreateUser", "admin:ListTemporaryAccounts"),
    *(f"admin:{verb}ServiceAccount" for verb in ("Create", "Update", "Remove")),
    "admin:ListServiceAccounts",
]
"""What MinIO lets every user do with itself, unless it is denied."""
# MinIO rejects a policy of more than 20 KiB. A bucket takes at most 160 bytes of it, because its name has at most 63.
_BUCKETS_OF_A_POLICY = 100


def flyte_policies(bucket: str, scopes: Sequence[TaskScope]) -> list[Policy]:
    """The policies of Flyte: its own ``bucket``, and the task data, for which it signs uploads and downloads.

    Together they allow what one policy for all buckets would.
    """
    buckets = [bucket, *(scope.bucket for scope in scopes)]
    groups = [buckets[start : start + _BUCKETS_OF_A_POLICY] for start in range(0, len(buckets), _BUCKETS_OF_A_POLICY)]
    return [
        _policy(_allow(_BUCKET, *group), _allow([*_OBJECT, *_PARTS], *(f"{name}/*" for name in group)))
        for group in groups
    ]


def task_policy(bucket: str, scope: TaskScope) -> Policy:
    """The policy of the tasks of one project in one domain.

    They may use their own bucket and, in Flyte's ``bucket``, the metadata of their own executions and the code
    registered for them. flytekit lists before it reads, so they may list those prefixes too.
    """
    metadata, code = scope.metadata_prefix, scope.code_prefix
    own_listing = _allow(["s3:ListBucket"], bucket)
    own_listing["Condition"] = {"StringLike": {"s3:prefix": [f"{metadata}*", f"{code}*"]}}
    return _policy(
        _allow(_BUCKET, scope.bucket),
        _allow([*_OBJECT, *_PARTS], f"{scope.bucket}/*"),
        _allow([*_OBJECT, *_PARTS], f"{bucket}/{metadata}*"),
        _allow(["s3:GetObject"], f"{bucket}/{code}*"),
        _allow(["s3:GetBucketLocation"], bucket),
        own_listing,
    )


def reading_policy() -> Policy:
    """The policy of a user that may read every bucket, and change none."""
    return _policy(_allow(["s3:ListAllMyBuckets", "s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"], "*"))


def monitoring_policy(bucket: str) -> Policy:
    """The policy of a user that may read the metrics, and nothing else.

    It may also list a prefix of Flyte's ``bucket`` that no object has: so the provisioning sees whether its key opens
    the store.
    """
    listing = _allow(["s3:ListBucket"], bucket)
    listing["Condition"] = {"StringLike": {"s3:prefix": ["-/"]}}
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": ["admin:Prometheus"]},
            _allow(["s3:GetBucketLocation"], bucket),
            listing,
            # Not admin:*, to which the metrics belong. MinIO reads no policy with NotAction back.
            {"Effect": "Deny", "Action": _ON_ITSELF},
        ],
    }


def _allow(actions: Sequence[str], *resources: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{resource}" for resource in resources],
    }


def _policy(*statements: dict[str, Any]) -> Policy:
    return {"Version": "2012-10-17", "Statement": [*statements, _NO_ADMINISTRATION]}
