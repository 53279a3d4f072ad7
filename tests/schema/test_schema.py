"""Every rendered manifest, strictly, against the schemas of the oldest and the newest supported Kubernetes."""

import kubernetes_validate
import pytest

from tests.matrix import CASES, KUBERNETES, manifests


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("case", CASES)
def test_every_manifest_is_valid(case: str, version: str):
    found = manifests(case)

    assert len(found) > 10
    for name, manifest in found.items():
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")


def test_a_key_that_kubernetes_does_not_know_would_be_found():
    manifest = next(manifest for manifest in manifests("dev").values() if manifest["kind"] == "Job")
    manifest["spec"]["backofLimit"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES[-1], strict=True)
