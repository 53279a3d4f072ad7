"""With roles of AWS, a task pod may have one token: that which AWS accepts. A real API server decides, by dry runs."""

from collections.abc import Iterator
from typing import Any

import pytest

from tests.api_server import ApiServer, api_server
from tests.apiserver.test_task_pods import ALLOWED, said, volume
from tests.conftest import run
from tests.external_store import iam
from tests.matrix import objects
from tests.processes import wait_until

NAMESPACE = "remedy-development"


@pytest.fixture(scope="module")
def roles() -> Iterator[ApiServer]:
    found = list(objects(run(**iam())).values())
    kinds = ("ServiceAccount", "ValidatingAdmissionPolicy", "ValidatingAdmissionPolicyBinding")
    with api_server() as started:
        started.make_namespaces(manifest for manifest in found if manifest["kind"] == "Namespace")
        assert started.apply([one for one in found if one["kind"] in kinds], dry_run=False) == []
        wait_until(lambda: said(started, NAMESPACE, {"nodeName": "any"}) != ALLOWED, "the policy", 30)
        yield started


def token(**source: Any) -> dict[str, Any]:
    """A volume with a token, as the webhook of EKS adds it."""
    return volume(projected={"sources": [{"serviceAccountToken": {"path": "token", **source}}]})


def test_a_task_gets_the_token_for_its_role(roles: ApiServer):
    assert said(roles, NAMESPACE, token(audience="sts.amazonaws.com", expirationSeconds=86400)) == ALLOWED


@pytest.mark.parametrize("source", [{}, {"audience": "vault"}, {"audience": "https://kubernetes.default.svc"}])
def test_a_task_gets_no_other_token(roles: ApiServer, source: dict[str, Any]):
    assert "it has a service account token" in said(roles, NAMESPACE, token(**source))
