"""A PostgreSQL cluster of the operator CloudNativePG."""

import ipaddress
import re
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from settings.certificates import Certificates
from settings.schedules import Schedule
from settings.values import Label, Model, has_server


def _destination(value: str) -> str:
    if value and not re.fullmatch(r"s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._-]+)*", value):
        raise ValueError("is not a place in an S3 store; write a bucket and a folder, such as s3://backups/flyte")
    return value


def _endpoint(value: str) -> str:
    if value and (not re.fullmatch(r"https?://[^/]+", value) or not has_server(value)):
        raise ValueError("is not the address of a server; write it like https://nas.home.example:9000")
    return value


class Archive(Model):
    """Where the plugin Barman Cloud stores the log and the base backups of the database, so that any moment of the
    last days can be restored."""

    destination: Annotated[str, AfterValidator(_destination)] = ""
    """Bucket and folder, such as s3://backups/flyte, on another disk; empty: no archive."""
    endpoint: Annotated[str, AfterValidator(_endpoint)] = ""
    """Address of the S3 store, such as https://nas.home.example:9000; empty: AWS."""
    region: str = Field(default="", pattern=r"^[a-z0-9-]{0,64}$")
    """Region, if the store asks for one."""
    access_key_id: str = Field(default="", pattern=r"^[!-~]{0,256}$")
    """Access key; the secret key belongs in the secret setting postgresArchiveKey."""
    certificate_authority: Certificates = ""
    """Certificate in PEM of a private authority that signed the store's certificate."""
    schedule: Schedule = "37 2 * * *"
    """When a base backup is made, in cron's five fields. The log is stored all the time."""
    keep_days: int = Field(default=30, ge=1, le=3650)
    """Days back to which any moment can be restored."""

    @property
    def host(self) -> str:
        """Host of the store."""
        return urlsplit(self.endpoint).hostname or ""

    @property
    def port(self) -> int:
        """Port of the store."""
        parts = urlsplit(self.endpoint)
        return parts.port or (80 if parts.scheme == "http" else 443)

    @property
    def address(self) -> str:
        """The host, if it is an IP address; empty if it is a name."""
        try:
            return str(ipaddress.ip_address(self.host))
        except ValueError:
            return ""


class CloudNativePg(Model):
    """The cluster of the mode cloudnative-pg. Its operator must be installed; see docs/outgrowing.md."""

    instances: int = Field(default=3, ge=1, le=9)
    """Servers with a volume each: one primary, and standbys that take over when it fails. 3 survive the loss of one."""
    durability: Literal["required", "preferred"] = "required"
    """required: a commit waits until a standby has it, also when no standby is there; preferred: not then."""
    spread: Literal["preferred", "required"] = "preferred"
    """required: no node has two instances, and one without a node of its own does not start; preferred: if possible."""
    operator_namespace: Label = "cnpg-system"
    """Namespace of the operator, which the network policies let in."""
    archive: Archive = Archive()
    """Archive of the plugin Barman Cloud; without a destination there is none."""

    @property
    def synchronous(self) -> bool:
        """Whether there is a standby that commits can wait for."""
        return self.instances > 1
