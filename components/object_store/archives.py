"""Policies, quotas and lifecycles as archives, each of which MinIO imports in one call.

With a call for each policy and each user, several hundred users would take many minutes: the client hashes the root key
for every one of them. Archives contain no keys, because the import sends them unencrypted.
"""

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from typing import Any

from components.object_store.lifecycle import flyte_prefixes, lifecycle, task_prefixes
from components.object_store.policies import Policy, flyte_policies, monitoring_policy, reading_policy, task_policy
from settings.projects import TaskScope
from settings.quantities import quantity

# Task scopes of one archive. A ConfigMap holds 1 MiB; the policy of a task scope takes at most 1.5 KiB.
_SCOPES_OF_AN_ARCHIVE = 100

Archives = dict[str, bytes]
"""Archives by file name: ``access-PART.zip`` and ``buckets-PART.zip``."""


def flyte_policy_names(user: str, bucket: str, scopes: Sequence[TaskScope]) -> list[str]:
    """Names of the policies of Flyte's ``user``. The first has the name of the user, like the policies of tasks."""
    count = len(flyte_policies(bucket, scopes))
    return [user, *(f"{user}.buckets-{number}" for number in range(2, count + 1))]


def flyte_archives(user: str, bucket: str, scopes: Sequence[TaskScope], days: int = 0) -> Archives:
    """The policies of Flyte's ``user``, and the quota and the lifecycle of its own ``bucket``, which has no quota.

    Args:
        user: name of the user.
        bucket: Flyte's own bucket.
        scopes: task scopes.
        days: days after which the data of executions expires; 0: never.
    """
    names = flyte_policy_names(user, bucket, scopes)
    policies = dict(zip(names, flyte_policies(bucket, scopes), strict=True))
    return _access("flyte", policies, {user: ",".join(names)}) | _buckets(
        "flyte", {bucket: 0}, lifecycle(flyte_prefixes(scopes), days)
    )


def reader_archives(user: str) -> Archives:
    """The policy of a ``user`` that may read every bucket. A policy has the name of its user."""
    return _access("reader", {user: reading_policy()}, {user: user})


def monitor_archives(user: str, bucket: str) -> Archives:
    """The policy of a ``user`` that may read the metrics. A policy has the name of its user."""
    return _access("monitor", {user: monitoring_policy(bucket)}, {user: user})


def task_archives(bucket: str, users: Mapping[str, TaskScope], days: int = 0) -> list[Archives]:
    """The policies of tasks, and the quotas and lifecycles of their buckets; each item fits into a ConfigMap.

    Args:
        bucket: Flyte's own bucket.
        users: task scopes by the name of their user. A policy has the name of its user.
        days: days after which the data of executions expires; 0: never.
    """
    found = list(users.items())
    groups = [found[start : start + _SCOPES_OF_AN_ARCHIVE] for start in range(0, len(found), _SCOPES_OF_AN_ARCHIVE)]
    return [
        _access(
            f"tasks-{number}",
            {user: task_policy(bucket, scope) for user, scope in group},
            {user: user for user, _ in group},
        )
        | _buckets(
            f"tasks-{number}",
            {scope.bucket: int(quantity(scope.bucket_quota or "0")) for _, scope in group},
            lifecycle(task_prefixes(), days),
        )
        for number, group in enumerate(groups, start=1)
    ]


def _access(part: str, policies: Mapping[str, Policy], users: Mapping[str, str]) -> Archives:
    """An archive for ``mc admin cluster iam import``."""
    mappings = {user: {"version": 1, "policy": names} for user, names in users.items()}
    files = {"iam-assets/policies.json": _json(policies), "iam-assets/user_mappings.json": _json(mappings)}
    return {f"access-{part}.zip": _archive(files)}


def _buckets(part: str, quotas: Mapping[str, int], lifecycle: str) -> Archives:
    """An archive for ``mc admin cluster bucket import``. A quota of 0 is none."""
    files = {f"{bucket}/quota.json": _json({"quota": size, "quotatype": "hard"}) for bucket, size in quotas.items()}
    files |= {f"{bucket}/lifecycle.xml": lifecycle for bucket in quotas}
    return {f"buckets-{part}.zip": _archive(files)}


def _json(data: Any) -> str:
    return json.dumps(data, separators=(",", ":"))


def _archive(files: Mapping[str, str]) -> bytes:
    content = io.BytesIO()
    # Not compressed, and with the date that a ZipInfo has by default: the same content must give the same bytes on
    # every machine, otherwise a preview elsewhere would show a change.
    with zipfile.ZipFile(content, "w", zipfile.ZIP_STORED) as archive:
        for name, text in files.items():
            archive.writestr(zipfile.ZipInfo(name), text)
    return content.getvalue()
