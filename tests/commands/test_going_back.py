"""The record of what is deployed, and going back to an earlier commit of this repository."""

import json
from pathlib import Path
from typing import Any

import pytest

from ops.lib import going_back, record, worktree
from ops.lib.going_back import go_back
from ops.lib.record import Copy, Record
from ops.lib.volumes import Stack
from ops.lib.worktree import deploy_commit
from settings.errors import SettingsError
from tests.commands.test_ci_release import commit, git
from tests.kubectl import FakeCluster, settings

COPY = Copy(1, 2, (15, 17), "postgres:15", 10, {"public.executions": 92}, "sum-of-the-dump")
WHOLE = Record("c1", "swapped", "c0", "a1b2", COPY)
STACK_FILE = "# The stack.\nconfig:\n  flyte-home:namespace: flyte\n  flyte-home:domains: [development]\n"
PIN = "  flyte-home:clusterUid: uid-1\n"
# Stands for the `make up` of a commit: writes down the stack file, and what it was given.
MAKEFILE = "up:\n\t@cp Pulumi.$(STACK).yaml $(LOG)\n\t@env >> $(LOG)\n\t@exit $(CODE)\n"


def cluster_with(found: Record | None = None) -> FakeCluster:
    """A cluster that keeps the record."""
    cluster = FakeCluster()
    cluster.on("get configmap flyte-home-record", "")

    def applied(given: str) -> str:
        cluster.on("get configmap flyte-home-record", given)
        return ""

    cluster.on("apply", applied)
    if found:
        record.write(cluster, "flyte", found)
    return cluster


# --- the record ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("written", [Record(), Record("c1", "done", "c0", "a1b2"), WHOLE])
def test_a_record_is_read_as_it_was_written(written: Record):
    assert record.read(cluster_with(written), "flyte") == written


def test_a_stack_without_a_record_has_an_empty_one():
    assert record.read(cluster_with(), "flyte") == Record()


@pytest.mark.parametrize(
    "content",
    ["{}", "not json", json.dumps({"commit": "c1", "copy": None, "later": 1}), json.dumps({"copy": {"old": 1}})],
)
def test_a_record_of_another_version_is_an_error_that_says_how_to_go_on(content: str):
    cluster = FakeCluster()
    cluster.on("get configmap flyte-home-record", {"data": {"record": content}})

    with pytest.raises(SettingsError, match="another version of this repository has written it") as error:
        record.read(cluster, "flyte")
    assert "delete configmap flyte-home-record -n flyte" in str(error.value)


def test_a_record_that_the_cluster_rejects_is_an_error():
    cluster = FakeCluster()
    cluster.on("apply", error="forbidden")

    with pytest.raises(SettingsError, match="configmap/flyte-home-record cannot be written: forbidden"):
        record.write(cluster, "flyte", Record())


@pytest.mark.parametrize(
    ("phase", "unfinished", "copying"),
    [
        ("none", False, False),
        ("deploying", True, False),
        ("begun", True, True),
        ("copied", True, True),
        ("swapped", True, True),
        ("returning", True, True),
        ("done", False, False),
    ],
)
def test_make_up_may_start_flyte_unless_its_database_is_being_copied(phase: Any, unfinished: bool, copying: bool):
    assert Record(phase=phase, copy=COPY).copying is copying
    assert Record(phase=phase).copying is False
    assert Record(phase=phase).unfinished is unfinished


def test_a_deployment_ends_an_upgrade_and_is_recorded_only_if_something_has_changed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(record, "commit", lambda: "c2")
    first, upgraded = cluster_with(), cluster_with(Record("c1", "deploying", "c0", "a1b2"))

    record.deployed(first, "flyte")
    record.deployed(upgraded, "flyte")

    assert record.read(first, "flyte") == Record("c2")
    assert record.read(upgraded, "flyte") == Record("c2", "done", "c0", "a1b2")
    upgraded.on("apply", error="it was written again")
    record.deployed(upgraded, "flyte")


# --- going back ---------------------------------------------------------------------------------------------------


def went_back(
    found: Record, monkeypatch: pytest.MonkeyPatch, code: int = 0, current: str = "c1"
) -> tuple[list[str], Record]:
    """What going back does, in its order, and the record afterwards."""
    done: list[str] = []

    def step(what: str) -> int:
        done.append(what)
        return code

    monkeypatch.setattr(record, "commit", lambda: current)
    monkeypatch.setattr(going_back, "deploy_commit", lambda _, chosen, __: step(f"deploy {chosen}"))
    monkeypatch.setattr(going_back, "restore_backup", lambda _, name: step(f"restore {name}"))
    monkeypatch.setattr(going_back, "smoke", lambda _: step("smoke"))
    stack = Stack("dev", settings(), cluster_with(found), {})
    try:
        go_back(stack, lambda: step("deploy the stack file"))
    except SettingsError as error:
        done.append(str(error))
    return done, record.read(stack.cluster, "flyte")


def test_the_commit_from_before_the_upgrade_is_deployed_and_its_set_restored(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    done, left = went_back(Record("c1", "done", "c0", "a1b2"), monkeypatch)

    assert done == ["deploy c0", "restore a1b2", "smoke"]
    assert left == Record("c0")
    assert "before the next make up: git checkout c0" in capsys.readouterr().out


def test_an_upgrade_of_the_same_commit_deploys_the_stack_file(monkeypatch: pytest.MonkeyPatch):
    done, left = went_back(Record("c1", "done", "c1", "a1b2"), monkeypatch)

    assert done == ["deploy the stack file", "restore a1b2", "smoke"]
    assert left == Record("c1")


def test_without_a_set_only_the_commit_goes_back(monkeypatch: pytest.MonkeyPatch):
    assert went_back(Record("c1", "done", "c0"), monkeypatch)[0] == ["deploy c0", "smoke"]


def test_going_back_that_could_not_deploy_restores_nothing_and_can_be_repeated(monkeypatch: pytest.MonkeyPatch):
    done, left = went_back(Record("c1", "done", "c0", "a1b2"), monkeypatch, code=7)

    assert done[0] == "deploy c0"
    assert done[1].startswith("the update has failed")
    assert len(done) == 2
    assert left == Record("c1", "returning", "c0", "a1b2")
    assert went_back(left, monkeypatch)[0] == ["deploy c0", "restore a1b2", "smoke"]


# --- an earlier commit --------------------------------------------------------------------------------------------


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with two commits; the second one has another list of domains in the stack file."""
    folder = tmp_path / "clone"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    git(folder, "init", "--quiet")
    commit(folder, "first", Makefile=MAKEFILE, Pulumi__dev__yaml=STACK_FILE)
    commit(folder, "second", Pulumi__dev__yaml=STACK_FILE.replace("[development]", "[development, production]"))
    return folder


def deployed(clone: Path, code: int = 0, **environment: str) -> tuple[int, str]:
    """The exit code of the `make up` of the first commit, and what it was given."""
    log = clone.parent / "log"
    given = {"PATH": "/usr/bin:/bin", "LOG": str(log), "CODE": str(code), **environment}
    result = deploy_commit("dev", git(clone, "rev-parse", "HEAD~1"), given, root=clone)
    return result, log.read_text()


def test_what_is_not_committed_of_the_stack_file_is_applied_to_that_of_the_commit(clone: Path):
    file = clone / "Pulumi.dev.yaml"
    file.write_text(file.read_text().replace("  flyte-home:namespace", f"{PIN}  flyte-home:namespace"))
    changed = file.read_text()

    code, log = deployed(clone)

    assert code == 0
    assert PIN in log
    assert "domains: [development]\n" in log
    assert file.read_text() == changed
    assert git(clone, "worktree", "list").count("\n") == 0


def test_the_exit_code_is_that_of_make_and_its_state_and_downloads_are_those_of_the_clone(clone: Path):
    code, log = deployed(clone, 7, PULUMI_BACKEND_URL="file:///state", MAKEFLAGS="--dry-run", MAKELEVEL="5")

    assert code == 2  # of make itself, where a command fails
    assert "PULUMI_BACKEND_URL=file:///state" in log
    assert f"FLYTE_HOME_BIN={worktree.BIN}" in log
    assert "--dry-run" not in log
    assert "MAKELEVEL=6" not in log


def test_changes_that_do_not_fit_the_commit_are_an_error_and_nothing_is_deployed(clone: Path):
    (clone / "Pulumi.dev.yaml").write_text(STACK_FILE.replace("[development]", "[staging]"))

    with pytest.raises(SettingsError, match=r"Pulumi\.dev\.yaml: what was changed in it does not fit the version of"):
        deployed(clone)
    assert not (clone.parent / "log").exists()
    assert git(clone, "worktree", "list").count("\n") == 0


def test_a_stack_file_that_was_never_committed_is_used_as_it_is(clone: Path):
    git(clone, "rm", "--quiet", "--cached", "Pulumi.dev.yaml")
    commit_without = git(clone, "commit", "--quiet", "--message", "third")
    (clone / "Pulumi.dev.yaml").write_text(STACK_FILE + PIN)

    _, log = deployed(clone)

    assert commit_without == ""
    assert log.startswith(STACK_FILE + PIN)


def test_a_commit_that_is_not_there_is_named(clone: Path):
    with pytest.raises(SettingsError, match="BACK: git cannot check out 'c0ffee'"):
        deploy_commit("dev", "c0ffee", {}, root=clone)
