"""Where Flyte's webhook takes the secrets from that tasks ask for."""

from typing import Any, Literal

from pydantic import Field

from components.hardening import resources
from components.images import is_full_reference
from components.sizes import Model, Resources


class Vault(Model):
    """HashiCorp Vault, whose agent injector (https://developer.hashicorp.com/vault/docs/platform/k8s) is installed."""

    role: str = Field(default="flyte", min_length=1, description="Vault role with which task pods log in.")
    kv_version: Literal["1", "2"] = Field(default="2", description="Version of the key-value engine.")
    annotations: dict[str, str] = Field(
        default={}, description="Annotations of task pods for Vault's injector, over those that Flyte gives."
    )


class Sidecar(Model):
    """The container that fetches a secret before a task; empty: as Flyte has it."""

    image: str = Field(default="", description="Full image reference.")
    resources: Resources | None = Field(default=None, description="Requests and limits.")

    def model_post_init(self, _context: Any) -> None:
        if self.image and not is_full_reference(self.image):
            raise ValueError("image: is not a full image reference; write it with a tag or a digest")


class SecretManager(Model):
    """What the webhook asks for a secret; before it, always Flyte's own environment and files (Global).

    https://docs-legacy.flyte.org/en/latest/deployment/configuration/generated/flytepropeller_config.html#section-webhook
    """

    type: Literal["K8s", "AWS", "GCP", "Vault", "Global"] = Field(
        default="K8s", description="K8s: Secrets that Pulumi makes; with any other nothing of them enters Pulumi."
    )
    vault: Vault = Field(default=Vault(), description="For Vault.")
    sidecar: Sidecar = Field(default=Sidecar(), description="For AWS and GCP.")
    files: str = Field(
        default="/etc/secrets", pattern=r"^/[A-Za-z0-9._/-]*$", description="Directory in Flyte's pod, for Global."
    )
    environment_prefix: str = Field(
        default="FLYTE_SECRET_",
        pattern=r"^[A-Za-z_][A-Za-z0-9_]*$",
        description="What the variables in Flyte's environment begin with, for Global.",
    )

    @property
    def unused(self) -> list[str]:
        """Names of parts that are set, but are not asked by this type."""
        parts = {"vault": ("Vault",), "sidecar": ("AWS", "GCP")}
        default = type(self)()
        return [
            name
            for name, types in parts.items()
            if self.type not in types and getattr(self, name) != getattr(default, name)
        ]

    @property
    def configuration(self) -> dict[str, Any]:
        """The sections ``webhook`` and ``secrets`` of Flyte's configuration."""
        webhook: dict[str, Any] = {"secretManagerType": self.type}
        if self.type == "Vault":
            webhook["vaultSecretManager"] = {
                "role": self.vault.role,
                "kvVersion": self.vault.kv_version,
                "annotations": self.vault.annotations,
            }
        if self.type in {"AWS", "GCP"}:
            webhook[f"{self.type.lower()}SecretManager"] = {
                **({"sidecarImage": self.sidecar.image} if self.sidecar.image else {}),
                **({"resources": dict(resources(self.sidecar.resources))} if self.sidecar.resources else {}),
            }
        return {"webhook": webhook, "secrets": {"secrets-prefix": self.files, "env-prefix": self.environment_prefix}}
