"""Access through an ingress controller."""

from typing import Any

import pytest
import yaml

from ops.lib.recording import Recording
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack
from tests.network import PLACES, Place, allowed, policies_of

HOSTS = {"console": "flyte.home.example", "objectStore": "s3.home.example"}
AUTH = {"issuer": "https://id.home.example/realms/home"}
REASON = {"reason": "only one laptop reaches these hosts"}


def ways(recording: Recording) -> dict[str, dict[str, Any]]:
    return {found.manifest["metadata"]["name"]: found.manifest for found in recording.of("Ingress") if found.custom}


def through(controller: str, **more: Any) -> Recording:
    return run(ingress={"controller": controller, "hosts": HOSTS, "withoutLogin": REASON, **more})


def backends(way: dict[str, Any]) -> dict[str, tuple[str, int]]:
    (rule,) = way["spec"]["rules"]
    return {
        path["path"]: (path["backend"]["service"]["name"], path["backend"]["service"]["port"]["number"])
        for path in rule["http"]["paths"]
    }


def test_without_a_controller_there_is_no_ingress(dev: Recording):
    assert not dev.of("Ingress")


@pytest.mark.parametrize("controller", ["traefik", "nginx"])
def test_the_console_grpc_and_the_object_store_are_served_on_their_hosts_with_tls(controller: str):
    found = ways(through(controller))

    assert {name: way["spec"]["rules"][0]["host"] for name, way in found.items()} == {
        "flyte-console": "flyte.home.example",
        "flyte-grpc": "flyte.home.example",
        "flyte-object-store": "s3.home.example",
    }
    for way in found.values():
        assert way["spec"]["ingressClassName"] == controller
        assert way["spec"]["tls"][0]["hosts"] == [way["spec"]["rules"][0]["host"]]
    assert backends(found["flyte-console"]) == {"/": ("flyte-binary-http", 8088)}
    assert set(backends(found["flyte-grpc"]).values()) == {("flyte-binary-grpc", 8089)}
    assert "/flyteidl.service.AdminService" in backends(found["flyte-grpc"])


def test_the_ingress_exposes_the_buckets_but_not_the_administration_of_the_store():
    found = backends(ways(through("traefik"))["flyte-object-store"])

    buckets = {"/flyte", "/remedy-development", "/remedy-staging", "/remedy-production"}
    assert set(found) == {*buckets, "/minio/health"}
    assert set(found.values()) == {("minio", 9000)}


def test_traefik_uses_http2_without_tls_for_the_grpc_service_of_flyte():
    annotations = through("traefik").one("Release").plain["values"]["service"]["grpcAnnotations"]

    assert annotations == {"traefik.ingress.kubernetes.io/service.serversscheme": "h2c"}
    assert through("nginx").one("Release").plain["values"]["service"]["grpcAnnotations"] == {}


def test_nginx_uses_grpc_for_flyte_and_accepts_uploads_of_any_size():
    found = {name: way["metadata"]["annotations"] for name, way in ways(through("nginx")).items()}

    assert found["flyte-grpc"]["nginx.ingress.kubernetes.io/backend-protocol"] == "GRPC"
    assert "nginx.ingress.kubernetes.io/backend-protocol" not in found["flyte-console"]
    assert found["flyte-object-store"]["nginx.ingress.kubernetes.io/proxy-body-size"] == "0"


def test_an_issuer_issues_one_certificate_for_each_host():
    found = ways(through("traefik", tls={"issuer": "home"}))
    issued = {
        name: way["spec"]["tls"][0]["secretName"]
        for name, way in found.items()
        if way["metadata"]["annotations"].get("cert-manager.io/cluster-issuer") == "home"
    }

    assert issued == {"flyte-console": "flyte-console-tls", "flyte-object-store": "flyte-object-store-tls"}
    assert found["flyte-grpc"]["spec"]["tls"][0]["secretName"] == "flyte-console-tls"


def test_a_separate_grpc_host_gets_its_own_certificate_from_an_issuer_in_the_namespace():
    hosts = {**HOSTS, "grpc": "grpc.home.example"}
    found = ways(through("traefik", hosts=hosts, tls={"issuer": "home", "issuerKind": "Issuer"}))

    assert found["flyte-grpc"]["spec"]["tls"] == [{"hosts": ["grpc.home.example"], "secretName": "flyte-grpc-tls"}]
    assert found["flyte-grpc"]["metadata"]["annotations"]["cert-manager.io/issuer"] == "home"


def test_all_hosts_use_the_configured_certificate_or_the_default_one_of_the_controller():
    given = ways(through("traefik", tls={"secret": "wildcard"}))
    default = ways(through("traefik"))

    assert {way["spec"]["tls"][0]["secretName"] for way in given.values()} == {"wildcard"}
    assert {"secretName" in way["spec"]["tls"][0] for way in default.values()} == {False}


@pytest.mark.parametrize(("port", "suffix"), [(443, ""), (8443, ":8443")])
def test_uploads_are_signed_for_the_host_clients_use(port: int, suffix: str):
    found = through("traefik", port=port)
    inline = found.one("Release").plain["values"]["configuration"]["inline"]

    endpoint = inline["storage"]["signedURL"]["stowConfigOverride"]["endpoint"]
    assert endpoint == f"https://s3.home.example{suffix}"
    assert found.outputs["consoleUrl"] == f"https://flyte.home.example{suffix}/console"
    assert found.outputs["portForwards"] == []
    assert yaml.safe_load(found.outputs["clientConfig"])["admin"] == {
        "endpoint": f"dns:///flyte.home.example:{port}",
        "insecure": False,
    }


def test_only_the_pods_of_the_controller_in_its_namespace_reach_flyte_and_the_object_store():
    policies = policies_of(through("traefik"))
    controller = Place("10.42.0.30", "kube-system", {"app.kubernetes.io/name": "traefik"})

    for target, port in (("flyte", 8088), ("flyte", 8089), ("minio", 9000)):
        assert allowed(policies, controller, PLACES[target], port)
        assert not allowed(policies, PLACES["dns"], PLACES[target], port)
    assert not allowed(policies, controller, PLACES["postgres"], 5432)


def test_the_controller_can_run_in_another_namespace():
    found = policies_of(through("nginx", namespace="edge"))
    labels = {"app.kubernetes.io/name": "ingress-nginx"}

    assert allowed(found, Place("10.42.0.30", "edge", labels), PLACES["flyte"], 8088)
    assert not allowed(found, Place("10.42.0.30", "ingress-nginx", labels), PLACES["flyte"], 8088)


def test_additional_annotations_are_added_to_every_ingress():
    found = ways(through("traefik", annotations={"external-dns.alpha.kubernetes.io/target": "192.168.1.5"}))

    assert all("external-dns.alpha.kubernetes.io/target" in way["metadata"]["annotations"] for way in found.values())


@pytest.mark.parametrize(
    ("ingress", "said"),
    [
        ({"hosts": HOSTS}, "has hosts, but no controller"),
        ({"withoutLogin": REASON}, "flyte-home:ingress: has withoutLogin, but no controller, so that it has no effect"),
        ({"controller": "traefik"}, "has no host for the console"),
        (
            {"controller": "traefik", "hosts": {"console": "a.example", "objectStore": "a.example"}},
            "'a.example' twice",
        ),
        ({"controller": "traefik", "hosts": {**HOSTS, "console": "https://flyte.home"}}, "is not a host name"),
        ({"controller": "traefik", "hosts": HOSTS, "tls": {"issuer": "a", "secret": "b"}}, "keep one"),
        ({"controller": "caddy", "hosts": HOSTS}, "flyte-home:ingress.controller: 'caddy'"),
        ({"controller": "traefik", "hosts": HOSTS, "tls": {"caCertificate": "x"}}, "is not a certificate in PEM"),
        (
            {"controller": "traefik", "hosts": HOSTS, "tls": {"caCertificate": "-----BEGIN PRIVATE KEY-----\nplanted"}},
            "contains a private key",
        ),
    ],
)
def test_settings_that_cannot_work_are_rejected_with_the_remedy(ingress: dict[str, Any], said: str):
    with pytest.raises(SettingsError, match=said) as refused:
        settings_from(*stack(ingress=ingress))

    assert "planted" not in str(refused.value)


@pytest.mark.parametrize("given", [{}, {"withoutLogin": {}}, {"withoutLogin": {"reason": " "}}])
@pytest.mark.parametrize("controller", ["traefik", "nginx"])
def test_an_ingress_without_a_login_and_without_a_reason_is_rejected(controller: str, given: dict[str, Any]):
    with pytest.raises(SettingsError) as refused:
        settings_from(*stack(ingress={"controller": controller, "hosts": HOSTS, **given}))

    assert str(refused.value) == (
        f"flyte-home:ingress.controller: '{controller}' exposes Flyte without a login, so everyone who reaches "
        "'flyte.home.example' could start every workflow and use every task secret; write flyte-home:auth.issuer and "
        "flyte-home:oidcClientSecret, or the reason why there is no login: pulumi config set --path "
        "flyte-home:ingress.withoutLogin.reason 'only my laptop reaches these hosts'"
    )


def test_an_ingress_with_a_login_needs_no_reason():
    found = ways(run(ingress={"controller": "traefik", "hosts": HOSTS}, auth=AUTH, oidcClientSecret="planted"))

    assert len(found) == 3
    assert all("flyte-home/without-login-reason" not in way["metadata"]["annotations"] for way in found.values())


def test_every_ingress_is_annotated_with_the_reason_why_there_is_no_login():
    reasons = {
        way["metadata"]["annotations"]["flyte-home/without-login-reason"] for way in ways(through("nginx")).values()
    }

    assert reasons == {REASON["reason"]}


def test_a_reason_is_rejected_when_there_is_a_login():
    ingress = {"controller": "traefik", "hosts": HOSTS, "withoutLogin": REASON}

    with pytest.raises(SettingsError, match=r"flyte-home:ingress\.withoutLogin\.reason: has no effect"):
        settings_from(*stack(ingress=ingress, auth=AUTH, oidcClientSecret="planted"))


def test_client_endpoints_are_rejected_when_there_is_an_ingress():
    endpoints = {"http": "https://flyte.elsewhere.example"}

    with pytest.raises(SettingsError, match="flyte-home:clientEndpoints: has no effect"):
        settings_from(
            *stack(ingress={"controller": "traefik", "hosts": HOSTS, "withoutLogin": REASON}, clientEndpoints=endpoints)
        )
