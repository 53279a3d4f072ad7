"""States of earlier versions, as ``pulumi stack export`` gave them, and the settings they were made with.

Where a state names its cluster it has the marks of ``MARKS``; what only describes a machine is taken out. The secrets
are made up, and encrypted with the passphrase of the tests. Each release adds its own:
``FLYTE_HOME_TEST_STORE=VERSION make test-engine``, with a cluster to deploy to.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
STATES = sorted(FOLDER.glob("*.json"))
MARKS = ("@KUBECONFIG@", "@UID@", "@CONTEXT@")
# All objects get this field manager, so that a test can create them with one command. Pulumi gives each its own.
MANAGER = "pulumi-kubernetes-of-an-earlier-version"
_OF_A_MACHINE = {"managedFields", "sourcePosition", "stackTrace"}


def load(file: Path, *cluster: str) -> dict[str, Any]:
    """A stored state and its settings, as if it had been made for ``cluster`` (kubeconfig, UID, context)."""
    text = file.read_text()
    for mark, value in zip(MARKS, cluster, strict=True):
        text = text.replace(mark, value)
    stored = json.loads(text)
    for resource in stored["deployment"]["resources"]:
        if "__fieldManager" in resource.get("outputs", {}):
            resource["outputs"]["__fieldManager"] = MANAGER
    return stored


def store(version: str, deployment: Mapping[str, Any], settings: Mapping[str, Any], *cluster: str) -> None:
    """Keep what ``version`` has made in ``cluster`` (kubeconfig, UID, context) with these settings."""
    text = json.dumps({"settings": settings, "deployment": _stripped(deployment)}, indent=1, sort_keys=True)
    home = str(Path.home())
    for mark, value in zip(MARKS, cluster, strict=True):
        text = text.replace(value, mark).replace(value.replace(home, "~", 1), mark)
    (FOLDER / f"{version}.json").write_text(text + "\n")


def _stripped(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _stripped(item) for key, item in value.items() if key not in _OF_A_MACHINE}
    return [_stripped(item) for item in value] if isinstance(value, list) else value
