"""The login to Flyte: an OpenID Connect provider for people, and Flyte's own tokens for programs."""

from __future__ import annotations

import base64
import functools
from dataclasses import dataclass
from typing import Any

import pulumi
import pulumi_kubernetes as k8s

from components.flyte.login_keys import login_keys
from components.flyte.names import HTTP_PORT, SECRETS_FOLDER
from components.pods import LABELS, Platform, generated_password, random_password
from settings import go_yaml
from settings.login import AuthSettings

CLIENT_ID = "flytepropeller"
"""Client id with which Flyte's parts, and the Jobs of the stack, log in."""
CLIENT_SECRET, CA = "client_secret", "ca.pem"
"""Keys of the login's Secret: the client secret for CLIENT_ID, and the certificate of a private authority."""
VOLUME = "login"
"""Name of the volume of Flyte's pod with the login's Secret."""

_DIRECTORY, _TRUST = SECRETS_FOLDER, "/etc/flyte/trust"
_TOKEN_URL = f"http://localhost:{HTTP_PORT}/oauth2/token"
_TRUST_VOLUME = "login-trust"
_SCOPES = ["all", "offline"]
# Addresses at which flytectl and pyflyte wait for the browser.
_REDIRECTS = ["http://localhost:53593/callback", "http://localhost:12345/callback"]


# Cached, because an RSA key takes about a second.
_keys = functools.cache(login_keys)


@dataclass(frozen=True)
class FlyteAuth:
    """What Flyte and its clients need for the login."""

    secret: pulumi.Output[str]
    """Name of the Secret with the keys."""
    configuration: dict[str, Any]
    """Flyte's configuration, without any secret."""
    trusts_private_authority: bool
    """Whether the Secret has the certificate of a private authority that signed the provider's."""
    clients: pulumi.Output[str]
    """Content of a file of Flyte's configuration, with the hash of the client secret."""

    def deployment(self, secret: str) -> dict[str, Any]:
        """Values of the chart's ``deployment`` that mount the Secret of this name."""
        values: dict[str, Any] = {
            "extraVolumes": [{"name": VOLUME, "secret": {"secretName": secret, "defaultMode": 0o440}}],
            "extraVolumeMounts": [{"name": VOLUME, "mountPath": _DIRECTORY, "readOnly": True}],
            # Without a token Flyte rejects every request that needs its database.
            "startupProbe": {"httpGet": {"path": "/.well-known/oauth-authorization-server"}},
        }
        if self.trusts_private_authority:
            items = [{"key": CA, "path": CA}]
            values["extraVolumes"].append({"name": _TRUST_VOLUME, "secret": {"secretName": secret, "items": items}})
            values["extraVolumeMounts"].append({"name": _TRUST_VOLUME, "mountPath": _TRUST, "readOnly": True})
        return values

    @property
    def trust_folder(self) -> str:
        """Folder with the certificate of a private authority; empty without one."""
        return _TRUST if self.trusts_private_authority else ""


@dataclass(frozen=True)
class AuthArgs:
    """The provider, and how Flyte authenticates to it."""

    platform: Platform
    settings: AuthSettings
    client_secret: str
    """Secret with which Flyte authenticates to the provider."""
    http: str
    """Address at which clients and browsers reach Flyte."""
    generation: int
    """Generation of the keys for tokens and cookies."""


class Auth(pulumi.ComponentResource):
    """The keys of Flyte's login.

    Flyte could create them itself, but needs the right to write Secrets for that. Here they are derived from a
    generated password, so they are the same at every update. Another generation replaces them and restarts Flyte, and
    everyone has to log in again. The well-known secret of Flyte's built-in client is replaced as well.
    """

    flyte: FlyteAuth
    """What Flyte needs for the login."""

    def __init__(self, name: str, args: AuthArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Auth", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        seed = generated_password(f"{name}-keys", 64, child, args.generation)
        client = random_password(f"{name}-client", 64, child, args.generation)
        authority = {CA: args.settings.ca_certificate} if args.settings.ca_certificate else {}
        content: pulumi.Output[dict[str, str]] = pulumi.Output.all(seed, client.result, args.client_secret).apply(
            lambda known: {
                **_keys(str(known[0])),
                CLIENT_SECRET: str(known[1]),
                "oidc_client_secret": str(known[2]),
                **authority,
            }
        )
        protected: pulumi.Output[dict[str, str]] = pulumi.Output.secret(content)
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.platform.namespace, "labels": LABELS},
            # Named by Pulumi: other keys mean another name, which restarts Flyte's pod.
            immutable=True,
            string_data=protected,
            opts=child,
        )
        hashed: pulumi.Output[str] = pulumi.Output.secret(client.bcrypt_hash)
        self.flyte = FlyteAuth(secret.metadata.name, _configuration(args), bool(authority), hashed.apply(_clients_file))
        self.register_outputs({"secret": secret.metadata.name})


def _configuration(args: AuthArgs) -> dict[str, Any]:
    settings = args.settings
    return {
        "admin": {
            "clientId": CLIENT_ID,
            "clientSecretLocation": f"{_DIRECTORY}/{CLIENT_SECRET}",
            # Clients outside get another address, which may not be reachable from inside the cluster.
            "tokenUrl": _TOKEN_URL,
            "scopes": ["all"],
        },
        "auth": {
            # A single address, so that a token is valid for Flyte under whatever name a client reaches it.
            "authorizedUris": [args.http],
            "appAuth": {
                "selfAuthServer": {
                    "claimSymmetricEncryptionKeySecretName": "claim_symmetric_key",
                    "tokenSigningRSAKeySecretName": "token_rsa_key.pem",
                    "oldTokenSigningRSAKeySecretName": "token_rsa_key_old.pem",
                },
                "thirdPartyConfig": {
                    "flyteClient": {"clientId": "flytectl", "redirectUri": _REDIRECTS[0], "scopes": _SCOPES}
                },
            },
            "userAuth": {
                # Browsers do not send the cookies with a request that a page of another site has caused, except when a
                # person follows a link. Strict would not send them after the redirect from the provider either.
                "cookieSetting": {"sameSitePolicy": "LaxMode"},
                "cookieHashKeySecretName": "cookie_hash_key",
                "cookieBlockKeySecretName": "cookie_block_key",
                "openId": {
                    "baseUrl": settings.issuer,
                    "clientId": settings.client_id,
                    "clientSecretName": "oidc_client_secret",
                    "scopes": settings.scopes,
                },
            },
        },
        # The directory in which Flyte finds the keys that are named above.
        "secrets": {"secrets-prefix": _DIRECTORY},
        "server": {
            "security": {"useAuth": True, "insecureCookieHeader": args.http.startswith("http://")},
        },
    }


def _clients_file(secret_hash: str) -> str:
    """The clients that may ask for tokens: command lines with a browser, and Flyte's own parts with their secret."""
    scopes = [*_SCOPES, "access_token"]
    public = {
        "public": True,
        "redirect_uris": _REDIRECTS,
        "response_types": ["code", "token"],
        "grant_types": ["refresh_token", "authorization_code"],
        "scopes": scopes,
    }
    clients = {
        "flytectl": {"id": "flytectl", **public},
        "flyte-cli": {"id": "flyte-cli", **public},
        CLIENT_ID: {
            "id": CLIENT_ID,
            "client_secret": base64.b64encode(secret_hash.encode()).decode(),
            "response_types": ["token"],
            "grant_types": ["refresh_token", "client_credentials"],
            "scopes": scopes,
        },
    }
    return go_yaml.dump({"auth": {"appAuth": {"selfAuthServer": {"staticClients": clients}}}})
