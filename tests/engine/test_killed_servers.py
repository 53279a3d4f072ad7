"""Database, object store and Flyte are killed in turn while workflows run: what was acknowledged is not lost."""

from collections.abc import Callable, Iterator

import pytest

from tests.engine.conftest import Cluster, Project
from tests.engine.deployed import Deployed, deployment
from tests.engine.executions import acknowledged, all_succeed, first, summary

PLATFORM = "--namespace=flyte"
KILLED = {
    "postgres": "app.kubernetes.io/name=postgres",
    "minio": "app.kubernetes.io/name=minio",
    "flyte": "app.kubernetes.io/component=flyte-binary",
}
BETWEEN_KILLS = 3
"""Executions that are acknowledged before each kill, and after the last one."""


@pytest.fixture(scope="module")
def deployed(cluster: Cluster, new_project: Callable[[], Project]) -> Iterator[Deployed]:
    """A stack with one finished execution of the example."""
    with deployment(cluster, new_project) as found:
        answer = found.make("smoke", seconds=300)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        yield found


def test_no_execution_that_flyte_has_acknowledged_is_lost(deployed: Deployed):
    original = first(deployed)
    expected = summary(deployed, original["name"])
    taken: list[str] = []
    attempts = iter(f"killed{number}" for number in range(600))

    for server in [*KILLED, ""]:
        enough = len(taken) + BETWEEN_KILLS
        while len(taken) < enough:
            name = next(attempts)
            if acknowledged(deployed, original, name):
                taken.append(name)
        if server:
            command = ["delete", "pod", PLATFORM, f"--selector={KILLED[server]}"]
            deployed.kubectl(*command, "--grace-period=0", "--force")

    all_succeed(deployed, taken, expected)
    deployed.healthy()
