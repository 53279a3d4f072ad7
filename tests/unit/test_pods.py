"""What all components share to build pods."""

from pathlib import Path

import pulumi
import pytest

from components.pods import scripts
from components.pods.scripts import script_config_map
from tests.conftest import run


def test_a_missing_folder_of_scripts_is_an_error():
    with pytest.raises(
        FileNotFoundError, match=r"scripts/postgress has no \*\.sh, \*\.sql or \*\.pl; x would be a ConfigMap without"
    ):
        script_config_map("x", "flyte", "postgress", pulumi.ResourceOptions())


def test_a_folder_without_scripts_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "scripts" / "empty").mkdir(parents=True)
    (tmp_path / "scripts" / "empty" / "notes.txt").touch()
    monkeypatch.setattr(scripts, "ROOT", tmp_path)

    with pytest.raises(FileNotFoundError, match=r"scripts/empty has no \*\.sh"):
        script_config_map("x", "flyte", "empty", pulumi.ResourceOptions())


def test_a_job_that_has_failed_is_replaced_by_the_next_update_and_no_deadline_counts_the_pulling_of_images():
    found = run(generations={"minioTasks": 2})
    jobs = {job.name: job for job in found.of("Job")}

    assert set(jobs) == {"minio-provision", "retired-users", "retired-users-later", "raw-outputs"}
    for name, job in jobs.items():
        annotations = job.manifest["metadata"]["annotations"]
        assert "activeDeadlineSeconds" not in job.manifest["spec"]
        # The one that sleeps is not ready either, and must not be replaced for that.
        awaited = name != "retired-users-later"
        assert (annotations.get("pulumi.com/replaceUnready") == "true") == awaited
        assert (annotations.get("pulumi.com/skipAwait") == "true") != awaited
