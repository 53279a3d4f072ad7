"""Rules for the names of buckets and of what is in them."""

import re
from collections.abc import Iterator

from settings.messages.commands import set_command
from settings.messages.shown import shown
from settings.projects import template_problem
from settings.rules.names import described, distinct, renamed
from settings.stack import PROJECT, Settings


def bucket_problems(settings: Settings) -> Iterator[str]:
    """Bucket names that S3 rejects or that two would share, and names that open another project's metadata."""
    setting, template = f"{PROJECT}:minio.dataBucket", settings.minio.data_bucket
    if problem := template_problem(template):
        yield f"{setting}: {problem}; write it like data-{{project}}-{{domain}}"
        return
    if problem := _rejected_by_s3(settings.minio.bucket):
        key = f"{PROJECT}:minio.bucket"
        yield f"{key}: {shown(settings.minio.bucket)} is a name that {problem}; write {set_command(key, 'flyte')}"
    remedy = renamed(setting, template)
    owners = {settings.minio.bucket: f"{PROJECT}:minio.bucket"}
    scopes = distinct(settings)
    for scope in scopes:
        who = described(scope)
        if scope.bucket in owners:
            yield f"{setting}: {who} and {owners[scope.bucket]} both get the bucket {shown(scope.bucket)}; {remedy}"
        elif problem := _rejected_by_s3(scope.bucket):
            yield f"{setting}: {who} gets the bucket {shown(scope.bucket)}, which {problem}; {remedy}"
        owners.setdefault(scope.bucket, who)
    # Sorted, a name is directly in front of those it is a prefix of.
    by_prefix = sorted(scopes, key=lambda scope: scope.metadata_prefix)
    for index, first in enumerate(by_prefix):
        for second in by_prefix[index + 1 :]:
            if not second.metadata_prefix.startswith(first.metadata_prefix):
                break
            yield (
                f"{PROJECT}:projects: Flyte keeps the metadata of {described(second)} under "
                f"{shown(second.metadata_prefix.split('/')[-1])}, which begins like that of {described(first)}, whose "
                "tasks could read and change it; rename a project or a domain"
            )


def _rejected_by_s3(bucket: str) -> str:
    """Why S3, or MinIO, rejects the name of a bucket; empty if it does not.

    https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
    """
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{1,61}[a-z0-9]", bucket):
        return "S3 rejects: write 3 to 63 lower-case letters, digits and inner hyphens"
    if bucket.startswith(("xn--", "sthree-", "amzn-s3-demo-")) or bucket.endswith(("-s3alias", "--ol-s3", "--x-s3")):
        return "S3 reserves for itself"
    if bucket == "minio":
        return "the object store reserves for itself"
    return ""
