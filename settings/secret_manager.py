"""Where Flyte's webhook gets the secrets that tasks ask for."""

from typing import Any, Literal

from pydantic import Field

from settings.images import is_full_reference
from settings.quantities import Resources
from settings.values import Model


class Vault(Model):
    """HashiCorp Vault, whose agent injector must be installed.

    https://developer.hashicorp.com/vault/docs/platform/k8s
    """

    role: str = Field(default="flyte", min_length=1)
    """Vault role with which task pods log in."""
    kv_version: Literal["1", "2"] = "2"
    """Version of the key-value engine."""
    annotations: dict[str, str] = {}
    """Annotations of task pods for Vault's injector, merged over the ones Flyte sets."""


class Sidecar(Model):
    """The container that fetches a secret before a task starts; empty: Flyte's default."""

    image: str = ""
    """Full image reference."""
    resources: Resources | None = None
    """Requests and limits."""

    def model_post_init(self, _context: Any) -> None:
        if self.image and not is_full_reference(self.image):
            raise ValueError("image: is not a full image reference; write it with a tag or a digest")


class SecretManager(Model):
    """The secret manager that the webhook asks. It always looks in Flyte's own environment and files first (Global).

    https://docs-legacy.flyte.org/en/latest/deployment/configuration/generated/flytepropeller_config.html#section-webhook
    """

    type: Literal["K8s", "AWS", "GCP", "Vault", "Global"] = "K8s"
    """K8s: Secrets that Pulumi creates. With any other type, no task secret enters Pulumi."""
    vault: Vault = Vault()
    """Settings for the type Vault."""
    sidecar: Sidecar = Sidecar()
    """Settings for the types AWS and GCP."""
    files: str = Field(default="/etc/secrets", pattern=r"^/[A-Za-z0-9._/-]*$")
    """Directory in Flyte's pod where Global looks for files."""
    environment_prefix: str = Field(default="FLYTE_SECRET_", pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")
    """Prefix of the variables in Flyte's environment where Global looks."""

    @property
    def unused(self) -> list[str]:
        """Names of the parts that are set although this type does not use them."""
        parts = {"vault": ("Vault",), "sidecar": ("AWS", "GCP")}
        default = type(self)()
        return [
            name
            for name, types in parts.items()
            if self.type not in types and getattr(self, name) != getattr(default, name)
        ]
