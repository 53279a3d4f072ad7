"""Names and ports of the flyte-binary release. The chart derives the name of every object from the release's."""

from components.pods import NAME

RELEASE = "flyte-binary"
"""Name of the Helm release, of the Deployment, and of the pods' label."""
SERVICE_ACCOUNT = RELEASE
"""Service account of Flyte's pod."""
POD_LABELS = {NAME: RELEASE, "app.kubernetes.io/component": RELEASE}
"""Labels that select Flyte's pod, and no other pod of the chart."""
WORKFLOWS = "flyteworkflows.flyte.lyft.com"
"""Name of the CustomResourceDefinition of Flyte's workflows."""
HTTP_SERVICE, HTTP_PORT = f"{RELEASE}-http", 8088
"""Service and port of console and REST API."""
GRPC_SERVICE, GRPC_PORT = f"{RELEASE}-grpc", 8089
"""Service and port of the gRPC API."""
WEBHOOK = "flyte-webhook"
"""Label of the secrets webhook's pods, and prefix of the names of its objects."""
WEBHOOK_REGISTRATION = f"{RELEASE}-webhook"
"""Name of the webhook's registration, which is the one that Flyte gave it before version 0.4."""
WEBHOOK_PORT = 9443
"""Port of the secrets webhook."""
SECRETS_FOLDER = "/etc/flyte/login"
"""Folder in Flyte's pod in which Flyte looks for all its secrets; only the login's are there."""
METRICS_PORT = 10254
"""Port at which Flyte and its webhook serve their metrics."""


def webhook_service(generation: int) -> str:
    """Name of the webhook's Service for a generation of its certificate."""
    return f"{WEBHOOK}-{generation}"
