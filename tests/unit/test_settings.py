"""The settings a stack file can contain, and the messages about wrong ones."""

import itertools
import json
import typing
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from ops.lib.pages.descriptions import descriptions
from ops.lib.stack_file import stack_config
from settings import FIELDS, SAMPLE_CREDENTIALS, Settings, rules, settings_from
from settings.errors import SettingsError
from settings.presets import OF_PRESET, PRESETS
from settings.quantities import quantity
from tests.conftest import TIDAL, stack

ROOT = Path(__file__).resolve().parent.parent.parent


def load(**settings: Any) -> Settings:
    return settings_from(*stack(**settings))


def complaint(**settings: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        load(**settings)
    return str(caught.value)


def test_the_smallest_stack_gets_every_default():
    settings = load()

    assert settings.namespace == "flyte"
    assert [scope.namespace for scope in settings.task_scopes] == [
        "remedy-development",
        "remedy-staging",
        "remedy-production",
    ]
    assert settings.postgres.volume.size == "10Gi"
    assert not settings.protect
    assert not settings.keep_volumes


def test_flyte_gets_the_same_mapping_of_projects_and_domains_to_namespaces():
    settings = load(
        projects=[{"name": "flytepoc-x"}], domains=["d-dev", "t-dev"], namespaceTemplate="103020-{project}-{domain}"
    )

    assert [scope.namespace for scope in settings.task_scopes] == [
        "103020-flytepoc-x-d-dev",
        "103020-flytepoc-x-t-dev",
    ]
    assert settings.flyte_namespace_template == "103020-{{ project }}-{{ domain }}"


def test_a_domain_with_its_own_value_gets_it_and_the_others_get_the_general_one():
    values = load(tidalCreds__production='{"token": "of production"}').task_secret_values["tidal-creds"]

    assert values["remedy-production"] == {"json": '{"token": "of production"}'}
    assert values["remedy-development"] == values["remedy-staging"] == {"json": TIDAL}


def test_the_general_value_is_not_needed_if_every_domain_has_its_own():
    settings = load(tidalCreds=None, domains=["a", "b"], tidalCreds__a='{"t": 1}', tidalCreds__b='{"t": 2}')

    assert settings.secret_for("tidalCreds", "b") == '{"t": 2}'


def test_only_projects_that_ask_for_a_secret_get_it():
    settings = load(projects=[{"name": "asks", "taskSecrets": ["tidal-creds"]}, {"name": "asks-not"}])

    assert set(settings.task_secret_values["tidal-creds"]) == {"asks-development", "asks-staging", "asks-production"}


def test_credentials_are_not_needed_if_no_project_asks_for_them():
    assert load(projects=[{"name": "remedy"}], tidalCreds=None).task_secret_values == {}


def test_additional_groups_and_keys_can_be_configured():
    groups = [
        {
            "group": "spotify",
            "keys": [{"key": "id", "setting": "spotifyId"}, {"key": "secret", "setting": "spotifyCreds"}],
        }
    ]
    config, secrets = stack(taskSecrets=groups, projects=[{"name": "p", "taskSecrets": ["spotify"]}], tidalCreds=None)
    config |= {"flyte-home:spotifyId": "an id", "flyte-home:spotifyCreds": "not json"}
    secrets |= {"flyte-home:spotifyId", "flyte-home:spotifyCreds"}

    values = settings_from(config, secrets).task_secret_values

    assert values["spotify"]["p-staging"] == {"id": "an id", "secret": "not json"}


def test_a_project_can_have_its_own_quota():
    quota = {"pods": 3, "requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    first, *_ = load(projects=[{"name": "small", "quota": quota}], tidalCreds=None).task_scopes

    assert first.quota.by_name == {
        "pods": "3",
        "requests.cpu": "1",
        "requests.memory": "1Gi",
        "limits.cpu": "2",
        "limits.memory": "2Gi",
        "limits.ephemeral-storage": "200Gi",
        "persistentvolumeclaims": "10",
        "requests.storage": "100Gi",
    }


@pytest.mark.parametrize("size", ["100Mi", "1Gi", "1.5Gi", "2T", "10G", "5000000000"])
def test_a_size_can_be_any_kubernetes_quantity(size: str):
    assert load(postgres={"volume": {"size": size}}).postgres.volume.size == size


@pytest.mark.parametrize(
    ("settings", "key", "said"),
    [
        pytest.param({"context": None}, "kubernetes:context", "pulumi config set kubernetes:context", id="no context"),
        pytest.param({"context": ""}, "kubernetes:context", "is not set", id="empty context"),
        pytest.param(
            {"tidalcreds": "x"}, "flyte-home:tidalcreds", "did you mean flyte-home:tidalCreds", id="unknown key"
        ),
        pytest.param({"nothingLikeIt": "x"}, "flyte-home:nothingLikeIt", "there is no such setting", id="far-off key"),
        pytest.param(
            {"tidalCreds__prodution": TIDAL}, "tidalCreds-prodution", "tidalCreds-production", id="misspelt domain"
        ),
        pytest.param({"projects": [{"name": "a"}, {"name": "a"}]}, "flyte-home:projects", "'a'", id="project twice"),
        pytest.param({"domains": ["a", "a"]}, "flyte-home:domains[1]", "is there twice", id="domain twice"),
        pytest.param({"projects": []}, "flyte-home:projects", "names no project", id="no project"),
        pytest.param({"projects": "remedy"}, "flyte-home:projects", "is not a list", id="text for a list"),
        pytest.param({"projects": [{"nam": "a"}]}, "flyte-home:projects[0].nam", "name", id="unknown key in a list"),
        pytest.param({"projects": [{"name": "Upper"}]}, "projects[0].name", "'Upper'", id="project in upper case"),
        pytest.param(
            {"projects": [{"name": "a", "taskSecrets": ["tidal-cred"]}]},
            "projects[0].taskSecrets[0]: there is no such group",
            "tidal-creds",
            id="unknown group",
        ),
        pytest.param(
            {"tidalCreds": None}, "flyte-home:tidalCreds", "--secret flyte-home:tidalCreds", id="no credentials"
        ),
        pytest.param({"tidalCreds": "  "}, "flyte-home:tidalCreds", "missing or empty", id="empty credentials"),
        pytest.param(
            {"tidalCreds": "{planted"}, "flyte-home:tidalCreds", "is not JSON", id="credentials that are no JSON"
        ),
        pytest.param({"tidalCreds": "{}"}, "flyte-home:tidalCreds", "not an object with something", id="empty object"),
        pytest.param({"tidalCreds": '"planted"'}, "flyte-home:tidalCreds", "not an object", id="JSON but no object"),
        pytest.param(
            {"tidalCreds": None, "tidalCreds__staging": TIDAL},
            "tidalCreds",
            "development, production",
            id="one of three",
        ),
        pytest.param({"postgres": {"volume": {"size": "10GB"}}}, "postgres.volume.size", "'10GB'", id="bad quantity"),
        pytest.param(
            {"postgres": {"volume": {"size": "-1Gi"}}}, "postgres.volume.size", "like 10Gi", id="negative size"
        ),
        pytest.param({"minio": {"volume": {"size": "0"}}}, "minio.volume.size", "like 10Gi", id="zero size"),
        pytest.param({"minio": {"volume": {"size": 20}}}, "minio.volume.size", "has no unit", id="number for a size"),
        pytest.param(
            {"postgres": {"volume": {"size": "\u0661Gi"}}}, "postgres.volume.size", "quantity", id="foreign digits"
        ),
        pytest.param({"postgres": {"maxConnections": -5}}, "postgres.maxConnections", "-5", id="negative number"),
        pytest.param({"flyte": {"logLevel": 9}}, "flyte.logLevel", "9", id="number out of range"),
        pytest.param({"flyte": {"logLevl": 3}}, "flyte.logLevl", "logLevel", id="unknown key in a structure"),
        pytest.param(
            {"tasks": {"requests": {"cpu": "3", "memory": "1Gi"}}},
            "flyte-home:tasks",
            "requests.cpu 3",
            id="over the limit",
        ),
        pytest.param({"projects": [{"name": 103020}]}, "projects[0].name", "put it in quotes", id="numeric name"),
        pytest.param({"domains": []}, "flyte-home:domains", "is empty", id="no domain at all"),
        pytest.param({"tasks": [1]}, "flyte-home:tasks", "is not a map", id="list for a map"),
        pytest.param({"clientEndpoints": {"http": "http://x:999999"}}, "clientEndpoints.http", "http://", id="no port"),
        pytest.param({"clientEndpoints": {"grpc": "dns:///x:0"}}, "clientEndpoints.grpc", "dns:///", id="port zero"),
        pytest.param(
            {"clientEndpoints": {"http": "http://u:planted@x"}},
            "clientEndpoints.http",
            "without user",
            id="password in URL",
        ),
        pytest.param({"images": {"minio": "u:planted@host/x:1"}}, "images.minio", "full image", id="password in image"),
        pytest.param({"flyteValues": "password=planted"}, "flyte-home:flyteValues", "map", id="text with a password"),
        pytest.param(
            {"taskSecrets": [{"group": "g", "keys": [{"key": "k", "setting": "planted value!"}]}]},
            "keys[0].setting",
            "name for a setting",
            id="the value where its setting belongs",
        ),
        pytest.param(
            {"taskSecrets": []},
            "taskSecrets",
            "flyte-home:taskSecrets[0].group' tidal-creds",
            id="group without groups",
        ),
        pytest.param({"tidalCreds": '{"a": NaN}'}, "tidalCreds", "is not JSON", id="JSON with NaN"),
        pytest.param({"tidalCreds": "[" * 100000}, "tidalCreds", "is not JSON", id="JSON without end"),
        pytest.param({"projects": "[" * 100000}, "flyte-home:projects", "is not a list", id="list without end"),
        pytest.param(
            {"projects": [{"name": "kube"}]}, "namespaceTemplate", "Kubernetes itself", id="a kube- namespace"
        ),
        pytest.param({"postgres": {"volume": {"size": "99999Ei"}}}, "volume.size", "1Pi", id="size beyond any disk"),
        pytest.param(
            {"postgres": {"volume": {"storageClass": "Bad Class"}}}, "storageClass", "form", id="no storage class name"
        ),
        pytest.param(
            {"postgres": {"volume": {"storage_class": "x"}}}, "storage_class", "storageClass", id="snake case"
        ),
        pytest.param({"chart": {"version": "../../x"}}, "chart.version", "form", id="a path for a version"),
        pytest.param(
            {
                "tasks": {
                    "quota": {"limits": {"cpu": "1", "memory": "512Mi"}, "requests": {"cpu": "1", "memory": "512Mi"}}
                }
            },
            "flyte-home:tasks.quota",
            "no task would ever start",
            id="quota smaller than one task",
        ),
        pytest.param({"protect": "yes"}, "flyte-home:protect", "true or false", id="no boolean"),
        pytest.param({"postgresPassword": "a planted'quote"}, "postgresPassword", "quote", id="password with quote"),
        pytest.param({"postgresPassword": "planted back\\slash"}, "postgresPassword", "backslash", id="backslash"),
        pytest.param({"postgresPassword": "plantéd-password"}, "postgresPassword", "ASCII", id="password beyond ASCII"),
        pytest.param({"postgresPassword": "planted"}, "postgresPassword", "shorter than 8", id="short password"),
        pytest.param(
            {"projects": [{"name": "a-b"}, {"name": "a"}], "domains": ["c", "b-c"], "tidalCreds": None},
            "flyte-home:namespaceTemplate",
            "both get 'a-b-c'",
            id="colliding namespaces",
        ),
        pytest.param({"namespaceTemplate": "{project}"}, "namespaceTemplate", "both get 'remedy'", id="no domain"),
        pytest.param(
            {"namespaceTemplate": "{proj}-{domain}"}, "namespaceTemplate", "{project}", id="wrong placeholder"
        ),
        pytest.param(
            {"namespaceTemplate": "{{ project }}-{{ domain }}"},
            "namespaceTemplate",
            "103020-{project}",
            id="Flyte's notation",
        ),
        pytest.param(
            {"namespaceTemplate": "-{project}-{domain}"}, "namespaceTemplate", "lower-case", id="leading hyphen"
        ),
        pytest.param({"domains": ["d" * 60]}, "namespaceTemplate", "67 characters", id="name too long"),
        pytest.param(
            {"namespace": "remedy-staging"}, "namespaceTemplate", "flyte-home:namespace", id="platform's own name"
        ),
        pytest.param(
            {"namespace": "kube-system"}, "flyte-home:namespace", "Kubernetes itself", id="reserved namespace"
        ),
        pytest.param(
            {"images": {"postgres": "postgres"}}, "images.postgres", "tag or a digest", id="image without tag"
        ),
        pytest.param({"images": {"mysql": "mysql:8"}}, "images.mysql", "postgres", id="unknown image"),
        pytest.param(
            {"flyteValues": {"deployment": {"replica": 2}}}, "deployment.replica", "ignore", id="unknown value"
        ),
        pytest.param(
            {"flyteValues": {"configuration": {"database": {"password": "planted-password"}}}},
            "configuration.database.password",
            "credential",
            id="credential in values",
        ),
        pytest.param({"chart": {"sha256": "abc"}}, "chart.sha256", "sha256sum", id="no digest"),
        pytest.param({"clientEndpoints": {"http": "127.0.0.1"}}, "clientEndpoints.http", "http://", id="no address"),
        pytest.param(
            {"taskSecrets": [{"group": "flyte-object-store", "keys": [{"key": "k", "setting": "s"}]}]},
            "taskSecrets",
            "choose another",
            id="the stack's own Secret",
        ),
        pytest.param(
            {"taskSecrets": [{"group": "g", "keys": [{"key": "K", "setting": "s"}]}]},
            "keys[0].key",
            "write lower-case letters",
            id="upper-case key",
        ),
        pytest.param(
            {
                "taskSecrets": [{"group": "g", "keys": [{"key": "k", "setting": "projects"}]}],
                "projects": [{"name": "a"}],
            },
            "taskSecrets",
            "'projects' is a setting",
            id="setting of the stack as a secret",
        ),
        pytest.param(
            {
                "taskSecrets": [{"group": "g", "keys": [{"key": "k", "setting": "postgresPassword"}]}],
                "projects": [{"name": "a"}],
            },
            "taskSecrets",
            "'postgresPassword' is a setting",
            id="the database's password for tasks",
        ),
        pytest.param(
            {"projects": [{"name": "a-b"}, {"name": "a"}], "domains": ["c", "b-c"], "namespaceTemplate": "{domain}.x"},
            "flyte-home:projects",
            "project 'a-b' in domain 'c'",
            id="two projects that Flyte takes for one",
        ),
        pytest.param(
            {"projects": [{"name": "a"}], "domains": ["dev", "dev-x"]},
            "flyte-home:projects",
            "could read and change it",
            id="a domain that begins like another",
        ),
        pytest.param(
            {"minio": {"dataBucket": "{project}"}}, "minio.dataBucket", "both get the bucket 'remedy'", id="one bucket"
        ),
        pytest.param(
            {"minio": {"dataBucket": "data_{project}_{domain}"}},
            "project 'remedy' in domain 'development' gets the bucket 'data_remedy_development'",
            "S3 rejects",
            id="bucket with underscores",
        ),
        pytest.param(
            {"minio": {"dataBucket": "{project}-{domain}-" + "x" * 50}}, "minio.dataBucket", "3 to 63", id="long bucket"
        ),
        pytest.param(
            {"minio": {"dataBucket": "xn--{project}-{domain}"}}, "minio.dataBucket", "for itself", id="reserved bucket"
        ),
        pytest.param(
            {"minio": {"bucket": "minio"}},
            "minio.bucket",
            "the object store reserves for itself",
            id="the store's own bucket",
        ),
        pytest.param(
            {"minio": {"bucket": "remedy-staging"}}, "minio.dataBucket", "flyte-home:minio.bucket", id="Flyte's bucket"
        ),
        pytest.param(
            {"minio": {"dataBucket": "{project}-{env}"}}, "minio.dataBucket", "placeholder", id="unknown placeholder"
        ),
        pytest.param(
            {"projects": [{"name": "a", "podSecurity": {"enforce": "privileged"}}]},
            "projects[0].podSecurity",
            "no reason; write {enforce: privileged, reason: why}",
            id="more rights without a reason",
        ),
        pytest.param(
            {
                "projects": [{"name": "a", "podSecurity": {"enforce": "privileged", "reason": "a device"}}],
                "tasks": {"lowestPodSecurity": "baseline"},
            },
            "projects[0].podSecurity",
            "flyte-home:tasks.lowestPodSecurity, which is 'baseline'",
            id="more rights than the stack allows",
        ),
        pytest.param(
            {"tasks": {"podSecurity": "privileged", "lowestPodSecurity": "restricted"}},
            "tasks.podSecurity",
            "lower than",
            id="a default below the lowest",
        ),
        pytest.param(
            {"postgresPassword": "planted-password", "generations": {"postgres": 2}},
            "generations.postgres",
            "leave one of them out",
            id="given and generated",
        ),
        pytest.param({"generations": {"minioRoot": 0}}, "generations.minioRoot: 0", "out of range", id="generation 0"),
        pytest.param(
            {"projects": [{"name": "a", "runAsUser": 0}], "tasks": {"podSecurity": "restricted"}},
            "projects[0].runAsUser: 0 is root",
            "'restricted' forbids",
            id="root where it is forbidden",
        ),
        pytest.param(
            {"projects": [{"name": "a", "podSecurity": {"enforce": "root"}}]},
            "projects[0].podSecurity.enforce: 'root'",
            "'restricted'",
            id="no pod security level",
        ),
        pytest.param(
            {"tasks": {"egress": {"networks": ["192.168.1.20/24"]}}},
            "egress.networks[0]: '192.168.1.20/24'",
            "192.168.1.0/24",
            id="address that is no network",
        ),
        pytest.param(
            {"projects": [{"name": "a", "egress": {"networks": ["0.0.0.0/0"]}}]},
            "projects[0].egress.networks[0]",
            "every address",
            id="the whole network",
        ),
        pytest.param({"network": {"clients": ["Traefik"]}}, "network.clients[0]", "lower-case", id="no namespace"),
        pytest.param({"flyte": {"rights": "all"}}, "flyte.rights: 'all'", "'chart'", id="unknown rights"),
    ],
)
def test_the_message_about_a_wrong_setting_names_the_key_the_problem_and_the_remedy(
    settings: dict[str, Any], key: str, said: str
):
    message = complaint(**settings)

    assert key in message
    assert said in message
    assert "planted" not in message


def test_all_problems_are_in_one_message():
    message = complaint(namespaceTemplate="{x}", tidalCreds=None, unknownKey="1", images={"a": "b"})

    assert all(part in message for part in ("namespaceTemplate", "tidalCreds", "unknownKey", "images.a"))


@pytest.mark.parametrize("key", ["tidalCreds", "tidalCreds-production", "postgresPassword"])
def test_a_secret_in_plain_text_is_rejected_without_being_shown(key: str):
    config, secrets = stack()
    config[f"flyte-home:{key}"] = '{"token":"planted"}'

    with pytest.raises(SettingsError) as caught:
        settings_from(config, secrets - {f"flyte-home:{key}"})

    assert f"flyte-home:{key}: is stored in plain text" in str(caught.value)
    assert "planted" not in str(caught.value)


def test_the_sample_may_be_in_plain_text_and_is_recognized_as_a_sample():
    config, _ = stack(tidalCreds=SAMPLE_CREDENTIALS)

    assert settings_from(config, []).samples == ["tidalCreds"]
    assert load().samples == []


def test_the_sample_of_an_earlier_version_is_still_recognized():
    earlier = r'{"sample": "not a credential: pulumi config set --secret flyte-home:tidalCreds \"$(cat creds.json)\""}'
    config, _ = stack(tidalCreds=earlier)

    assert settings_from(config, []).samples == ["tidalCreds"]


@pytest.mark.parametrize(
    "value",
    ['{"sample": "not a credential: x", "token": "planted"}', '{"sample": "planted"}', '{"sample": ["planted"]}'],
)
def test_a_credential_is_not_mistaken_for_the_sample(value: str):
    config, secrets = stack(tidalCreds=value)

    assert settings_from(config, secrets).samples == []
    with pytest.raises(SettingsError, match="flyte-home:tidalCreds: is stored in plain text"):
        settings_from(config, [])


def test_an_encrypted_structure_is_rejected_because_it_would_be_readable_in_the_cluster():
    config, secrets = stack(flyteValues={"deployment": {"labels": {"a": "planted"}}})

    with pytest.raises(SettingsError, match="flyte-home:flyteValues: is encrypted") as caught:
        settings_from(config, secrets | {"flyte-home:flyteValues"})

    assert "planted" not in str(caught.value)


@pytest.mark.parametrize("key", ["kubernetes:namespace", "flyte_home:projects", "random:x", "Flyte-Home:projects"])
def test_a_key_that_would_be_silently_ignored_is_rejected(key: str):
    config, secrets = stack()

    with pytest.raises(SettingsError, match=f"{key}: has no effect"):
        settings_from(config | {key: "x"}, secrets)


def test_secrets_are_masked_in_every_representation_of_the_settings():
    settings = load(postgresPassword="planted-password")

    assert "planted" not in repr(settings)
    assert "planted" not in str(settings.model_dump())


def test_pulumi_yaml_declares_every_setting_with_its_type_description_and_default():
    declared = yaml.safe_load((ROOT / "Pulumi.yaml").read_text())["config"]
    own = {key: value for key, value in declared.items() if ":" not in key}
    assert own.keys() == FIELDS.keys()
    described = descriptions(Settings)
    for key, field in FIELDS.items():
        assert own[key]["description"] == described[key], key
        assert own[key]["type"] == _pulumi_type(field.annotation), key
        # Pulumi passes declared defaults on like configured values, so keys that a preset sets must not have one.
        assert own[key]["default"] == ({} if key in OF_PRESET else _plain(field.default)), key


def _pulumi_type(annotation: Any) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Annotated or hasattr(annotation, "__metadata__"):
        return _pulumi_type(typing.get_args(annotation)[0])
    if origin is typing.Literal:
        return "string"
    return {SecretStr: "string", str: "string", bool: "boolean"}.get(
        annotation, "array" if origin is list else "object"
    )


def _plain(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return json.loads(value.model_dump_json(by_alias=True)) if hasattr(value, "model_dump_json") else value


@pytest.mark.parametrize("name", ["dev", "prod"])
def test_the_stack_files_of_this_repository_are_valid(name: str):
    settings = settings_from(*stack_config(name))

    assert [project.name for project in settings.projects] == ["remedy"]
    assert settings.protect == settings.keep_volumes == (name == "prod")


def test_every_accepted_template_gives_valid_and_unique_names():
    for first, second in itertools.product(
        ["{project}", "x-{domain}", "{domain}.{project}", "{project}{domain}"], ["", "-y"]
    ):
        try:
            names = [scope.namespace for scope in load(namespaceTemplate=first + second).task_scopes]
        except SettingsError:
            continue
        assert len(set(names)) == len(names) == 3
        assert all(name.replace("-", "").isalnum() and len(name) <= 63 for name in names)


def test_a_structure_in_the_stack_file_needs_only_the_values_that_differ():
    settings = load(tasks={"maximum": {"cpu": 8}}, flyte={"resources": {"limits": {"memory": "3Gi"}}})

    assert settings.tasks.maximum.by_name == {"cpu": "8", "memory": "8Gi"}
    assert settings.tasks.quota.pods == 50
    assert settings.flyte.resources.limits.by_name == {"cpu": "2", "memory": "3Gi"}


@pytest.mark.parametrize(
    ("key", "value"), [("kubernetes:strictMode", "false"), ("pulumi:disable-default-providers", "[]")]
)
def test_no_part_of_the_fence_can_be_disabled(key: str, value: str):
    config, secrets = stack()

    with pytest.raises(SettingsError, match=f"{key}: must stay"):
        settings_from(config | {key: value}, secrets)


@pytest.mark.parametrize("content", ["apiVersion: v1\nusers: [planted]", '{"users": "planted"}'])
def test_the_content_of_a_kubeconfig_is_rejected_without_being_shown(content: str):
    config, secrets = stack()

    with pytest.raises(SettingsError, match="write the path of the file") as caught:
        settings_from(config | {"kubernetes:kubeconfig": content}, secrets)

    assert "planted" not in str(caught.value)


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"configuration": {"inlineSecretRef": ""}}, "inlineSecretRef: is set by the stack itself"),
        ({"configuration": {"inline": {"domains": []}}}, "write flyte-home:domains instead"),
        ({"configuration": {"propeller": {"createCRDs": False}}}, "createCRDs: is set by the stack itself"),
        ({"flyte-core-components": {"admin": {"seedProjects": []}}}, "write flyte-home:projects instead"),
        ({"deployment": {"image": {"tag": "latest"}}}, "write flyte-home:images instead"),
        ({"fullnameOverride": "flyte"}, "fullnameOverride: is set by the stack itself"),
        ({"rbac": {"create": True}}, "write flyte-home:flyte.rights instead"),
        ({"rbac": {"extraRules": []}}, "set flyte-home:flyte.rights to chart"),
        ({"flyte-core-components": {"admin": {"disableClusterResourceManager": False}}}, "more rights than Flyte has"),
        (
            {"configuration": {"inline": {"webhook": {"localCert": True}}}},
            "inline.webhook: is set by the stack itself",
        ),
        (
            {"configuration": {"inline": {"plugins": {"K8S": {"default-env-vars": [{"T": "planted"}]}}}}},
            "has a key with capital letters",
        ),
        ({"deployment": {"extraEnvVars": [{"name": "DB_PASSWORD", "value": "planted"}]}}, "take it from a Secret"),
        ({"configuration": {"inline": {"propeller": {"wokers": 4}}}}, "propeller.wokers"),
        ({"deployment": {"startupProbe": {"failureTreshold": 4}}}, "startupProbe.failureTreshold"),
        ({"deployment": {"args": ["--password=planted"]}}, "looks like it holds a credential"),
        (
            {"configuration": {"inline": {"notifications": {"emailer": {"smtpPassword": "planted"}}}}},
            "like a credential",
        ),
        ({"configuration": {"inline": {"remoteData": {"u": "http://u:planted@x"}}}}, "holds a credential"),
    ],
)
def test_values_that_would_break_the_stack_or_leak_a_secret_are_rejected(values: dict[str, Any], said: str):
    message = complaint(flyteValues=values)

    assert said in message
    assert "planted" not in message


def test_flyte_may_create_namespaces_if_it_has_the_rights_of_the_chart():
    manager = {"flyte-core-components": {"admin": {"disableClusterResourceManager": False}}}

    assert load(flyte={"rights": "chart"}, flyteValues=manager).flyte_values == manager


def test_names_that_are_merely_similar_are_accepted():
    settings = load(projects=[{"name": "a"}, {"name": "a-b"}], domains=["dev", "prod"], tidalCreds=None)

    assert len({namespace.bucket for namespace in settings.task_scopes}) == 4


def test_a_stricter_pod_security_level_does_not_need_a_reason():
    settings = load(projects=[{"name": "a", "podSecurity": {"enforce": "restricted"}}], tidalCreds=None)

    assert {namespace.pod_security for namespace in settings.task_scopes} == {"restricted"}


@pytest.mark.parametrize("preset", ["tiny", "comfortable"])
def test_a_preset_provides_the_defaults_for_what_the_stack_file_does_not_set(preset: str):
    small, other = load(), load(preset=preset, postgres={"volume": {"size": "5Gi"}})

    assert other.postgres.volume.size == "5Gi"
    assert other.postgres.resources.limits.memory == {"tiny": "256Mi", "comfortable": "2Gi"}[preset]
    for key in OF_PRESET:
        assert getattr(other, key) != getattr(small, key)


def test_the_stack_file_takes_precedence_over_its_preset():
    found = load(preset="tiny", flyte={"resources": {"limits": {"memory": "1Gi"}}})

    assert found.flyte.resources.limits.memory == "1Gi"
    assert found.flyte.resources.limits.cpu == "1"
    assert found.flyte.max_parallelism == 5


def test_the_message_about_an_unknown_preset_lists_the_available_ones():
    with pytest.raises(SettingsError, match=r"flyte-home:preset: 'huge'.*'tiny', 'small' or 'comfortable'"):
        load(preset="huge")


def test_every_preset_has_room_for_its_servers_and_for_tasks():
    for preset in PRESETS:
        found = load(preset=preset)
        requests = [part.resources.requests for part in (found.postgres, found.minio, found.flyte)]

        assert sum(quantity(amount.memory) for amount in requests) < 4 * 1024**3
        assert quantity(found.tasks.quota.requests.memory) >= 2 * quantity(found.tasks.requests.memory)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        # Its code prefix would be metadata/DOMAIN/, which begins like the metadata of all executions.
        (
            {"projects": [{"name": "metadata"}]},
            "flyte-home:projects[0].name: Flyte keeps its own data under the name 'metadata'",
        ),
        (
            {"projects": [{"name": "data"}]},
            "flyte-home:projects[0].name: Flyte keeps its own data under the name 'data'",
        ),
        (
            {"tasks": {"egress": {"namespaces": ["flyte"]}}},
            "flyte-home:tasks.egress.namespaces[0]: 'flyte' is the namespace of the stack itself",
        ),
        (
            {"namespace": "platform", "projects": [{"name": "a", "egress": {"namespaces": ["vault", "platform"]}}]},
            "flyte-home:projects[0].egress.namespaces[1]: 'platform' is the namespace of the stack itself",
        ),
        (
            {"projects": [{"name": "a", "volumeTypes": ["hostPath"]}]},
            "flyte-home:projects[0].volumeTypes[0]: 'hostPath' has no effect, because its Pod Security level",
        ),
        ({"projects": [{"name": "a", "volumeTypes": ["floppy"]}]}, "flyte-home:projects[0].volumeTypes[0]: 'floppy'"),
        (
            {"tasks": {"quota": {"ephemeralStorage": "1Gi"}}},
            "flyte-home:tasks.quota.ephemeralStorage: 1Gi is less than flyte-home:tasks.ephemeralStorage",
        ),
        ({"minio": {"bucketQuota": "10GB"}}, "flyte-home:minio.bucketQuota: '10GB'"),
        ({"flyte": {"webhook": {"replicas": 0}}}, "flyte-home:flyte.webhook.replicas: 0"),
    ],
)
def test_settings_that_would_undo_the_isolation_are_rejected(settings: dict[str, Any], said: str):
    assert said in complaint(**{"tidalCreds": None, "projects": [{"name": "remedy"}], **settings})


def test_a_project_whose_tasks_reach_flytes_api_is_named_with_what_that_means():
    def warned(**settings: Any) -> str:
        return " ".join(rules.warnings(load(**settings)))

    projects = [{"name": "eager", "egress": {"flyte": True}}, {"name": "other"}]
    assert "the tasks of eager may connect to Flyte's API" in warned(projects=projects, tidalCreds=None)
    assert "the tasks of remedy may connect" in warned(tasks={"egress": {"flyte": True}})
    assert warned() == ""
    assert "connect" not in warned(projects=projects, tidalCreds=None, network={"enabled": False})
