"""What every component of the database registers: the contract, by which a move finds the server."""

from collections.abc import Mapping
from typing import Any

import pulumi
import pytest

from tests.conftest import run

EXTERNAL = {"mode": "external", "external": {"host": "db.home.example", "tls": {"mode": "disable"}}}
PASSWORD = "planted-password"


@pytest.mark.parametrize(
    ("settings", "host"),
    [
        ({"postgres": {"mode": "bundled"}}, "postgres.flyte.svc"),
        ({"postgres": {"mode": "cloudnative-pg"}}, "postgres-rw.flyte.svc"),
        ({"postgres": EXTERNAL}, "db.home.example"),
    ],
    ids=["bundled", "cloudnative-pg", "external"],
)
def test_each_mode_registers_the_whole_contract_without_the_password(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, Any], host: str
):
    found: list[Mapping[str, Any]] = []
    register = pulumi.ComponentResource.register_outputs

    def registered(self: pulumi.ComponentResource, outputs: Mapping[str, Any]) -> None:
        if "credentials" in outputs:
            pulumi.Output.all(**outputs).apply(found.append)
        register(self, outputs)

    monkeypatch.setattr(pulumi.ComponentResource, "register_outputs", registered)

    run(postgresPassword=PASSWORD, **settings)

    (contract,) = found
    assert {"host", "port", "database", "username", "credentials", "tls", "authority"} <= {*contract}
    assert (contract["host"], contract["port"], contract["database"]) == (host, 5432, "flyte")
    assert PASSWORD not in str(contract)
