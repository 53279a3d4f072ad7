"""``make gc``, with a stand-in for kubectl."""

import io
import json
import subprocess
from dataclasses import dataclass, field
from typing import Any

import pytest

from ops.gc import CollectionError, check_configured, cron_job, job_of, run_job
from settings.errors import SettingsError
from tests.kubectl import FakeCluster, settings

CRON = {
    "spec": {
        "jobTemplate": {
            "metadata": {"labels": {"app.kubernetes.io/name": "flyte-retention"}},
            "spec": {
                "backoffLimit": 2,
                "template": {
                    "metadata": {"labels": {"app.kubernetes.io/name": "flyte-retention"}},
                    "spec": {"containers": [{"name": "retention", "env": [{"name": "CACHE_DAYS", "value": "30"}]}]},
                },
            },
        }
    }
}


@dataclass(frozen=True)
class Runs(FakeCluster):
    """A cluster that runs one Job: each look at it shows the next log and condition."""

    looks: list[tuple[str, str]] = field(default_factory=list)
    calls: list[tuple[str, ...]] = field(default_factory=list)

    def run(self, *arguments: str, given: str = "", seconds: float = 20) -> subprocess.CompletedProcess[str]:
        self.calls.append(arguments)

        def answered(text: str) -> subprocess.CompletedProcess[str]:
            return subprocess.CompletedProcess(arguments, 0, text, "")

        match arguments:
            case "create", *_:
                return answered("job.batch/flyte-retention-now-x\n")
            case "get", "job", *_:
                condition = self.looks[0][1]
                conditions = [{"type": condition, "status": "True"}] if condition else []
                return answered(json.dumps({"status": {"conditions": conditions}}))
            case "logs", *_:
                return answered(self.looks.pop(0)[0] if len(self.looks) > 1 else self.looks[0][0])
            case "get", "pods", *_:
                return answered("flyte-retention-now-x-1 0/1 ContainerCreating 0 3s\n")
        return answered("")


def ran(*looks: tuple[str, str]) -> tuple[str, Runs]:
    cluster, out = Runs(looks=list(looks)), io.StringIO()
    run_job(cluster, "flyte", job_of(CRON, dry_run=False), out, period=0)
    return out.getvalue(), cluster


def test_every_line_of_the_log_is_shown_once_and_the_job_is_deleted():
    text, cluster = ran(("a\n", ""), ("a\nb\n", ""), ("a\nb\nc\n", "Complete"))

    assert text.split() == ["a", "b", "c"]
    assert cluster.calls[-1][:3] == ("delete", "job", "flyte-retention-now-x")


def test_a_failed_job_is_an_error_that_ends_with_its_log_and_is_deleted_too():
    cluster = Runs(looks=[("retention: the database does not let flyte in\n", "Failed")])

    with pytest.raises(CollectionError, match="failed; retention: the database does not let flyte in"):
        run_job(cluster, "flyte", job_of(CRON, dry_run=False), io.StringIO(), period=0)
    assert cluster.calls[-1][:2] == ("delete", "job")


def test_the_reason_is_shown_if_nothing_happens_for_some_seconds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("ops.gc._SILENCE", 0)

    text, _ = ran(("", ""), ("done\n", "Complete"))

    assert "waiting: flyte-retention-now-x-1 0/1 ContainerCreating" in text


@pytest.mark.parametrize(("dry_run", "expected"), [(True, ["CACHE_DAYS", "DRY_RUN"]), (False, ["CACHE_DAYS"])])
def test_the_job_has_the_template_of_the_cron_job_and_is_not_repeated(dry_run: bool, expected: list[str]):
    job: Any = job_of(CRON, dry_run=dry_run)

    template = job["spec"]["template"]
    assert [one["name"] for one in template["spec"]["containers"][0]["env"]] == expected
    assert template["metadata"]["labels"] == {"app.kubernetes.io/name": "flyte-retention"}
    assert job["spec"]["backoffLimit"] == 0
    assert "DRY_RUN" not in json.dumps(CRON)


def test_a_stack_that_keeps_everything_gets_the_setting_to_write():
    with pytest.raises(SettingsError, match=r"pulumi config set --path flyte-home:retention\.executions 90"):
        check_configured(settings(), "dev")
    check_configured(settings(retention={"cache": 30}), "dev")


def test_a_stack_that_was_deployed_without_the_setting_has_to_be_deployed_again():
    cluster = FakeCluster()
    cluster.on("get cronjob", "")

    with pytest.raises(SettingsError, match="run make up STACK=dev"):
        cron_job(cluster, "flyte", "dev")
