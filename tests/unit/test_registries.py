"""Images from a mirror, and from registries that require a login."""

import base64
import json
import re
from typing import Any

import pytest

from ops.lib.recording import Recording, Secret
from settings import Settings, settings_from
from settings.errors import SettingsError
from settings.images import IMAGES
from tests.conftest import run, stack
from tests.unit.test_placement import pods

PLANTED = "planted-registry-password"
LOGIN = {"host": "registry.home:5000", "user": "flyte"}
BACKUP = {"backup": {"target": "claim:backups/flyte"}}


def load(**settings: Any) -> Settings:
    return settings_from(*stack(**settings))


def complaint(**settings: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**settings)
    return str(caught.value)


def with_login(**settings: Any) -> Recording:
    return run(registries={"logins": [LOGIN]}, registryPassword=PLANTED, **settings)


def pull_secrets(recording: Recording) -> dict[str, dict[str, Any]]:
    """The Secrets for pulling images, with the names that they get, by their namespaces."""
    found = [one for one in recording.of("Secret") if one.plain.get("type") == "kubernetes.io/dockerconfigjson"]
    return {one.plain["metadata"]["namespace"]: {**one.plain, "metadata": one.manifest["metadata"]} for one in found}


def logins(secret: dict[str, Any]) -> dict[str, str]:
    """User and password by registry."""
    auths = json.loads(secret["stringData"][".dockerconfigjson"])["auths"]
    return {host: base64.b64decode(entry["auth"]).decode() for host, entry in auths.items()}


def test_by_default_no_pod_has_a_secret_for_its_images(dev: Recording):
    assert pull_secrets(dev) == {}
    assert "imagePullSecrets" not in json.dumps([found.plain for found in dev.resources])


def test_every_namespace_of_the_stack_can_pull_with_the_login():
    found = pull_secrets(with_login(domains=["development", "production"], **BACKUP))

    assert set(found) == {"flyte", "flyte-drill", "remedy-development", "remedy-production"}
    for secret in found.values():
        assert logins(secret) == {"registry.home:5000": f"flyte:{PLANTED}"}


def test_every_pod_of_the_platform_pulls_with_the_secret_of_its_own_namespace():
    recording = with_login(domains=["development"], **BACKUP)
    names = {namespace: secret["metadata"]["name"] for namespace, secret in pull_secrets(recording).items()}
    found = {name: pod for name, pod in pods(recording).items() if not name.startswith("PodTemplate:")}
    for one in recording.of("CronJob"):
        found[f"CronJob:{one.name}"] = one.plain["spec"]["jobTemplate"]["spec"]["template"]["spec"]

    assert len(found) > 8
    for name, pod in found.items():
        wanted = names["flyte-drill" if "drill" in name else "flyte"]
        assert pod["imagePullSecrets"] == [{"name": wanted}], name


def test_task_pods_pull_with_the_login_of_their_service_account():
    recording = with_login(domains=["development"])
    (account,) = [found.plain for found in recording.of("ServiceAccount")]

    assert account["metadata"]["name"] == "flyte-task"
    secret = pull_secrets(recording)["remedy-development"]
    assert account["imagePullSecrets"] == [{"name": secret["metadata"]["name"]}]


def test_a_task_pod_may_not_show_the_login_to_its_containers():
    (namespace,) = [one.plain for one in with_login(domains=["development"]).of("Namespace") if "remedy" in one.name]

    assert namespace["metadata"]["annotations"]["flyte-home/secrets"] == "flyte-object-store tidal-creds"


def test_the_secret_cannot_be_changed_so_that_another_password_gets_another_name():
    for found in with_login().of("Secret"):
        if found.plain.get("type") == "kubernetes.io/dockerconfigjson":
            assert found.plain["immutable"] is True
            assert isinstance(found.inputs["stringData"], Secret) or all(
                isinstance(value, Secret) for value in found.inputs["stringData"].values()
            )


def test_the_password_is_only_in_the_secrets():
    recording = with_login(**BACKUP)
    encoded = base64.b64encode(f"flyte:{PLANTED}".encode()).decode()
    rest = json.dumps([one.plain for one in recording.resources if one.kind != "Secret"])

    assert PLANTED not in rest
    assert encoded not in rest


def test_docker_hub_has_the_name_that_the_kubelet_looks_for():
    settings = load(registries={"logins": [{"host": "docker.io", "user": "me"}]}, registryPassword=PLANTED)

    assert list(json.loads(settings.docker_config)["auths"]) == ["https://index.docker.io/v1/"]


def test_each_login_can_have_a_secret_setting_of_its_own():
    second = {"host": "ghcr.io", "user": "me", "setting": "hubCreds"}
    settings = load(registries={"logins": [LOGIN, second]}, registryPassword=PLANTED, hubCreds="planted-hub")
    auths = json.loads(settings.docker_config)["auths"]

    assert base64.b64decode(auths["ghcr.io"]["auth"]).decode() == "me:planted-hub"


def test_a_password_may_have_every_character_that_can_be_typed():
    odd = "a:b \"c\" \\ 'd' ü $(x) {{ x }}"
    auths = json.loads(load(registries={"logins": [LOGIN]}, registryPassword=odd).docker_config)["auths"]

    assert base64.b64decode(auths["registry.home:5000"]["auth"]).decode() == f"flyte:{odd}"


def test_the_mirror_replaces_the_registry_of_every_image_and_keeps_tags_and_digests():
    found = load(registries={"mirror": "registry.home:5000/mirror"}).chosen_images

    assert found["postgres"].reference == IMAGES["postgres"].reference.replace(
        "docker.io/", "registry.home:5000/mirror/"
    )
    assert found["postgres"].digest == IMAGES["postgres"].digest
    assert found["flyte"].reference == "registry.home:5000/mirror/flyteorg/flyte-binary-release:v1.16.8"


def test_no_pod_pulls_past_the_mirror():
    recording = run(
        registries={"mirror": "registry.home:5000"},
        secretManager={"type": "AWS"},
        projects=[{"name": "remedy"}],
        tidalCreds=None,
        **BACKUP,
    )
    text = json.dumps([found.plain for found in recording.resources])

    assert not re.search(r"docker\.io|cr\.flyte\.org", text)
    assert "registry.home:5000/amazon/aws-secrets-manager-secret-sidecar:v0.1.4" in text


def test_a_named_image_is_not_mirrored():
    found = load(registries={"mirror": "registry.home:5000"}, images={"minio": "other.home/silo:1"}).chosen_images

    assert found["minio"].reference == "other.home/silo:1"
    assert found["mc"].reference.startswith("registry.home:5000/pgsty/mc:")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"registries": {"mirror": "https://registry.home"}}, "flyte-home:registries.mirror: (not shown"),
        (
            {"registries": {"mirror": "registry.home/"}},
            "is not a place in a registry; write it like registry.home:5000",
        ),
        ({"registries": {"mirror": "registry.home/a:1"}}, "is not a place in a registry"),
        ({"registries": {"mirror": "library"}}, "is not a place in a registry"),
        ({"registries": {"mirror": "Registry.home"}}, "is not a place in a registry"),
        (
            {"registries": {"logins": [{"host": "https://registry.home", "user": "a"}]}},
            "is not a registry; write its ho",
        ),
        ({"registries": {"logins": [{"host": "registry", "user": "a"}]}}, "is not a registry; write its host"),
        ({"registries": {"logins": [{"host": "registry.home:0", "user": "a"}]}}, "is not a registry; write its host"),
        ({"registries": {"logins": [{"host": "registry.home"}]}}, "registries.logins[0].user: is missing"),
        ({"registries": {"logins": [{"host": "registry.home", "user": "a:b"}]}}, "registries.logins[0].user"),
        (
            {"registries": {"logins": [LOGIN]}},
            "flyte-home:registryPassword: is missing or empty, but flyte-home:registries.logins[0] needs it; write "
            "pulumi config set --secret flyte-home:registryPassword",
        ),
        (
            {"registries": {"logins": [LOGIN]}, "registryPassword": " "},
            "flyte-home:registryPassword: is missing or empty",
        ),
        (
            {"registryPassword": PLANTED},
            "flyte-home:registryPassword: has no effect, because no login in flyte-home:registries.logins has it",
        ),
        (
            {"registries": {"logins": [LOGIN]}, "registryPassword": '{"auths": {"x": {"auth": "planted"}}}'},
            "flyte-home:registryPassword: is JSON, perhaps Docker's whole configuration",
        ),
        (
            {"registries": {"logins": [LOGIN]}, "registryPassword": "planted\n"},
            "flyte-home:registryPassword: has a line break",
        ),
        (
            {"registries": {"logins": [LOGIN, LOGIN]}, "registryPassword": PLANTED},
            "registries.logins[1].host: 'registry.home:5000' occurs twice",
        ),
        (
            {"registries": {"logins": [{**LOGIN, "setting": "postgresPassword"}]}},
            "registries.logins[0].setting: 'postgresPassword' is a setting with another meaning",
        ),
        (
            {"registries": {"logins": [{**LOGIN, "setting": "tidalCreds"}]}},
            "registries.logins[0].setting: 'tidalCreds' is a setting with another meaning",
        ),
    ],
)
def test_a_wrong_registry_is_rejected_with_the_remedy_and_without_the_password(changed: dict[str, Any], said: str):
    message = complaint(**changed)

    assert said in message
    assert "planted" not in message


def test_a_password_in_plain_text_is_rejected():
    config, secrets = stack(registries={"logins": [LOGIN]}, registryPassword=PLANTED)

    with pytest.raises(SettingsError) as caught:
        settings_from(config, secrets - {"flyte-home:registryPassword"})

    assert "flyte-home:registryPassword: is stored in plain text" in str(caught.value)
    assert PLANTED not in str(caught.value)


def test_logins_stay_in_pulumi_if_another_manager_has_the_secrets_of_tasks():
    settings = load(
        registries={"logins": [LOGIN]},
        registryPassword=PLANTED,
        secretManager={"type": "Global", "globalSecrets": ["spotify"]},
        projects=[{"name": "remedy"}],
        tidalCreds=None,
    )

    assert PLANTED not in settings.docker_config
    assert "registry.home:5000" in settings.docker_config
