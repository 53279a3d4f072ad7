"""The policies that docs/outgrowing.md tells people to create are those of the bundled store."""

import json
import re
from typing import Any

from components.object_store.policies import flyte_policies, task_policy
from paths import ROOT
from settings import settings_from
from tests.conftest import stack

PAPER = (ROOT / "docs" / "outgrowing.md").read_text()


def without_administration(policy: dict[str, Any]) -> dict[str, Any]:
    """A policy without the statement that only MinIO understands."""
    return {**policy, "Statement": [one for one in policy["Statement"] if one["Effect"] == "Allow"]}


def test_the_policies_of_the_paper_are_those_of_the_bundled_store():
    (scope,) = settings_from(*stack(domains=["development"])).task_scopes
    flyte, task = (json.loads(block) for block in re.findall(r"```json\n(.*?)```", PAPER, re.DOTALL))

    assert flyte == without_administration(flyte_policies("flyte", [scope])[0])
    assert task == without_administration(task_policy("flyte", scope))
