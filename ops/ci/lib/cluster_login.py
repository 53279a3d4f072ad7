"""Login to a cluster that trusts GitHub. No key is stored: each run gets a token that is valid for minutes.

Usage: python -m ops.ci.lib.cluster_login    (kubectl and Pulumi call it, because the kubeconfig below names it)

GitHub signs a token with the identity of the run
(https://docs.github.com/en/actions/concepts/security/openid-connect), and docs/ci.md shows how an API server accepts
it. Without ``KUBERNETES_SERVER``, as on a runner at home, the runner's own kubeconfig is used.
"""

import base64
import json
import os
import sys
import tempfile
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from paths import ROOT
from settings.errors import SettingsError

AUDIENCE = "flyte-home"
_API = "client.authentication.k8s.io/v1"
_REQUEST = ("ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN")


@contextmanager
def cluster_login(context: str, environment: Mapping[str, str] = os.environ) -> Iterator[dict[str, str]]:
    """Return the variables to add to the environment so that ``context`` reaches the cluster inside this context.

    Raises:
        SettingsError: the server is set without its certificate authority, or this is not a job of GitHub.
    """
    server = environment.get("KUBERNETES_SERVER", "")
    if not server:
        yield {}
        return
    authority = environment.get("KUBERNETES_CA", "")
    if not authority:
        raise SettingsError(
            "KUBERNETES_CA: is missing, but KUBERNETES_SERVER is set; set it to the cluster's certificate authority: "
            "kubectl config view --raw --minify --output=jsonpath={.clusters[0].cluster.certificate-authority-data}"
        )
    if not all(environment.get(name) for name in _REQUEST):
        raise SettingsError(
            f"{_REQUEST[0]}: is missing, but KUBERNETES_SERVER is set; only a job of GitHub with the permission "
            f"id-token: write has it. Elsewhere, unset KUBERNETES_SERVER and use a kubeconfig"
        )
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "kubeconfig")
        path.write_text(json.dumps(kubeconfig(context, server, authority)))
        yield {"KUBECONFIG": str(path)}


def kubeconfig(context: str, server: str, authority: str) -> dict[str, Any]:
    """Return a kubeconfig without credentials; it calls this module whenever a token is needed."""
    program = {
        "apiVersion": _API,
        "command": sys.executable,
        "args": ["-m", "ops.ci.lib.cluster_login"],
        "env": [{"name": "PYTHONPATH", "value": str(ROOT)}],  # so that it works from any folder
        "interactiveMode": "Never",
    }
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": context,
        "contexts": [{"name": context, "context": {"cluster": "home", "user": "github"}}],
        "clusters": [{"name": "home", "cluster": {"server": server, "certificate-authority-data": authority}}],
        "users": [{"name": "github", "user": {"exec": program}}],
    }


def credential(environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return a new token of GitHub for this job, in the format of Kubernetes' credential plugins."""
    url, bearer = (environment[name] for name in _REQUEST)
    request = urllib.request.Request(  # noqa: S310 (the address is the runner's own)
        f"{url}&audience={AUDIENCE}", headers={"Authorization": f"Bearer {bearer}"}
    )
    with urllib.request.urlopen(request, timeout=20) as answer:  # noqa: S310
        token = str(json.load(answer)["value"])
    payload = token.split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    until = datetime.fromtimestamp(claims["exp"], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": _API,
        "kind": "ExecCredential",
        "status": {"token": token, "expirationTimestamp": until},
    }


if __name__ == "__main__":
    print(json.dumps(credential()))
