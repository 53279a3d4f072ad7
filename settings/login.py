"""The login to Flyte, which the key ``auth`` switches on."""

import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from settings.certificates import Certificates
from settings.egress import Reach
from settings.messages.commands import remove_command
from settings.values import Model, PartError, check_switch, has_server


def _issuer(value: str) -> str:
    if not value:
        return value
    if not re.fullmatch(r"https?://[A-Za-z0-9.:\[\]/_~-]+", value) or not has_server(value):
        raise ValueError("is not the address of a provider; write it like https://id.home.example/realms/home")
    parts = urlsplit(value)
    if parts.scheme == "http" and not (parts.hostname or "").endswith((".svc", ".svc.cluster.local")):
        raise ValueError("has no TLS, so anyone in between could log in; write https://")
    if "/.well-known/" in value:
        raise ValueError("is the address of the discovery document; write it without /.well-known/ and what follows")
    return value


class AuthSettings(Model):
    """Login with an OpenID Connect provider.

    https://docs-legacy.flyte.org/en/latest/deployment/configuration/auth_setup.html
    """

    issuer: Annotated[str, AfterValidator(_issuer)] = ""
    """Address of the provider, as in its discovery document; empty: no login."""
    client_id: str = Field(default="flyte", pattern=r"^[A-Za-z0-9._~:/-]+$")
    """Flyte's client id at the provider."""
    scopes: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]+$")]] = Field(
        default=["openid", "profile"], min_length=1
    )
    """Scopes that Flyte asks the provider for."""
    ca_certificate: Certificates = ""
    """Certificate in PEM of the private authority that signed the provider's."""
    egress: Reach = Reach()
    """Where the provider is, for Flyte's network policy."""

    def model_post_init(self, _context: object) -> None:
        remove = remove_command("flyte-home:auth")
        check_switch(self, "issuer", "there is no login", remove, "https://id.home.example/realms/home")
        if "openid" not in self.scopes:
            raise PartError(
                "has no scope openid, without which there is no login; write it first", "scopes[0]", "openid"
            )
