"""Login to Flyte."""

import base64
from typing import Any

import pytest
import trustme
import yaml
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from components.flyte.login_keys import login_keys
from ops.lib.recording import Recording, Secret
from settings import settings_from
from settings.errors import SettingsError
from tests.conftest import containers, run, stack
from tests.network import PLACES, allowed, policies_of

AUTH = {"issuer": "https://id.home.example/realms/home"}
PLANTED = "planted-oidc-secret"


def with_login(**settings: Any) -> Recording:
    return run(**{"auth": AUTH, "oidcClientSecret": PLANTED, **settings})


def values(recording: Recording) -> dict[str, Any]:
    return recording.one("Release").plain["values"]


def test_without_an_issuer_there_is_no_login(dev: Recording):
    inline = values(dev)["configuration"]["inline"]

    assert not dev.of("Auth")
    assert {"auth", "admin"} & set(inline) == set()
    assert "useAuth" not in inline["server"]["security"]


def test_flyte_uses_the_provider_and_requires_a_login():
    inline = values(with_login())["configuration"]["inline"]

    assert inline["server"]["security"]["useAuth"] is True
    openid = inline["auth"]["userAuth"]["openId"]
    assert openid["baseUrl"] == "https://id.home.example/realms/home"
    assert openid["clientId"] == "flyte"
    assert openid["scopes"] == ["openid", "profile"]


@pytest.mark.parametrize("login", [False, True])
def test_pages_of_other_sites_may_not_use_the_api(login: bool):
    inline = values(with_login() if login else run())["configuration"]["inline"]

    assert inline["server"]["security"]["allowCors"] is False
    if login:
        assert inline["auth"]["userAuth"]["cookieSetting"] == {"sameSitePolicy": "LaxMode"}


def test_tokens_are_issued_for_the_address_clients_use():
    at_home = values(with_login())["configuration"]["inline"]
    hosts = {"console": "flyte.home.example", "objectStore": "s3.home.example"}
    outside = with_login(ingress={"controller": "traefik", "hosts": hosts})

    assert at_home["auth"]["authorizedUris"] == ["http://127.0.0.1:8088"]
    assert at_home["server"]["security"]["insecureCookieHeader"] is True
    inline = values(outside)["configuration"]["inline"]
    assert inline["auth"]["authorizedUris"] == ["https://flyte.home.example"]
    assert inline["server"]["security"]["insecureCookieHeader"] is False
    assert yaml.safe_load(outside.outputs["clientConfig"])["admin"]["authType"] == "Pkce"


def test_login_secrets_are_encrypted_and_never_in_the_chart_values():
    found = with_login()
    secret = found.one("Secret", "auth")

    assert PLANTED not in str(found.one("Release").inputs)
    assert isinstance(secret.inputs["stringData"], Secret)
    assert secret.plain["stringData"]["oidc_client_secret"] == PLANTED
    assert [resource.name for resource in found.resources if PLANTED in str(resource.plain)] == ["auth"]


def test_the_built_in_client_of_flyte_gets_a_generated_secret_instead_of_the_default():
    found = with_login()
    files = found.one("Secret", "flyte-config").plain["stringData"]
    clients = yaml.safe_load(files["204-auth.yaml"])["auth"]["appAuth"]["selfAuthServer"]["staticClients"]

    # Flyte decodes byte values from base64 (https://github.com/flyteorg/flyte/blob/v1.16.8/flytestdlib/config/viper/viper.go).
    assert base64.b64decode(clients["flytepropeller"]["client_secret"]) == b"hash of generated"
    assert [name for name, client in clients.items() if client.get("public")] == ["flyte-cli", "flytectl"]
    assert found.one("Secret", "auth").plain["stringData"]["client_secret"] == "generated"


def test_login_keys_are_mounted_where_flyte_finds_them():
    found = values(with_login())
    (mount,) = [mount for mount in found["deployment"]["extraVolumeMounts"] if mount["name"] == "login"]
    inline = found["configuration"]["inline"]

    assert mount == {"name": "login", "mountPath": "/etc/flyte/login", "readOnly": True}
    assert inline["auth"]["userAuth"]["cookieHashKeySecretName"] == "cookie_hash_key"
    assert inline["secrets"]["secrets-prefix"] == mount["mountPath"]


def test_the_startup_probe_works_without_a_login(dev: Recording):
    probe = values(with_login())["deployment"]["startupProbe"]

    assert probe["httpGet"] == {"path": "/.well-known/oauth-authorization-server", "port": "http"}
    assert probe["failureThreshold"] == values(dev)["deployment"]["startupProbe"]["failureThreshold"]


def test_the_job_that_registers_the_buckets_logs_in():
    found = with_login()
    job = found.one("Job", "raw-outputs").plain
    (container,) = containers(job)
    (volume,) = [volume for volume in job["spec"]["template"]["spec"]["volumes"] if volume["name"] == "login"]

    assert {"name": "CLIENT_ID", "value": "flytepropeller"} in container["env"]
    # Only this key of the Secret is mounted.
    assert volume["secret"]["items"] == [{"key": "client_secret", "path": "client_secret"}]
    assert volume["secret"]["secretName"] == found.one("Secret", "auth").manifest["metadata"]["name"]


def test_flyte_can_reach_the_provider_only_where_the_settings_allow_it(dev: Recording):
    at_home = with_login(auth={**AUTH, "egress": {"internet": False, "networks": ["192.168.1.20/32"]}})

    assert not allowed(policies_of(dev), PLACES["flyte"], PLACES["internet"], 443)
    assert allowed(policies_of(with_login()), PLACES["flyte"], PLACES["internet"], 443)
    assert allowed(policies_of(at_home), PLACES["flyte"], PLACES["nas"], 443)
    assert not allowed(policies_of(at_home), PLACES["flyte"], PLACES["internet"], 443)


def test_a_private_certificate_authority_is_trusted_in_addition_to_the_public_ones():
    authority = trustme.CA().cert_pem.bytes().decode()
    found = with_login(auth={**AUTH, "caCertificate": authority})
    deployment = values(found)["deployment"]

    assert {"name": "SSL_CERT_DIR", "value": "/etc/flyte/trust"} in deployment["extraEnvVars"]
    (volume,) = [volume for volume in deployment["extraVolumes"] if volume["name"] == "login-trust"]
    assert volume["secret"]["items"] == [{"key": "ca.pem", "path": "ca.pem"}]
    assert found.one("Secret", "auth").plain["stringData"]["ca.pem"] == authority
    without = values(with_login())["deployment"]["extraEnvVars"]
    assert [variable for variable in without if variable["name"] == "SSL_CERT_DIR"] == []


def test_the_same_seed_gives_the_same_keys_and_a_different_seed_gives_different_keys():
    first, again, other = login_keys("seed"), login_keys("seed"), login_keys("other")

    assert first == again
    assert all(first[name] != other[name] for name in first)


def test_the_keys_have_the_format_that_flyte_reads():
    keys = login_keys("seed")
    key = load_pem_private_key(keys["token_rsa_key.pem"].encode(), None)

    assert keys["token_rsa_key.pem"].startswith("-----BEGIN RSA PRIVATE KEY-----")
    assert key.key_size == 2048
    lengths = {name: len(base64.b64decode(text + "==")) for name, text in keys.items() if not name.endswith(".pem")}
    assert lengths == {"claim_symmetric_key": 32, "cookie_hash_key": 64, "cookie_block_key": 32}
    assert not [text for text in keys.values() if text.endswith("=")]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"auth": AUTH}, "flyte-home:oidcClientSecret: is missing"),
        ({"oidcClientSecret": PLANTED}, "flyte-home:oidcClientSecret: has no effect"),
        ({"auth": {"issuer": "http://id.home.example"}, "oidcClientSecret": PLANTED}, "has no TLS"),
        ({"auth": {"issuer": "id.home.example"}, "oidcClientSecret": PLANTED}, "is not the address of a provider"),
    ],
)
def test_a_half_configured_login_is_rejected(settings: dict[str, Any], said: str):
    with pytest.raises(SettingsError, match=said) as refused:
        settings_from(*stack(**settings))

    assert PLANTED not in str(refused.value)


def test_a_provider_in_the_cluster_does_not_need_tls():
    issuer = "http://dex.dex.svc.cluster.local:5556/dex"

    assert with_login(auth={"issuer": issuer}).one("Auth")
