"""Every rendered manifest, strictly, against the schemas of the oldest and the newest supported Kubernetes."""

import kubernetes_validate
import pytest
import yaml

from ops.render import render
from tests.conftest import run

MATRIX = {
    "smallest": {},
    "protected and kept": {"protect": True, "keepVolumes": True},
    "several projects, own domains and template": {
        "projects": [{"name": "a", "taskSecrets": ["tidal-creds"]}, {"name": "b"}],
        "domains": ["d-dev", "p-dev"],
        "namespaceTemplate": "103020-{project}-x-{domain}",
    },
    "storage classes and sizes": {
        "postgres": {"volume": {"size": "5Gi", "storageClass": "local-path"}},
        "minio": {"volume": {"size": "1Ti", "storageClass": "longhorn"}, "bucket": "other"},
    },
    "given password, mirror": {"postgresPassword": "given-password", "images": {"minio": "mirror.home/silo:1"}},
}


@pytest.mark.parametrize("version", ["1.31", "1.37"])
@pytest.mark.parametrize("settings", MATRIX.values(), ids=MATRIX)
def test_every_manifest_is_valid(settings: dict, version: str):
    files = render(run(**settings), show_secrets=False)
    manifests = {name: yaml.safe_load(text) for name, text in files.items() if not name.endswith(".values.yaml")}

    assert len(manifests) > 20
    for name, manifest in manifests.items():
        try:
            kubernetes_validate.validate(manifest, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(f"{name}: {'.'.join(map(str, error.path))}: {error.message}")


def test_a_key_that_kubernetes_does_not_know_would_be_found():
    manifest = yaml.safe_load(next(text for name, text in render(run(), False).items() if name.startswith("job")))
    manifest["spec"]["backofLimit"] = 1

    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(manifest, "1.37", strict=True)
