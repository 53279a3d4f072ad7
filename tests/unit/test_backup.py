"""The backup: what is created for it, and what each of its pods can open."""

import json
from typing import Any

import pytest

from ops.lib.recording import Recording, Secret
from settings.images import IMAGES
from tests.conftest import containers, run, store_policies
from tests.unit.test_backup_settings import CLAIM, HOST_KEY, S3, SFTP, SSH_KEY, STORE_SECRET
from tests.unit.test_store_policies import allows, policy

JOBS = ("backup", "backup-check", "backup-restore", "backup-drill")
STEPS_OF_A_RESTORE = ["fetch", "database", "list", "compare", "objects", "references", "swap", "result"]
SERVERS = {"drill-postgres", "drill-minio"}
DATABASE, STORE, REPOSITORY, STATE = "database", "store", "repository", "state"
# What each step opens, apart from its own volume and the scripts.
OPENS = {
    "dump": {DATABASE},
    "copy": {STORE},
    "snapshot": {REPOSITORY, STATE},
    "check": {REPOSITORY},
    "fetch": {REPOSITORY},
    "database": {DATABASE},
    "list": {STORE},
    "compare": set(),
    "objects": {STORE},
    "references": set(),
    "swap": {DATABASE},
    "result": {REPOSITORY},
}


def with_backup(backup: dict[str, Any] = S3, credentials: str | None = STORE_SECRET, **others: Any) -> Recording:
    return run(backup=backup, backupCredentials=credentials, **others)


def job(recording: Recording, name: str) -> dict[str, Any]:
    """The specification of a CronJob."""
    return dict(recording.one("CronJob", name).manifest["spec"])


def pod(recording: Recording, name: str) -> dict[str, Any]:
    return dict(job(recording, name)["jobTemplate"]["spec"]["template"]["spec"])


def steps(recording: Recording, name: str) -> dict[str, dict[str, Any]]:
    """The containers of a CronJob that do its work, in their order."""
    found = containers(job(recording, name)["jobTemplate"])
    return {one["name"]: one for one in found if one["name"] not in SERVERS}


def variables(container: dict[str, Any]) -> dict[str, str]:
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def mounted(container: dict[str, Any]) -> set[str]:
    """The volumes of a container that hold more than scripts and temporary files."""
    return {one["name"] for one in container["volumeMounts"]} - {"work", "scripts", "tmp"}


def keys_mounted(recording: Recording, name: str, step: str) -> set[tuple[str, str]]:
    """The Secrets that a step mounts, each with the keys; ``*`` stands for all keys."""
    volumes = {one["name"]: one for one in pod(recording, name)["volumes"]}
    found = set()
    for volume in mounted(steps(recording, name)[step]):
        secret = volumes[volume].get("secret")
        if secret:
            found |= {(secret["secretName"], item["key"]) for item in secret.get("items", [{"key": "*"}])}
    return found


def secret_name(recording: Recording, name: str) -> str:
    return str(recording.one("Secret", name).manifest["metadata"]["name"])


# --- without a backup ---------------------------------------------------------------------------------------------


def test_without_a_target_nothing_is_created_for_the_backup(dev: Recording):
    assert not [one.urn for one in dev.resources if "backup" in one.urn.lower() or "drill" in one.urn]
    assert "flyte.backup" not in json.dumps([one.plain for one in dev.resources])


def test_the_backup_changes_no_other_resource_than_the_provisioning_and_the_network_policies(dev: Recording):
    found = with_backup()
    before = {one.urn: one.plain for one in dev.resources if one.is_manifest}
    after = {one.urn: one.plain for one in found.resources}

    assert before.keys() <= after.keys()
    changed = {urn.rpartition("::")[2] for urn in before if before[urn] != after[urn]}
    # The Job, the keys and the scripts get one more user. What refers to them by a generated name changes with them.
    assert {"minio-keys", "minio-provision", "network-postgres", "network-minio"} <= changed
    assert changed <= {
        *("minio", "minio-keys", "minio-provision", "network-postgres", "network-minio"),
        *("retired-users", "retired-users-scripts"),
    }


def test_without_a_backup_the_store_is_provisioned_as_before(dev: Recording):
    assert "flyte.backup" not in store_policies(dev)
    table = dev.one("ConfigMap", "minio-provision").plain
    assert "backup" not in table["data"]["users"]
    assert not [name for name in table["binaryData"] if "reader" in name]


# --- the pods -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", JOBS)
def test_a_pod_of_the_backup_has_no_rights_in_the_cluster_and_none_on_its_node(name: str):
    found = pod(with_backup(), name)

    assert found["automountServiceAccountToken"] is False
    assert found["enableServiceLinks"] is False
    assert "serviceAccountName" not in found
    assert found["securityContext"]["runAsNonRoot"] is True
    assert found["securityContext"]["runAsUser"] == 65534
    assert found["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    for container in containers(job(with_backup(), name)["jobTemplate"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert {*container["resources"]} == {"requests", "limits"}
    assert not [one for one in found["volumes"] if "hostPath" in one]


def test_steps_run_one_after_the_other_in_the_order_of_their_needs():
    found = with_backup()

    assert [*steps(found, "backup")] == ["dump", "copy", "snapshot"]
    assert [*steps(found, "backup-check")] == ["check"]
    assert [*steps(found, "backup-restore")] == STEPS_OF_A_RESTORE
    assert [*steps(found, "backup-drill")] == STEPS_OF_A_RESTORE
    for name in JOBS:
        # A pod runs its init containers in their order, and its container after them.
        assert [one["name"] for one in pod(found, name)["containers"]] == [[*steps(found, name)][-1]]


@pytest.mark.parametrize("name", JOBS)
def test_a_step_mounts_only_what_it_opens(name: str):
    for step, container in steps(with_backup(), name).items():
        assert mounted(container) == OPENS[step], step


@pytest.mark.parametrize("name", JOBS)
def test_no_step_has_a_secret_in_its_environment_or_its_arguments(name: str):
    for container in steps(with_backup(), name).values():
        assert {one["name"] for one in container["env"] if "valueFrom" in one} == {"RUN"}
        assert "secret" not in json.dumps(container["env"]).lower()
        assert "generated" not in json.dumps(container["env"])
        assert container["command"][0] == "/bin/sh"
        assert "args" not in container


def test_a_set_is_made_without_any_key_that_could_change_the_data():
    found = with_backup()

    assert keys_mounted(found, "backup", "dump") == {(secret_name(found, "postgres-credentials"), "flyte-password")}
    assert keys_mounted(found, "backup", "copy") == {(secret_name(found, "minio-keys"), "flyte.backup")}
    assert keys_mounted(found, "backup", "snapshot") == {(secret_name(found, "backup-access"), "*")}
    text = json.dumps(pod(found, "backup")) + json.dumps(pod(found, "backup-check"))
    assert "superuser-password" not in text
    assert secret_name(found, "minio-root") not in text


def test_only_the_steps_of_a_restore_administer_the_servers():
    found = with_backup()
    superuser = {(secret_name(found, "postgres-credentials"), "superuser-password")}
    root = {(secret_name(found, "minio-root"), key) for key in ("root-user", "root-password")}

    for step in ("database", "swap"):
        assert keys_mounted(found, "backup-restore", step) == superuser
    for step in ("list", "objects"):
        assert keys_mounted(found, "backup-restore", step) == root


def test_a_rehearsal_has_servers_and_passwords_of_its_own():
    found = with_backup()
    text = json.dumps(pod(found, "backup-drill"))
    own = secret_name(found, "backup-drill-servers")

    for stranger in ("postgres-credentials", "minio-root", "minio-keys", "backup-access"):
        assert secret_name(found, stranger) not in text
    assert {name for name, _ in keys_mounted(found, "backup-drill", "database")} == {own}
    servers = {one["name"]: one for one in pod(found, "backup-drill")["initContainers"] if one["name"] in SERVERS}
    assert {one["restartPolicy"] for one in servers.values()} == {"Always"}
    # Nothing outside the pod connects to them.
    assert "listen_addresses=127.0.0.1" in servers["drill-postgres"]["args"]
    assert servers["drill-minio"]["args"][-1] == "127.0.0.1:9000"
    database = variables(steps(found, "backup-drill")["database"])
    assert (database["PGHOST"], database["PGPORT"]) == ("127.0.0.1", "5432")
    assert variables(steps(found, "backup-drill")["objects"])["STORE_URL"] == "http://127.0.0.1:9000"
    assert variables(steps(found, "backup-drill")["swap"])["DRILL"] == "true"
    assert variables(steps(found, "backup-restore")["swap"])["DRILL"] == "false"


def test_every_step_runs_a_pinned_image_that_has_its_program():
    found = with_backup()
    images = {step: container["image"] for name in JOBS for step, container in steps(found, name).items()}

    assert {images[step] for step in ("dump", "database", "swap")} == {IMAGES["postgres"].reference}
    assert {images[step] for step in ("copy", "list", "objects")} == {IMAGES["mc"].reference}
    others = {"snapshot", "check", "fetch", "compare", "references", "result"}
    assert {images[step] for step in others} == {IMAGES["restic"].reference}


def test_every_script_that_a_step_runs_is_in_the_mounted_config_map():
    found = with_backup()
    for name in JOBS:
        volume = next(one for one in pod(found, name)["volumes"] if one["name"] == "scripts")
        (scripts,) = [
            one for one in found.of("ConfigMap") if one.manifest["metadata"]["name"] == volume["configMap"]["name"]
        ]
        assert scripts.manifest["metadata"]["namespace"] == found.one("CronJob", name).manifest["metadata"]["namespace"]
        for container in steps(found, name).values():
            assert container["command"][1].removeprefix("/scripts/") in scripts.plain["data"]


# --- when and where -----------------------------------------------------------------------------------------------


def test_the_cron_jobs_run_at_the_chosen_times():
    times = {"schedule": "1 2 * * *", "checkSchedule": "3 4 * * *", "drillSchedule": "5 6 * * *"}
    found = with_backup({**S3, **times, "timeZone": "Europe/Berlin"})

    for name, schedule in zip(("backup", "backup-check", "backup-drill"), times.values(), strict=True):
        spec = job(found, name)
        assert (spec["schedule"], spec["suspend"], spec["timeZone"]) == (schedule, False, "Europe/Berlin")
        assert spec["concurrencyPolicy"] == "Forbid"


def test_a_restore_never_runs_by_itself_and_a_rehearsal_only_with_a_schedule():
    found = with_backup()

    assert {name: job(found, name)["suspend"] for name in JOBS} == {
        "backup": False,
        "backup-check": False,
        "backup-restore": True,
        "backup-drill": True,
    }
    assert "timeZone" not in job(found, "backup")


def test_a_job_that_hangs_is_ended_and_one_that_was_missed_is_made_up_for():
    for name in JOBS:
        spec = job(with_backup(), name)
        assert spec["jobTemplate"]["spec"]["activeDeadlineSeconds"] == 86400
        assert spec["startingDeadlineSeconds"] == 21600


def test_the_copy_of_the_store_is_kept_between_sets_and_a_restore_gets_an_empty_volume():
    found = with_backup({**S3, "volume": {"size": "77Gi", "storageClass": "longhorn"}})

    def work(name: str) -> dict[str, Any]:
        return next(one for one in pod(found, name)["volumes"] if one["name"] == "work")

    for name in ("backup", "backup-check"):
        assert work(name)["persistentVolumeClaim"] == {"claimName": "backup-work"}
    claim = found.one("PersistentVolumeClaim", "backup-work").manifest["spec"]
    assert claim["resources"] == {"requests": {"storage": "77Gi"}}
    for name in ("backup-restore", "backup-drill"):
        spec = work(name)["ephemeral"]["volumeClaimTemplate"]["spec"]
        assert spec["resources"] == {"requests": {"storage": "77Gi"}}
        assert spec["storageClassName"] == "longhorn"


def test_rehearsals_are_confined_to_a_restricted_namespace_with_a_quota():
    found = with_backup()
    namespace = found.one("Namespace", "backup-drill").manifest
    quota = found.one("ResourceQuota", "backup-drill").manifest

    assert namespace["metadata"]["name"] == "flyte-drill"
    assert namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"] == "restricted"
    assert quota["metadata"]["namespace"] == "flyte-drill"
    assert quota["spec"]["hard"]["pods"] == "2"
    assert found.one("CronJob", "backup-drill").manifest["metadata"]["namespace"] == "flyte-drill"
    inside = [one for one in found.resources if one.manifest.get("metadata", {}).get("namespace") == "flyte-drill"]
    assert {one.kind for one in inside} == {"Secret", "ConfigMap", "CronJob", "ResourceQuota", "NetworkPolicy"}


# --- the target ---------------------------------------------------------------------------------------------------


def test_the_steps_of_the_repository_get_the_target_and_how_much_is_kept():
    backup = {**S3, "region": "eu-central-1", "keep": {"daily": 3, "weekly": 2, "monthly": 1}, "prune": False}
    found = variables(steps(with_backup(backup), "backup")["snapshot"])

    assert found["TARGET"] == "s3:https://nas.home:9000/bucket/flyte"
    assert (found["AWS_ACCESS_KEY_ID"], found["AWS_DEFAULT_REGION"]) == ("flyte-backup", "eu-central-1")
    assert [found[f"KEEP_{name}"] for name in ("DAILY", "WEEKLY", "MONTHLY")] == ["3", "2", "1"]
    assert found["PRUNE"] == "false"
    assert (found["STACK"], found["LABEL"]) == ("dev", "schedule")


def test_an_sftp_server_is_compared_with_its_host_keys():
    found = with_backup(SFTP, SSH_KEY.rstrip())

    for scripts in ("backup-scripts", "backup-drill-scripts"):
        assert found.one("ConfigMap", scripts).plain["data"]["known_hosts"] == f"{HOST_KEY}\n"
    # ssh rejects a key without a line break at its end.
    assert found.one("Secret", "backup-access").plain["stringData"]["credentials"] == SSH_KEY
    assert "AWS_ACCESS_KEY_ID" not in variables(steps(found, "backup")["snapshot"])


def test_the_authority_of_a_private_server_is_mounted():
    authority = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    found = with_backup({**S3, "certificateAuthority": authority})

    assert found.one("ConfigMap", "backup-scripts").plain["data"]["authority.pem"] == authority
    assert "authority.pem" not in with_backup().one("ConfigMap", "backup-scripts").plain["data"]


@pytest.mark.parametrize("name", JOBS)
def test_a_claim_is_mounted_only_where_the_repository_is_opened(name: str):
    found = with_backup(CLAIM, None)

    assert {"name": "target", "persistentVolumeClaim": {"claimName": "nas"}} in pod(found, name)["volumes"]
    for step, container in steps(found, name).items():
        expected = OPENS[step] | ({"target"} if REPOSITORY in OPENS[step] else set())
        assert mounted(container) == expected, step
        if "target" in expected:
            assert variables(container)["TARGET"] == "/target/flyte-home"


def test_without_a_claim_nothing_is_mounted_as_the_target():
    assert not [one for name in JOBS for one in pod(with_backup(), name)["volumes"] if one["name"] == "target"]


# --- secrets ------------------------------------------------------------------------------------------------------


def test_passwords_and_credentials_are_encrypted_in_the_state():
    found = with_backup()

    for name in ("backup-access", "backup-drill-access", "backup-drill-servers"):
        secret = found.one("Secret", name)
        content = secret.inputs["stringData"]
        assert isinstance(content, Secret) or isinstance(
            content["root-user" if "servers" in name else "password"], Secret
        )
        assert secret.plain["immutable"] is True
    assert found.one("Secret", "backup-access").plain["stringData"] == {
        "password": "generated",
        "credentials": f"{STORE_SECRET}\n",
    }


def test_what_a_set_says_about_its_stack_has_no_secret():
    found = with_backup(
        {**S3, "recoveryKey": "0" * 64},
        tidalCreds='{"token": "planted-tidal"}',
        tidalCreds__production='{"token": "planted-production"}',
        postgresPassword="planted-postgres",
        auth={"issuer": "https://id.home.example"},
        oidcClientSecret="planted-oidc",
    )

    for scripts in ("backup-scripts", "backup-drill-scripts"):
        text = found.one("ConfigMap", scripts).plain["data"]["about.json"]
        assert "planted" not in text
        about = json.loads(text)
        assert (about["stack"], about["settings"]["backup"]["target"]) == ("dev", S3["target"])
        assert about["images"]["postgres"] == IMAGES["postgres"].reference
        assert about["settings"]["projects"][0]["name"] == "remedy"
        assert about["version"]
        for key in ("tidalCreds", "postgresPassword", "oidcClientSecret", "backupCredentials", "secretValues"):
            assert key not in about["settings"]


# --- the user of the object store ---------------------------------------------------------------------------------


def test_the_user_of_the_backup_reads_every_bucket_and_changes_none():
    found = with_backup()
    own = policy(found, "flyte.backup")

    for path in ("flyte/metadata/x", "remedy-production/data/x"):
        assert allows(own, "s3:GetObject", path)
        for action in ("s3:PutObject", "s3:DeleteObject", "s3:PutBucketPolicy", "s3:AbortMultipartUpload"):
            assert not allows(own, action, path), action
    assert allows(own, "s3:ListBucket", "remedy-staging")
    granted = {action for one in own if one["Effect"] == "Allow" for action in one["Action"]}
    assert granted == {"s3:ListAllMyBuckets", "s3:GetBucketLocation", "s3:ListBucket", "s3:GetObject"}
    assert {"Effect": "Deny", "Action": ["admin:*"]} in own


def test_the_user_of_the_backup_is_created_and_not_removed_as_a_retired_one():
    found = with_backup()

    assert "flyte.backup flyte\n" in found.one("ConfigMap", "minio-provision").plain["data"]["users"]
    assert "flyte.backup" in found.one("Secret", "minio-keys").plain["stringData"]
    kept = found.one("ConfigMap", "retired-users-scripts").plain["data"]
    assert any("flyte.backup" in text.split() for text in kept.values())


def test_tasks_get_no_key_of_the_backup():
    found = with_backup()

    for secret in found.of("Secret"):
        if secret.name.startswith("flyte-object-store-"):
            assert "flyte.backup" not in json.dumps(secret.plain)
