"""Resources of earlier versions keep their identity: under another URN, they would be deleted and recreated."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from ops.ci.lib.changes import HOLDS_DATA
from paths import ROOT
from tests.conftest import run
from tests.engine.states import STATES

# The volumes of the database: as every version had them, and after a copy to a new one.
VOLUMES: list[dict[str, Any]] = [{}, {"volumeGeneration": 2, "keptVolumes": [1]}]


def test_every_released_version_has_a_state():
    released = re.findall(r"^## (\d+\.\d+\.\d+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)

    assert {file.stem for file in STATES} == set(released)


@pytest.mark.parametrize("volumes", VOLUMES, ids=["as before", "copied"])
@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_resources_that_hold_data_keep_their_urn_or_have_the_old_one_as_an_alias(file: Path, volumes: dict[str, Any]):
    stored = json.loads(file.read_text())
    postgres = stored["settings"].get("postgres", {})
    now = run(**stored["settings"] | {"postgres": {**postgres, **volumes}}).resources
    known = {urn for resource in now for urn in (resource.urn, *resource.aliases)}

    before = {
        resource["urn"]
        for resource in stored["deployment"]["resources"]
        if resource["type"].rsplit(":", 1)[-1] in HOLDS_DATA and not resource.get("external")
    }
    assert len(before) > 10
    assert before - known == set()
