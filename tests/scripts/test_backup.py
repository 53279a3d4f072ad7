"""The commands of docs/backup.md, exactly as written there, against real servers."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from paths import ROOT
from tests.papers import the_command
from tests.scripts.store import ROOT_PASSWORD, Store, stopped_store
from tests.scripts.test_postgres_scripts import (  # noqa: F401 (fixtures)
    FLYTE,
    Cluster,
    binaries,
    cluster,
    pristine,
    running,
    uid,
)


def documented(part: str) -> str:
    """The only command of the document that contains this text."""
    return the_command(ROOT / "docs" / "backup.md", part)


def in_the_pod(database: Cluster, line: str, folder: Path) -> None:
    """Run the part of the line that runs in the pod, including its redirections."""
    inside = line.split(" -- ")[1]
    program, _, rest = inside.partition(" ")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{database._binaries / program} {rest}"],
        env=database.env,
        cwd=folder,
        capture_output=True,
        text=True,
        **database.work.identity,
    )
    assert done.returncode == 0, done.stderr


def test_a_dump_of_the_database_restores_exactly_its_content(running: Cluster):  # noqa: F811
    running.ensure_roles()
    folder = running.work.folder("dumps")
    assert running.login("flyte", FLYTE, statement="CREATE TABLE runs AS SELECT 1 AS id").returncode == 0

    in_the_pod(running, documented("pg_dump"), folder)
    changed = "INSERT INTO runs VALUES (2); CREATE TABLE later (id int)"
    assert running.login("flyte", FLYTE, statement=changed).returncode == 0
    in_the_pod(running, documented("pg_restore"), folder)

    assert running.login("flyte", FLYTE, statement="SELECT id FROM runs").stdout == "1\n"
    assert running.login("flyte", FLYTE, statement="INSERT INTO runs VALUES (3)").returncode == 0  # still the owner


def test_a_dump_can_be_restored_into_the_empty_database_of_a_new_stack(running: Cluster):  # noqa: F811
    running.ensure_roles()
    folder = running.work.folder("dumps")
    assert running.login("flyte", FLYTE, statement="CREATE TABLE runs AS SELECT 1 AS id").returncode == 0
    in_the_pod(running, documented("pg_dump"), folder)
    running.sql("DROP DATABASE flyte")
    running.ensure_roles()

    in_the_pod(running, documented("pg_restore"), folder)

    assert running.login("flyte", FLYTE, statement="SELECT id FROM runs").stdout == "1\n"


@pytest.fixture
def store() -> Iterator[Store]:
    with stopped_store() as made:
        made.start()
        yield made


def test_the_buckets_are_restored_with_their_content(store: Store, tmp_path: Path):
    store.provision()
    store.root("pipe", "store/flyte/metadata/a", text="content")
    environment = os.environ | {"MC_CONFIG_DIR": str(tmp_path / "mc")}

    def typed(line: str, answers: str = "") -> None:
        words = [store._client, *line.replace("http://127.0.0.1:9000", store.url).split()[1:]]
        done = subprocess.run(words, input=answers, env=environment, cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    typed(documented("mc alias"), f"root\n{ROOT_PASSWORD}\n")
    subprocess.run(documented("mkdir").split(), cwd=tmp_path, check=True)
    typed(documented("home backup/"))
    typed(documented("home backup/"))  # again, as on the next night
    store.root("rb", "--force", "store/flyte")
    store.provision()
    typed(documented("backup/ home"))

    assert store.root("cat", "store/flyte/metadata/a") == "content"
