"""The modes of a stack's database and object store that its whole life is tried in."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.engine.conftest import Cluster, kubectl
from tests.engine.outside import DATABASE, HOST, REGION, outside_database, outside_store
from tests.external_store import external, key

OPERATOR = ["deployment", "--namespace=cnpg-system", "--selector=app.kubernetes.io/name=cloudnative-pg"]
"""The operator CloudNativePG, as kubectl's arguments name it."""
DOMAINS = ("development", "staging", "production")


@dataclass(frozen=True)
class Mode:
    """What is different in a mode."""

    settings: Mapping[str, Any] = field(default_factory=dict)
    """Settings of the stack."""
    database_pod: tuple[str, str] = ("postgres-0", "flyte")
    """A pod of the database, in which a login can be tried, and its namespace."""
    database: str = "app.kubernetes.io/name=postgres"
    """Label of the database's pods in the platform namespace; empty if it has none there."""
    bundled_store: bool = True
    """Whether the object store is in the platform namespace."""
    rotated: frozenset[str] = frozenset({"StatefulSet:postgres"})
    """What a new password of the database changes, besides its Secret and Flyte."""
    another_project: Mapping[str, Any] = field(default_factory=dict)
    """Settings that the project ``other`` needs."""
    generated: int = 5
    """The least number of secrets that the stack generates."""
    set_password: Callable[[str], None] = lambda _: None
    """Gives the role of the database another password, where the stack does not."""


@contextmanager
def bundled(_cluster: Cluster, _password: str) -> Iterator[Mode]:
    """Both servers are the stack's own."""
    yield Mode()


@contextmanager
def external_database(cluster: Cluster, password: str) -> Iterator[Mode]:
    """The database is on a server outside of the stack."""
    with outside_database(cluster, password) as server:
        yield Mode(
            {"postgres": server.settings},
            ("postgres", DATABASE),
            database="",
            rotated=frozenset(),
            generated=4,
            set_password=server.set_password,
        )
        # A destroy leaves the rows where they are.
        assert int(server.sql("SELECT count(*) FROM projects WHERE identifier = 'remedy'", "flyte")) == 1


@contextmanager
def cloudnative_pg(cluster: Cluster, _password: str) -> Iterator[Mode]:
    """The database is a cluster of an operator."""
    require_operator(cluster)
    yield Mode(
        {"postgres": {"mode": "cloudnative-pg", "volume": {"size": "2Gi"}}},
        ("postgres-1", "flyte"),
        database="cnpg.io/cluster=postgres",
        rotated=frozenset({"Secret:postgres-owner", "Job:postgres-login"}),
        generated=4,
    )


@contextmanager
def external_store(cluster: Cluster, _password: str) -> Iterator[Mode]:
    """The object store is outside of the stack."""
    others = [f"other-{domain}" for domain in DOMAINS]
    buckets = ["flyte", *(f"remedy-{domain}" for domain in DOMAINS), *others]
    with outside_store(cluster, ["flyte", *DOMAINS, *others], buckets) as authority:
        address = f"https://{HOST}:9000"
        described = {"endpoint": address, "clientEndpoint": address, "networks": [], "region": REGION}
        yield Mode(
            external(*DOMAINS, **described, certificateAuthority=authority),
            bundled_store=False,
            another_project={f"objectStoreKey__other__{domain}": key(f"other-{domain}") for domain in DOMAINS},
            generated=2,
        )


MODES = {
    "bundled": bundled,
    "external-database": external_database,
    "cloudnative-pg": cloudnative_pg,
    "external-store": external_store,
}
"""The modes by name. Each starts the servers that it needs outside of the stack."""


def require_operator(cluster: Cluster) -> None:
    """Skip the test on a cluster without the operator CloudNativePG."""
    if not kubectl(cluster.kubeconfig, "get", *OPERATOR, "--output=name").strip():
        pytest.skip(
            "needs the operator CloudNativePG in the namespace cnpg-system, for example from the manifest "
            "releases/cnpg-1.30.0.yaml of github.com/cloudnative-pg/cloudnative-pg"
        )
