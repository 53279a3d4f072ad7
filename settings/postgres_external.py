"""A PostgreSQL server that the stack uses, but does not run."""

import ipaddress
import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.certificates import Certificates
from settings.egress import Network
from settings.values import Label, Model, ObjectName

TlsMode = Literal["verify-full", "verify-ca", "require", "disable"]
"""How a client checks the server, in the words of libpq: https://www.postgresql.org/docs/current/libpq-ssl.html"""

# Names that YAML reads as something else than text. The chart does not quote them.
_WORDS = {"y", "n", "yes", "no", "on", "off", "true", "false", "null"}


def _host(value: str) -> str:
    label = "[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?"
    if value and (len(value) > 253 or not re.fullmatch(rf"{label}(\.{label})*", value)):
        raise ValueError("is not a host; write a name such as db.home.example, or an IPv4 address, without a port")
    if re.fullmatch(r"[0-9.]+", value):
        try:
            ipaddress.IPv4Address(value)
        except ValueError:
            raise ValueError("is not an IPv4 address; write it like 192.168.1.20") from None
    return value


def _identifier(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_-]{0,62}", value) or value.lower() in _WORDS:
        raise ValueError(
            "is not a name that Flyte can pass on; write a letter, then letters, digits, '-' and '_', such as flyte"
        )
    return value


Identifier = Annotated[str, AfterValidator(_identifier)]
"""Name of a database or of a role that needs no quotes in Flyte's connection string and in YAML."""


class DatabaseTls(Model):
    """TLS between the stack and the server."""

    mode: TlsMode = "verify-full"
    """verify-full: certificate and host name are checked; verify-ca: the certificate; require: nothing is checked."""
    certificate_authority: Certificates = ""
    """Certificate in PEM of the authority that signed the server's, also of a public one, for the modes that verify."""


class ExistingSecret(Model):
    """A Secret of the cluster with the password, instead of the secret setting postgresPassword."""

    name: ObjectName = ""
    """Name of the Secret; empty: postgresPassword has the password."""
    namespace: Label = "default"
    """Namespace of the Secret. It cannot be the stack's own, which the stack creates."""
    key: str = Field(default="password", pattern=r"^[A-Za-z0-9._-]{1,253}$")
    """Key of the password in the Secret."""


class ExternalPostgres(Model):
    """The server of the mode external. The database and its role must exist; see docs/outgrowing.md."""

    host: Annotated[str, AfterValidator(_host)] = ""
    """Name or IPv4 address at which the pods of the cluster reach the server, or a pooler in session mode."""
    port: int = Field(default=5432, ge=1, le=65535)
    """Port of the server."""
    database: Identifier = "flyte"
    """Name of the database, which is Flyte's alone."""
    username: Identifier = "flyte"
    """Role that owns the database."""
    tls: DatabaseTls = DatabaseTls()
    """TLS between the stack and the server."""
    existing_secret: ExistingSecret = ExistingSecret()
    """A Secret of the cluster with the password, instead of the secret setting postgresPassword."""
    networks: list[Network] = []
    """Networks of the server, if host is a name: network policies cannot contain names. None: its port anywhere."""

    @property
    def address(self) -> str:
        """The host, if it is an IPv4 address; empty if it is a name."""
        return self.host if re.fullmatch(r"[0-9.]+", self.host) else ""

    @property
    def service_namespace(self) -> str:
        """The namespace, if the host is the name of a Service of the cluster such as ``db.databases.svc``."""
        match = re.fullmatch(r"[^.]+\.([^.]+)\.svc(\.cluster\.local)?", self.host)
        return match[1] if match else ""
