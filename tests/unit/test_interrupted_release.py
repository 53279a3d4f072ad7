"""Cleaning up after an installation of the Helm release was killed."""

from pathlib import Path
from typing import Any

import pulumi
import pytest

from components.flyte import interrupted_release
from ops.lib.recording import Recording


@pytest.fixture
def hooks(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """The hooks' functions, with a ``kubectl`` that records its arguments and exits with the code in ``exit``."""
    monkeypatch.setattr(pulumi, "ResourceHook", lambda _name, function: function)
    kubectl = tmp_path / "kubectl"
    kubectl.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" >{tmp_path}/arguments\necho the reason >&2\nexit $(cat {tmp_path}/exit)\n'
    )
    kubectl.chmod(0o755)
    (tmp_path / "exit").write_text("0")
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return interrupted_release.forget_interrupted_release("flyte-binary", "flyte", "home", "/the/kubeconfig")


def test_a_hook_runs_before_the_release_is_installed_and_before_it_is_upgraded(dev: Recording):
    hooks = dev.one("Release").hooks

    assert hooks == {"before_create": ["forget-unknown-release"], "before_update": ["forget-interrupted-release"]}


@pytest.mark.parametrize(
    ("when", "records"),
    [
        # Helm installs no release of a name that it has a record of, whatever the record says.
        ("before_create", "owner=helm,name=flyte-binary"),
        ("before_update", "owner=helm,name=flyte-binary,status notin (deployed,superseded)"),
    ],
)
def test_only_records_of_this_release_in_this_cluster_are_removed(hooks: Any, tmp_path: Path, when: str, records: str):
    (hook,) = getattr(hooks, when)

    hook(None)

    arguments = (tmp_path / "arguments").read_text().splitlines()
    assert arguments[:6] == ["--kubeconfig", "/the/kubeconfig", "--context", "home", "--namespace", "flyte"]
    assert arguments[6:] == ["delete", "secret", "--selector", records]


def test_the_update_stops_with_the_reason_if_the_cluster_does_not_answer(hooks: Any, tmp_path: Path):
    (tmp_path / "exit").write_text("1")

    with pytest.raises(RuntimeError, match="the reason"):
        hooks.before_create[0](None)


def test_without_kubectl_the_update_continues_with_a_warning(
    hooks: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    said = []
    monkeypatch.setattr(pulumi.log, "warn", said.append)
    monkeypatch.setenv("PATH", "")

    hooks.before_update[0](None)

    assert "kubectl is not on the PATH" in said[0]
