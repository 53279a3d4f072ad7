"""Rules for the endpoints of clients and for the login."""

from collections.abc import Iterator

from settings.endpoints import ClientEndpoints
from settings.stack import PROJECT, Settings


def endpoint_problems(settings: Settings) -> Iterator[str]:
    """Endpoints set in two places, a login that is only half configured, and an ingress without a login."""
    if settings.ingress.controller != "none" and settings.client_endpoints != ClientEndpoints():
        yield (
            f"{PROJECT}:clientEndpoints: has no effect, because clients come through {PROJECT}:ingress; "
            f"write pulumi config rm {PROJECT}:clientEndpoints"
        )
    yield from _login_problems(settings)
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


def _login_problems(settings: Settings) -> Iterator[str]:
    ingress, reason = settings.ingress, f"{PROJECT}:ingress.withoutLogin.reason"
    if ingress.controller != "none" and not settings.auth.issuer and not ingress.without_login.reason.strip():
        yield (
            f"{PROJECT}:ingress.controller: {ingress.controller!r} exposes Flyte without a login, so everyone who "
            f"reaches {ingress.hosts.console!r} could start every workflow and use every task secret; write "
            f"{PROJECT}:auth.issuer and {PROJECT}:oidcClientSecret, or the reason why there is no login: "
            f"pulumi config set --path {reason} 'only my laptop reaches these hosts'"
        )
    if settings.auth.issuer and ingress.without_login.reason:
        yield (
            f"{reason}: has no effect, because {PROJECT}:auth.issuer requires a login; "
            f"write pulumi config rm --path {PROJECT}:ingress.withoutLogin"
        )
