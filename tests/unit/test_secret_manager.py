"""Where tasks get their secrets from."""

from typing import Any

import pytest

from ops.lib.recording import Recording
from tests.conftest import run
from tests.unit.test_settings import complaint

TOKEN = [{"name": "remedy", "taskSecrets": ["tidal-creds"], "serviceAccountToken": True}]


def inline(recording: Recording) -> dict[str, Any]:
    return recording.one("Release").plain["values"]["configuration"]["inline"]


def test_by_default_task_secrets_are_kubernetes_secrets(dev: Recording):
    assert inline(dev)["webhook"]["secretManagerType"] == "K8s"
    assert dev.of("Secret", "tidal-creds-remedy-staging")


def test_with_vault_flyte_gets_the_role_and_pulumi_never_sees_a_secret():
    vault = {"role": "home", "kvVersion": "1", "annotations": {"vault.hashicorp.com/tls-skip-verify": "true"}}
    found = run(projects=TOKEN, tidalCreds=None, secretManager={"type": "Vault", "vault": vault})

    assert inline(found)["webhook"]["secretManagerType"] == "Vault"
    assert inline(found)["webhook"]["vaultSecretManager"] == vault
    assert not [secret for secret in found.of("Secret") if secret.name.startswith("tidal")]
    assert found.of("Secret", "flyte-object-store-remedy-staging")


@pytest.mark.parametrize("manager", ["AWS", "GCP"])
def test_with_a_cloud_secret_manager_the_sidecar_can_be_configured(manager: str):
    amounts = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
    sidecar = {"image": "mirror.home/sidecar:1", "resources": amounts}
    found = run(tidalCreds=None, secretManager={"type": manager, "sidecar": sidecar})

    told = inline(found)["webhook"][f"{manager.lower()}SecretManager"]
    assert told == {"sidecarImage": "mirror.home/sidecar:1", "resources": amounts}


def test_with_global_flyte_is_told_where_to_find_secrets_in_its_own_pod():
    found = run(tidalCreds=None, secretManager={"type": "Global", "files": "/etc/global", "environmentPrefix": "HOME_"})

    assert inline(found)["webhook"]["secretManagerType"] == "Global"
    assert inline(found)["secrets"] == {"secrets-prefix": "/etc/global", "env-prefix": "HOME_"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secretManager": {"type": "AWS"}}, "flyte-home:tidalCreds: has no effect, because"),
        ({"tidalCreds": None, "secretManager": {"type": "Vault"}}, "write serviceAccountToken: true"),
        ({"secretManager": {"vault": {"role": "home"}}}, "secretManager.vault: has no effect with type 'K8s'"),
        ({"secretManager": {"type": "Consul"}}, "secretManager.type: 'Consul'"),
        ({"tidalCreds": None, "secretManager": {"type": "AWS", "sidecar": {"image": "x"}}}, "not a full image"),
        ({"flyteValues": {"configuration": {"inline": {"secrets": {}}}}}, "write flyte-home:secretManager instead"),
    ],
)
def test_settings_that_have_no_effect_or_cannot_work_are_rejected(settings: dict[str, Any], said: str):
    message = complaint(**settings)

    assert said in message
    assert "planted" not in message
