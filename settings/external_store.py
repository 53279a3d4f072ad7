"""An S3 store that the stack uses but does not run, and the keys that open it."""

import ipaddress
import json
import re
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.annotations import Annotations
from settings.certificates import Certificates
from settings.egress import Network
from settings.values import Model, has_server, split_address

AWS = "aws"
"""Value of ``endpoint`` for AWS itself."""
STORE_KEY = "objectStoreKey"
"""Secret setting with Flyte's key, and prefix of those with the keys of tasks: ``objectStoreKey-PROJECT-DOMAIN``."""
BACKUP_KEY = f"{STORE_KEY}-backup"
"""Secret setting with the key with which the backup reads the store. No task scope has this name: it has a hyphen."""
KEY_FORMAT = '{"accessKeyId": "...", "secretAccessKey": "..."}'
"""Form of a key in the settings."""


def _url(value: str) -> str:
    if value and (not re.fullmatch(r"https?://[A-Za-z0-9.\[\]:_-]+/?", value) or not has_server(value)):
        raise ValueError("is not the address of a server; write it like https://s3.home.example:9000, without a path")
    return value.rstrip("/")


def _endpoint(value: str) -> str:
    return value if value == AWS else _url(value)


OptionalUrl = Annotated[str, AfterValidator(_url)]
"""HTTP address of a server, without user, password and path; may be empty."""


class ExternalStore(Model):
    """An S3 store that the stack uses but does not run."""

    endpoint: Annotated[str, AfterValidator(_endpoint)] = ""
    """Address of the store as pods reach it, such as https://s3.home.example:9000; aws: AWS itself."""
    client_endpoint: OptionalUrl = ""
    """Address of the store as laptops reach it, for which uploads are signed; empty: the same."""
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]{1,64}$")
    """Region for signatures; a store that has none accepts any."""
    certificate_authority: Certificates = ""
    """Certificate in PEM of a private authority that signed the store's certificate."""
    networks: list[Network] = []
    """Networks in which its host name leads to the store, for the network policies; empty: all public addresses."""
    auth: Literal["keys", "iam"] = "keys"
    """keys: the secret settings objectStoreKey*; iam: roles of AWS, by annotations of service accounts."""
    shared_key: bool = False
    """Whether tasks without a key of their own use Flyte's, which opens the data of all projects."""
    flyte_annotations: Annotations = {}
    """iam: annotations of Flyte's service account."""
    task_annotations: Annotations = {}
    """iam: annotations of the service account of tasks; {project} and {domain} are replaced in their values."""

    @property
    def address(self) -> str:
        """Address of the store as pods reach it, also for AWS."""
        if self.endpoint != AWS:
            return self.endpoint
        return f"https://s3.{self.region}.amazonaws.com" + (".cn" if self.region.startswith("cn-") else "")

    @property
    def client_address(self) -> str:
        """Address of the store as laptops reach it."""
        return self.client_endpoint or self.address

    @property
    def custom_endpoint(self) -> str:
        """Address that Flyte and its tasks are given; empty for AWS, which they find by its region."""
        return "" if self.endpoint == AWS else self.endpoint

    @property
    def token_audience(self) -> str:
        """Audience of the token that pods exchange for the keys of their role; empty without roles."""
        return "sts.amazonaws.com" if self.auth == "iam" else ""

    @property
    def host(self) -> str:
        """Host name or address of the store."""
        return split_address(self.address).hostname or ""

    @property
    def port(self) -> int:
        """Port of the store."""
        parts = split_address(self.address)
        return parts.port or (443 if parts.scheme == "https" else 80)

    @property
    def ip_network(self) -> str:
        """Network with nothing but the store; empty if it has a host name."""
        try:
            return str(ipaddress.ip_network(self.host))
        except ValueError:
            return ""

    @property
    def service_namespace(self) -> str:
        """Namespace of the Service that is the store; empty if it is outside the cluster."""
        match = re.fullmatch(r"[a-z0-9-]+\.([a-z0-9-]+)\.svc(\.cluster\.local)?\.?", self.host)
        return match[1] if match else ""


@dataclass(frozen=True)
class ExternalKey:
    """A key of an external store."""

    access_key: str
    """Access key, which is not shown either: it comes from a secret setting."""
    secret_key: str = field(repr=False)
    """Secret key."""


def read_key(text: str) -> ExternalKey:
    """The key in the text of a secret setting.

    Raises:
        ValueError: it is none. The message continues "flyte-home:objectStoreKey: " and contains nothing of the text.
    """
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        content = None
    if not isinstance(content, dict) or content.keys() != {"accessKeyId", "secretAccessKey"}:
        raise ValueError(f"is not a key; write a JSON object like {KEY_FORMAT}")
    for name, value in content.items():
        # The store's client reads a key from an address, and AWS' library from a file with comments; there, these signs
        # have another meaning.
        if not isinstance(value, str) or not re.fullmatch(r"""(?![",#;])[!-9;-?A-~]{3,256}""", value):
            raise ValueError(
                f"its {name} is not one of S3: write 3 to 256 visible ASCII characters other than ':' and '@', "
                'of which the first is none of ",#;'
            )
    return ExternalKey(content["accessKeyId"], content["secretAccessKey"])


def scope_key(project: str, domain: str) -> str:
    """Name of the secret setting with the key of the tasks of a project in a domain."""
    return f"{STORE_KEY}-{project}-{domain}"
