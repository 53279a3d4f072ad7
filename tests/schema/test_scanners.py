"""What public scanners find in the rendered manifests of both stacks, of a backup, and of an external object store."""

import copy
from typing import Any

import pytest

from tests.matrix import BACKUP, EXTERNAL, STACKS, manifests
from tests.scanners import ACCEPTED, SCANNERS, object_name, problems


def both() -> list[dict[str, Any]]:
    """The manifests of both stacks."""
    return [manifest for stack in STACKS for manifest in manifests(stack).values()]


def more_of(case: str) -> list[dict[str, Any]]:
    """The manifests of a case that neither stack has."""

    def place(manifest: dict[str, Any]) -> tuple[str, str]:
        return manifest["metadata"].get("namespace", ""), object_name(manifest)

    others = {place(manifest) for manifest in both()}
    return [manifest for manifest in manifests(case).values() if place(manifest) not in others]


@pytest.mark.parametrize("scanner", SCANNERS)
def test_scanners_find_only_what_is_accepted_with_a_reason(scanner: str):
    assert problems(scanner, [*both(), *more_of(BACKUP), *more_of(EXTERNAL)]) == []


@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_privileged_container_would_be_found(scanner: str):
    worse = copy.deepcopy([manifest for manifest in both() if manifest["kind"] == "StatefulSet"])
    for manifest in worse:
        manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    assert [problem for problem in problems(scanner, worse) if "StatefulSet/postgres" in problem]


def test_every_accepted_finding_has_a_reason():
    assert [entry for entry in ACCEPTED if len(entry.reason) < 20] == []
