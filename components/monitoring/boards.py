"""The two dashboards: the health of the stack, and its workflows."""

from collections.abc import Collection

from components.backup import names as backup
from components.monitoring import metrics
from components.monitoring.dashboard import Panel, Query, Row, dashboard
from components.monitoring.metrics import FREE_WORKERS, QUEUE, SCHEDULER_FAILURES, STORE_FAILURES, series, services
from components.monitoring.names import DATABASE, DATABASE_CLUSTER, STORE
from components.tasks.names import POD_TEMPLATE
from settings.stack import Settings

_PROPELLER = "flyte:propeller:all"


def dashboards(settings: Settings) -> dict[str, str]:
    """The dashboards in Grafana's JSON, by name."""
    space = settings.namespace
    watched = services(settings)
    rows = [_overview(space, watched), _engine(space)]
    if DATABASE in watched:
        rows.append(_database(space))
    if DATABASE_CLUSTER in watched:
        rows.append(_database_cluster(space))
    if STORE in watched:
        rows.append(_store(space))
    if settings.monitoring.cluster_metrics:
        rows.append(_cluster(settings))
    return {
        "health": dashboard(
            "flyte-home-health",
            "Flyte: health of the stack",
            "Flyte, its database and its object store, as flyte-home deploys them.",
            rows,
        ),
        "workflows": dashboard(
            "flyte-home-workflows",
            "Flyte: workflows",
            "What Flyte runs, how long it takes, and what fails.",
            [_executions(space), _latencies(space), _cache(space)],
        ),
    }


def _short(metric: str) -> str:
    """The name of a counter of failures in a legend, such as ``admin read``."""
    part, kind = metric.split(":")[-3:-1], metric.rpartition(":")[2]
    return f"{'engine' if part[0] == 'all' else part[0]} {kind.removesuffix('_failure_unlabeled')}"


def _overview(space: str, watched: Collection[str]) -> Row:
    """The servers at a glance, of which the stack has the ``watched`` ones."""

    def flyte(metric: str, *matchers: str) -> str:
        return metrics.flyte(metric, space, *matchers)

    targets = series("up", f'namespace="{space}"', f'service=~"{"|".join(watched)}"')
    used = metrics.database("pg_stat_database_numbackends", space)
    limit = metrics.database("pg_settings_max_connections", space)
    free = metrics.store("minio_cluster_capacity_usable_free_bytes", space)
    total = metrics.store("minio_cluster_capacity_usable_total_bytes", space)
    in_use, memory = [], [Query(flyte("process_resident_memory_bytes"), "Flyte")]
    if DATABASE in watched:
        share = Query(f"sum({used}) / max({limit})")
        in_use.append(Panel("Connections in use", [share], "stat", "percentunit", 4, bad=0.9))
    if STORE in watched:
        share = Query(f"1 - max({free} / {total})")
        in_use.append(Panel("Object store in use", [share], "stat", "percentunit", 4, bad=0.85))
        memory.append(Query(metrics.store("minio_node_process_resident_memory_bytes", space), "object store"))
    if DATABASE in watched:
        process = metrics.database("process_resident_memory_bytes", space)
        memory.append(Query(process, "exporter of the database"))
    return Row(
        "Overview",
        [
            Panel("Servers without metrics", [Query(f"count({targets} == 0) or vector(0)")], "stat", width=4, bad=1),
            Panel(
                "Running workflows",
                [Query(f"sum({flyte(f'{_PROPELLER}:execstats:active_workflow_executions')})")],
                "stat",
                width=4,
            ),
            Panel("Free workers", [Query(f"sum({flyte(FREE_WORKERS)})")], "stat", width=4, bad=1, below=True),
            Panel("Waiting workflows", [Query(f"sum({flyte(QUEUE)})")], "stat", width=4, bad=100),
            *in_use,
            Panel(
                "Alerts",
                [Query(series("ALERTS", 'alertname=~"FlyteHome.*"', 'alertstate="firing"'))],
                "table",
                width=12,
                columns=["alertname", "severity", "service", "namespace"],
            ),
            Panel(
                "Memory of the servers",
                memory,
                unit="bytes",
                width=12,
                about="PostgreSQL itself has no such metric.",
            ),
        ],
    )


def _engine(space: str) -> Row:
    def flyte(metric: str, *matchers: str) -> str:
        return metrics.flyte(metric, space, *matchers)

    failures = [metric.rpartition(":")[2] for metric in SCHEDULER_FAILURES]
    return Row(
        "Flyte",
        [
            Panel(
                "Queues of the engine",
                [Query(flyte(QUEUE), "workflows"), Query(flyte(f"{_PROPELLER}:sub_depth"), "finished nodes")],
            ),
            Panel(
                "Rounds of the engine",
                [
                    Query(f"rate({flyte(f'{_PROPELLER}:round:success_count')}[5m])", "succeeded"),
                    Query(f"rate({flyte(f'{_PROPELLER}:round:error_count')}[5m])", "failed"),
                ],
                unit="ops",
                about="In a round, the engine looks at one workflow and does what can be done next.",
            ),
            Panel(
                "Duration of a round",
                [Query(flyte(f"{_PROPELLER}:round:round_time_unlabeled_ms", 'quantile=~"0.5|0.99"'), "{{quantile}}")],
                unit="ms",
            ),
            Panel(
                "Answers of the API",
                [Query(f"sum by (grpc_code) (rate({flyte('grpc_server_handled_total')}[5m]))", "{{grpc_code}}")],
                unit="reqps",
            ),
            Panel(
                "Requests to the object store that failed",
                [Query(f"increase({flyte(metric)}[5m])", _short(metric)) for metric in STORE_FAILURES],
            ),
            Panel(
                "Failures of the scheduler",
                [
                    Query(f"increase({flyte(metric)}[5m])", name)
                    for metric, name in zip(SCHEDULER_FAILURES, failures, strict=True)
                ],
            ),
        ],
    )


def _database(space: str) -> Row:
    def database(metric: str, *matchers: str) -> str:
        return metrics.database(metric, space, *matchers)

    own = 'datname="flyte"'
    hit, read = (database(f"pg_stat_database_blks_{kind}", own) for kind in ("hit", "read"))
    return Row(
        "Database",
        [
            Panel(
                "Connections by state",
                [Query(f"sum by (state) ({database('pg_stat_activity_count', own)})", "{{state}}")],
            ),
            Panel(
                "Transactions",
                [
                    Query(f"rate({database('pg_stat_database_xact_commit', own)}[5m])", "committed"),
                    Query(f"rate({database('pg_stat_database_xact_rollback', own)}[5m])", "rolled back"),
                    Query(f"rate({database('pg_stat_database_deadlocks', own)}[5m])", "deadlocks"),
                ],
                unit="ops",
            ),
            Panel("Size", [Query(database("pg_database_size_bytes", own), "flyte")], unit="bytes"),
            Panel(
                "Blocks found in memory",
                [Query(f"rate({hit}[5m]) / (rate({hit}[5m]) + rate({read}[5m]))", "share")],
                unit="percentunit",
            ),
        ],
    )


def _database_cluster(space: str) -> Row:
    def database(metric: str, *matchers: str) -> str:
        return metrics.database_cluster(metric, space, *matchers)

    own = 'datname="flyte"'
    return Row(
        "Database",
        [
            Panel(
                "Connections by state",
                [Query(f"sum by (state) ({database('cnpg_backends_total', own)})", "{{state}}")],
            ),
            Panel(
                "Transactions",
                [
                    Query(f"sum(rate({database('cnpg_pg_stat_database_xact_commit', own)}[5m]))", "committed"),
                    Query(f"sum(rate({database('cnpg_pg_stat_database_xact_rollback', own)}[5m]))", "rolled back"),
                    Query(f"sum(rate({database('cnpg_pg_stat_database_deadlocks', own)}[5m]))", "deadlocks"),
                ],
                unit="ops",
            ),
            Panel("Size", [Query(f"max({database('cnpg_pg_database_size_bytes', own)})", "flyte")], unit="bytes"),
            Panel(
                "Standbys that get the log",
                [Query(f"max({database('cnpg_pg_replication_streaming_replicas')})", "standbys")],
            ),
            Panel(
                "Delay of the standbys",
                [Query(database("cnpg_pg_replication_lag"), "{{pod}}")],
                unit="s",
            ),
            Panel(
                "Log on the volumes",
                [Query(database("cnpg_collector_pg_wal", 'value="size"'), "{{pod}}")],
                unit="bytes",
            ),
        ],
    )


def _store(space: str) -> Row:
    def store(metric: str, *matchers: str) -> str:
        return metrics.store(metric, space, *matchers)

    return Row(
        "Object store",
        [
            Panel(
                "Requests",
                [Query(f"sum by (api) (rate({store('minio_s3_requests_total')}[5m]))", "{{api}}")],
                unit="reqps",
            ),
            Panel(
                "Requests that failed",
                [
                    Query(f"sum(rate({store('minio_s3_requests_errors_total')}[5m]))", "all"),
                    Query(f"sum(rate({store('minio_s3_requests_4xx_errors_total')}[5m]))", "by the client (4xx)"),
                ],
                unit="reqps",
            ),
            Panel(
                "Traffic",
                [
                    Query(f"sum(rate({store('minio_s3_traffic_received_bytes')}[5m]))", "received"),
                    Query(f"sum(rate({store('minio_s3_traffic_sent_bytes')}[5m]))", "sent"),
                ],
                unit="Bps",
            ),
            Panel(
                "Size of the buckets",
                [Query(f"max by (bucket) ({store('minio_bucket_usage_total_bytes')})", "{{bucket}}")],
                unit="bytes",
                about="The store counts its objects about once a minute, and more rarely when it has many.",
            ),
            Panel(
                "Free space",
                [
                    Query(store("minio_cluster_capacity_usable_free_bytes"), "free"),
                    Query(store("minio_cluster_capacity_usable_total_bytes"), "total"),
                ],
                unit="bytes",
            ),
        ],
    )


def _cluster(settings: Settings) -> Row:
    spaces = "|".join(filter(None, (settings.namespace, settings.drill_namespace)))
    place = f'namespace=~"{spaces}"'
    quota = f'resourcequota="{POD_TEMPLATE}"'
    used, hard = (series("kube_resourcequota", quota, f'type="{kind}"') for kind in ("used", "hard"))
    panels = [
        Panel(
            "Volumes in use",
            [
                Query(
                    f"1 - {series('kubelet_volume_stats_available_bytes', place)}"
                    f" / {series('kubelet_volume_stats_capacity_bytes', place)}",
                    "{{persistentvolumeclaim}}",
                )
            ],
            unit="percentunit",
            about="Empty where the kubelet does not measure the volumes, such as folders of the node.",
        ),
        Panel(
            "Quotas",
            [Query(f"{used} / ignoring (type) ({hard} > 0)")],
            "table",
            "percentunit",
            columns=["namespace", "resource"],
        ),
    ]
    if settings.backup.target:
        jobs = f'cronjob=~"{backup.BACKUP}|{backup.CHECK}|{backup.DRILL}"'
        last = series("kube_cronjob_status_last_successful_time", place, jobs)
        panels.append(Panel("Since the last success", [Query(f"time() - {last}", "{{cronjob}}")], unit="s"))
    return Row("Cluster", panels)


def _executions(space: str) -> Row:
    def flyte(metric: str, *matchers: str) -> str:
        return metrics.flyte(metric, space, *matchers)

    def ended(kind: str) -> str:
        return flyte(f"{_PROPELLER}:workflow:{kind}_duration_unlabeled_ms_count")

    by_project = flyte(f"{_PROPELLER}:workflow:success_duration_ms_count")
    return Row(
        "Executions",
        [
            *(
                Panel(
                    f"Running {what}s",
                    [Query(f"sum({flyte(f'{_PROPELLER}:execstats:active_{what}_executions')})")],
                    "stat",
                    width=4,
                )
                for what in ("workflow", "node", "task")
            ),
            *(
                Panel(
                    f"Workflows that {what} within a day",
                    [Query(f"sum(increase({ended(kind)}[1d]))")],
                    "stat",
                    width=6,
                    about="Approximate, because Flyte counts from zero when it starts.",
                )
                for kind, what in (("success", "succeeded"), ("failure", "failed"))
            ),
            Panel(
                "Workflows that ended",
                [
                    Query(f"increase({ended(kind)}[5m])", what)
                    for kind, what in (("success", "succeeded"), ("failure", "failed"))
                ],
            ),
            Panel(
                "Workflows that succeeded, by project",
                [Query(f"sum by (project, domain) (increase({by_project}[5m]))", "{{project}} {{domain}}")],
            ),
            Panel(
                "Waiting workflows and free workers",
                [Query(flyte(QUEUE), "waiting"), Query(flyte(FREE_WORKERS), "free workers")],
            ),
        ],
    )


def _latencies(space: str) -> Row:
    def quantiles(metric: str) -> list[Query]:
        return [Query(metrics.flyte(metric, space, 'quantile=~"0.5|0.9|0.99"'), "{{quantile}}")]

    return Row(
        "Durations",
        [
            Panel(title, quantiles(f"{_PROPELLER}:{metric}"), unit="ms", about=about)
            for title, metric, about in (
                ("Workflow", "workflow:success_duration_unlabeled_ms", "Of workflows that succeeded."),
                (
                    "Until a workflow is accepted",
                    "workflow:acceptance_latency_unlabeled_ms",
                    "From the request until the engine begins.",
                ),
                (
                    "Until its end is known",
                    "workflow:completion_latency_unlabeled_ms",
                    "From the end of the last node until the end of the workflow.",
                ),
                (
                    "Until a node runs",
                    "node:queueing_latency_unlabeled_ms",
                    "From the time at which a node could run until its pod does.",
                ),
                (
                    "Between nodes",
                    "node:transition_latency_unlabeled_ms",
                    "From the end of a node until the next one is queued.",
                ),
                ("Writing of a state", "wf_update_latency_ms", "Requests to the API server of Kubernetes."),
            )
        ],
    )


def _cache(space: str) -> Row:
    def flyte(metric: str, *matchers: str) -> str:
        return metrics.flyte(metric, space, *matchers)

    return Row(
        "Writes of the engine",
        [
            Panel(
                "States of workflows",
                [
                    Query(f"rate({flyte(f'{_PROPELLER}:wf_update_success')}[5m])", "written"),
                    Query(f"rate({flyte(f'{_PROPELLER}:wf_update_conflict')}[5m])", "conflicts"),
                    Query(f"rate({flyte(f'{_PROPELLER}:wf_update_failed')}[5m])", "failed"),
                    Query(f"rate({flyte(f'{_PROPELLER}:wf_too_large')}[5m])", "too large"),
                ],
                unit="ops",
            ),
            Panel(
                "Time to read and write an object",
                [
                    Query(flyte(f"{_PROPELLER}:metastore:{kind}_unlabeled_ms", 'quantile="0.9"'), f"{what}, 9 of 10")
                    for kind, what in (("read_open", "read"), ("write", "write"))
                ],
                unit="ms",
            ),
            Panel(
                "Executions that were started",
                [Query(f"increase({flyte('flyte:admin:admin:execution_manager:executions_created')}[5m])", "started")],
            ),
        ],
    )
