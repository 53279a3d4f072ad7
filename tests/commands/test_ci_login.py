"""Login of a job of GitHub to the cluster: a short-lived token, and no stored key."""

import base64
import http.server
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from ops.ci.lib.cluster_login import AUDIENCE, cluster_login
from settings.errors import SettingsError
from tests.processes import serving

GITHUB = {"ACTIONS_ID_TOKEN_REQUEST_URL": "http://runner/token?api=2", "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job"}
CLUSTER = {"KUBERNETES_SERVER": "https://flyte.home.example:6443", "KUBERNETES_CA": "Y2VydGlmaWNhdGU="}


def test_without_a_server_the_kubeconfig_of_the_machine_is_used():
    with cluster_login("home", GITHUB) as added:
        assert added == {}


@pytest.mark.parametrize(
    ("environment", "named"),
    [
        ({"KUBERNETES_SERVER": "https://a", **GITHUB}, "KUBERNETES_CA: is missing"),
        (CLUSTER, "ACTIONS_ID_TOKEN_REQUEST_URL: is missing.*id-token: write"),
    ],
)
def test_an_incomplete_login_is_rejected_with_the_missing_variable(environment: dict[str, str], named: str):
    with pytest.raises(SettingsError, match=named), cluster_login("home", environment):
        pass


def test_the_kubeconfig_has_no_credential_and_gets_a_new_one_from_github(tmp_path: Any):
    asked = []

    class Runner(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append((self.path, self.headers["Authorization"]))
            claims = base64.urlsafe_b64encode(json.dumps({"exp": 1_800_000_000}).encode()).decode().rstrip("=")
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps({"value": f"header.{claims}.signature"}).encode())

        def log_message(self, *_: Any) -> None:
            pass

    with serving(Runner) as address, cluster_login("home", {**CLUSTER, **GITHUB}) as added:
        path = Path(added["KUBECONFIG"])
        text = path.read_text()
        kubeconfig = yaml.safe_load(text)
        program = kubeconfig["users"][0]["user"]["exec"]
        environment = os.environ | {
            "ACTIONS_ID_TOKEN_REQUEST_URL": f"{address}/token?api=2",
            "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "of-the-job",
            **{entry["name"]: entry["value"] for entry in program["env"]},
        }
        command = [program["command"], *program["args"]]
        answer = subprocess.run(command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=True)

    assert kubeconfig["current-context"] == "home"
    assert kubeconfig["clusters"][0]["cluster"]["server"] == CLUSTER["KUBERNETES_SERVER"]
    assert "of-the-job" not in text
    assert asked == [(f"/token?api=2&audience={AUDIENCE}", "Bearer of-the-job")]
    assert json.loads(answer.stdout)["status"]["expirationTimestamp"] == "2027-01-15T08:00:00Z"
    assert not path.exists()
