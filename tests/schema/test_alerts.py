"""The alerts in Prometheus' own program: their syntax, and for each a state in which it fires and one in which not."""

import json
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from components.monitoring.alerts import rules_file
from settings import settings_from
from tests.conftest import stack
from tests.metrics import expressions
from tests.tools import require
from tests.unit.test_monitoring import CLUSTER, EVERYTHING, OPERATOR

FLYTE, STORE, DATABASE, INSTANCES = (
    f'namespace="flyte",service="{name}"'
    for name in ("flyte-metrics", "minio-metrics", "postgres-metrics", "postgres-cluster-metrics")
)
PROPELLER, SCHEDULER = "flyte:propeller:all", "flyte:flytescheduler"
UP = {f"up{{{one}}}": "1x60" for one in (FLYTE, STORE, DATABASE)} | {f"pg_up{{{DATABASE}}}": "1x60"}
DAY, HOUR = 86400, 3600
# A drill is old after a day here, because a hundred days are many evaluations.
SETTINGS = {**EVERYTHING, "monitoring": {**OPERATOR, "drillDays": 1}}


@dataclass(frozen=True)
class Case:
    """Series with their values minute by minute, and what the alert then says."""

    series: Mapping[str, str]
    """Values in promtool's notation: 1x60 is sixty-one times 1, 0+2x60 grows by 2 each minute."""
    minute: int
    """Minute of the evaluation."""
    labels: Mapping[str, str] | None = None
    """Labels of the alert; None: it does not fire."""
    summary: str = ""


def from_flyte(metric: str, values: str) -> dict[str, str]:
    return {f"{metric}{{{FLYTE}}}": values}


def at(service: str, **more: str) -> dict[str, str]:
    """The labels of an alert about a Service."""
    return {"namespace": "flyte", "service": service, **more}


def capacity(free: int) -> dict[str, str]:
    name = "minio_cluster_capacity_usable"
    return {f"{name}_free_bytes{{{STORE}}}": f"{free}x60", f"{name}_total_bytes{{{STORE}}}": "100x60"}


def connections(used: int) -> dict[str, str]:
    return {
        f'pg_stat_database_numbackends{{{DATABASE},datname="flyte"}}': f"{used}x60",
        f'pg_stat_database_numbackends{{{DATABASE},datname="postgres"}}': "3x60",
        f'pg_settings_max_connections{{{DATABASE},server="postgres:5432"}}': "100x60",
    }


def cron_job(name: str, namespace: str, succeeded: int | None) -> dict[str, str]:
    """A CronJob that was created at the beginning, and last succeeded at a time in seconds."""
    labels = f'namespace="{namespace}",cronjob="{name}"'
    found = {f"kube_cronjob_created{{{labels}}}": "0x3000"}
    if succeeded is not None:
        found[f"kube_cronjob_status_last_successful_time{{{labels}}}"] = f"{succeeded}x3000"
    return found


def failed_job(name: str, namespace: str, started: int) -> dict[str, str]:
    labels = f'namespace="{namespace}",job_name="{name}"'
    return {
        f"kube_job_status_start_time{{{labels}}}": f"{started}x60",
        f'kube_job_failed{{{labels},condition="true"}}': "1x60",
        f'kube_job_failed{{{labels},condition="false"}}': "0x60",
    }


def certificate(days: int, label: str) -> dict[str, str]:
    labels = f'{label}="flyte",name="flyte-console-tls"'
    return {f"certmanager_certificate_expiration_timestamp_seconds{{{labels}}}": f"{days * DAY + 2 * HOUR}x130"}


def volume(free: int) -> dict[str, str]:
    labels = 'namespace="flyte",persistentvolumeclaim="minio-data"'
    return {
        f"kubelet_volume_stats_available_bytes{{{labels}}}": f"{free}x60",
        f"kubelet_volume_stats_capacity_bytes{{{labels}}}": "100x60",
    }


def quota(used: int, hard: int) -> dict[str, str]:
    labels = 'namespace="remedy-development",resourcequota="flyte-task",resource="pods"'
    return {
        f'kube_resourcequota{{{labels},type="used"}}': f"{used}x60",
        f'kube_resourcequota{{{labels},type="hard"}}': f"{hard}x60",
    }


def failures(metric: str) -> list[Case]:
    """A counter that grows once, and one that has grown long ago."""
    return [
        Case(from_flyte(metric, "0x20 1x20"), 25, at("flyte-metrics"), "{}"),
        Case(from_flyte(metric, "0x5 3x60"), 60),
    ]


NO_METRICS = "Prometheus gets no metrics from {} in flyte."
PANIC, SCHEDULER_FAILED = (
    "A part of Flyte has panicked.",
    "Flyte's scheduler has failed, so that a scheduled execution may be missing.",
)
WAITING = "workflows wait for Flyte's engine, and they become more."
CASES: dict[str, list[Case]] = {
    "TargetDown": [
        Case(UP | {f"up{{{STORE}}}": "0x60"}, 15, at("minio-metrics"), NO_METRICS.format("minio-metrics")),
        Case(
            {name: values for name, values in UP.items() if name != f"up{{{FLYTE}}}"},
            15,
            at("flyte-metrics"),
            NO_METRICS.format("flyte-metrics"),
        ),
        Case(UP | {f"pg_up{{{DATABASE}}}": "0x60"}, 15, at("postgres-metrics"), NO_METRICS.format("postgres-metrics")),
        Case(UP, 15),
        # A restart is no alert.
        Case(UP | {f"up{{{FLYTE}}}": "1x10 0x5 1x40"}, 20),
    ],
    "NoFreeWorkers": [
        Case(
            from_flyte(f"{PROPELLER}:free_workers_count", "0x60"),
            15,
            at("flyte-metrics"),
            "All workers of Flyte's engine are busy, so that no workflow goes on.",
        ),
        Case(from_flyte(f"{PROPELLER}:free_workers_count", "1x60"), 15),
        Case(from_flyte(f"{PROPELLER}:free_workers_count", "40x5 0x5 40x50"), 15),
    ],
    "QueueGrows": [
        Case(from_flyte(f"{PROPELLER}:main_depth", "11+2x60"), 40, at("flyte-metrics"), f"63 {WAITING}"),
        Case(from_flyte(f"{PROPELLER}:main_depth", "50x60"), 40),
        Case(from_flyte(f"{PROPELLER}:main_depth", "0x30 0+3x30"), 40),
    ],
    "Panic": [
        Case(case.series, case.minute, case.labels, PANIC)
        for metric in (
            f"{PROPELLER}:round:panic_unlabeled",
            "flyte:admin:admin:handler_panic",
            "flyte:admin:signal:handler_panic",
            f"{SCHEDULER}:initialization_panic",
            f"{SCHEDULER}:job_func_panic_counter",
        )
        for case in failures(metric)
    ],
    "WorkflowTooLarge": [
        Case(
            case.series,
            case.minute,
            case.labels,
            "Flyte cannot store the state of a workflow, because it is larger than the cluster allows.",
        )
        for case in failures(f"{PROPELLER}:wf_too_large")
    ],
    "StoreFailures": [
        *(
            Case(
                from_flyte(f"{part}:{kind}_failure_unlabeled", "0x10 0+3x50"),
                40,
                at("flyte-metrics"),
                "30 requests of Flyte to the object store have failed within ten minutes.",
            )
            for part in (f"{PROPELLER}:metastore", "flyte:admin:storage", "datacatalog:datacatalog:storage")
            for kind in ("head", "read", "write")
        ),
        Case(from_flyte(f"{PROPELLER}:metastore:read_failure_unlabeled", "0x20 1x20"), 30),
    ],
    "SchedulerFailures": [
        Case(case.series, case.minute, case.labels, SCHEDULER_FAILED)
        for kind in ("failed_execution", "job_schedule_failed", "catchup_error", "checkpoint_save_error")
        for case in failures(f"{SCHEDULER}:{kind}_counter")
    ],
    "StoreNearlyFull": [
        Case(capacity(10), 20, at("minio-metrics"), "The object store is 90% full."),
        Case(capacity(16), 20),
    ],
    "ConnectionsUsedUp": [
        Case(
            connections(92),
            20,
            at("postgres-metrics", server="postgres:5432"),
            "95% of the connections of the database are in use.",
        ),
        Case(connections(80), 20),
    ],
    "ClusterMetricsMissing": [
        Case(
            {'kube_namespace_created{namespace="default"}': "1x60"},
            20,
            {"namespace": "flyte"},
            "Prometheus has no metrics of kube-state-metrics, so that other alerts of the stack cannot fire.",
        ),
        Case({'kube_namespace_created{namespace="flyte"}': "1x60"}, 20),
    ],
    "BackupOld": [
        Case(
            cron_job("backup", "flyte", 0),
            43 * 60,
            {"namespace": "flyte", "cronjob": "backup"},
            "The last backup is 1d 19h 0m 0s old.",
        ),
        Case(
            cron_job("backup", "flyte", None),
            43 * 60,
            {"namespace": "flyte", "cronjob": "backup"},
            "The last backup is 1d 19h 0m 0s old.",
        ),
        Case(cron_job("backup", "flyte", 24 * HOUR), 43 * 60),
        Case(cron_job("backup", "flyte", None), 41 * 60),
    ],
    "BackupFailed": [
        *(
            Case(
                cron_job(job, space, succeeded) | failed_job(f"{job}-29012345", space, 1000),
                20,
                {"namespace": space, "cronjob": job},
                f"The last Job of {job} in {space} has failed.",
            )
            for job, space in (("backup", "flyte"), ("backup-check", "flyte"), ("backup-drill", "flyte-drill"))
            for succeeded in (500, None)
        ),
        Case(cron_job("backup", "flyte", 2000) | failed_job("backup-1a2b3c4d", "flyte", 1000), 40),
        # A failed Job of one does not concern the other.
        Case(cron_job("backup", "flyte", 500) | failed_job("backup-restore-1a2b3c4d", "flyte", 1000), 20),
    ],
    "DrillOld": [
        Case(
            cron_job("backup-drill", "flyte-drill", 0),
            25 * 60,
            {"namespace": "flyte-drill", "cronjob": "backup-drill"},
            "The last rehearsed restore is 1d 1h 0m 0s old.",
        ),
        Case(cron_job("backup-drill", "flyte-drill", 12 * HOUR), 25 * 60),
    ],
    "CertificateExpires": [
        *(
            Case(
                certificate(10, label),
                120,
                {label: "flyte", "name": "flyte-console-tls"},
                "The certificate flyte-console-tls expires in 10d 0h 0m 0s, and was not renewed.",
            )
            for label in ("namespace", "exported_namespace")
        ),
        Case(certificate(20, "namespace"), 120),
    ],
    "VolumeNearlyFull": [
        Case(
            volume(10),
            20,
            {"namespace": "flyte", "persistentvolumeclaim": "minio-data"},
            "The volume minio-data is 90% full.",
        ),
        Case(volume(16), 20),
    ],
    "QuotaUsedUp": [
        Case(
            quota(98, 100),
            40,
            {"namespace": "remedy-development", "resourcequota": "flyte-task", "resource": "pods"},
            "98% of pods in the quota of remedy-development are used, so that tasks wait.",
        ),
        Case(quota(95, 100), 40),
        Case(quota(0, 0), 40),
    ],
}


def instance(metric: str, values: str, name: str = "postgres-1", **more: str) -> dict[str, str]:
    """The series of an instance of the database cluster."""
    labels = "".join(f',{key}="{value}"' for key, value in more.items())
    return {f'{metric}{{{INSTANCES},pod="{name}"{labels}}}': values}


def backends(used: int) -> dict[str, str]:
    return {
        **instance("cnpg_backends_total", f"{used}x60", datname="flyte"),
        **instance("cnpg_backends_total", "3x60", datname="postgres"),
        **instance("cnpg_backends_total", "1x60", "postgres-2", datname="postgres"),
        f'cnpg_pg_settings_setting{{{INSTANCES},pod="postgres-1",name="max_connections"}}': "100x60",
        f'cnpg_pg_settings_setting{{{INSTANCES},pod="postgres-2",name="max_connections"}}': "100x60",
    }


CLUSTER_CASES: dict[str, list[Case]] = {
    "ConnectionsUsedUp": [
        Case(
            backends(92),
            20,
            at("postgres-cluster-metrics", pod="postgres-1", name="max_connections"),
            "95% of the connections of the database are in use.",
        ),
        Case(backends(80), 20),
    ],
    "StandbyMissing": [
        Case(
            instance("cnpg_pg_replication_streaming_replicas", "1x60"),
            20,
            {"namespace": "flyte"},
            "Only 1 of 2 standbys of the database get its log.",
        ),
        Case(
            instance("cnpg_pg_replication_streaming_replicas", "2x60")
            | instance("cnpg_pg_replication_streaming_replicas", "0x60", "postgres-2"),
            20,
        ),
        # A restart is no alert.
        Case(instance("cnpg_pg_replication_streaming_replicas", "2x10 1x8 2x40"), 25),
    ],
    "StandbyLate": [
        Case(
            instance("cnpg_pg_replication_lag", "600x60", "postgres-2"),
            20,
            at("postgres-cluster-metrics", pod="postgres-2"),
            "The standby postgres-2 is 10m 0s behind the database.",
        ),
        Case(instance("cnpg_pg_replication_lag", "60x60", "postgres-2"), 20),
    ],
    "ArchiveFails": [
        Case(
            instance("cnpg_pg_stat_archiver_failed_count", "0+1x60"),
            40,
            at("postgres-cluster-metrics", pod="postgres-1"),
            "The log of the database cannot be archived, and fills its volume.",
        ),
        Case(instance("cnpg_pg_stat_archiver_failed_count", "7x60"), 40),
    ],
}


def rules(folder: Path, **changed: Any) -> Path:
    """The rules file of a stack. JSON is YAML, too."""
    path = folder / "rules.yaml"
    path.write_text(json.dumps(rules_file(settings_from(*stack(**changed)))))
    return path


def promtool(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(require("promtool")), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)


def outcome(
    folder: Path, name: str, cases: Sequence[Case], changed: Mapping[str, Any] = SETTINGS
) -> subprocess.CompletedProcess[str]:
    """Run the cases of an alert of a stack with these settings."""
    rule = next(
        rule
        for group in json.loads(rules(folder, **changed).read_text())["groups"]
        for rule in group["rules"]
        if rule["alert"] == f"FlyteHome{name}"
    )
    tests = []
    for case in cases:
        expected = {
            "exp_labels": {**(case.labels or {}), "severity": rule["labels"]["severity"]},
            "exp_annotations": {**rule["annotations"], "summary": case.summary},
        }
        tests.append(
            {
                "interval": "1m",
                "input_series": [{"series": series, "values": values} for series, values in case.series.items()],
                "alert_rule_test": [
                    {
                        "eval_time": f"{case.minute}m",
                        "alertname": f"FlyteHome{name}",
                        "exp_alerts": [expected] if case.labels else [],
                    }
                ],
            }
        )
    path = folder / "tests.yaml"
    path.write_text(json.dumps({"rule_files": ["rules.yaml"], "evaluation_interval": "1m", "tests": tests}))
    return promtool("test", "rules", path)


@pytest.mark.parametrize(
    "changed", [{"monitoring": OPERATOR}, EVERYTHING, {**EVERYTHING, "namespace": "flyte-2"}], ids=["few", "all", "own"]
)
def test_prometheus_accepts_the_rules(tmp_path: Path, changed: dict[str, Any]):
    done = promtool("check", "rules", "--lint=all", "--lint-fatal", rules(tmp_path, **changed))

    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_accepts_every_query_of_the_dashboards(tmp_path: Path):
    path = tmp_path / "queries.yaml"
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(expressions())]
    path.write_text(json.dumps({"groups": [{"name": "queries", "rules": rules}]}))

    done = promtool("check", "rules", "--lint=all", "--lint-fatal", path)

    assert len(rules) > 50
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_has_a_state_in_which_it_fires_and_one_in_which_it_does_not():
    found = rules_file(settings_from(*stack(**SETTINGS)))
    names = {rule["alert"].removeprefix("FlyteHome") for group in found["groups"] for rule in group["rules"]}

    assert CASES.keys() == names
    for name, cases in CASES.items():
        assert {bool(case.labels) for case in cases} == {True, False}, name


@pytest.mark.parametrize("name", CASES)
def test_an_alert_fires_when_it_should_and_only_then(tmp_path: Path, name: str):
    done = outcome(tmp_path, name, CASES[name])

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", CLUSTER_CASES)
def test_an_alert_about_a_database_cluster_fires_when_it_should_and_only_then(tmp_path: Path, name: str):
    done = outcome(tmp_path, name, CLUSTER_CASES[name], CLUSTER)

    assert {bool(case.labels) for case in CLUSTER_CASES[name]} == {True, False}
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_of_a_database_cluster_that_another_stack_does_not_have_is_tried():
    def expressions_of(changed: Mapping[str, Any]) -> dict[str, str]:
        groups = rules_file(settings_from(*stack(**changed)))["groups"]
        return {rule["alert"].removeprefix("FlyteHome"): rule["expr"] for group in groups for rule in group["rules"]}

    own, other = expressions_of(CLUSTER), expressions_of(EVERYTHING)
    # The targets and the volumes are tried there with other names.
    changed = {name for name in own if own[name] != other.get(name)} - {"TargetDown", "VolumeNearlyFull"}
    assert changed == CLUSTER_CASES.keys()


def test_an_alert_that_does_not_fire_would_be_found(tmp_path: Path):
    quiet = CASES["StoreNearlyFull"][1]

    done = outcome(tmp_path, "StoreNearlyFull", [Case(quiet.series, quiet.minute, at("minio-metrics"), "x")])

    assert done.returncode == 1
    assert "FAILED" in done.stdout + done.stderr
