"""Where Flyte's webhook gets the secrets that tasks ask for."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from settings.annotations import Annotations
from settings.images import is_full_reference, mirrored
from settings.quantities import Resources
from settings.values import Model, SecretName


class Vault(Model):
    """HashiCorp Vault, whose agent injector must be installed.

    https://developer.hashicorp.com/vault/docs/platform/k8s
    """

    role: str = Field(default="flyte", min_length=1)
    """Vault role with which task pods log in."""
    kv_version: Literal["1", "2"] = "2"
    """Version of the key-value engine."""
    annotations: Annotations = {}
    """Annotations of task pods for Vault's injector, merged over the ones Flyte sets."""


_DEFAULT_SIDECARS = {
    "AWS": "docker.io/amazon/aws-secrets-manager-secret-sidecar:v0.1.4",
    "GCP": "gcr.io/google.com/cloudsdktool/cloud-sdk:alpine",
}
"""Flyte's defaults: https://github.com/flyteorg/flyte/blob/v1.16.8/flytepropeller/pkg/webhook/config/config.go"""


def _image(value: str) -> str:
    if value and not is_full_reference(value):
        raise ValueError("is not a full image reference; write it with a tag or a digest")
    return value


class Sidecar(Model):
    """The container that fetches a secret before a task starts; empty: Flyte's default."""

    image: Annotated[str, AfterValidator(_image)] = ""
    """Full image reference."""
    resources: Resources | None = None
    """Requests and limits."""


class SecretManager(Model):
    """The secret manager that the webhook asks.

    https://docs-legacy.flyte.org/en/latest/deployment/configuration/generated/flytepropeller_config.html#section-webhook
    """

    type: Literal["K8s", "AWS", "GCP", "Vault", "Global"] = "K8s"
    """K8s: Secrets that Pulumi creates. With any other type, no task secret enters Pulumi."""
    vault: Vault = Vault()
    """Settings for the type Vault."""
    sidecar: Sidecar = Sidecar()
    """Settings for the types AWS and GCP."""
    global_secrets: list[SecretName] = []
    """Secrets in the namespace of Flyte from which Global takes what tasks ask for: group and key."""

    @property
    def sidecar_image(self) -> str:
        """Image of the container that the webhook adds to task pods; empty if it adds none."""
        default = _DEFAULT_SIDECARS.get(self.type, "")
        return self.sidecar.image or default if default else ""

    def through(self, mirror: str) -> "SecretManager":
        """The same with the sidecar's default image from ``mirror``, if there is one."""
        if not mirror or self.sidecar.image or not self.sidecar_image:
            return self
        sidecar = self.sidecar.model_copy(update={"image": mirrored(self.sidecar_image, mirror)})
        return self.model_copy(update={"sidecar": sidecar})

    @property
    def unused(self) -> list[str]:
        """Names of the parts that are set although this type does not use them."""
        parts = {"vault": ("Vault",), "sidecar": ("AWS", "GCP"), "global_secrets": ("Global",)}
        default = type(self)()
        return [
            name
            for name, types in parts.items()
            if self.type not in types and getattr(self, name) != getattr(default, name)
        ]
