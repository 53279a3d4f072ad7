"""What a move creates in the platform namespace, on a real API server."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from ops.lib.kubectl import Cluster
from ops.lib.move import job, record
from ops.lib.move.job import Step, open_ways, run_job
from ops.lib.volumes import Stack
from paths import ROOT
from settings import settings_from
from settings.errors import SettingsError
from tests.api_server import ApiServer, api_server
from tests.conftest import stack
from tests.matrix import manifests

CASE = "traefik, certificates of an issuer, login, links to logs"
PLATFORM = "--namespace=flyte"
SECRET = "planted-password"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with api_server() as started:
        started.make_namespaces(manifest for manifest in manifests(CASE).values() if manifest["kind"] == "Namespace")
        yield started


@pytest.fixture
def home(server: ApiServer, monkeypatch: pytest.MonkeyPatch) -> Stack:
    monkeypatch.setenv("KUBECACHEDIR", str(server.kubeconfig.parent / "cache"))
    monkeypatch.setenv("PATH", str(server.kubectl.parent), prepend=":")
    # No controller ends anything here.
    monkeypatch.setattr(job, "_END_SECONDS", 1)
    return Stack("prod", settings_from(*stack()), Cluster(server.context, str(server.kubeconfig)), {})


def get(server: ApiServer, kinds: str) -> list[dict[str, Any]]:
    answer = server.run("get", kinds, PLATFORM, f"--selector={record.LABEL}", "--output=json")
    return list(json.loads(answer.stdout)["items"])


def test_the_job_gets_its_secrets_from_a_secret_that_belongs_to_it_and_its_pod_is_restricted(
    server: ApiServer, home: Stack, monkeypatch: pytest.MonkeyPatch
):
    seen: dict[str, Any] = {}

    def looked(_self: Any) -> dict[str, Any]:
        seen.update({one["kind"]: one for one in get(server, "jobs,secrets,configmaps")})
        return {"rows": 1}

    monkeypatch.setattr("ops.lib.backup.jobs.RunningJob.result", looked)
    steps = [
        Step("copy", "mc", ROOT / "scripts" / "move" / "store.sh", {"ACTION": "copy"}),
        Step("compare", "postgres", ROOT / "scripts" / "move" / "compare.sh", {}),
    ]

    assert run_job(home, [{"name": "registries"}], steps, {"to-key": SECRET}) == {"rows": 1}

    found = seen["Job"]
    for kind in ("Secret", "ConfigMap"):
        (owner,) = seen[kind]["metadata"]["ownerReferences"]
        assert owner["uid"] == found["metadata"]["uid"]
    assert found["spec"]["suspend"] is False
    assert SECRET not in json.dumps([found, seen["ConfigMap"]])
    template = found["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "of-the-job", "namespace": "flyte"}}
    # With the warnings of Pod Security.
    assert server.create([{**pod, "spec": template["spec"]}]) == []
    assert template["spec"]["imagePullSecrets"] == [{"name": "registries"}]
    assert [one["name"] for one in template["spec"]["initContainers"]] == ["copy"]


def test_the_policies_of_a_move_are_there_only_during_it(server: ApiServer, home: Stack):
    with open_ways(home):
        during = {one["metadata"]["name"]: one["spec"] for one in get(server, "networkpolicies")}

    assert set(during) == {"flyte-home-move", "flyte-home-move-inside"}
    assert during["flyte-home-move"]["policyTypes"] == ["Egress"]
    assert get(server, "networkpolicies") == []


def test_a_record_is_read_as_it_was_written_and_keeps_others_from_starting_flyte(server: ApiServer, home: Stack):
    begun = record.begin("database", "the database flyte at old", "the database flyte at new")

    record.write(home.cluster, "flyte", begun)

    assert record.read(home.cluster, "flyte") == begun
    with pytest.raises(SettingsError, match="a move of the database from the database flyte at old"):
        record.check_no_move(home.cluster, "flyte", "prod")


def test_a_record_of_another_version_is_said(server: ApiServer, home: Stack):
    metadata = {"name": "flyte-home-move", "namespace": "flyte"}
    other = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"move": '{"later": 1}'}}
    assert server.apply([other], dry_run=False) == []

    with pytest.raises(SettingsError, match="another version of this repository has written it"):
        record.read(home.cluster, "flyte")
