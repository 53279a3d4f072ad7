"""The commands of docs/upgrades.md for a new image of PostgreSQL, exactly as written there, against a real server."""

import subprocess

import pytest

from paths import ROOT
from tests.papers import the_command
from tests.scripts.test_postgres_scripts import (  # noqa: F401 (fixtures)
    Cluster,
    binaries,
    cluster,
    pristine,
    running,
    uid,
)


def in_the_pod(database: Cluster, part: str) -> str:
    """The output of the only documented command with this text, run where the pod runs it."""
    program, _, rest = the_command(ROOT / "docs" / "upgrades.md", part).split(" -- ")[1].partition(" ")
    done = subprocess.run(
        ["/bin/sh", "-c", f"{database._binaries / program} --no-align --tuples-only {rest}"],
        env=database.env,
        capture_output=True,
        text=True,
        **database.work.identity,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_database_with_another_sort_order_is_found_and_repaired(running: Cluster):  # noqa: F811
    if "en_US.utf8" not in subprocess.run(["locale", "-a"], capture_output=True, text=True, check=True).stdout:
        pytest.skip("needs the locale en_US.utf8, which the image has: C, which exists everywhere, has no version")
    running.ensure_roles()
    assert in_the_pod(running, "SELECT datname") == ""
    running.sql("DROP DATABASE flyte")
    running.sql("CREATE DATABASE flyte OWNER flyte TEMPLATE template0 LOCALE 'en_US.utf8'")
    running.sql("CREATE TABLE runs (name text PRIMARY KEY)", "flyte")
    running.sql("UPDATE pg_database SET datcollversion = '0.1' WHERE datname = 'flyte'")

    assert in_the_pod(running, "SELECT datname") == "flyte\n"
    in_the_pod(running, "REINDEX DATABASE")
    in_the_pod(running, "REFRESH COLLATION VERSION")

    assert in_the_pod(running, "SELECT datname") == ""
