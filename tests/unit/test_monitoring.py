"""Monitoring: its settings, what is created for it, and what it may reach."""

import base64
import json
import re
from typing import Any

import pytest

from components.monitoring.alerts import rules_file
from components.monitoring.boards import dashboards
from components.monitoring.dashboard import Panel, Query, Row, dashboard
from components.monitoring.token import metrics_token
from ops.lib.recording import Recording, Secret
from paths import ROOT
from settings import Settings, settings_from
from settings.errors import SettingsError
from tests.conftest import containers, run, stack, store_policies
from tests.external_store import external
from tests.unit.test_backup_settings import CLAIM

OPERATOR, ANNOTATIONS = {"scrape": "operator"}, {"scrape": "annotations"}
EVERYTHING = {
    "monitoring": OPERATOR,
    "backup": CLAIM,
    "ingress": {
        "controller": "traefik",
        "hosts": {"console": "flyte.home.example", "objectStore": "s3.home.example"},
        "tls": {"issuer": "home"},
        "withoutLogin": {"reason": "only one laptop reaches these hosts"},
    },
}
CLUSTER = {
    **EVERYTHING,
    "postgres": {
        "mode": "cloudnative-pg",
        "cloudnativePg": {"archive": {"destination": "s3://backups/flyte", "accessKeyId": "archive"}},
    },
    "postgresArchiveKey": "planted-archive-key",
}
ALERTS = {
    "TargetDown", "NoFreeWorkers", "QueueGrows", "Panic", "WorkflowTooLarge", "StoreFailures", "SchedulerFailures",
    "StoreNearlyFull", "ConnectionsUsedUp", "ClusterMetricsMissing", "BackupOld", "BackupFailed", "DrillOld",
    "CertificateExpires", "VolumeNearlyFull", "QuotaUsedUp",
}  # fmt: skip
OF_DATABASE_CLUSTER = {"StandbyMissing", "StandbyLate", "ArchiveFails"}
OF_CLUSTER = {
    "ClusterMetricsMissing", "BackupOld", "BackupFailed", "DrillOld", "CertificateExpires", "VolumeNearlyFull",
    "QuotaUsedUp",
}  # fmt: skip


def settings(**changed: Any) -> Settings:
    return settings_from(*stack(**changed))


def rejected(**changed: Any) -> str:
    with pytest.raises(SettingsError) as error:
        settings(**changed)
    return str(error.value)


def alerts(**changed: Any) -> dict[str, dict[str, Any]]:
    """The alerts of a stack by their names without the prefix."""
    groups = rules_file(settings(**changed))["groups"]
    return {rule["alert"].removeprefix("FlyteHome"): rule for group in groups for rule in group["rules"]}


def named(recording: Recording, kind: str) -> dict[str, Any]:
    """The manifests of a kind by their names, without secrets."""
    return {one.manifest["metadata"]["name"]: one.plain for one in recording.of(kind)}


def test_a_database_cluster_has_alerts_about_its_standbys_and_its_archive():
    assert alerts(**CLUSTER).keys() == ALERTS | OF_DATABASE_CLUSTER
    assert "< 2" in alerts(**CLUSTER)["StandbyMissing"]["expr"]
    single = {**CLUSTER, "postgres": {"mode": "cloudnative-pg", "cloudnativePg": {"instances": 1}}}
    assert alerts(**{**single, "postgresArchiveKey": None}).keys() == ALERTS


# --- without monitoring -------------------------------------------------------------------------------------------


def test_by_default_nothing_exists_for_monitoring(dev: Recording):
    assert not settings().monitoring.enabled
    shown = json.dumps([[one.urn, one.plain] for one in dev.resources]).lower()
    for word in ("monitor", "prometheus", "grafana", "exporter"):
        assert word not in shown, word


def test_monitoring_changes_no_other_resource_than_the_servers_their_policies_and_their_users(dev: Recording):
    found = run(monitoring=OPERATOR)
    before = {one.urn: one.plain for one in dev.resources if one.is_manifest}
    after = {one.urn: one.plain for one in found.resources}

    assert before.keys() <= after.keys()
    assert {urn.rpartition("::")[2] for urn in before if before[urn] != after[urn]} == {
        # A role of the database: its script, and the pod that runs it.
        *("postgres", "postgres-scripts"),
        # A user of the object store, which is provisioned and not retired.
        *("minio-keys", "minio-provision", "retired-users", "retired-users-scripts"),
        *("network-postgres", "network-minio", "network-flyte-binary"),
    }


# --- servers outside of the stack ---------------------------------------------------------------------------------

OUTSIDE = {"postgres": {"mode": "external", "external": {"host": "192.168.1.21", "tls": {"mode": "require"}}}}


def outside(database: bool, store: bool) -> dict[str, Any]:
    """Settings of a monitored stack that does not run its database, or its store."""
    return {
        **(external() if store else {}),
        **({**OUTSIDE, "postgresPassword": "planted-postgres"} if database else {}),
        "monitoring": OPERATOR,
    }


@pytest.mark.parametrize("database", [True, False])
@pytest.mark.parametrize("store", [True, False])
def test_only_servers_that_the_stack_runs_are_monitored(database: bool, store: bool):
    changed = outside(database, store)
    found = run(**changed)
    scraped = (
        {"flyte-metrics"} | (set() if store else {"minio-metrics"}) | (set() if database else {"postgres-metrics"})
    )
    names = set(alerts(**changed))
    shown = json.dumps([alerts(**changed), dashboards(settings(**changed))])

    assert set(named(found, "ServiceMonitor")) == scraped
    assert {name for name in named(found, "Service") if name.endswith("-metrics")} == scraped
    assert ("postgres-exporter" in named(found, "Deployment")) is not database
    assert ("postgres-exporter" in named(found, "NetworkPolicy")) is not database
    assert ("StoreNearlyFull" in names) is not store
    assert ("ConnectionsUsedUp" in names) is not database
    assert ("VolumeNearlyFull" in names) is not (database and store)
    for word, absent in (("minio", store), ("pg_", database), ("postgres", database)):
        assert (word in shown) is not absent, word


def test_resources_for_the_metrics_of_a_database_outside_are_rejected():
    message = rejected(
        **outside(True, False) | {"monitoring": {**OPERATOR, "resources": {"limits": {"memory": "1Gi"}}}}
    )

    assert "flyte-home:monitoring.resources: has no effect, because flyte-home:postgres.mode is external" in message


# --- settings -----------------------------------------------------------------------------------------------------


def test_a_setting_without_monitoring_is_rejected():
    message = rejected(monitoring={"namespace": "observability"})

    assert "flyte-home:monitoring: has no effect" in message
    assert "pulumi config set --path flyte-home:monitoring.scrape operator" in message


@pytest.mark.parametrize(
    ("changed", "key"),
    [
        ({**ANNOTATIONS, "labels": {"release": "other"}}, "labels"),
        ({**ANNOTATIONS, "interval": 60}, "interval"),
        ({**OPERATOR, "dashboards": {"instanceLabels": {"grafana": "home"}}}, "dashboards.instanceLabels"),
    ],
)
def test_a_part_without_an_effect_is_rejected(changed: dict[str, Any], key: str):
    message = rejected(monitoring=changed)

    assert f"flyte-home:monitoring.{key}: has no effect" in message
    assert f"pulumi config rm --path flyte-home:monitoring.{key}" in message


def test_the_age_of_a_drill_is_not_set_twice():
    backup = {**CLAIM, "drillSchedule": "0 5 1 * *"}

    message = rejected(backup=backup, monitoring={**OPERATOR, "drillDays": 10})

    assert "flyte-home:monitoring.drillDays: has no effect" in message
    assert settings(backup=backup, monitoring=OPERATOR).monitoring.drill_days == 100


@pytest.mark.parametrize("namespace", ["flyte", "remedy-development", "flyte-drill"])
def test_prometheus_cannot_be_in_a_namespace_of_the_stack(namespace: str):
    message = rejected(backup=CLAIM, monitoring={**OPERATOR, "namespace": namespace})

    assert f"flyte-home:monitoring.namespace: '{namespace}' is a namespace of the stack itself" in message


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("scrape", "prometheus"), ("scrape", ""), ("namespace", ""), ("namespace", "Monitoring"), ("interval", 4),
        ("interval", 121), ("labels", {"a b": "c"}), ("labels", {"release": "-"}), ("drillDays", 0), ("runbooks", ""),
        ("runbooks", "a page#part"), ("runbooks", "https://user:password@git.home.example/"),
        ("dashboards", {"label": "a b"}), ("dashboards", {"labelValue": "a b"}), ("dashboards", {"folder": ""}),
        ("dashboards", {"instanceLabels": {"a b": "c"}}), ("clusterMetrics", "sometimes"), ("secret", "x"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_rejected_by_its_name(key: str, value: Any):
    assert f"flyte-home:monitoring.{key}" in rejected(monitoring={**OPERATOR, key: value})


# --- what is created ----------------------------------------------------------------------------------------------


def test_prometheus_finds_every_server_through_a_service_of_its_own():
    recorded = run(monitoring=OPERATOR)
    pods = {
        "flyte-metrics": {"app.kubernetes.io/name": "flyte-binary", "app.kubernetes.io/component": "flyte-binary"},
        "minio-metrics": recorded.one("StatefulSet", "minio").plain["spec"]["selector"]["matchLabels"],
        "postgres-metrics": recorded.one("Deployment", "monitoring-exporter").plain["spec"]["selector"]["matchLabels"],
    }

    for name, service in named(recorded, "Service").items():
        if name in pods:
            assert service["spec"]["selector"] == pods.pop(name)
            assert service["spec"]["clusterIP"] == "None"
    assert not pods
    monitors = named(recorded, "ServiceMonitor")
    assert {name: one["spec"]["selector"]["matchLabels"] for name, one in monitors.items()} == {
        name: {"app.kubernetes.io/name": name} for name in ("flyte-metrics", "minio-metrics", "postgres-metrics")
    }
    for name in monitors:
        assert named(recorded, "Service")[name]["metadata"]["labels"]["app.kubernetes.io/name"] == name


def test_the_prometheus_operator_selects_monitors_and_rules_by_the_labels_of_the_setting():
    recorded = run(monitoring={**OPERATOR, "labels": {"team": "home"}, "interval": 60})

    selected = [*recorded.of("ServiceMonitor"), *recorded.of("PrometheusRule")]
    assert len(selected) == 4
    for one in selected:
        assert one.plain["metadata"]["labels"]["team"] == "home"
        assert "release" not in one.plain["metadata"]["labels"]
    for one in run(monitoring=OPERATOR).of("ServiceMonitor"):
        assert one.plain["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    for one in recorded.of("ServiceMonitor"):
        assert {endpoint["interval"] for endpoint in one.plain["spec"]["endpoints"]} == {"60s"}


def test_with_annotations_there_are_no_objects_of_an_operator_and_the_rules_are_a_file():
    recorded = run(monitoring=ANNOTATIONS)

    assert not [one.kind for one in recorded.resources if "monitoring.coreos.com" in one.urn]
    services = named(recorded, "Service")
    assert services["flyte-metrics"]["metadata"]["annotations"]["prometheus.io/scrape"] == "true"
    assert services["flyte-metrics"]["metadata"]["annotations"]["prometheus.io/port"] == "10254"
    assert services["postgres-metrics"]["metadata"]["annotations"]["prometheus.io/port"] == "9187"
    # Prometheus has no token for a target that it finds by an annotation.
    assert "prometheus.io/scrape" not in services["minio-metrics"]["metadata"]["annotations"]
    assert "FlyteHomeTargetDown" in named(recorded, "ConfigMap")["flyte-alerts"]["data"]["flyte-alerts.yaml"]


def test_with_the_operator_nothing_is_scraped_twice():
    for service in named(run(monitoring=OPERATOR), "Service").values():
        assert "prometheus.io/scrape" not in service["metadata"].get("annotations", {})


def test_the_exporter_has_only_its_own_password_and_no_rights():
    recorded = run(monitoring=OPERATOR)
    deployment = recorded.one("Deployment", "monitoring-exporter").plain
    pod = deployment["spec"]["template"]["spec"]
    (container,) = containers(deployment)
    (secret,) = [volume["secret"] for volume in pod["volumes"]]

    assert secret["secretName"] == recorded.one("Secret", "postgres-monitor").manifest["metadata"]["name"]
    assert list(recorded.one("Secret", "postgres-monitor").plain["stringData"]) == ["password"]
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment == {
        "DATA_SOURCE_URI": "postgres.flyte.svc:5432/postgres?sslmode=disable",
        "DATA_SOURCE_USER": "monitoring",
        "DATA_SOURCE_PASS_FILE": "/run/secrets/database/password",
    }
    assert pod["automountServiceAccountToken"] is False
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert container["securityContext"]["capabilities"] == {"drop": ["ALL"]}
    assert container["image"].startswith("quay.io/prometheuscommunity/postgres-exporter:")


def test_the_database_creates_the_role_after_every_start_and_only_then():
    recorded = run(monitoring=OPERATOR)
    (container,) = containers(recorded.one("StatefulSet", "postgres").plain)
    command = container["lifecycle"]["postStart"]["exec"]["command"]
    scripts = recorded.one("ConfigMap", "postgres-scripts").plain["data"]

    assert command[:2] == ["/bin/sh", "-c"]
    ran = re.findall(r"/scripts/([a-z-]+\.sh)", command[2])
    assert ran == ["ensure-roles.sh", "monitor-role.sh"]
    assert set(ran) <= scripts.keys()
    assert {"name": "MONITOR", "value": "/run/secrets/monitor"} in container["env"]
    assert "/run/secrets/monitor" in [mount["mountPath"] for mount in container["volumeMounts"]]


# --- secrets ------------------------------------------------------------------------------------------------------


def test_the_token_is_signed_with_the_key_of_the_user():
    header, payload, signature = metrics_token("flyte.metrics", "planted-key").split(".")

    def decoded(part: str) -> Any:
        return json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))

    assert decoded(header) == {"alg": "HS512", "typ": "JWT"}
    assert {**decoded(payload), "exp": 0} == {"sub": "flyte.metrics", "iss": "prometheus", "exp": 0}
    assert metrics_token("flyte.metrics", "planted-key").endswith(signature)
    assert not metrics_token("flyte.metrics", "other-key").endswith(signature)


def test_token_and_passwords_are_encrypted_and_nowhere_else():
    recorded = run(**EVERYTHING)
    passwords = {
        one.name: one
        for one in recorded.of("RandomPassword")
        if one.name in {"postgres-monitor-password", "minio-monitor-key"}
    }
    assert len(passwords) == 2
    token = recorded.one("Secret", "monitoring-store-token").inputs["stringData"]
    password = recorded.one("Secret", "postgres-monitor").inputs["stringData"]
    for content, key in ((token, "token"), (password, "password")):
        assert isinstance(content, Secret) or isinstance(content[key], Secret)
    secret = token.value if isinstance(token, Secret) else token
    value = secret["token"].value if isinstance(secret["token"], Secret) else secret["token"]
    assert value.count(".") == 2
    for one in recorded.resources:
        if one.name != "monitoring-store-token":
            assert value not in json.dumps(one.plain), one.urn


@pytest.mark.parametrize("generation", [1, 2])
def test_a_new_generation_is_another_password_and_another_user(generation: int):
    recorded = run(monitoring=OPERATOR, generations={"monitoring": generation})
    keepers = recorded.one("RandomPassword", "postgres-monitor-password").inputs.get("keepers")
    user = "flyte.metrics" if generation == 1 else "flyte.metrics.2"

    assert keepers == (None if generation == 1 else {"generation": "2"})
    assert user in store_policies(recorded)
    assert [name for name in store_policies(recorded) if "metrics" in name] == [user]
    # Otherwise the Job that removes old users would remove this one, too.
    assert user in recorded.one("ConfigMap", "retired-users-scripts").plain["data"]["kept"].splitlines()


def test_the_user_that_reads_metrics_may_read_no_object_and_change_nothing():
    (policy,) = store_policies(run(monitoring=OPERATOR))["flyte.metrics"]
    allowed = {
        action: statement.get("Condition")
        for statement in policy["Statement"]
        if statement["Effect"] == "Allow"
        for action in statement["Action"]
    }
    (denied,) = [statement for statement in policy["Statement"] if statement["Effect"] == "Deny"]

    # tests/scripts checks on a real server what this means.
    assert allowed.keys() == {"admin:Prometheus", "s3:GetBucketLocation", "s3:ListBucket"}
    assert allowed["s3:ListBucket"] == {"StringLike": {"s3:prefix": ["-/"]}}
    assert {"admin:CreateUser", "admin:CreateServiceAccount", "admin:UpdateServiceAccount"} <= set(denied["Action"])
    assert not allowed.keys() & set(denied["Action"])


# --- network ------------------------------------------------------------------------------------------------------


def policies(recording: Recording) -> dict[str, Any]:
    return {
        one.manifest["metadata"]["name"]: one.plain["spec"]
        for one in recording.of("NetworkPolicy")
        if one.manifest["metadata"]["namespace"] == "flyte"
    }


def test_only_the_namespace_of_prometheus_reaches_the_metrics():
    found = policies(run(monitoring={**OPERATOR, "namespace": "observability"}))
    prometheus = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "observability"}}}
    open_to_it = {
        (name, port["port"])
        for name, spec in found.items()
        for rule in spec.get("ingress", [])
        if prometheus in rule.get("from", [])
        for port in rule["ports"]
    }

    assert open_to_it == {("flyte-binary", 10254), ("minio", 9000), ("postgres-exporter", 9187)}
    for name, port in (("flyte-binary", 10254), ("postgres-exporter", 9187)):
        for rule in found[name]["ingress"]:
            if {"port": port} in rule["ports"]:
                assert rule["from"] == [prometheus]


def test_the_exporter_reaches_only_the_database():
    found = policies(run(monitoring=OPERATOR))
    pods = {"podSelector": {"matchLabels": {"app.kubernetes.io/name": "postgres-exporter"}}}

    assert [port["port"] for rule in found["postgres-exporter"]["egress"] for port in rule["ports"]] == [53, 53, 5432]
    assert {
        name for name, spec in found.items() for rule in spec.get("ingress", []) if pods in rule.get("from", [])
    } == {"postgres"}


# --- alerts -------------------------------------------------------------------------------------------------------


def test_a_stack_that_has_everything_has_every_alert():
    assert alerts(**EVERYTHING).keys() == ALERTS


def test_there_is_no_alert_for_what_a_stack_does_not_have():
    found = alerts(monitoring=OPERATOR)

    assert ALERTS - found.keys() == {"BackupOld", "BackupFailed", "DrillOld", "CertificateExpires"}


def test_without_metrics_of_the_cluster_there_are_no_alerts_from_them():
    found = alerts(**{**EVERYTHING, "monitoring": {**OPERATOR, "clusterMetrics": False}})

    assert found.keys() == ALERTS - OF_CLUSTER


def test_every_alert_links_to_its_section_of_the_documentation():
    page = (ROOT / "docs" / "monitoring.md").read_text()
    sections = {line.removeprefix("### ") for line in page.splitlines() if line.startswith("### FlyteHome")}
    found = alerts(**{**EVERYTHING, "monitoring": {**OPERATOR, "runbooks": "https://git.home.example/monitoring"}})

    assert sections == {f"FlyteHome{name}" for name in ALERTS | OF_DATABASE_CLUSTER}
    for name, rule in found.items():
        address = f"https://git.home.example/monitoring#flytehome{name.lower()}"
        assert rule["annotations"]["runbook_url"] == address
        assert rule["labels"]["severity"] in {"warning", "critical"}


def test_every_section_about_an_alert_says_what_it_means_and_what_to_do():
    page = (ROOT / "docs" / "monitoring.md").read_text()
    for section in page.split("\n### FlyteHome")[1:]:
        text = section.partition("\n## ")[0]
        assert "**Means**" in text, section[:40]
        assert "**Do**" in text, section[:40]


@pytest.mark.parametrize(
    ("schedule", "seconds"), [("17 3 * * *", 42 * 3600), ("*/30 * * * *", 42 * 3600), ("0 3 * * 0", 186 * 3600)]
)
def test_a_backup_is_old_when_its_schedule_has_passed(schedule: str, seconds: int):
    found = alerts(monitoring=OPERATOR, backup={**CLAIM, "schedule": schedule})

    assert found["BackupOld"]["expr"].endswith(f"> {seconds}")


def test_a_drill_is_old_after_its_schedule_or_after_the_days_of_the_setting():
    scheduled = alerts(monitoring=OPERATOR, backup={**CLAIM, "drillSchedule": "0 5 1 * *"})
    by_hand = alerts(monitoring={**OPERATOR, "drillDays": 10}, backup=CLAIM)

    assert scheduled["DrillOld"]["expr"].endswith(f"> {31 * 86400 + 18 * 3600}")
    assert by_hand["DrillOld"]["expr"].endswith(f"> {10 * 86400}")


# --- dashboards ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def boards() -> dict[str, dict[str, Any]]:
    """The dashboards of a stack that has everything."""
    return {name: json.loads(text) for name, text in dashboards(settings(**EVERYTHING)).items()}


def test_grafanas_sidecar_finds_the_dashboards_by_the_label_of_the_setting():
    recorded = run(monitoring={**OPERATOR, "dashboards": {"label": "boards", "labelValue": "yes", "folder": "Home"}})

    found = [one.plain for one in recorded.of("ConfigMap") if "boards" in one.plain["metadata"]["labels"]]
    assert [one["metadata"]["labels"]["boards"] for one in found] == ["yes", "yes"]
    assert {one["metadata"]["annotations"]["grafana_folder"] for one in found} == {"Home"}
    assert not recorded.of("GrafanaDashboard")


def test_the_grafana_operator_reads_the_dashboards_from_their_config_maps():
    recorded = run(monitoring={**OPERATOR, "dashboards": {"grafanaOperator": True, "instanceLabels": {"g": "home"}}})
    maps = named(recorded, "ConfigMap")

    found = [one.plain["spec"] for one in recorded.of("GrafanaDashboard")]
    assert len(found) == 2
    for spec in found:
        assert spec["instanceSelector"] == {"matchLabels": {"g": "home"}}
        assert spec["configMapRef"]["key"] in maps[spec["configMapRef"]["name"]]["data"]


def test_dashboards_have_panels_of_todays_grafana(boards: dict[str, Any]):
    for board in boards.values():
        assert board["schemaVersion"] == 42
        assert {panel["type"] for panel in board["panels"]} <= {"row", "timeseries", "stat", "table"}
        assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])
    assert len({board["uid"] for board in boards.values()}) == 2


def test_panels_neither_overlap_nor_leave_the_page(boards: dict[str, Any]):
    for board in boards.values():
        cells: set[tuple[int, int]] = set()
        for panel in board["panels"]:
            at = panel["gridPos"]
            own = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
            assert at["x"] + at["w"] <= 24
            assert not own & cells, panel["title"]
            cells |= own


def test_every_query_goes_to_the_prometheus_that_the_user_chooses_and_selects_the_stack(boards: dict[str, Any]):
    for board in boards.values():
        assert [one["name"] for one in board["templating"]["list"]] == ["datasource"]
        for panel in board["panels"]:
            for target in panel.get("targets", []):
                assert target["datasource"]["uid"] == "${datasource}"
                for selector in re.findall(r"\{([^{}]*)\}", target["expr"]):
                    assert re.search('namespace=~?"flyte|resourcequota="flyte-task"|alertname=', selector), selector


def test_without_metrics_of_the_cluster_no_panel_needs_them():
    text = "".join(dashboards(settings(monitoring={**OPERATOR, "clusterMetrics": False})).values())

    assert "kube_" not in text
    assert "kubelet_" not in text


def test_a_row_of_panels_that_is_too_wide_is_broken():
    panels = [Panel(str(number), [Query("up")], width=10) for number in range(3)]
    board = json.loads(dashboard("u", "t", "", [Row("a", panels), Row("b", panels[:1])]))

    assert [(p["gridPos"]["x"], p["gridPos"]["y"]) for p in board["panels"]] == [
        (0, 0), (0, 1), (10, 1), (0, 9), (0, 17), (0, 18),
    ]  # fmt: skip
