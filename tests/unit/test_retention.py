"""Retention: its settings, the CronJob, the lifecycles of buckets, and the limit for missed schedules."""

import base64
import io
import zipfile
from typing import Any

import pytest

from ops.lib.recording import Recording
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import containers, run, stack

ROWS = {"executions": 90, "cache": 30}
RULES = {**ROWS, "objects": 210}


def rejected(**settings: Any) -> str:
    with pytest.raises(SettingsError) as error:
        settings_from(*stack(**settings))
    return str(error.value)


def test_by_default_everything_is_kept_and_nothing_of_it_exists(dev: Recording):
    retention = settings_from(*stack()).retention

    assert (retention.executions, retention.cache, retention.objects, retention.rows) == (0, 0, 0, False)
    assert not dev.of("CronJob")
    assert not [one for one in dev.resources if "retention" in one.name or "schedules" in one.name]
    release = dev.one("Release").plain["values"]
    assert "max-ttl-hours" not in release["configuration"]["inline"]["propeller"]
    assert release["configuration"]["inline"]["plugins"]["k8s"]["delete-resource-on-finalize"] is False
    assert "initContainers" not in release["deployment"]


@pytest.mark.parametrize("rows", [{"executions": 90}, {"cache": 30}, ROWS])
def test_the_cron_job_exists_if_any_rows_are_deleted(rows: dict[str, int]):
    (container,) = containers(run(retention=rows).one("CronJob").plain["spec"]["jobTemplate"])
    environment = {one["name"]: one["value"] for one in container["env"]}

    assert environment["EXECUTION_DAYS"] == str(rows.get("executions", 0))
    assert environment["CACHE_DAYS"] == str(rows.get("cache", 0))


def test_the_cron_job_gets_only_flytes_own_password_and_only_as_a_file():
    recorded = run(retention=ROWS)
    pod = recorded.one("CronJob").plain["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    secret = next(volume["secret"] for volume in pod["volumes"] if "secret" in volume)

    assert secret["secretName"] == recorded.one("Secret", "postgres-credentials").manifest["metadata"]["name"]
    assert [item["key"] for item in secret["items"]] == ["flyte-password"]
    assert not any("valueFrom" in one for one in pod["containers"][0]["env"])
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["containers"][0]["securityContext"]["readOnlyRootFilesystem"] is True


def test_the_cron_job_waits_for_flyte_because_before_there_are_no_tables():
    recorded = run(retention=ROWS)

    assert recorded.one("Release").urn in recorded.one("CronJob").dependencies


def test_runs_never_overlap_and_are_at_the_chosen_time():
    spec = run(retention={**ROWS, "schedule": "*/30 1-4 * * 6,0"}).one("CronJob").plain["spec"]

    assert (spec["schedule"], spec["timeZone"], spec["concurrencyPolicy"]) == ("*/30 1-4 * * 6,0", "Etc/UTC", "Forbid")


def test_only_the_database_admits_the_cron_job_and_it_reaches_nothing_else():
    policies = {one.manifest["metadata"]["name"]: one.plain["spec"] for one in run(retention=ROWS).of("NetworkPolicy")}
    pods = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "flyte-retention"}}}

    admitting = {
        name for name, spec in policies.items() for rule in spec.get("ingress", []) if pods in rule.get("from", [])
    }
    assert admitting == {"postgres"}
    ports = [port["port"] for rule in policies["flyte-retention"]["egress"] for port in rule["ports"]]
    assert ports == [53, 53, 5432]


@pytest.mark.parametrize(
    "schedule",
    [
        *("", "daily", "@daily", "* * * *", "60 3 * * *", "0 24 * * *", "0 3 0 * *", "5-1 3 * * *", "*/0 * * * *"),
        *("0 3 L * *", "0 3 * * 5L", "0 3 * * 1#2", "0 0 3 * * *", "0 3 30 2 *", "0 3 * FOO *", "0 3 * * 7"),
    ],
)
def test_a_schedule_that_kubernetes_would_reject_is_rejected_here(schedule: str):
    message = rejected(retention={**ROWS, "schedule": schedule})

    assert "flyte-home:retention.schedule" in message
    assert "17 3 * * *" in message or "write 0 for Sunday" in message


@pytest.mark.parametrize("name", ["executions", "cache", "objects"])
@pytest.mark.parametrize("days", [-1, 3651, "a week"])
def test_a_number_of_days_must_be_one(name: str, days: Any):
    assert f"flyte-home:retention.{name}" in rejected(retention={name: days})


@pytest.mark.parametrize("name", ["executions", "cache"])
def test_objects_may_not_expire_while_rows_that_point_at_them_are_kept_for_ever(name: str):
    message = rejected(retention={**RULES, name: 0})

    assert f"flyte-home:retention.{name}: is 0" in message
    assert "pulumi config set" in message


@pytest.mark.parametrize(
    ("executions", "cache", "least"), [(90, 30, 188), (30, 90, 128), (1, 1, 10)], ids=["recovery", "cache", "smallest"]
)
def test_objects_live_as_long_as_an_execution_that_has_reused_them(executions: int, cache: int, least: int):
    rows = {"executions": executions, "cache": cache}
    settings_from(*stack(retention={**rows, "objects": least}))

    message = rejected(retention={**rows, "objects": least - 1})

    assert f"flyte-home:retention.objects: {least - 1} days are too few" in message
    assert f"pulumi config set --path flyte-home:retention.objects {least}" in message


def test_objects_live_longer_where_rows_are_deleted_more_rarely():
    message = rejected(retention={**ROWS, "objects": 188, "schedule": "0 4 * * SUN"})

    assert "deleted up to 7 later" in message
    assert "pulumi config set --path flyte-home:retention.objects 194" in message


def lifecycles(**settings: Any) -> dict[str, str]:
    """The lifecycles that the store imports, by bucket."""
    found = {}
    for config in run(**settings).of("ConfigMap"):
        for name, content in (config.plain.get("binaryData") or {}).items():
            if name.startswith("buckets-"):
                with zipfile.ZipFile(io.BytesIO(base64.b64decode(content))) as archive:
                    names = [one for one in archive.namelist() if one.endswith("/lifecycle.xml")]
                    found |= {one.partition("/")[0]: archive.read(one).decode() for one in names}
    return found


def test_only_the_data_of_executions_expires():
    found = lifecycles(retention=RULES, domains=["development"])

    assert found["remedy-development"].count("<Prefix>") == 1
    assert "<Prefix>data/</Prefix>" in found["remedy-development"]
    assert "<Days>210</Days>" in found["remedy-development"]
    prefixes = [part.partition("<")[0] for part in found["flyte"].split("<Prefix>")[1:]]
    assert prefixes == ["metadata/propeller/", "metadata/remedy/"]
    assert not [one for one in prefixes if "metadata/admin/".startswith(one) or "remedy/development/".startswith(one)]


def test_without_the_setting_a_disabled_rule_replaces_an_earlier_one():
    for rules in lifecycles().values():
        assert "<Status>Disabled</Status>" in rules
        assert "Enabled" not in rules


def test_flyte_deletes_finished_pods_when_the_setting_says():
    values = run(retention={"finishedHours": 2, "finishedPods": "delete"}).one("Release").plain["values"]
    inline = values["configuration"]["inline"]

    assert inline["propeller"]["max-ttl-hours"] == 2
    assert inline["propeller"]["max-workflow-retries"] == 300
    assert inline["plugins"]["k8s"]["delete-resource-on-finalize"] is True
    assert inline["plugins"]["k8s"]["default-pod-template-name"] == "flyte-task"


@pytest.mark.parametrize("hours", [0, 24])
def test_flyte_would_ignore_more_than_23_hours(hours: int):
    assert "flyte-home:retention.finishedHours" in rejected(retention={"finishedHours": hours})


# --- schedules ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("age", "interval"), [("0m", "0 minutes"), ("90m", "90 minutes"), ("1h", "1 hours"), ("2d", "2 days")]
)
def test_a_limit_for_missed_schedules_is_applied_before_flyte_starts(age: str, interval: str):
    recorded = run(flyte={"scheduleCatchUp": age})
    deployment = recorded.one("Release").plain["values"]["deployment"]
    (container,) = deployment["initContainers"]
    secret = next(one for one in deployment["extraVolumes"] if one["name"] == "database-password")["secret"]
    scripts = next(one for one in deployment["extraVolumes"] if one["name"] == "schedule-scripts")["configMap"]

    assert {"name": "AGE", "value": interval} in container["env"]
    assert secret["secretName"] == recorded.one("Secret", "postgres-credentials").manifest["metadata"]["name"]
    assert [item["key"] for item in secret["items"]] == ["flyte-password"]
    assert scripts["name"] == recorded.one("ConfigMap", "flyte-schedules").manifest["metadata"]["name"]
    assert {"skip-missed.sh", "skip-missed.sql", "connect.sh"} <= set(
        recorded.one("ConfigMap", "flyte-schedules").plain["data"]
    )


def test_own_init_containers_are_kept_beside_the_limit():
    own = {"deployment": {"initContainers": [{"name": "own", "image": "own.home/own:1"}]}}
    values = run(flyte={"scheduleCatchUp": "1h"}, flyteValues=own).one("Release").plain["values"]

    assert [one["name"] for one in values["deployment"]["initContainers"]] == ["skip-missed-schedules", "own"]


@pytest.mark.parametrize("age", ["1", "h", "1 hour", "-1h", "1w", "1h30m"])
def test_a_limit_that_is_no_duration_is_rejected(age: str):
    message = rejected(flyte={"scheduleCatchUp": age})

    assert "flyte-home:flyte.scheduleCatchUp" in message
    assert "30m, 1h or 2d" in message
