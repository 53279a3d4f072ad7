"""The alerts. Each has a section in docs/monitoring.md, to which it links."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from components.backup import names as backup
from components.monitoring.metrics import (
    FREE_WORKERS,
    PANICS,
    QUEUE,
    SCHEDULER_FAILURES,
    STORE_FAILURES,
    TOO_LARGE,
    any_of,
    database,
    database_cluster,
    flyte,
    of_service,
    series,
    services,
    store,
)
from components.monitoring.names import DATABASE, DATABASE_CLUSTER, STORE
from components.tasks.names import POD_TEMPLATE
from settings.schedules import longest_gap
from settings.stack import Settings

_PREFIX = "FlyteHome"
# How late a success may be: a start that Kubernetes makes up for, a run that takes long, and an unknown time zone.
_LATE = timedelta(hours=18)
_CERTIFICATE_DAYS = 14
# Shares at which something is nearly full. The doctor remarks on a volume at the same share.
_FULL, _QUOTA_USED, _CONNECTIONS_USED = 0.85, 0.95, 0.9
_QUEUE = 10
# Seconds that a standby may be behind.
_LAG = 300


@dataclass(frozen=True)
class Alert:
    """A condition that needs a person to act."""

    name: str
    expression: str
    """The condition, in PromQL."""
    minutes: int
    """How long the condition must hold."""
    severity: Literal["warning", "critical"]
    """critical: workflows do not run, or data may be lost."""
    summary: str
    """What is wrong, in one sentence, with the labels of the series in Prometheus' templates."""

    def rule(self, runbooks: str) -> dict[str, Any]:
        """The alert as Prometheus reads it.

        https://prometheus.io/docs/prometheus/latest/configuration/alerting_rules/
        """
        return {
            "alert": self.name,
            "expr": self.expression,
            "for": f"{self.minutes}m",
            "labels": {"severity": self.severity},
            "annotations": {"summary": self.summary, "runbook_url": f"{runbooks}#{self.name.lower()}"},
        }


def rules_file(settings: Settings) -> dict[str, Any]:
    """The content of a rules file, which is also the spec of a PrometheusRule."""
    groups: list[tuple[str, Sequence[Alert]]] = [("flyte-home", list(_own(settings)))]
    if settings.monitoring.cluster_metrics:
        groups.append(("flyte-home-cluster", list(_of_cluster(settings))))
    runbooks = settings.monitoring.runbooks
    return {"groups": [{"name": name, "rules": [alert.rule(runbooks) for alert in found]} for name, found in groups]}


def _own(settings: Settings) -> Iterator[Alert]:
    """Alerts from the metrics of the stack's own servers."""
    space = settings.namespace
    watched = services(settings)
    no_login = [f"{database('pg_up', space)} == 0"] if DATABASE in watched else []
    yield Alert(
        f"{_PREFIX}TargetDown",
        any_of(
            [
                *(f"{of_service(service, 'up', space)} == 0" for service in watched),
                *(f"absent({of_service(service, 'up', space)})" for service in watched),
                *no_login,
            ]
        ),
        10,
        "critical",
        "Prometheus gets no metrics from {{ $labels.service }} in {{ $labels.namespace }}.",
    )
    yield Alert(
        f"{_PREFIX}NoFreeWorkers",
        f"{flyte(FREE_WORKERS, space)} < 1",
        10,
        "warning",
        "All workers of Flyte's engine are busy, so that no workflow goes on.",
    )
    yield Alert(
        f"{_PREFIX}QueueGrows",
        f"min_over_time({flyte(QUEUE, space)}[15m]) > {_QUEUE} and deriv({flyte(QUEUE, space)}[15m]) > 0",
        10,
        "warning",
        "{{ $value | humanize }} workflows wait for Flyte's engine, and they become more.",
    )
    yield Alert(
        f"{_PREFIX}Panic",
        any_of(f"increase({flyte(metric, space)}[15m]) > 0" for metric in PANICS),
        0,
        "warning",
        "A part of Flyte has panicked.",
    )
    yield Alert(
        f"{_PREFIX}WorkflowTooLarge",
        f"increase({flyte(TOO_LARGE, space)}[15m]) > 0",
        0,
        "warning",
        "Flyte cannot store the state of a workflow, because it is larger than the cluster allows.",
    )
    yield Alert(
        f"{_PREFIX}StoreFailures",
        any_of(f"increase({flyte(metric, space)}[10m]) > 5" for metric in STORE_FAILURES),
        5,
        "critical",
        "{{ $value | humanize }} requests of Flyte to the object store have failed within ten minutes.",
    )
    yield Alert(
        f"{_PREFIX}SchedulerFailures",
        any_of(f"increase({flyte(metric, space)}[30m]) > 0" for metric in SCHEDULER_FAILURES),
        0,
        "warning",
        "Flyte's scheduler has failed, so that a scheduled execution may be missing.",
    )
    if STORE in watched:
        yield _store_nearly_full(space)
    if DATABASE in watched:
        yield _connections_used_up(space)
    if DATABASE_CLUSTER in watched:
        yield from _of_database_cluster(settings)


def _store_nearly_full(space: str) -> Alert:
    free = store("minio_cluster_capacity_usable_free_bytes", space)
    total = store("minio_cluster_capacity_usable_total_bytes", space)
    return Alert(
        f"{_PREFIX}StoreNearlyFull",
        f"1 - {free} / {total} > {_FULL}",
        15,
        "warning",
        "The object store is {{ $value | humanizePercentage }} full.",
    )


def _connections_used_up(space: str) -> Alert:
    used = database("pg_stat_database_numbackends", space)
    limit = database("pg_settings_max_connections", space)
    return Alert(
        f"{_PREFIX}ConnectionsUsedUp",
        f"sum by (namespace) ({used}) / on (namespace) group_right () {limit} > {_CONNECTIONS_USED}",
        10,
        "warning",
        "{{ $value | humanizePercentage }} of the connections of the database are in use.",
    )


def _of_database_cluster(settings: Settings) -> Iterator[Alert]:
    """Alerts from the metrics that the instances of a database of CloudNativePG serve."""
    space, chosen = settings.namespace, settings.postgres.cloudnative_pg
    used = database_cluster("cnpg_backends_total", space)
    limit = database_cluster("cnpg_pg_settings_setting", space, 'name="max_connections"')
    yield Alert(
        f"{_PREFIX}ConnectionsUsedUp",
        f"sum by (namespace, pod) ({used}) / on (namespace, pod) group_right () {limit} > {_CONNECTIONS_USED}",
        10,
        "warning",
        "{{ $value | humanizePercentage }} of the connections of the database are in use.",
    )
    if chosen.synchronous:
        standbys = database_cluster("cnpg_pg_replication_streaming_replicas", space)
        yield Alert(
            f"{_PREFIX}StandbyMissing",
            f"max by (namespace) ({standbys}) < {chosen.instances - 1}",
            15,
            "warning",
            f"Only {{{{ $value }}}} of {chosen.instances - 1} standbys of the database get its log.",
        )
        yield Alert(
            f"{_PREFIX}StandbyLate",
            f"{database_cluster('cnpg_pg_replication_lag', space)} > {_LAG}",
            10,
            "warning",
            "The standby {{ $labels.pod }} is {{ $value | humanizeDuration }} behind the database.",
        )
    if chosen.archive.destination:
        yield Alert(
            f"{_PREFIX}ArchiveFails",
            f"increase({database_cluster('cnpg_pg_stat_archiver_failed_count', space)}[15m]) > 0",
            15,
            "critical",
            "The log of the database cannot be archived, and fills its volume.",
        )


def _of_cluster(settings: Settings) -> Iterator[Alert]:
    """Alerts from the metrics of kube-state-metrics, of the kubelet, and of cert-manager."""
    place = f'namespace="{settings.namespace}"'
    yield Alert(
        f"{_PREFIX}ClusterMetricsMissing",
        f"absent({series('kube_namespace_created', place)})",
        15,
        "warning",
        "Prometheus has no metrics of kube-state-metrics, so that other alerts of the stack cannot fire.",
    )
    if settings.backup.target:
        yield from _of_backup(settings)
    if settings.ingress.tls.issuer:
        # Where Prometheus does not honour labels, it has renamed that of the object.
        expires = [
            series("certmanager_certificate_expiration_timestamp_seconds", label)
            for label in (f"exported_{place}", place)
        ]
        yield Alert(
            f"{_PREFIX}CertificateExpires",
            any_of(f"{date} - time() < {_CERTIFICATE_DAYS * 86400}" for date in expires),
            60,
            "warning",
            "The certificate {{ $labels.name }} expires in {{ $value | humanizeDuration }}, and was not renewed.",
        )
    yield from _of_volumes(settings)
    quota = f'resourcequota="{POD_TEMPLATE}"'
    used = series("kube_resourcequota", quota, 'type="used"')
    hard = series("kube_resourcequota", quota, 'type="hard"')
    yield Alert(
        f"{_PREFIX}QuotaUsedUp",
        f"{used} / ignoring (type) ({hard} > 0) > {_QUOTA_USED}",
        30,
        "warning",
        "{{ $value | humanizePercentage }} of {{ $labels.resource }} in the quota of {{ $labels.namespace }} are used, "
        "so that tasks wait.",
    )


def _of_volumes(settings: Settings) -> Iterator[Alert]:
    """The alert for the volumes that pods of the stack mount, unless there are none."""
    volumes = [
        *({"bundled": ["postgres-data.*"], "cloudnative-pg": ["postgres-[0-9]+"]}.get(settings.postgres.mode, [])),
        *(["minio-data"] if settings.minio.mode == "bundled" else []),
        *(["backup-work"] if settings.backup.target else []),
    ]
    if not volumes:
        return
    place = f'namespace="{settings.namespace}"'
    claims = f'persistentvolumeclaim=~"{"|".join(volumes)}"'
    available = series("kubelet_volume_stats_available_bytes", place, claims)
    capacity = series("kubelet_volume_stats_capacity_bytes", place, claims)
    yield Alert(
        f"{_PREFIX}VolumeNearlyFull",
        f"1 - {available} / {capacity} > {_FULL}",
        15,
        "warning",
        "The volume {{ $labels.persistentvolumeclaim }} is {{ $value | humanizePercentage }} full.",
    )


def _of_backup(settings: Settings) -> Iterator[Alert]:
    yield Alert(
        f"{_PREFIX}BackupOld",
        _older(settings.namespace, backup.BACKUP, longest_gap(settings.backup.schedule) + _LATE),
        15,
        "critical",
        "The last backup is {{ $value | humanizeDuration }} old.",
    )
    jobs = [(settings.namespace, backup.BACKUP), (settings.namespace, backup.CHECK)]
    jobs.append((settings.drill_namespace, backup.DRILL))
    yield Alert(
        f"{_PREFIX}BackupFailed",
        any_of(_failed(*job) for job in jobs),
        0,
        "critical",
        "The last Job of {{ $labels.cronjob }} in {{ $labels.namespace }} has failed.",
    )
    schedule = settings.backup.drill_schedule
    gap = longest_gap(schedule) + _LATE if schedule else timedelta(days=settings.monitoring.drill_days)
    yield Alert(
        f"{_PREFIX}DrillOld",
        _older(settings.drill_namespace, backup.DRILL, gap),
        15,
        "warning",
        "The last rehearsed restore is {{ $value | humanizeDuration }} old.",
    )


def _last_success(namespace: str, cron_job: str) -> str:
    """When a CronJob last succeeded, or if it never has, when it was created."""
    selected = (f'namespace="{namespace}"', f'cronjob="{cron_job}"')
    last = series("kube_cronjob_status_last_successful_time", *selected)
    return f"max by (namespace, cronjob) ({last} or {series('kube_cronjob_created', *selected)})"


def _older(namespace: str, cron_job: str, age: timedelta) -> str:
    return f"time() - {_last_success(namespace, cron_job)} > {int(age.total_seconds())}"


def _failed(namespace: str, cron_job: str) -> str:
    """Whether a Job of a CronJob has failed since the last success.

    The names of its Jobs end in eight digits, or in eight hexadecimal digits where a command has started them.
    """
    selected = (f'namespace="{namespace}"', f'job_name=~"{cron_job}-[0-9a-f]{{8}}"')
    started = series("kube_job_status_start_time", *selected)
    failed = series("kube_job_failed", *selected, 'condition="true"')
    newest = f"max by (namespace) ({started} and on (namespace, job_name) {failed} == 1)"
    return f"{_last_success(namespace, cron_job)} < on (namespace) group_left () {newest}"
