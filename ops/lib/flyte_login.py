"""Login to Flyte as its own client, whose secret is in the cluster."""

import base64
import json
from collections.abc import Mapping
from typing import Any

from components.flyte.auth import CLIENT_ID, CLIENT_SECRET, VOLUME
from components.flyte.names import RELEASE
from ops.lib.client import Client, NoAnswerError
from ops.lib.kubectl import Cluster
from settings.errors import SettingsError


class LoginError(Exception):
    """Flyte issues no token; the message gives the reason and never contains the secret."""


def client_secret(cluster: Cluster, namespace: str) -> str:
    """Return the secret of Flyte's own client, from the Secret that the running Flyte mounts.

    Raises:
        SettingsError: the cluster does not answer, the Secret cannot be read, or the deployed Flyte has no login.
    """
    deployment = json.loads(
        cluster.ask("get", "deployment", RELEASE, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
        or "{}"
    )
    name = _mounted(deployment)
    if not name:
        raise SettingsError("flyte-home:auth: the deployed Flyte has no login; run make up")
    data = json.loads(cluster.ask("get", "secret", name, f"--namespace={namespace}", "--output=json")).get("data", {})
    return base64.b64decode(data.get(CLIENT_SECRET, "")).decode(errors="replace")


def _mounted(deployment: Mapping[str, Any]) -> str:
    volumes = deployment.get("spec", {}).get("template", {}).get("spec", {}).get("volumes", [])
    return next((str(volume["secret"]["secretName"]) for volume in volumes if volume["name"] == VOLUME), "")


def logged_in(client: Client, secret: str) -> Client:
    """Log in as Flyte's own client; return ``client`` with the token.

    Source: https://datatracker.ietf.org/doc/html/rfc6749#section-4.4

    Raises:
        LoginError: Flyte does not answer, or issues no token.
    """
    basic = base64.b64encode(f"{CLIENT_ID}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}", "Content-Type": "application/x-www-form-urlencoded"}
    url = f"{client.http}/oauth2/token"
    try:
        answer = client.request(url, "POST", b"grant_type=client_credentials&scope=all", headers)
        token = json.loads(answer.body).get("access_token", "") if answer.ok else ""
    except NoAnswerError as error:
        raise LoginError(f"Flyte does not answer at {url}: {error}") from None
    except (ValueError, AttributeError):
        raise LoginError(f"the server at {url} is not Flyte") from None
    if not token:
        raise LoginError(f"Flyte rejects the secret of its own client {CLIENT_ID} (HTTP {answer.status})")
    return client.with_token(token)
