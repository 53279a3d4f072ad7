"""`make upgrade` from one commit to the next, with a backup before it, and back."""

# ruff: noqa: F811 (fixtures)

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from paths import ROOT
from tests.engine.backup_target import SECRET, USER, target  # noqa: F401 (a fixture)
from tests.engine.conftest import STACK, Cluster, Project
from tests.engine.deployed import Deployed, deployment

PLATFORM = "--namespace=flyte"
EARLIER, LATER = "17 3 * * *", "18 3 * * *"
API = "/api/v1/namespaces/flyte/services/flyte-binary-http:8088/proxy/api/v1"


def git(folder: Path, *arguments: str) -> str:
    identity = ["-c", "user.name=test", "-c", "user.email=test@home.example", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *identity, *arguments], cwd=folder, capture_output=True, text=True, check=True)
    return done.stdout.strip()


@pytest.fixture(scope="module")
def deployed(
    cluster: Cluster,
    new_project: Callable[[], Project],
    target: str,
) -> Iterator[Deployed]:
    """A stack that was deployed from the first commit of a clone."""
    backup = {"target": target, "accessKeyId": USER, "volume": {"size": "1Gi"}}

    def cloned() -> Project:
        """A copy of the program with a history."""
        project = new_project()
        for name in ("Makefile", "requirements-dev.txt"):
            (project.folder / name).write_bytes((ROOT / name).read_bytes())
        git(project.folder, "init", "--quiet")
        (project.folder / ".gitignore").write_text(".venv\n.pulumi\n.state\n__pycache__\nexamples\nPulumi.*.yaml\n")
        git(project.folder, "add", "--all")
        git(project.folder, "commit", "--quiet", "--message=first")
        return project

    with deployment(
        cluster, cloned, backup=backup, backupCredentials=SECRET, retention={"executions": 30, "cache": 30}
    ) as found:
        # `up` records the commit.
        done = found.make("up", seconds=300)
        assert done.returncode == 0, done.stdout + done.stderr
        smoked = found.make("smoke", seconds=300)
        assert smoked.returncode == 0, smoked.stdout + smoked.stderr
        yield found


def schedule(deployed: Deployed) -> str:
    """What the two commits differ in, as it is on the cluster."""
    return deployed.kubectl("get", "cronjob", "flyte-retention", PLATFORM, "--output=jsonpath={.spec.schedule}")


def executions(deployed: Deployed) -> set[str]:
    """The executions in Flyte's history."""
    listed = json.loads(deployed.kubectl("get", "--raw", f"{API}/executions/remedy/development?limit=100"))
    return {one["id"]["name"] for one in listed["executions"]}


def test_an_upgrade_backs_up_deploys_the_new_commit_and_checks_it_and_goes_back_with_the_data(deployed: Deployed):
    folder = deployed.project.folder
    first = git(folder, "rev-parse", "HEAD")
    before = executions(deployed)
    assert schedule(deployed) == EARLIER
    file = folder / "settings" / "retention.py"
    file.write_text(file.read_text().replace(EARLIER, LATER))
    git(folder, "commit", "--quiet", "--all", "--message=second")

    upgraded = deployed.make("upgrade", seconds=500)

    assert upgraded.returncode == 0, upgraded.stdout + upgraded.stderr
    assert SECRET not in upgraded.stdout + upgraded.stderr
    assert schedule(deployed) == LATER
    listed = json.loads(deployed.make("backups", "--json").stdout)["sets"]
    assert [one["label"] for one in listed if one["verified"]][-1] == "before-upgrade"
    later = executions(deployed)
    assert later > before

    went = deployed.make("upgrade", "--back", seconds=900)

    assert went.returncode == 0, went.stdout + went.stderr
    assert f"git checkout {first}" in went.stdout
    assert schedule(deployed) == EARLIER
    # The history of the set, and what going back has tried.
    assert executions(deployed) >= before
    assert not (later - before) & executions(deployed)
    assert git(folder, "worktree", "list").count("\n") == 0
    again = deployed.make("upgrade", "--back")
    assert again.returncode == 1
    assert f"no upgrade of {STACK} is recorded" in again.stderr
