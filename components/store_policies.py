"""What the users of the object store may do in it.

Policies in the language of AWS IAM, as MinIO reads them
(https://min.io/docs/minio/linux/administration/identity-access-management/policy-based-access-control.html).
"""

import json
from collections.abc import Sequence
from typing import Any

from components.project_namespaces import ProjectNamespace

# Where Flyte keeps the inputs and outputs of the nodes of a project and domain, followed by the name of the execution.
_METADATA = "metadata/propeller"
_OBJECT = ["s3:GetObject", "s3:PutObject", "s3:DeleteObject"]
_PARTS = ["s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
_BUCKET = ["s3:GetBucketLocation", "s3:ListBucket", "s3:ListBucketMultipartUploads"]
# MinIO lets every user make further keys for itself; they would survive a rotation.
_NO_FURTHER_KEYS = {"Effect": "Deny", "Action": ["admin:CreateServiceAccount", "admin:UpdateServiceAccount"]}


def flyte_policy(bucket: str, projects: Sequence[ProjectNamespace]) -> str:
    """For Flyte: its own ``bucket``, and the data of the projects, for which it signs uploads and downloads."""
    buckets = [bucket, *(project.bucket for project in projects)]
    return _policy(
        _allow(_BUCKET, *buckets),
        _allow([*_OBJECT, *_PARTS], *(f"{name}/*" for name in buckets)),
    )


def task_policy(bucket: str, project: ProjectNamespace) -> str:
    """For the tasks of one project in one domain.

    Their own bucket, the metadata of their own executions and the code registered for them in Flyte's ``bucket``, and
    nothing else. flytekit lists before it reads, so they may list there, too.
    """
    metadata, code = metadata_prefix(project), f"{project.project}/{project.domain}/"
    own_listing = _allow(["s3:ListBucket"], bucket)
    own_listing["Condition"] = {"StringLike": {"s3:prefix": [f"{metadata}*", f"{code}*"]}}
    return _policy(
        _allow(_BUCKET, project.bucket),
        _allow([*_OBJECT, *_PARTS], f"{project.bucket}/*"),
        _allow([*_OBJECT, *_PARTS], f"{bucket}/{metadata}*"),
        _allow(["s3:GetObject"], f"{bucket}/{code}*"),
        _allow(["s3:GetBucketLocation"], bucket),
        own_listing,
    )


def metadata_prefix(project: ProjectNamespace) -> str:
    """What the names of all objects begin with that Flyte keeps for the executions of a project in a domain.

    Flyte joins the two with a hyphen, so ``a-b`` in ``c`` and ``a`` in ``b-c`` are the same; such settings are refused.
    """
    return f"{_METADATA}/{project.project}-{project.domain}-"


def _allow(actions: Sequence[str], *resources: str) -> dict[str, Any]:
    return {
        "Effect": "Allow",
        "Action": list(actions),
        "Resource": [f"arn:aws:s3:::{resource}" for resource in resources],
    }


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [*statements, _NO_FURTHER_KEYS]}, indent=1)
