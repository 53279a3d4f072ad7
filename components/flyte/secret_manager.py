"""The webhook's configuration of the secret manager."""

from typing import Any

from components.pods import resources
from settings.secret_manager import SecretManager


def secret_manager_configuration(settings: SecretManager) -> dict[str, Any]:
    """The part of the section ``webhook`` of Flyte's configuration that chooses the secret manager."""
    webhook: dict[str, Any] = {"secretManagerType": settings.type}
    if settings.type == "Vault":
        webhook["vaultSecretManager"] = {
            "role": settings.vault.role,
            "kvVersion": settings.vault.kv_version,
            "annotations": settings.vault.annotations,
        }
    if settings.type in {"AWS", "GCP"}:
        sidecar = settings.sidecar
        webhook[f"{settings.type.lower()}SecretManager"] = {
            **({"sidecarImage": sidecar.image} if sidecar.image else {}),
            **({"resources": dict(resources(sidecar.resources))} if sidecar.resources else {}),
        }
    return webhook
