"""The fence against the wrong cluster."""

import json
import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from components.cluster.kubeconfig import find_kubeconfig, known_contexts
from ops.lib.recorder import record
from settings.errors import SettingsError
from tests.conftest import UID, stack


def kubeconfig(path: Path, *contexts: str) -> str:
    path.write_text(json.dumps({"contexts": [{"name": name, "context": {}} for name in contexts]}))
    return str(path)


def test_a_different_cluster_is_rejected_with_both_identities_and_the_command_to_accept_it():
    config, secrets = stack()

    with pytest.raises(SettingsError) as caught:
        record(config, secrets, "dev", cluster_uid="other-cluster")

    message = str(caught.value)
    assert UID in message
    assert "other-cluster" in message
    assert "pulumi config set flyte-home:clusterUid other-cluster --stack dev" in message


def test_a_stack_without_a_pin_is_rejected_with_the_command_that_pins_the_current_cluster():
    config, secrets = stack(clusterUid=None)

    with pytest.raises(SettingsError, match="pulumi config set flyte-home:clusterUid here --stack prod"):
        record(config, secrets, "prod", cluster_uid="here")


def test_the_pinned_cluster_is_accepted():
    config, secrets = stack()

    recording = record(config, secrets, "dev", cluster_uid=UID)

    assert recording.one("Release")
    assert recording.one("kubernetes", "cluster").inputs["clusterIdentifier"] == UID


def test_the_identity_is_read_through_the_same_context():
    config, secrets = stack(context="k3s-home")

    recording = record(config, secrets)

    assert recording.one("kubernetes", "cluster-identity").inputs["context"] == "k3s-home"


def test_secrets_are_updated_in_place_so_that_a_task_secret_is_never_missing():
    config, secrets = stack()

    assert record(config, secrets).one("kubernetes", "cluster").inputs["enableSecretMutable"] == "true"


def test_the_first_file_that_has_the_context_is_used(tmp_path: Path):
    first, second = kubeconfig(tmp_path / "a", "work"), kubeconfig(tmp_path / "b", "home", "work")
    environ = {"KUBECONFIG": os.pathsep.join([str(tmp_path / "missing"), first, second])}

    assert find_kubeconfig("work", environ=environ) == first
    assert find_kubeconfig("home", environ=environ) == second
    assert known_contexts(environ=environ) == ["work", "home", "work"]


def test_the_configured_file_takes_precedence_over_the_environment(tmp_path: Path):
    configured, other = kubeconfig(tmp_path / "a", "home"), kubeconfig(tmp_path / "b", "home")

    assert find_kubeconfig("home", configured, {"KUBECONFIG": other}) == configured


def test_the_path_of_a_file_in_the_home_directory_is_the_same_on_every_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    entry = SimpleNamespace(pw_dir=str(tmp_path))
    monkeypatch.setattr("components.cluster.kubeconfig.pwd.getpwuid", lambda _uid: entry)
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    kubeconfig(tmp_path / ".kube" / "config", "home")

    assert find_kubeconfig("home", environ={}) == "~/.kube/config"


def test_a_home_set_only_by_the_environment_is_not_abbreviated_because_the_provider_would_not_find_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / ".kube").mkdir()
    path = kubeconfig(tmp_path / ".kube" / "config", "home")

    assert find_kubeconfig("home", environ={}) == path


@pytest.mark.parametrize(
    ("content", "listed"),
    [
        ('{"contexts": [{"name": "work"}]}', "'work'. Write pulumi config set kubernetes:context work"),
        ('{"contexts": [{"name": "a"}, {"name": "b"}]}', "'a', 'b'. Write pulumi config set kubernetes:context NAME"),
        ("[not, a, kubeconfig]", "none"),
        ("}{", "none"),
        ('{"contexts": null}', "none"),
    ],
)
def test_the_message_about_a_missing_context_lists_the_available_ones(tmp_path: Path, content: str, listed: str):
    (tmp_path / "config").write_text(content)

    with pytest.raises(SettingsError, match="no context 'home'") as caught:
        find_kubeconfig("home", environ={"KUBECONFIG": str(tmp_path / "config")})

    assert listed in str(caught.value)
