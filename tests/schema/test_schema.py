"""Strict validation of every rendered manifest against the oldest and the newest supported version of Kubernetes."""

import functools

import kubernetes_validate
import kubernetes_validate.utils
import pytest

from tests.matrix import CASES, KUBERNETES, distinct, is_builtin, manifests

# The library reads two files for each manifest. One of them has all definitions of Kubernetes: megabytes of JSON.
kubernetes_validate.utils.schema_contents = functools.cache(kubernetes_validate.utils.schema_contents)


@pytest.mark.parametrize("version", KUBERNETES)
def test_every_manifest_is_valid(version: str):
    found = distinct(manifest for case in CASES for manifest in manifests(case).values())

    assert len(found) > 60
    # tests/apiserver checks the others.
    for manifest in filter(is_builtin, found):
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            name = manifest["metadata"]["name"]
            pytest.fail(f"{manifest['kind']} {name}: {'.'.join(map(str, error.path))}: {error.message}")


def test_an_unknown_key_would_be_found():
    manifest = next(manifest for manifest in manifests("dev").values() if manifest["kind"] == "Job")
    manifest["spec"]["backofLimit"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, KUBERNETES[-1], strict=True)
