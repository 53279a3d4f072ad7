"""The doctor's checks of what a home has: GPUs, a mail server, registries."""

import json
from typing import Any

import pytest

from ops.doctor.check import Result
from ops.doctor.gpus import check_gpus
from ops.doctor.mail import check_mail
from ops.doctor.servers import check_server
from ops.lib.pull_problems import pull_problem
from tests.kubectl import FakeCluster, examined

GPUS: dict[str, Any] = {"projects": [{"name": "vision", "gpus": 2}], "tidalCreds": None}
MAIL: dict[str, Any] = {
    "notifications": {"host": "mail.home.example", "sender": "flyte@home.example", "user": "flyte"},
    "smtpPassword": "planted-smtp-password",
}


def nodes(**allocatable: str) -> dict[str, Any]:
    """Nodes that offer GPUs, by their names."""
    return {
        "items": [
            {"metadata": {"name": name}, "status": {"allocatable": {"cpu": "4", "nvidia.com/gpu": count}}}
            for name, count in allocatable.items()
        ]
    }


def gpus(found: dict[str, Any], **changed: Any) -> list[Result]:
    cluster = FakeCluster()
    cluster.on("get runtimeclass")
    cluster.on("get runtimeclass nvidia", "runtimeclass.node.k8s.io/nvidia")
    cluster.on("get nodes", found)
    return list(check_gpus(examined(cluster, **{**GPUS, **changed})))


def test_a_node_with_enough_gpus_is_named():
    (said,) = gpus(nodes(first="0", second="2"), gpus={"runtimeClass": "nvidia"})

    assert (said.state, said.says) == ("ok", "second offers 2")


def test_a_device_that_no_node_offers_is_wrong_and_the_setting_is_named():
    (said,) = gpus(nodes(first="2"), gpus={"resourceName": "amd.com/gpu"})

    assert said.state == "wrong"
    assert said.says.startswith("no node offers amd.com/gpu, so a task with a GPU never starts")
    assert "flyte-home:gpus.resourceName" in said.says
    assert "get nodes" in said.remedy


def test_more_gpus_for_a_task_than_any_node_has_are_a_remark():
    (said,) = gpus(nodes(first="1", second="1"))

    assert said.state == "remark"
    assert "a task may request 2 of nvidia.com/gpu, but no node offers more than 1" in said.says


def test_a_runtime_class_that_does_not_exist_is_wrong():
    (said,) = gpus(nodes(first="2"), gpus={"runtimeClass": "nvidia-cdi"})

    assert said.state == "wrong"
    assert "there is no RuntimeClass nvidia-cdi" in said.says
    assert "flyte-home:gpus.runtimeClass" in said.says


def test_a_user_who_may_not_see_nodes_gets_a_remark():
    cluster = FakeCluster()
    cluster.on("get nodes", error="Error from server (Forbidden)")

    (said,) = check_gpus(examined(cluster, **GPUS))

    assert said.state == "remark"


def mails(*errors: str) -> Result:
    lines = [json.dumps({"json": {"src": "smtp_emailer.go:103"}, "level": "error", "msg": error}) for error in errors]
    cluster = FakeCluster()
    cluster.on("logs deployment/flyte-binary", "\n".join(["not JSON: Error creating email client: x", *lines]))
    (said,) = check_mail(examined(cluster, **MAIL))
    assert "planted" not in said.says + said.remedy
    return said


def test_without_an_error_in_flytes_log_no_mail_was_lost():
    said = mails()

    assert said.state == "ok"
    assert "mail.home.example:587" in said.says


@pytest.mark.parametrize(
    ("error", "why", "remedy"),
    [
        (
            'Error authenticating email client: 535 "5.7.8 Authentication credentials invalid"',
            '535 "5.7.8 Authentication credentials invalid"',
            "pulumi config set --secret flyte-home:smtpPassword --stack dev && make up STACK=dev",
        ),
        (
            "Error authenticating email client: unencrypted connection",
            "unencrypted connection",
            "# without STARTTLS, Flyte sends no password; the server may offer it at another port: pulumi config set "
            "--path flyte-home:notifications.port 587 --stack dev",
        ),
        (
            "Error initiating connection to SMTP server: tls: failed to verify certificate: x509: certificate signed "
            "by unknown authority",
            "x509: certificate signed by unknown authority",
            "pulumi config set --path flyte-home:notifications.caCertificate --stack dev "
            "< authority.pem && make up STACK=dev",
        ),
        (
            "Error creating email client: dial tcp 192.168.1.25:587: connect: connection refused",
            "connection refused",
            "# does the mail server run? If it has moved: pulumi config set --path flyte-home:notifications.port 587 "
            "--stack dev && make up STACK=dev",
        ),
        (
            "Error creating email instance: 550 sender rejected",
            "550 sender rejected",
            "# the mail server rejects the sender or a recipient; the sender is flyte-home:notifications.sender, then "
            "make up STACK=dev",
        ),
    ],
)
def test_the_last_reason_why_a_mail_was_lost_is_shown_with_its_remedy(error: str, why: str, remedy: str):
    said = mails("Error creating email client: dial tcp: lookup mail: no such host", error)

    assert said.state == "wrong"
    assert why in said.says
    assert said.remedy == remedy


def test_a_log_that_cannot_be_read_is_a_remark():
    cluster = FakeCluster()
    cluster.on("logs", error="Error from server (Forbidden)")

    (said,) = check_mail(examined(cluster, **MAIL))

    assert said.state == "remark"


def server(message: str, **changed: Any) -> Result:
    """What the doctor says about MinIO, whose image comes from registry.home and cannot be pulled."""
    image = "registry.home:5000/silo:1"
    labels = {"app.kubernetes.io/name": "minio"}
    waiting = {"waiting": {"reason": "ErrImagePull", "message": message}}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "minio-0", "uid": "1", "labels": labels, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "minio", "image": image, "state": waiting}]},
    }
    stateful = {
        "kind": "StatefulSet",
        "metadata": {"name": "minio", "generation": 1},
        "spec": {"replicas": 1, "selector": {"matchLabels": labels}, "template": {"spec": {"containers": []}}},
        "status": {"readyReplicas": 0},
    }
    cluster = FakeCluster()
    cluster.on("get", {"items": [stateful, pod]})
    cluster.on("get nodes", {"items": []})
    (said,) = check_server(examined(cluster, **changed), "minio")
    assert said.state == "wrong"
    return said


UNAUTHORIZED = (
    'failed to pull and unpack image "registry.home:5000/silo:1": failed to resolve reference '
    '"registry.home:5000/silo:1": pull access denied, repository does not exist or may require authorization: '
    "authorization failed: no basic auth credentials"
)


def test_a_registry_that_rejects_the_login_leads_to_the_password():
    registries = {"logins": [{"host": "registry.home:5000", "user": "flyte"}]}
    said = server(UNAUTHORIZED, registries=registries, registryPassword="planted")

    assert said.remedy == (
        "pulumi config set --secret flyte-home:registryPassword --stack dev && make up STACK=dev  # if "
        "registry.home:5000 has the image"
    )


def test_a_registry_without_a_login_leads_to_the_setting():
    said = server(UNAUTHORIZED)

    assert said.remedy.startswith("pulumi config set --path flyte-home:registries.logins[0].host registry.home:5000")


def test_a_registry_that_the_node_does_not_trust_leads_to_the_node():
    said = server(
        "failed to do request: tls: failed to verify certificate: x509: certificate signed by unknown authority"
    )

    assert "# each node must trust the certificate of registry.home:5000" in said.remedy


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("unexpected status from HEAD request to https://registry.home/v2/x: 401 Unauthorized", "login"),
        ("403 Forbidden", "login"),
        ("http: server gave HTTP response to HTTPS client", "certificate"),
        ("x509: certificate has expired, authorization failed", "certificate"),
        ("manifest unknown", ""),
        ("", ""),
    ],
)
def test_what_keeps_an_image_from_being_pulled_is_told_from_the_message(message: str, problem: str):
    assert pull_problem(message) == problem
