"""Values that look valid, but that Kubernetes, Postgres, Flyte or Helm reject, or that have no effect."""

import json
from typing import Any

import pytest

from settings import rules, settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack
from tests.unit.test_settings import complaint, load

_BARE: dict[str, Any] = {"tidalCreds": None, "projects": [{"name": "remedy"}]}
_HOSTS = {"console": "flyte.home.example", "objectStore": "s3.home.example"}
_INGRESS = {"controller": "nginx", "hosts": _HOSTS, "withoutLogin": {"reason": "a test"}}
_VAULT = {"type": "Vault"}
_RELEASE_NOTE = "{{- with secret `secret/data/x` }}{{ .Data.data.planted }}{{ end }}"


def rejected(**settings: Any) -> str:
    return complaint(**{**_BARE, **settings})


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"projects": [{"name": "a", "description": "d" * 301}]}, "projects[0].description: has 301 characters"),
        ({"projects": [{"name": "a", "description": "bell \a"}]}, "projects[0].description: has the control character"),
        ({"namespace": "fly\x00te"}, "flyte-home:namespace: has the control character U+0000"),
        ({"flyteValues": {"commonLabels": {"a\x7f": "b"}}}, "control character U+007F"),
        ({"network": {"clients": ["\ud800"]}}, "flyte-home:network.clients[0]: has the control character U+D800"),
        ({"postgresPassword": "p" * 1001}, "flyte-home:postgresPassword: has 1001 characters; write at most 1000"),
        ({"tasks": {"maximum": {"cpu": "500M"}}}, "tasks.maximum.cpu: '500M' is more than 10000 cores"),
        (
            {"postgres": {"resources": {"limits": {"cpu": "0.0015"}}}},
            "limits.cpu: '0.0015' is not a number of thousand",
        ),
        ({"tasks": {"maximum": {"memory": "2Pi"}}}, "tasks.maximum.memory: '2Pi' is more than 1Pi"),
        ({"minio": {"volume": {"size": "200000000.5"}}}, "minio.volume.size: '200000000.5' is not between"),
        ({"tasks": {"maximum": {"cpu": "64"}}}, "flyte-home:tasks.maximum.cpu: 64 is more than"),
        ({"ingress": {"tls": {"issuer": "home"}}}, "flyte-home:ingress: has tls, but no controller"),
        ({"ingress": {"annotations": {"a": "b"}}}, "flyte-home:ingress: has annotations, but no controller"),
        ({"ingress": {"port": 8443}}, "flyte-home:ingress: has port, but no controller"),
        ({"auth": {"clientId": "home"}}, "flyte-home:auth: has clientId, but no issuer"),
        ({"auth": {"egress": {"networks": ["192.168.1.20/32"]}}}, "flyte-home:auth: has egress, but no issuer"),
        ({"auth": {"issuer": "https://id.home:99999"}}, "auth.issuer: is not the address of a provider"),
        (
            {"auth": {"issuer": "https://id.home/.well-known/openid-configuration"}},
            "auth.issuer: is the address of the discovery document",
        ),
        ({"auth": {"issuer": "https://id.home", "scopes": ["profile"]}}, "auth: has no scope openid"),
        ({"logLinks": {"kubernetesDashboard": "https://a..b"}}, "kubernetesDashboard: is not an address"),
        (
            {"logLinks": {"custom": [{"name": "a", "uri": "https://x"}, {"name": "a", "uri": "https://y"}]}},
            "flyte-home:logLinks.custom: name 'a' is there 2 times",
        ),
        (
            {"logLinks": {"custom": [{"name": "ghp_" + 36 * "a", "uri": "https://x"}]}},
            "looks as if it holds a credential",
        ),
        ({"placement": {"nodeSelector": {"a": "ghp_" + 36 * "a"}}}, "nodeSelector.a: (not shown"),
        (
            {"minio": {"bucket": "minio"}},
            "minio.bucket: 'minio' is a name that the object store reserves for itself; write",
        ),
        ({"chart": {"repository": "https://x:99999/y"}}, "chart.repository: is not the address of a Helm repository"),
        ({"chart": {"version": "v1.17.0"}}, "chart: has another version than v1.16.8, but the digest of that one"),
        (
            {"ingress": {**_INGRESS, "annotations": {"kubernetes.io/ingress.class": "nginx"}}},
            "ingress: has the annotation kubernetes.io/ingress.class, which Kubernetes rejects",
        ),
        (
            {"ingress": {**_INGRESS, "annotations": {"traefik.ingress.kubernetes.io/router.tls": "true"}}},
            "which has no effect with the controller 'nginx'",
        ),
        (
            {"namespace": "flyte", "ingress": {**_INGRESS, "namespace": "flyte"}},
            "flyte-home:ingress.namespace: 'flyte' is the namespace of the stack itself",
        ),
        (
            {"clientEndpoints": {"http": "http://localhost:8089"}},
            "flyte-home:clientEndpoints.grpc: has the port of flyte-home:clientEndpoints.http",
        ),
        ({"namespaceTemplate": ""}, "gets '', which is not a name Kubernetes accepts"),
        ({"secretManager": {"type": "Global"}}, "secretManager.globalSecrets: is empty, but flyte-home:secretManager"),
        ({"tasks": {"priorityClasses": ["low", "low"]}}, "flyte-home:tasks.priorityClasses[1]: is there twice"),
        (
            {"projects": [{"name": "a", "existingSecrets": ["flyte-object-store"]}]},
            "projects[0].existingSecrets[0]: has no effect, because the stack creates this Secret",
        ),
        (
            {"projects": [{"name": "a", "volumeTypes": ["nfs"], "podSecurity": {"enforce": "restricted"}}]},
            "projects[0].volumeTypes[0]: 'nfs' has no effect, because its Pod Security level 'restricted' forbids it",
        ),
        ({"logLinks": {"grafana": {"datasource": "x"}}}, "logLinks.grafana: has datasource or query, but no url"),
        (
            {"ingress": {"controller": "nginx", "hosts": {**_HOSTS, "console": "192.168.1.5"}}},
            "ingress.hosts.console: '192.168.1.5' is an address",
        ),
        ({"postgres": {"volume": {"storageClass": "a..b"}}}, "storageClass: 'a..b' does not have the form"),
        ({"placement": {"nodeSelector": {"a..b/c": "d"}}}, "is not the key of a label"),
        ({"clientEndpoints": {"http": "http://300.1.1.1"}}, "clientEndpoints.http: is not the address of a server"),
        ({"clientEndpoints": {"http": "http://a..b"}}, "clientEndpoints.http: is not the address of a server"),
        (
            {"clientEndpoints": {"grpc": "dns:///127.0.0.1:8088"}},
            "flyte-home:clientEndpoints.grpc: has the port of flyte-home:clientEndpoints.http",
        ),
        (
            {"clientEndpoints": {"objectStore": "http://127.0.0.1:8088"}},
            "flyte-home:clientEndpoints.objectStore: has the host and the port of flyte-home:clientEndpoints.http",
        ),
        (
            {"projects": [{"name": "longhorn"}], "domains": ["system"]},
            "gets 'longhorn-system', which belongs to other software",
        ),
        (
            {
                "projects": [{"name": "web"}],
                "domains": ["ingress"],
                "ingress": {
                    "controller": "traefik",
                    "namespace": "web-ingress",
                    "hosts": _HOSTS,
                    "withoutLogin": {"reason": "a test"},
                },
            },
            "gets 'web-ingress', which belongs to the ingress controller",
        ),
        ({"namespace": "cert-manager"}, "flyte-home:namespace: 'cert-manager' belongs to other software"),
        (
            {
                "secretManager": _VAULT,
                "projects": [{"name": "a", "serviceAccountToken": True}, {"name": "b", "taskSecrets": ["tidal-creds"]}],
            },
            "flyte-home:projects[1].serviceAccountToken: is false, but tasks of 'b' ask for secrets",
        ),
        (
            {"logLinks": {"custom": [{"name": "Logs", "uri": "https://u:planted@logs/?{{ .podName }}"}]}},
            "logLinks.custom[0].uri: looks as if it holds a credential",
        ),
        (
            {"logLinks": {"custom": [{"name": "Logs", "uri": "https://logs/?api_key=planted&pod={{ .podName }}"}]}},
            "logLinks.custom[0].uri: looks as if it holds a credential",
        ),
        (
            {"secretManager": {**_VAULT, "vault": {"annotations": {"a/b": "Authorization: Bearer planted-token"}}}},
            "flyte-home:secretManager.vault.annotations: looks as if a/b held a credential",
        ),
        (
            {"secretManager": {**_VAULT, "vault": {"annotations": {"not a key!": "b"}}}},
            "has a key that is none of an annotation",
        ),
    ],
)
def test_a_value_over_a_limit_or_without_effect_is_rejected_with_its_key(settings: dict[str, Any], said: str):
    message = rejected(**settings)

    assert said in message
    assert "planted" not in message


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"deployment": {"podAnnotations": {"vault/x": _RELEASE_NOTE}}}, 'podAnnotations["vault/x"]: has a template'),
        ({"deployment": {"args": ["{{ nothing }}"]}}, "flyteValues.deployment.args[0]: has a template"),
        ({"deployment": {"args": ["{{ .Release.Name"]}}, "flyteValues.deployment.args[0]: has a template"),
        ({"deployment": {"args": ["{{{ .Release.Name }}"]}}, "flyteValues.deployment.args[0]: has a template"),
        ({"commonAnnotations": {"{{ x }}": "y"}}, "flyteValues.commonAnnotations: has a key with a template"),
        ({"commonLabels": {"team": "at home"}}, "flyteValues.commonLabels.team: is not the value of a label"),
        ({"deployment": {"podLabels": {"a b": "x"}}}, "flyteValues.deployment.podLabels: has a key that is none"),
        ({"deployment": {"args": ["https://planted@x"]}}, "flyteValues.deployment.args[0]: looks like it holds"),
        ({"deployment": {"args": ["Authorization: Bearer planted-token"]}}, "args[0]: looks like it holds"),
        (
            {
                "deployment": {
                    "startupProbe": {"httpGet": {"httpHeaders": [{"name": "Authorization", "value": "planted"}]}}
                }
            },
            "looks like a credential",
        ),
        ({"deployment": {"replicas": "three"}}, "write"),
        ({"deployment": {"args": ["--token", "planted"]}}, "flyteValues.deployment.args[1]: looks like a credential"),
        ({"commonAnnotations": {"a": "x" * 300_000}}, "flyteValues.commonAnnotations: is larger than 200 KiB"),
        ({"deployment": {"args": ["x" * 600_000]}}, "flyte-home:flyteValues: is larger than 512 KiB"),
        ({"deployment": {"args": [5]}}, "flyteValues.deployment.args[0]: is not text"),
        ({"deployment": {"extraEnvVars": [{"name": "X", "value": 5}]}}, "extraEnvVars[0].value: is not text"),
        ({"deployment": {"extraEnvVars": [{"name": "a b"}]}}, "extraEnvVars[0].name: is not a name that Kubernetes"),
        (
            {"deployment": {"sidecars": [{"name": "x"}]}},
            "sidecars[0].image: is missing; write pulumi config set --path",
        ),
        ({"deployment": {"extraVolumes": [{"emptyDir": {}}]}}, "extraVolumes[0].name: is missing"),
        ({"service": {"type": "Loadbalancer"}}, "service.type: is not possible; write ClusterIP or NodePort"),
    ],
)
def test_values_of_the_chart_that_helm_or_kubernetes_would_reject_are_rejected(values: dict[str, Any], said: str):
    message = rejected(flyteValues=values)

    assert said in message
    assert "planted" not in message
    assert ".yaml" not in message


@pytest.mark.parametrize(
    "text",
    [
        "{{ .Release.Name }}-x",
        "{{- .Release.Namespace | upper -}}",
        "{{`{{- with secret `}}x",
        "{ not a template }",
        "}}",
    ],
)
def test_templates_that_helm_can_run_are_accepted(text: str):
    values = {"deployment": {"podAnnotations": {"example.com/x": text}}}

    assert load(flyteValues=values).flyte_values == values


def test_a_secret_of_one_mebibyte_is_accepted_and_a_larger_one_rejected():
    largest = json.dumps({"t": "x" * (1024 * 1024 - 9)})
    assert len(largest) == 1024 * 1024

    assert load(tidalCreds=largest)
    assert "tidal-creds' have 1048577 bytes in the domain 'development'" in complaint(tidalCreds=largest + " ")


def test_the_keys_of_a_group_share_the_size_of_a_secret():
    keys = [{"key": name, "setting": f"{name}Creds"} for name in ("a", "b")]
    half = "x" * 600_000

    message = complaint(
        taskSecrets=[{"group": "g", "keys": keys}],
        projects=[{"name": "p", "taskSecrets": ["g"]}],
        tidalCreds=None,
        aCreds=half,
        bCreds=half,
    )

    assert "the group 'g' have 1200000 bytes" in message


def test_a_secret_with_a_null_character_is_rejected_without_being_shown():
    keys = [{"key": "k", "setting": "aCreds"}]
    projects = [{"name": "p", "taskSecrets": ["g"]}]

    message = complaint(
        taskSecrets=[{"group": "g", "keys": keys}], projects=projects, tidalCreds=None, aCreds="planted\0"
    )

    assert "flyte-home:aCreds: has the control character U+0000" in message
    assert "planted" not in message


def test_a_description_of_300_characters_is_accepted():
    assert load(**{**_BARE, "projects": [{"name": "a", "description": "ä" * 300}]}).projects[0].description == "ä" * 300


def test_console_and_grpc_may_share_the_port_of_a_proxy_but_not_of_a_port_forward():
    shared = {"http": "https://flyte.home.example", "grpc": "dns:///flyte.home.example:443"}

    assert load(clientEndpoints={**shared, "objectStore": "https://s3.home.example"})


def test_a_quota_can_be_switched_off_for_all_projects_or_for_one():
    all_off = run(**_BARE, tasks={"quota": {"enabled": False}, "maximum": {"cpu": "64"}})
    one_off = run(**{**_BARE, "projects": [{"name": "a", "quota": {"enabled": False}}, {"name": "b"}]})

    assert all_off.of("ResourceQuota") == []
    assert {quota.manifest["metadata"]["namespace"] for quota in one_off.of("ResourceQuota")} == {
        "b-development",
        "b-staging",
        "b-production",
    }


def test_a_project_with_a_lower_quota_than_the_maximum_of_a_task_is_accepted_with_a_warning():
    quota = {"requests": {"cpu": "1", "memory": "1Gi"}, "limits": {"cpu": "2", "memory": "2Gi"}}
    settings = load(**{**_BARE, "projects": [{"name": "small", "quota": quota}]})

    (warning,) = rules.warnings(settings)
    assert "flyte-home:projects[0].quota.limits.cpu: 2 is less than flyte-home:tasks.maximum.cpu" in warning


def test_with_vault_every_project_that_asks_for_secrets_has_a_token_of_its_own():
    asks = {"taskSecrets": ["tidal-creds"], "serviceAccountToken": True}
    projects = [{"name": "a", **asks}, {"name": "b", **asks}, {"name": "c"}]

    assert load(tidalCreds=None, projects=projects, secretManager=_VAULT)


def test_network_policies_can_be_switched_off_without_removing_the_settings_for_them():
    egress = {"networks": ["192.168.1.20/32"]}

    assert load(network={"enabled": False, "clients": ["traefik"]}, tasks={"egress": egress})


def test_a_context_is_a_name_and_a_kubeconfig_is_a_path():
    config, secrets = stack()

    for key in ("kubernetes:context", "kubernetes:kubeconfig"):
        with pytest.raises(SettingsError, match=f"{key}: is .*; write the .*: pulumi config set {key} "):
            settings_from(config | {key: '["home"]'}, secrets)


def test_a_kubeconfig_in_base64_is_rejected_without_being_shown():
    config, secrets = stack()
    key = "kubernetes:kubeconfig"
    encoded = "YXBpVmVyc2lvbjogdjEKa2luZDogQ29uZmlnCnVzZXJzOgotIG5hbWU6IHBsYW50ZWQKICB1c2VyOiB7dG9rZW46IHBsYW50ZWR9Cg=="

    for text in (encoded, encoded.rstrip("="), "x" * 2000):
        with pytest.raises(SettingsError, match=f"{key}: is not a path") as refused:
            settings_from(config | {key: text}, secrets)
        assert text[:20] not in str(refused.value)
