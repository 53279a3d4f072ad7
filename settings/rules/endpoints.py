"""Rules for the endpoints of clients and for the login."""

from collections.abc import Iterator

from settings.endpoints import ClientEndpoints
from settings.stack import PROJECT, Settings


def endpoint_problems(settings: Settings) -> Iterator[str]:
    """Endpoints set in two places, and a login that is only half configured."""
    if settings.ingress.controller != "none" and settings.client_endpoints != ClientEndpoints():
        yield (
            f"{PROJECT}:clientEndpoints: has no effect, because clients come through {PROJECT}:ingress; "
            f"write pulumi config rm {PROJECT}:clientEndpoints"
        )
    secret = settings.oidc_client_secret.get_secret_value()
    if settings.auth.issuer and not secret:
        yield (
            f"{PROJECT}:oidcClientSecret: is missing or empty, but {PROJECT}:auth.issuer requires a login; "
            f"write pulumi config set --secret {PROJECT}:oidcClientSecret"
        )
    if secret and not settings.auth.issuer:
        yield (
            f"{PROJECT}:oidcClientSecret: has no effect without {PROJECT}:auth.issuer; "
            f"write that, or pulumi config rm {PROJECT}:oidcClientSecret"
        )
