"""What public scanners find in the manifests of both stacks, a backup, an external object store and monitoring."""

import copy
from typing import Any

import pytest

from tests.matrix import BACKUP, EXTERNAL, MONITORED, STACKS, is_builtin, manifests
from tests.scanners import ACCEPTED, SCANNERS, object_name, problems


def both() -> list[dict[str, Any]]:
    """The manifests of both stacks."""
    return [manifest for stack in STACKS for manifest in manifests(stack).values()]


def of_parts() -> list[dict[str, Any]]:
    """The manifests of a backup, of an external object store and of monitoring that neither stack has."""

    def place(manifest: dict[str, Any]) -> tuple[str, str]:
        return manifest["metadata"].get("namespace", ""), object_name(manifest)

    others = {place(manifest) for manifest in both()}
    found = []
    for case in (BACKUP, EXTERNAL, MONITORED):
        for manifest in manifests(case).values():
            if place(manifest) not in others and is_builtin(manifest):
                others.add(place(manifest))
                found.append(manifest)
    return found


@pytest.mark.parametrize("scanner", SCANNERS)
def test_scanners_find_only_what_is_accepted_with_a_reason(scanner: str):
    assert problems(scanner, [*both(), *of_parts()]) == []


@pytest.mark.parametrize("scanner", SCANNERS)
def test_a_privileged_container_would_be_found(scanner: str):
    worse = copy.deepcopy([manifest for manifest in both() if manifest["kind"] == "StatefulSet"])
    for manifest in worse:
        manifest["spec"]["template"]["spec"]["containers"][0]["securityContext"] = {"privileged": True}

    assert [problem for problem in problems(scanner, worse) if "StatefulSet/postgres" in problem]


def test_every_accepted_finding_has_a_reason():
    assert [entry for entry in ACCEPTED if len(entry.reason) < 20] == []
