"""Login to Flyte: an OpenID Connect provider for people, and Flyte's own tokens for programs."""

import base64
import hashlib
import posixpath
import re
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import urlsplit

import pulumi
import pulumi_kubernetes as k8s
import yaml
from Crypto.PublicKey import RSA
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES256
from cryptography.hazmat.primitives.ciphers.modes import CTR
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from pydantic import AfterValidator, Field

from components.certificates import Certificates
from components.egress import Reach
from components.hardening import LABELS
from components.password import generated_password, random_password
from components.sizes import Model

# The client as which Flyte's parts, and the Jobs of the stack, log in.
CLIENT_ID = "flytepropeller"
# Keys of the Secret.
CLIENT_SECRET, CA = "client_secret", "ca.pem"

# Not in /etc/secrets, where Flyte's webhook looks for secrets that a task may name: it looks one directory deep.
_DIRECTORY, _TRUST = "/etc/flyte/login", "/etc/flyte/trust"
_TOKEN_URL = "http://localhost:8088/oauth2/token"  # noqa: S105 (an address)
# Name of the volume of Flyte's pod with that Secret.
VOLUME = "login"
_TRUST_VOLUME = "login-trust"
_SCOPES = ["all", "offline"]
# Where flytectl and pyflyte wait for the browser.
_REDIRECTS = ["http://localhost:53593/callback", "http://localhost:12345/callback"]


def _issuer(value: str) -> str:
    if not value:
        return value
    parts = urlsplit(value) if re.fullmatch(r"https?://[A-Za-z0-9.:\[\]/_~-]+", value) else None
    if not parts or not parts.hostname:
        raise ValueError("is not the address of a provider; write it like https://id.home.example/realms/home")
    if parts.scheme == "http" and not parts.hostname.endswith((".svc", ".svc.cluster.local")):
        raise ValueError("goes without TLS, so that anybody between could log in; write https://")
    return value


class AuthSettings(Model):
    """Login with an OpenID Connect provider.

    https://docs-legacy.flyte.org/en/latest/deployment/configuration/auth_setup.html
    """

    issuer: Annotated[str, AfterValidator(_issuer)] = Field(
        default="", description="Address of the provider, as its discovery document says it; empty: no login."
    )
    client_id: str = Field(
        default="flyte", pattern=r"^[A-Za-z0-9._~:/-]+$", description="Flyte's client id at the provider."
    )
    scopes: list[Annotated[str, Field(pattern=r"^[A-Za-z0-9._:/-]+$")]] = Field(
        default=["openid", "profile"], min_length=1, description="What Flyte asks the provider for."
    )
    ca_certificate: Certificates = Field(
        default="", description="Certificate of a private authority, in PEM, that signed the provider's."
    )
    egress: Reach = Field(default=Reach(), description="Where the provider is, for Flyte's network policy.")


@dataclass(frozen=True)
class FlyteAuth:
    """What Flyte and its clients need for the login."""

    # Name of the Secret with the keys.
    secret: pulumi.Output[str]
    # Flyte's configuration, without anything secret.
    configuration: dict[str, Any]
    # Whether the provider's certificate is signed by an authority that the Secret has.
    trusts_private_authority: bool
    # A file of Flyte's configuration, with the hash of the client's secret.
    clients: pulumi.Output[str]

    def deployment(self, secret: str) -> dict[str, Any]:
        """Values of the chart's ``deployment``, with the Secret of this name."""
        values: dict[str, Any] = {
            "extraVolumes": [{"name": VOLUME, "secret": {"secretName": secret, "defaultMode": 0o440}}],
            "extraVolumeMounts": [{"name": VOLUME, "mountPath": _DIRECTORY, "readOnly": True}],
            # Without a token Flyte refuses everything that would ask its database.
            "startupProbe": {"httpGet": {"path": "/.well-known/oauth-authorization-server"}},
        }
        if self.trusts_private_authority:
            items = [{"key": CA, "path": CA}]
            values["extraVolumes"].append({"name": _TRUST_VOLUME, "secret": {"secretName": secret, "items": items}})
            values["extraVolumeMounts"].append({"name": _TRUST_VOLUME, "mountPath": _TRUST, "readOnly": True})
            # In addition to the bundle of the image (https://pkg.go.dev/crypto/x509#SystemCertPool).
            values["extraEnvVars"] = [{"name": "SSL_CERT_DIR", "value": _TRUST}]
        return values


@dataclass
class AuthArgs:
    """The provider, and what Flyte shows it."""

    namespace: pulumi.Input[str]
    settings: AuthSettings
    # What Flyte proves itself with to the provider.
    client_secret: pulumi.Input[str]
    # Address at which clients and browsers reach Flyte.
    http: str
    # Directory in which Flyte looks for secrets.
    secrets: str
    # Another generation is another key for every token.
    generation: int = 1


class Auth(pulumi.ComponentResource):
    """The keys of Flyte's login.

    Flyte makes them itself otherwise, and needs the right to write Secrets for that. Here they follow from a generated
    password, so they are the same at every update; another ``generation`` replaces them, restarts Flyte, and everybody
    has to log in again. Flyte's built-in client has a well-known password, which is replaced as well.
    """

    flyte: FlyteAuth

    def __init__(self, name: str, args: AuthArgs, opts: pulumi.ResourceOptions | None = None) -> None:
        super().__init__("flyte-home:index:Auth", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        seed = generated_password(f"{name}-keys", 64, child, args.generation)
        client = random_password(f"{name}-client", 64, child, args.generation)
        authority = {CA: args.settings.ca_certificate} if args.settings.ca_certificate else {}
        content: pulumi.Output[dict[str, str]] = pulumi.Output.all(seed, client.result, args.client_secret).apply(
            lambda known: {
                **login_keys(str(known[0])),
                CLIENT_SECRET: str(known[1]),
                "oidc_client_secret": str(known[2]),
                **authority,
            }
        )
        protected: pulumi.Output[dict[str, str]] = pulumi.Output.secret(content)
        secret = k8s.core.v1.Secret(
            name,
            metadata={"namespace": args.namespace, "labels": LABELS},
            # Named by Pulumi: other keys are another name in Flyte's pod, which restarts it.
            immutable=True,
            string_data=protected,
            opts=child,
        )
        hashed: pulumi.Output[str] = pulumi.Output.secret(client.bcrypt_hash)
        self.flyte = FlyteAuth(secret.metadata.name, _configuration(args), bool(authority), hashed.apply(_clients_file))
        self.register_outputs({"secret": secret.metadata.name})


def _configuration(args: AuthArgs) -> dict[str, Any]:
    settings = args.settings

    def key(name: str) -> str:
        # Flyte looks in its directory for secrets, and from there finds the other one.
        return posixpath.relpath(f"{_DIRECTORY}/{name}", args.secrets)

    return {
        "admin": {
            "clientId": CLIENT_ID,
            "clientSecretLocation": f"{_DIRECTORY}/{CLIENT_SECRET}",
            # Not the one that clients outside are told, which may not be reached from inside.
            "tokenUrl": _TOKEN_URL,
            "scopes": ["all"],
        },
        "auth": {
            # One alone, so that a token is for Flyte, whatever the name under which it is reached.
            "authorizedUris": [args.http],
            "appAuth": {
                "selfAuthServer": {
                    "claimSymmetricEncryptionKeySecretName": key("claim_symmetric_key"),
                    "tokenSigningRSAKeySecretName": key("token_rsa_key.pem"),
                    "oldTokenSigningRSAKeySecretName": key("token_rsa_key_old.pem"),
                },
                "thirdPartyConfig": {
                    "flyteClient": {"clientId": "flytectl", "redirectUri": _REDIRECTS[0], "scopes": _SCOPES}
                },
            },
            "userAuth": {
                "cookieHashKeySecretName": key("cookie_hash_key"),
                "cookieBlockKeySecretName": key("cookie_block_key"),
                "openId": {
                    "baseUrl": settings.issuer,
                    "clientId": settings.client_id,
                    "clientSecretName": key("oidc_client_secret"),
                    "scopes": settings.scopes,
                },
            },
        },
        "server": {
            "security": {"useAuth": True, "insecureCookieHeader": args.http.startswith("http://")},
        },
    }


def _clients_file(secret_hash: str) -> str:
    """Who may ask for tokens: the command lines with a browser, and Flyte's own parts with their secret."""
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
    return yaml.safe_dump({"auth": {"appAuth": {"selfAuthServer": {"staticClients": clients}}}})


# Names and bytes of the keys (https://github.com/flyteorg/flyte/blob/v1.16.8/flyteadmin/auth/init_secrets.go).
_SYMMETRIC = {"claim_symmetric_key": 32, "cookie_hash_key": 64, "cookie_block_key": 32}


def login_keys(seed: str) -> dict[str, str]:
    """Flyte's keys for tokens and cookies, by their file names; always the same for a ``seed``."""
    keys = {
        name: base64.b64encode(_derived(seed, name, length)).decode().rstrip("=") for name, length in _SYMMETRIC.items()
    }
    # A stream that nobody can guess without the seed takes the place of the system's randomness.
    stream = Cipher(AES256(_derived(seed, "token_rsa_key", 32)), CTR(bytes(16))).encryptor()
    key = RSA.generate(2048, randfunc=lambda count: stream.update(bytes(count)))
    return {**keys, "token_rsa_key.pem": key.export_key("PEM", pkcs=1).decode() + "\n"}


def _derived(seed: str, purpose: str, length: int) -> bytes:
    # The seed has the entropy already; https://datatracker.ietf.org/doc/html/rfc5869#section-3.1
    return HKDF(SHA256(), length, hashlib.sha256(b"flyte-home").digest(), purpose.encode()).derive(seed.encode())
