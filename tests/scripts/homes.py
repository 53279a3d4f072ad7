"""Fixtures of the tests of the backup."""

import itertools
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import workspace
from tests.scripts.backup import Home, Servers
from tests.scripts.store import stopped_store
from tests.scripts.test_postgres_scripts import Cluster, binaries, pristine, uid

__all__ = ["binaries", "home", "pristine", "servers", "uid"]
_NUMBERS = itertools.count(1)


@pytest.fixture(scope="module")
def servers(binaries: Path, uid: int | None, pristine: Path) -> Iterator[Servers]:
    """A database, an object store and a target, which the tests of a file share."""
    with workspace(uid) as work, stopped_store() as store, stopped_store() as target:
        subprocess.run(["cp", "-R", "-p", str(pristine), str(work.path / "data")], check=True, **work.identity)
        database = Cluster(binaries, work, work.path / "data")
        try:
            database.start()
            yield Servers(database, store, target)
        finally:
            database.stop()


@pytest.fixture
def home(servers: Servers, binaries: Path) -> Iterator[Home]:
    """A stack with Flyte's empty tables, without buckets, and with an empty repository in a claim."""
    servers.reset()
    with workspace() as work:
        yield Home(servers, work, binaries, f"backups-{next(_NUMBERS)}")
