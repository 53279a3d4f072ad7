"""Where tasks get their secrets from."""

from typing import Any

import pytest

from ops.lib.recording import Recording
from tests.conftest import run
from tests.unit.test_secrets_webhook import configuration, server
from tests.unit.test_settings import complaint

TOKEN = [{"name": "remedy", "taskSecrets": ["tidal-creds"], "serviceAccountToken": True}]


def test_by_default_task_secrets_are_kubernetes_secrets(dev: Recording):
    assert configuration(dev)["webhook"]["secretManagerType"] == "K8s"
    assert dev.of("Secret", "tidal-creds-remedy-staging")


def test_with_vault_flyte_gets_the_role_and_pulumi_never_sees_a_secret():
    vault = {"role": "home", "kvVersion": "1", "annotations": {"vault.hashicorp.com/tls-skip-verify": "true"}}
    found = run(projects=TOKEN, tidalCreds=None, secretManager={"type": "Vault", "vault": vault})

    assert configuration(found)["webhook"]["secretManagerType"] == "Vault"
    assert configuration(found)["webhook"]["vaultSecretManager"] == vault
    assert not [secret for secret in found.of("Secret") if secret.name.startswith("tidal")]
    assert found.of("Secret", "flyte-object-store-remedy-staging")


@pytest.mark.parametrize("manager", ["AWS", "GCP"])
def test_with_a_cloud_secret_manager_the_sidecar_can_be_configured(manager: str):
    amounts = {"requests": {"cpu": "10m", "memory": "32Mi"}, "limits": {"cpu": "1", "memory": "64Mi"}}
    sidecar = {"image": "mirror.home/sidecar:1", "resources": amounts}
    found = run(tidalCreds=None, secretManager={"type": manager, "sidecar": sidecar})

    told = configuration(found)["webhook"][f"{manager.lower()}SecretManager"]
    assert told == {"sidecarImage": "mirror.home/sidecar:1", "resources": amounts}


def test_with_global_the_webhook_gets_the_secrets_that_are_meant_to_be_global_and_no_others():
    manager = {"type": "Global", "globalSecrets": ["spotify", "tidal-creds"]}
    found = run(tidalCreds=None, projects=[{"name": "remedy"}], secretManager=manager)
    pod = server(found)["spec"]
    mounts = {mount["name"]: mount["mountPath"] for mount in pod["containers"][0]["volumeMounts"]}

    assert configuration(found)["webhook"]["secretManagerType"] == "Global"
    assert {
        volume["secret"]["secretName"]: mounts[volume["name"]]
        for volume in pod["volumes"]
        if "secret" in volume and volume["name"] != "certificate"
    } == {"spotify": "/etc/secrets/spotify", "tidal-creds": "/etc/secrets/tidal-creds"}


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"secretManager": {"type": "AWS"}}, "flyte-home:tidalCreds: has no effect, because"),
        ({"tidalCreds": None, "secretManager": {"type": "Vault"}}, "write serviceAccountToken: true"),
        ({"secretManager": {"vault": {"role": "home"}}}, "secretManager.vault: has no effect with type 'K8s'"),
        (
            {"secretManager": {"globalSecrets": ["spotify"]}},
            "secretManager.globalSecrets: has no effect with type 'K8s'",
        ),
        (
            {"tidalCreds": None, "secretManager": {"type": "Global", "globalSecrets": ["a", "a"]}},
            "flyte-home:secretManager.globalSecrets[1]: is there twice; keep one",
        ),
        ({"secretManager": {"type": "Consul"}}, "secretManager.type: 'Consul'"),
        ({"tidalCreds": None, "secretManager": {"type": "AWS", "sidecar": {"image": "x"}}}, "not a full image"),
        ({"flyteValues": {"configuration": {"inline": {"secrets": {}}}}}, "write flyte-home:secretManager instead"),
    ],
)
def test_settings_that_have_no_effect_or_cannot_work_are_rejected(settings: dict[str, Any], said: str):
    message = complaint(**settings)

    assert said in message
    assert "planted" not in message
