"""Rules for the endpoints of clients and for the login."""

from collections.abc import Iterator

from settings.endpoints import ClientEndpoints
from settings.messages.commands import set_command
from settings.stack import PROJECT, Settings
from settings.values import split_address


def endpoint_problems(settings: Settings) -> Iterator[str]:
    """Endpoints set in two places, a login that is only half configured, and an ingress without a login."""
    if settings.ingress.controller != "none" and settings.client_endpoints != ClientEndpoints():
        yield (
            f"{PROJECT}:clientEndpoints: has no effect, because clients come through {PROJECT}:ingress; "
            f"write pulumi config rm {PROJECT}:clientEndpoints"
        )
    ingress = settings.ingress
    if ingress.controller != "none" and settings.minio.mode == "bundled" and not ingress.hosts.object_store:
        command = set_command(f"{PROJECT}:ingress.hosts.objectStore", "s3.home.example")
        yield f"{PROJECT}:ingress: has no host for the object store; write it: {command}"
    yield from _login_problems(settings)
    yield from _port_problems(settings.client_endpoints)
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


def _port_problems(endpoints: ClientEndpoints) -> Iterator[str]:
    """Addresses that two servers would have to share."""
    http, grpc, store = (_server(address) for address in (endpoints.http, endpoints.grpc, endpoints.object_store))
    setting = f"{PROJECT}:clientEndpoints"
    for other, where in (("http", http), ("grpc", grpc)):
        if store == where:
            yield (
                f"{setting}.objectStore: has the host and the port of {setting}.{other}, but is another server; write "
                f"{set_command(f'{setting}.objectStore', 'http://127.0.0.1:9000')}"
            )
    # An ingress can serve both at one port, a port-forward cannot.
    if http == grpc and http[0] == "127.0.0.1":
        yield (
            f"{setting}.grpc: has the port of {setting}.http, but a port-forward leads to one of them; write "
            f"{set_command(f'{setting}.grpc', f'dns:///127.0.0.1:{http[1] + 1}')}"
        )


def _server(address: str) -> tuple[str, int]:
    parts = split_address(address)
    host = parts.hostname or ""
    return "127.0.0.1" if host in {"localhost", "::1"} else host, parts.port or (443 if parts.scheme == "https" else 80)


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
