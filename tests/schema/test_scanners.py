"""What public scanners find in the rendered manifests of both stacks."""

import copy
from typing import Any

import pytest

from tests.matrix import STACKS, manifests
from tests.scanners import ACCEPTED, SCANNERS, problems


def both() -> list[dict[str, Any]]:
    """The manifests of both stacks."""
    return [manifest for stack in STACKS for manifest in manifests(stack).values()]


@pytest.mark.parametrize("scanner", SCANNERS)
def test_scanners_find_nothing_beyond_the_accepted_findings(scanner: str):
    assert problems(scanner, both()) == []


@pytest.mark.parametrize("scanner", SCANNERS)
def test_scanners_report_a_privileged_container(scanner: str):
    worse = copy.deepcopy([manifest for manifest in both() if manifest["kind"] == "StatefulSet"])
    for manifest in worse:
        manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    assert [problem for problem in problems(scanner, worse) if "StatefulSet/postgres" in problem]


def test_every_accepted_finding_has_a_reason():
    assert [entry for entry in ACCEPTED if len(entry.reason) < 20] == []
