"""The doctor's checks for the tasks: the webhook and its certificate, log links, and secrets."""

import base64
import datetime
import json
from typing import Any

import pytest

from components.flyte.webhook_certificate import webhook_certificate
from ops.doctor.certificate import check_certificate
from ops.doctor.check import Result
from ops.doctor.log_links import check_log_links
from ops.doctor.task_secrets import check_secrets
from ops.doctor.webhook import check_admission, check_webhook
from settings import SAMPLE_CREDENTIALS
from tests.certificates import issued
from tests.commands.test_client import Hello
from tests.kubectl import FakeCluster, examined, states
from tests.processes import free_port, serving

NOW = datetime.datetime(2026, 11, 21, tzinfo=datetime.UTC)
MOUNT = {"name": "tidal", "secret": {"secretName": "tidal-creds"}}


def webhook(side_effects: str = "NoneOnDryRun", bundle: str = "") -> dict[str, Any]:
    return {"webhooks": [{"sideEffects": side_effects, "clientConfig": {"caBundle": bundle}}]}


def mutated(given: str) -> str:
    """The API server's answer if the webhook works: each pod with the volume of the secret."""
    pods = json.loads(given)["items"]
    for pod in pods:
        pod["spec"]["volumes"] = [MOUNT]
    return json.dumps({"kind": "List", "items": pods})


def asking(answer: Any, error: str = "", **changed: Any) -> tuple[list[Result], FakeCluster]:
    cluster = FakeCluster()
    cluster.on("get mutatingwebhookconfiguration", webhook())
    cluster.on("create --dry-run=server", answer, error)
    return list(check_webhook(examined(cluster, **changed))), cluster


def test_a_pod_that_asks_for_a_secret_gets_it_in_every_task_namespace():
    said, _ = asking(mutated, domains=["development", "production"])

    assert [(one.state, one.says) for one in said] == [
        ("ok", "pods get their secrets in remedy-development, remedy-production")
    ]


def test_the_pod_asks_for_its_secret_like_a_pod_of_flyte():
    given: list[str] = []

    asking(lambda text: given.append(text) or mutated(text))

    (pod,) = json.loads(given[0])["items"]
    assert pod["metadata"]["labels"] == {"inject-flyte-secrets": "true"}
    # Request of flytekit and Flyte for the key json of the group tidal-creds, as a file.
    assert pod["metadata"]["annotations"] == {
        "flyte.secrets/s0": "m4zg54lqhiqce4djmrqwylldojswi3zcbjvwk5j1eargu32pny"
        "rau2lpovxhix2smvyxk1lsmvwwk2tuhiqemskmiufa"
    }


def test_a_pod_created_without_its_secret_is_wrong():
    said, _ = asking(lambda given: given)

    assert said[0].says == "a pod in remedy-development that asks for a secret is created without it"


@pytest.mark.parametrize(
    ("error", "command"),
    [
        ('pods "flyte-home-doctor" is forbidden: exceeded quota: remedy-development', "describe quota"),
        (
            'failed calling webhook "flyte-pod-webhook.flyte.org": no endpoints available',
            "logs deployment/flyte-binary",
        ),
    ],
)
def test_a_rejected_pod_is_reported_with_the_reason(error: str, command: str):
    (said,), _ = asking("", error)

    assert said.says == f"a pod in remedy-development that asks for a secret is rejected: {error}"
    assert command in said.remedy


def refused(namespace: str) -> str:
    return f"pods \"flyte-home-doctor\" is forbidden: ValidatingAdmissionPolicy 'flyte-home-task-pods' in {namespace}"


@pytest.mark.parametrize(
    ("answer", "error", "state", "says"),
    [
        ("", refused("remedy-development"), "ok", "are rejected"),
        (lambda given: given, "", "wrong", "nothing limits the pods of tasks in remedy-development"),
        ("", "the server is away", "wrong", "rejected for another reason: the server is away"),
    ],
)
def test_a_pod_with_a_secret_of_others_must_be_rejected(answer: Any, error: str, state: str, says: str):
    cluster = FakeCluster()
    cluster.on("create --dry-run=server", answer, error)
    (said,) = check_admission(examined(cluster))

    assert said.state == state
    assert says in said.says


def test_an_unregistered_webhook_is_fixed_with_up():
    cluster = FakeCluster()
    cluster.on("get mutatingwebhookconfiguration", "")
    (said,) = check_webhook(examined(cluster))

    assert said.says == "mutatingwebhookconfiguration/flyte-binary-webhook is not registered"
    assert said.remedy == "make up STACK=dev"
    assert states(list(check_certificate(examined(cluster)))) == ["wrong"]


@pytest.mark.parametrize(("ready", "state"), [(True, "remark"), (False, "wrong")])
def test_a_webhook_with_side_effects_is_not_called(ready: bool, state: str):
    cluster = FakeCluster()
    cluster.on("get mutatingwebhookconfiguration", webhook("Some"))
    cluster.on(
        "get endpointslices", {"items": [{"endpoints": [{"conditions": {"ready": ready}}]}, {"endpoints": None}]}
    )
    (said,) = check_webhook(examined(cluster))

    assert said.state == state


# --- the certificate ----------------------------------------------------------------------------------------------


def certified(own: bytes, bundle: bytes | None = None) -> list[Result]:
    cluster = FakeCluster()
    expected = base64.b64encode(own if bundle is None else bundle).decode()
    cluster.on("get mutatingwebhookconfiguration", webhook(bundle=expected))
    mount = {"name": "certificate", "secret": {"secretName": "webhook-certificate-1"}}
    deployment = {
        "kind": "Deployment",
        "metadata": {"name": "flyte-webhook-1"},
        "spec": {"template": {"spec": {"volumes": [mount]}}},
    }
    cluster.on("get --namespace=flyte --output=json", {"items": [deployment]})
    cluster.on("get secret webhook-certificate-1", base64.b64encode(own).decode())
    return list(check_certificate(examined(cluster), NOW))


def test_the_stacks_own_certificate_is_ok():
    public, _ = webhook_certificate("seed", "flyte-webhook-1.flyte.svc")

    assert [(one.state, one.says) for one in certified(public.encode())] == [("ok", "the webhook's, until 9999-12-31")]


@pytest.mark.parametrize(
    ("days", "state", "says"),
    [(31, "ok", "until"), (29, "remark", "expires on 2026-12-20"), (-1, "wrong", "expired on 2026-11-20")],
)
def test_a_certificate_gets_a_remark_30_days_before_it_expires_and_is_wrong_afterwards(
    days: int, state: str, says: str
):
    (said,) = certified(issued(NOW + datetime.timedelta(days=days, hours=1)))

    assert said.state == state
    assert says in said.says


def test_a_certificate_that_the_api_server_does_not_expect_is_wrong():
    (said,) = certified(issued(NOW.replace(year=2030)), issued(NOW.replace(year=2030)))

    assert (
        said.says == "the webhook's certificate is not issued by the authority that the API server expects (caBundle)"
    )
    assert said.remedy == "pulumi config set --path flyte-home:generations.webhook 2 --stack dev && make up STACK=dev"


def test_a_certificate_for_another_host_is_wrong():
    (said,) = certified(issued(NOW.replace(year=2030), "another.flyte.svc"))

    assert said.says == "the webhook's certificate is not for flyte-webhook-1.flyte.svc"


def test_an_invalid_certificate_is_wrong():
    (said,) = certified(b"planted")

    assert said.state == "wrong"
    assert "is missing or invalid" in said.says


# --- log links and secrets ----------------------------------------------------------------------------------------


def test_a_log_link_is_checked_without_its_path():
    with serving(Hello) as address:
        links = [("Loki", f"{address}/explore?pod={{{{ .podName }}}}"), ("here", "https://{{ .hostname }}/x")]
        said = list(check_log_links(examined(), links))

    assert states(said) == ["remark", "ok"]
    assert said[1].says == f"Loki at {address}"


def test_a_log_link_that_leads_nowhere_is_wrong():
    (said,) = check_log_links(examined(), [("Loki", f"http://127.0.0.1:{free_port()}/x")])

    assert said.state == "wrong"
    assert said.says.startswith("the log link 'Loki' leads to http://127.0.0.1:")
    assert states(list(check_log_links(examined(), []))) == ["ok"]


def with_secret(value: str | None) -> list[Result]:
    cluster = FakeCluster()
    data = {} if value is None else {"json": base64.b64encode(value.encode()).decode()}
    cluster.on("get secret", {"items": [{"metadata": {"name": "tidal-creds"}, "data": data}]})
    return list(check_secrets(examined(cluster)))


@pytest.mark.parametrize(
    ("value", "state", "says"),
    [
        ('{"token": "planted"}', "ok", "1 keys in 1 namespaces"),
        (None, "wrong", "tidal-creds/json in remedy-development is missing"),
        (" ", "wrong", "tidal-creds/json in remedy-development is empty"),
        ("planted", "wrong", "tidal-creds/json in remedy-development is not JSON"),
        ('["planted"]', "wrong", "tidal-creds/json in remedy-development is JSON, but not an object"),
        (SAMPLE_CREDENTIALS, "remark", "flyte-home:tidalCreds holds the sample, which gives no access to anything"),
    ],
)
def test_a_task_secret_must_exist_with_valid_content(value: str | None, state: str, says: str):
    said = with_secret(value)

    assert (said[0].state, said[0].says) == (state, says)
    assert "planted" not in "".join(one.says + one.remedy for one in said)


def test_the_fix_deletes_a_wrong_secret_first_and_only_creates_a_missing_one():
    assert with_secret(None)[0].remedy == "make up STACK=dev"
    assert with_secret("x")[0].remedy.endswith(
        "delete secret tidal-creds --namespace remedy-development && make up STACK=dev"
    )


def test_secrets_in_another_secret_manager_are_not_checked():
    (said,) = check_secrets(examined(secretManager={"type": "GCP"}, tidalCreds=None))

    assert said.says == "the task secrets are in GCP"


def test_unreadable_secrets_are_reported():
    cluster = FakeCluster()
    cluster.on("get secret", error="secrets is forbidden")
    with pytest.raises(Exception, match="the Secrets in remedy-development cannot be read: secrets is forbidden"):
        list(check_secrets(examined(cluster)))
