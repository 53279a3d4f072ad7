"""Resources of earlier versions keep their identity: under another URN, they would be deleted and recreated."""

import json
from pathlib import Path

import pytest

from ops.ci.lib.changes import HOLDS_DATA
from tests.conftest import run
from tests.engine.states import STATES


@pytest.mark.parametrize("file", STATES, ids=lambda file: file.stem)
def test_resources_that_hold_data_keep_their_urn_or_have_the_old_one_as_an_alias(file: Path):
    stored = json.loads(file.read_text())
    now = run(**stored["settings"]).resources
    known = {urn for resource in now for urn in (resource.urn, *resource.aliases)}

    before = {
        resource["urn"]
        for resource in stored["deployment"]["resources"]
        if resource["type"].rsplit(":", 1)[-1] in HOLDS_DATA and not resource.get("external")
    }
    assert len(before) > 10
    assert before - known == set()
