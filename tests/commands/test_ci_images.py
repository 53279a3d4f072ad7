"""``make ci-images``: the images that CI scans for vulnerabilities."""

import json
import sys
from pathlib import Path

import pytest
import yaml

from ops.ci import images
from paths import ROOT
from settings.images import IMAGES

REFERENCES = [image.reference for image in IMAGES.values()]


def test_every_image_of_the_stack_is_printed(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    monkeypatch.setattr(sys, "argv", ["images"])
    monkeypatch.delenv("GITHUB_OUTPUT", raising=False)

    assert images.main() == 0
    assert capsys.readouterr().out.splitlines() == REFERENCES


def test_a_job_on_github_gets_the_images_as_json(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    monkeypatch.setattr(sys, "argv", ["images"])
    monkeypatch.setenv("GITHUB_OUTPUT", str(tmp_path / "output"))

    assert images.main() == 0
    name, _, value = (tmp_path / "output").read_text().strip().partition("=")
    assert (name, json.loads(value)) == ("images", REFERENCES)


def test_the_workflow_scans_each_of_them():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "vulnerabilities.yml").read_text())

    assert workflow["jobs"]["scan"]["strategy"]["matrix"]["image"] == "${{ fromJSON(needs.images.outputs.images) }}"
    (step,) = workflow["jobs"]["scan"]["steps"]
    assert step["with"]["image"] == "${{ matrix.image }}"
