"""Configurations and recordings that all layers share."""

import json
from collections.abc import Mapping
from typing import Any

import pytest

from ops.recorder import Recording, record

UID = "1f0c7a8e-0000-4000-8000-000000000001"
TIDAL = '{"token": "planted-tidal-token"}'
SECRET_SETTINGS = {"tidalCreds", "postgresPassword"}


def stack(**settings: Any) -> tuple[dict[str, str], set[str]]:
    """A valid configuration and its secret keys; each keyword replaces a setting, None removes it.

    ``context`` stands for kubernetes:context, and ``__`` in a name for ``-``.
    """
    values: dict[str, Any] = {
        "context": "home",
        "clusterUid": UID,
        "projects": [{"name": "remedy", "taskSecrets": ["tidal-creds"]}],
        "tidalCreds": TIDAL,
        **settings,
    }
    config, secrets = {}, set()
    for name, value in values.items():
        if value is None:
            continue
        name = name.replace("__", "-")
        key = "kubernetes:context" if name == "context" else f"flyte-home:{name}"
        config[key] = value if isinstance(value, str) else json.dumps(value)
        if name.split("-")[0] in SECRET_SETTINGS or name.endswith("Creds"):
            secrets.add(key)
    return config, secrets


def run(stack_name: str = "dev", **settings: Any) -> Recording:
    """What the whole program registers with these settings."""
    config, secrets = stack(**settings)
    return record(config, secrets, stack_name)


@pytest.fixture(scope="session")
def dev() -> Recording:
    """The program with the smallest valid configuration."""
    return run()


@pytest.fixture(scope="session")
def prod() -> Recording:
    """The program with data that is kept and protected."""
    return run("prod", protect=True, keepVolumes=True)


def containers(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    """All containers of a workload's pods."""
    pod = manifest["spec"]["template"]["spec"]
    return [*pod.get("initContainers", []), *pod["containers"]]
