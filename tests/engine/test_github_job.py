"""A job of GitHub on a cluster that trusts GitHub: configured as in docs/ci, with a local issuer in GitHub's place."""

import base64
import http.server
import json
import subprocess
from collections.abc import Callable, Iterator, Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
import yaml

from paths import ROOT
from tests.api_server import ApiServer, api_server
from tests.engine.conftest import Cluster, Project
from tests.engine.states import STATES
from tests.engine.test_ci_engine import Deployed
from tests.engine.test_preview import make_objects, restore
from tests.issuer import JOB, Issuer, issuer
from tests.processes import serving, wait_until

CLAIMS = {"repository_id": "123456789", "environment": "stack-prod"}


@pytest.fixture(scope="module")
def github() -> Iterator[Issuer]:
    with issuer() as started:
        yield started


@pytest.fixture(scope="module")
def api(github: Issuer) -> Iterator[ApiServer]:
    """An API server with the configuration of docs/ci, except for the issuer's address and certificate."""
    config = yaml.safe_load((ROOT / "docs" / "ci" / "authentication.yaml").read_text())
    config["jwt"][0]["issuer"] |= {"url": github.address, "certificateAuthority": github.authority}
    with api_server({"authentication-config": yaml.safe_dump(config)}) as started:
        # The server asks the issuer for its keys only after the start.
        wait_until(lambda: whoami(started, github.token(aud="flyte-home", **CLAIMS)) != "", "the issuer's keys", 60)
        yield started


def whoami(api: ApiServer, token: str) -> str:
    """Return the user name that the server gives the bearer of ``token``; empty if it rejects the token."""
    config = yaml.safe_load(api.kubeconfig.read_text())
    config["users"][0]["user"] = {"token": token}
    path = api.kubeconfig.with_name("of-a-job")
    path.write_text(json.dumps(config))
    command = [api.kubectl, "--kubeconfig", path, "auth", "whoami", "--output=jsonpath={.status.userInfo.username}"]
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(
    ("claims", "name"),
    [
        ({}, "github:stack-prod"),
        ({"repository_id": "987654321"}, ""),
        ({"environment": "other"}, ""),
        ({"aud": "https://github.com/somebody"}, ""),
        ({"exp": 1}, ""),
    ],
)
def test_only_jobs_of_the_repository_in_the_environment_of_a_stack_are_accepted(
    api: ApiServer, github: Issuer, claims: Mapping[str, Any], name: str
):
    assert whoami(api, github.token(**{"aud": "flyte-home", **CLAIMS, **claims})) == name


def test_a_jobs_token_allows_previews_and_drift_checks_but_no_changes(
    new_project: Callable[[], Project], api: ApiServer, github: Issuer
):
    project, cluster = new_project(), Cluster(api.kubeconfig, api.context, api.uid())
    make_objects(STATES[0], api)
    _, stored = restore(STATES[0], project, cluster)
    for domain in ("staging", "production"):  # the file has the binding of one namespace
        rights = (ROOT / "docs" / "ci" / "rights.yaml").read_text().replace("remedy-development", f"remedy-{domain}")
        assert api.apply(yaml.safe_load_all(rights), dry_run=False) == []
    assert api.apply(yaml.safe_load_all((ROOT / "docs/ci/rights.yaml").read_text()), dry_run=False) == []
    deployed = Deployed(project, cluster, stored["settings"])
    deployed.configure(**{"kubernetes:kubeconfig": None})
    own = yaml.safe_load(api.kubeconfig.read_text())["clusters"][0]["cluster"]

    class Runner(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            assert self.headers["Authorization"] == f"Bearer {JOB}"
            audience = parse_qs(urlsplit(self.path).query)["audience"][0]
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"value": github.token(aud=audience, **CLAIMS)}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Runner) as address:
        environment = {
            "KUBERNETES_SERVER": own["server"],
            "KUBERNETES_CA": own["certificate-authority-data"],
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{address}/token?api=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": JOB,
            "KUBECONFIG": "/nowhere",
        }
        previewed, looked = deployed.run("preview", **environment), deployed.run("drift", **environment)

    assert previewed.returncode == 0, previewed.stderr
    assert "| update | `Release:flyte` |" in deployed.report("preview")
    assert "kubernetes:cluster" not in deployed.report("preview")
    assert looked.returncode == 0, looked.stderr
    questions = [(verb, kind, "flyte") for verb in ("create", "patch", "delete") for kind in ("secrets", "pods")]
    assert not any(api.may("github:stack-prod", *questions))
    assert not any(api.may("github:stack-prod", ("get", "secrets", "kube-system")))
    assert base64.b64decode(own["certificate-authority-data"]).startswith(b"-----BEGIN CERTIFICATE")
