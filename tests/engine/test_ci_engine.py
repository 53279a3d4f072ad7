"""The commands of continuous integration, with the real engine, an API server and the state of an earlier version."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.api_server import ApiServer, api_server
from tests.engine.conftest import STACK, Cluster, Project
from tests.engine.states import STATES
from tests.engine.test_preview import make_objects, on, restore


@dataclass(frozen=True)
class Deployed:
    """A project with a stack, deployed as far as an API server without nodes allows."""

    project: Project
    cluster: Cluster
    settings: dict[str, Any]

    def run(self, command: str, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a command as its make target does."""
        return subprocess.run(
            [sys.executable, "-m", f"ops.ci.{command}", STACK, "reports", *options],
            cwd=self.project.folder,
            env=os.environ | self.project.environment | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def report(self, name: str) -> str:
        return (self.project.folder / "reports" / f"{name}-{STACK}.md").read_text()

    def configure(self, **settings: Any) -> None:
        self.project.stack(self.cluster, **{**self.settings, **settings})


@pytest.fixture(scope="module")
def deployed_api() -> Iterator[ApiServer]:
    """An API server with the objects of an earlier version. A test that changes one changes it back."""
    with api_server() as started:
        make_objects(STATES[0], started)
        for domain in ("development", "staging", "production"):
            created = started.run("create", "secret", "generic", "tidal-creds", f"--namespace=remedy-{domain}")
            assert created.returncode == 0, created.stderr
        yield started


@pytest.fixture
def deployed(new_project: Callable[[], Project], deployed_api: ApiServer) -> Deployed:
    project, cluster = new_project(), on(deployed_api)
    _, stored = restore(STATES[0], project, cluster)
    return Deployed(project, cluster, stored["settings"])


def test_a_preview_names_the_changes_and_fails_only_if_data_would_be_lost(deployed: Deployed, tmp_path: Path):
    summary = tmp_path / "summary.md"

    harmless = deployed.run("preview", GITHUB_STEP_SUMMARY=str(summary))

    assert harmless.returncode == 0, harmless.stderr
    assert "| update | `Release:flyte` |" in deployed.report("preview")
    assert "Data would be lost" not in deployed.report("preview")
    assert summary.read_text().strip() == deployed.report("preview").strip()

    deployed.configure(projects=[{"name": "other"}])
    refused, allowed = deployed.run("preview"), deployed.run("preview", "--allow-data-loss")

    assert refused.returncode == 1
    assert "delete Namespace:remedy-production: data would be lost" in refused.stderr
    assert "allow-data-loss" in refused.stderr
    assert allowed.returncode == 0
    assert "| :warning: delete | `Namespace:remedy-production` |" in deployed.report("preview")


def test_no_secret_is_printed_or_reported(deployed: Deployed):
    deployed.configure(postgresPassword="planted-postgres-other", tidalCreds='{"token": "planted-tidal-other"}')

    answer = deployed.run("preview")

    assert answer.returncode == 0, answer.stderr
    assert "Secret:tidal-creds-remedy-staging" in deployed.report("preview")
    assert "planted" not in answer.stdout + answer.stderr + deployed.report("preview")


def test_a_wrong_setting_is_in_the_report(deployed: Deployed):
    deployed.configure(postgres={"volume": {"size": "10GB"}})

    answer = deployed.run("preview")

    assert answer.returncode == 1
    assert "flyte-home:postgres.volume.size: '10GB'" in deployed.report("preview")
    assert "Traceback" not in deployed.report("preview")


def test_manual_changes_in_the_cluster_are_drift(deployed: Deployed, deployed_api: ApiServer):
    minio = ("statefulset/minio", "--namespace=flyte")
    assert deployed_api.run("scale", "--replicas=0", *minio).returncode == 0

    answer = deployed.run("drift")

    assert deployed_api.run("scale", "--replicas=1", *minio).returncode == 0

    assert answer.returncode == 0, answer.stderr
    assert "| update | `StatefulSet:minio` |" in deployed.report("drift")
    assert "StatefulSet:postgres" not in deployed.report("drift").split("This commit would change")[0]


def test_another_cluster_is_rejected_and_not_reported_as_drift(deployed: Deployed):
    deployed.configure(clusterUid="of-another-cluster")

    answer = deployed.run("drift")

    assert answer.returncode == 1
    assert deployed.cluster.uid in answer.stderr
    assert not (deployed.project.folder / "reports").exists()


def test_a_stack_that_was_never_deployed_is_named(new_project: Callable[[], Project]):
    project = new_project()
    (project.folder / f"Pulumi.{STACK}.yaml").write_text("config:\n  kubernetes:context: home\n")

    answer = Deployed(project, Cluster(Path("/nowhere"), "home", "uid"), {}).run("preview")

    assert answer.returncode == 1
    assert f"STACK: there is no stack '{STACK}'" in answer.stderr
