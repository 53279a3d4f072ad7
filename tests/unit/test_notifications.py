"""Mails about executions."""

import base64
import json
from typing import Any

import pytest
import trustme

from ops.lib.recording import Recording
from settings import rules, settings_from
from settings.errors import SettingsError
from tests.conftest import run, stack

PLANTED = "planted-smtp-password"
MAIL = {"host": "mail.home.example", "sender": "flyte@home.example"}
CERTIFICATE = trustme.CA(key_type=trustme.KeyType.ECDSA).cert_pem.bytes().decode()


def with_mail(**settings: Any) -> Recording:
    return run(**{"notifications": {**MAIL, "user": "flyte"}, "smtpPassword": PLANTED, **settings})


def values(recording: Recording) -> dict[str, Any]:
    found: dict[str, Any] = recording.one("Release").plain["values"]
    return found


def complaint(**settings: Any) -> str:
    with pytest.raises(SettingsError) as caught:
        settings_from(*stack(**settings))
    return str(caught.value)


def test_by_default_flyte_sends_no_mails(dev: Recording):
    assert "notifications" not in values(dev)["configuration"]["inline"]
    assert not [found for found in dev.resources if found.type == "flyte-home:index:Mail"]


def test_flyte_sends_mails_through_the_server_of_the_settings():
    notifications = values(with_mail())["configuration"]["inline"]["notifications"]

    assert notifications["type"] == "sandbox"
    assert notifications["emailer"]["sender"] == "flyte@home.example"
    assert notifications["emailer"]["emailServerConfig"] == {
        "serviceName": "smtp",
        "smtpServer": "mail.home.example",
        "smtpPort": "587",
        "smtpSkipTLSVerify": False,
        "smtpUsername": "flyte",
        "smtpPasswordSecretName": "../mail/password",
    }


def test_flyte_finds_the_password_below_the_folder_of_its_secrets():
    found = values(with_mail())
    prefix = found["configuration"]["inline"]["secrets"]["secrets-prefix"]
    (mount,) = [one for one in found["deployment"]["extraVolumeMounts"] if one["name"] == "mail"]

    assert prefix == "/etc/flyte/login"
    assert mount == {"name": "mail", "mountPath": "/etc/flyte/mail", "readOnly": True}


def test_the_text_of_a_mail_reaches_flyte_with_its_placeholders_and_links_to_the_console():
    emailer = values(with_mail())["configuration"]["inline"]["notifications"]["emailer"]
    # As Helm's tpl shows it to Flyte.
    body = emailer["body"].replace("{{`{{`}}", "{{")

    assert "{{ error }}" in body
    assert "http://127.0.0.1:8088/console/projects/{{ project }}/domains/{{ domain }}/executions/{{ name }}" in body
    assert "{{ phase }}" in emailer["subject"].replace("{{`{{`}}", "{{")
    assert "{{ project" not in emailer["body"]


def test_the_password_is_only_in_a_secret_whose_name_changes_with_it():
    recording = with_mail()
    (secret,) = [one for one in recording.of("Secret") if one.name == "mail"]
    rest = json.dumps([one.plain for one in recording.resources if one is not secret])

    assert secret.plain["stringData"] == {"password": PLANTED}
    assert secret.plain["immutable"] is True
    assert "name" not in secret.inputs["metadata"]
    assert PLANTED not in rest
    assert base64.b64encode(PLANTED.encode()).decode() not in rest


def test_flyte_trusts_the_private_authorities_of_the_provider_and_of_the_mail_server():
    recording = run(
        notifications={**MAIL, "caCertificate": CERTIFICATE},
        auth={"issuer": "https://id.home.example", "caCertificate": CERTIFICATE},
        oidcClientSecret="planted-oidc",
    )
    deployment = values(recording)["deployment"]

    assert {"name": "SSL_CERT_DIR", "value": "/etc/flyte/trust:/etc/flyte/mail-trust"} in deployment["extraEnvVars"]
    mounts = {one["mountPath"] for one in deployment["extraVolumeMounts"]}
    assert {"/etc/flyte/trust", "/etc/flyte/mail-trust", "/etc/flyte/login", "/etc/flyte/mail"} <= mounts


@pytest.mark.parametrize(
    ("host", "rule"),
    [
        ("192.168.1.25", {"to": [{"ipBlock": {"cidr": "192.168.1.25/32"}}], "ports": [{"port": 587}]}),
        ("mail.home.example", {"ports": [{"port": 587}]}),
    ],
)
def test_flyte_may_connect_to_the_mail_server(host: str, rule: dict[str, Any]):
    (policy,) = [
        one.plain
        for one in run(notifications={**MAIL, "host": host}).of("NetworkPolicy")
        if one.name.endswith("-flyte-binary")
    ]

    assert rule in policy["spec"]["egress"]


def test_without_a_mail_server_flyte_may_connect_to_none(dev: Recording):
    (policy,) = [one.plain for one in dev.of("NetworkPolicy") if one.name.endswith("-flyte-binary")]

    assert not [rule for rule in policy["spec"]["egress"] if rule["ports"] == [{"port": 587}]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (
            {"notifications": {"host": "", "sender": "flyte@home.example"}},
            "flyte-home:notifications: has sender, but no host, so that there are no mails and sender has no effect",
        ),
        ({"notifications": {"host": "mail.home"}}, "flyte-home:notifications: has a host, but no sender; write one"),
        (
            {"notifications": {**MAIL, "host": "mail.home:587"}},
            "is not the host of a mail server; write it like mail.home.example, without a port",
        ),
        ({"notifications": {**MAIL, "host": "smtp://mail.home"}}, "is not the host of a mail server"),
        ({"notifications": {**MAIL, "host": "fd00::1"}}, "is not the host of a mail server"),
        ({"notifications": {**MAIL, "port": 465}}, "notifications.port: 465 is for TLS from the first byte, which Fl"),
        ({"notifications": {**MAIL, "port": 0}}, "flyte-home:notifications.port"),
        ({"notifications": {**MAIL, "sender": "Flyte <flyte@home.example>"}}, "is not the address of a mailbox"),
        (
            {"notifications": {**MAIL, "user": "flyte"}},
            "flyte-home:smtpPassword: is missing or empty, but flyte-home:notifications.user needs it; write pulumi "
            "config set --secret flyte-home:smtpPassword",
        ),
        ({"notifications": MAIL, "smtpPassword": PLANTED}, "flyte-home:smtpPassword: has no effect without"),
        ({"smtpPassword": PLANTED}, "flyte-home:smtpPassword: has no effect without flyte-home:notifications.user"),
        (
            {"notifications": {**MAIL, "user": "flyte"}, "smtpPassword": "planted\npassword"},
            "flyte-home:smtpPassword: has a line break or another control character",
        ),
        ({"notifications": {**MAIL, "caCertificate": "planted"}}, "flyte-home:notifications.caCertificate: "),
        (
            {"notifications": {**MAIL, "caCertificate": CERTIFICATE, "verifyCertificate": False}},
            "flyte-home:notifications.caCertificate: has no effect, because",
        ),
    ],
)
def test_a_wrong_mail_server_is_rejected_with_the_remedy_and_without_the_password(changed: dict[str, Any], said: str):
    message = complaint(**changed)

    assert said in message
    assert "planted" not in message


def test_a_server_that_is_not_verified_is_named():
    found = settings_from(*stack(notifications={**MAIL, "verifyCertificate": False}))

    assert [one for one in rules.warnings(found) if "notifications.verifyCertificate is false" in one]
