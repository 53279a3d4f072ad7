"""What ``make render`` writes cannot replace the Secrets of a cluster, however it is sent there."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.render import render, write
from tests.api_server import ApiServer, api_server
from tests.matrix import manifests, recording

CASE = "traefik, certificates of an issuer, login, links to logs"


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    """An API server with the namespaces of a stack."""
    with api_server() as started:
        started.make_namespaces(manifest for manifest in manifests(CASE).values() if manifest["kind"] == "Namespace")
        yield started


@pytest.fixture
def deployed(server: ApiServer) -> dict[str, Any]:
    """The stack's Secrets, which are on the server."""
    secrets = [manifest for manifest in manifests(CASE).values() if manifest["kind"] == "Secret"]
    assert server.apply(secrets, dry_run=False, manager="pulumi") == []
    return stored(server)


def stored(api: ApiServer) -> dict[str, Any]:
    """The Secrets on the server, with their versions, which change with every update."""
    answer = json.loads(api.run("get", "secrets", "--all-namespaces", "--output=json").stdout)
    return {
        f"{secret['metadata']['namespace']}/{secret['metadata']['name']}": (
            secret["data"],
            secret["metadata"]["resourceVersion"],
        )
        for secret in answer["items"]
    }


def rendered(folder: Path, show: bool, everything: bool = True) -> tuple[Path, int]:
    """A folder of folders with the rendering, or only with its Secrets, and the number of Secrets in it."""
    files = render(recording(CASE), show)
    if not everything:
        files = {name: text for name, text in files.items() if name.startswith("secret.")}
    write(files, folder / "rendered", private=show)
    return folder, sum(name.startswith("secret.") for name in files)


COMMANDS = {
    "apply": ["apply"],
    "apply without validation": ["apply", "--validate=false"],
    "apply on the server": ["apply", "--server-side", "--force-conflicts"],
    "apply on the server without validation": ["apply", "--server-side", "--force-conflicts", "--validate=false"],
    "create": ["create"],
    "replace": ["replace"],
    "replace without validation": ["replace", "--validate=false"],
}


@pytest.mark.parametrize("show", [False, True], ids=["redacted", "shown"])
def test_no_rendered_secret_replaces_one_of_the_cluster(
    server: ApiServer, deployed: dict[str, Any], tmp_path: Path, show: bool
):
    folder, count = rendered(tmp_path, show, everything=False)

    assert len(deployed) == count > 5
    for name, command in COMMANDS.items():
        answer = server.run(*command, "--recursive", f"--filename={folder}")
        assert answer.returncode, name
        assert "secret/" not in answer.stdout, name
        assert stored(server) == deployed, name


@pytest.mark.parametrize("show", [False, True], ids=["redacted", "shown"])
def test_no_rendered_secret_is_created_in_an_empty_cluster(server: ApiServer, tmp_path: Path, show: bool):
    server.run("delete", "secrets", "--all-namespaces", "--all")
    folder, count = rendered(tmp_path, show)

    answer = server.run("apply", f"--filename={folder / 'rendered'}")

    assert "configmap/" in answer.stdout  # the other objects are valid
    assert stored(server) == {}
    said = "for reading, not for kubectl apply" if show else "illegal base64 data"
    assert answer.stderr.count(said) >= count


def test_a_secret_with_the_values_of_the_stack_would_replace_it(server: ApiServer, deployed: dict[str, Any]):
    """Otherwise the tests above would prove nothing."""
    secrets = [manifest for manifest in manifests(CASE).values() if manifest["kind"] == "Secret"]
    changed = next(one for one in secrets if one["metadata"]["name"] == "tidal-creds")
    changed["data"] = {"json": "cmVkYWN0ZWQ="}

    assert server.run("apply", "--filename=-", given=yaml.safe_dump(changed)).returncode == 0
    assert stored(server) != deployed
