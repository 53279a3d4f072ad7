"""A stack that runs neither its database nor its object store."""

import json
from typing import Any

import pytest

from components.database.names import CHECK as DATABASE_CHECK
from components.object_store.external import CHECK as STORE_CHECK
from components.retention.names import CRON_JOB
from ops.lib.recording import Recording
from tests.conftest import containers
from tests.external_store import AUTHORITY
from tests.matrix import OUTSIDE, recording
from tests.network import PLACES, Place, allowed, policies_of

DATABASE, STORE = Place("192.168.1.21"), Place("192.168.1.20")


@pytest.fixture(scope="module")
def outside() -> Recording:
    return recording(OUTSIDE)


def mounted(values: dict[str, Any], volume: str) -> dict[str, Any]:
    """The volume of Flyte's pod with this name, which its container mounts."""
    deployment = values["deployment"]
    (_,) = [one for one in deployment["extraVolumeMounts"] if one["name"] == volume]
    (found,) = [one for one in deployment["extraVolumes"] if one["name"] == volume]
    return dict(found)


def test_no_server_and_no_volume_of_either_is_left(outside: Recording):
    assert not outside.of("StatefulSet")
    assert [claim.manifest["metadata"]["name"] for claim in outside.of("PersistentVolumeClaim")] == ["backup-work"]


def test_only_the_servers_of_a_rehearsal_have_an_administrator(outside: Recording):
    having = [
        secret.name
        for secret in outside.of("Secret")
        if {"superuser-password", "root-user", "root-password"} & {*secret.plain.get("stringData", {})}
    ]

    assert having == ["backup-drill-servers"]


def test_no_policy_mentions_a_server_of_the_stack(outside: Recording):
    policies = {found.manifest["metadata"]["name"]: found.plain["spec"] for found in outside.of("NetworkPolicy")}

    assert {DATABASE_CHECK, STORE_CHECK} < {*policies}
    for server in ("postgres", "minio", "minio-provision"):
        assert f'"{server}"' not in json.dumps(policies)


def test_flyte_and_the_backup_reach_both_and_the_others_only_what_they_need(outside: Recording):
    policies = policies_of(outside)

    def reach(name: str) -> tuple[bool, bool]:
        pod = Place("10.42.0.41", "flyte", {"app.kubernetes.io/name": name})
        return allowed(policies, pod, DATABASE, 5432), allowed(policies, pod, STORE, 9000)

    assert allowed(policies, PLACES["flyte"], DATABASE, 5432)
    assert allowed(policies, PLACES["flyte"], STORE, 9000)
    assert reach("backup") == (True, True)
    assert reach(CRON_JOB) == reach(DATABASE_CHECK) == (True, False)
    assert reach(STORE_CHECK) == (False, True)
    assert not allowed(policies, PLACES["task"], DATABASE, 5432)
    assert allowed(policies, PLACES["task"], STORE, 9000)


def test_flyte_trusts_the_authority_of_each(outside: Recording):
    values = outside.one("Release").plain["values"]
    secret = mounted(values, "database-authority")["secret"]
    config_map = mounted(values, "store-trust")["configMap"]
    by_name = {one.manifest["metadata"]["name"]: one.plain for one in outside.resources if one.custom and one.manifest}

    assert by_name[secret["secretName"]]["stringData"]["ca.crt"] == AUTHORITY
    assert by_name[config_map["name"]]["data"] == {item["key"]: AUTHORITY for item in config_map["items"]}


def test_backup_and_restore_open_both_as_their_users(outside: Recording):
    jobs = {job.name: job.plain["spec"]["jobTemplate"]["spec"] for job in outside.of("CronJob")}
    steps = {
        (job, one["name"]): {entry["name"]: entry.get("value", "") for entry in one["env"]}
        for job in ("backup", "backup-restore")
        for one in containers({"spec": jobs[job]})
    }

    for step in (("backup", "dump"), ("backup-restore", "database"), ("backup-restore", "swap")):
        assert (steps[step]["PGHOST"], steps[step]["PGUSER"]) == ("db.home.example", "flyte")
    for step in (("backup", "copy"), ("backup-restore", "objects")):
        assert steps[step]["STORE_URL"] == "https://s3.home.example:9000"
        assert steps[step]["BUCKETS"] == "flyte remedy-development"
