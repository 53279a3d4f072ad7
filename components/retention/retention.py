"""A CronJob that deletes old rows of Flyte's database."""

from __future__ import annotations

from dataclasses import dataclass

import pulumi
import pulumi_kubernetes as k8s

from components.database import Database, connect_script, connection, credentials_volume
from components.pods import (
    LABELS,
    Platform,
    container_security,
    labels,
    pod_security,
    resources,
    script_config_map,
)
from components.retention.names import CRON_JOB
from settings.quantities import Resources, default_resources
from settings.retention import RetentionSettings

_UID = 65534
_CREDENTIALS, _SCRIPTS = "/run/secrets/database", "/scripts"
_RESOURCES: Resources = default_resources("50m", "32Mi", "1", "128Mi")
# A run that could not start, because the node was away, is made up for within this time.
_STARTING_DEADLINE_SECONDS = 6 * 60 * 60


@dataclass(frozen=True)
class RetentionArgs:
    """How long rows are kept, and where they are."""

    platform: Platform
    """The platform, with a namespace that is known only when Flyte is ready: before, the database has no tables."""
    settings: RetentionSettings
    database: Database


def retention(
    name: str, platform: Platform, settings: RetentionSettings, database: Database, opts: pulumi.ResourceOptions
) -> None:
    """Create :class:`Retention`, or nothing if rows are kept for ever."""
    if settings.rows:
        Retention(name, RetentionArgs(platform, settings, database), opts)


class Retention(pulumi.ComponentResource):
    """A CronJob that deletes finished executions and cached outputs from the database when they are old.

    The object store deletes the objects itself, by the lifecycle of its buckets (`components.object_store.archives`),
    and Flyte the finished pods. ``make gc`` runs the CronJob's template at once.
    """

    def __init__(self, name: str, args: RetentionArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Retention", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        scripts = script_config_map(f"{name}-scripts", args.platform.namespace, "retention", child, connect_script())
        pod = args.platform.pod(_pod(args, scripts.metadata.name))
        job = k8s.batch.v1.CronJob(
            name,
            metadata={"name": CRON_JOB, "namespace": args.platform.namespace, "labels": LABELS},
            spec={
                "schedule": args.settings.schedule,
                "time_zone": "Etc/UTC",
                "concurrency_policy": "Forbid",
                "starting_deadline_seconds": _STARTING_DEADLINE_SECONDS,
                "successful_jobs_history_limit": 1,
                "failed_jobs_history_limit": 1,
                "job_template": {
                    "metadata": {"labels": labels(CRON_JOB)},
                    "spec": {"backoff_limit": 2, "template": {"metadata": {"labels": labels(CRON_JOB)}, "spec": pod}},
                },
            },
            opts=child,
        )
        self.register_outputs({"cronJob": job.metadata.name})


def _pod(args: RetentionArgs, scripts: pulumi.Input[str]) -> k8s.core.v1.PodSpecArgsDict:
    environment = {
        **connection(args.database, _CREDENTIALS, _SCRIPTS),
        "EXECUTION_DAYS": str(args.settings.executions),
        "CACHE_DAYS": str(args.settings.cache),
    }
    return {
        "automount_service_account_token": False,
        "enable_service_links": False,
        "restart_policy": "Never",
        # A shell that waits for psql ignores SIGTERM, and it may be killed at any time.
        "termination_grace_period_seconds": 1,
        "security_context": pod_security(_UID),
        "containers": [
            {
                "name": "retention",
                "image": args.platform.images["postgres"].reference,
                "image_pull_policy": "IfNotPresent",
                "command": ["/bin/sh", f"{_SCRIPTS}/collect.sh"],
                "env": [{"name": variable, "value": value} for variable, value in environment.items()],
                "resources": resources(_RESOURCES),
                "security_context": container_security(),
                "volume_mounts": [
                    {"name": "credentials", "mount_path": _CREDENTIALS, "read_only": True},
                    {"name": "scripts", "mount_path": _SCRIPTS, "read_only": True},
                ],
            }
        ],
        "volumes": [
            credentials_volume("credentials", args.database),
            {"name": "scripts", "config_map": {"name": scripts}},
        ],
    }
