"""Where the tasks of each project and domain store their data."""

from ops.lib.recording import Recording
from tests.conftest import containers, run


def told(recording: Recording) -> set[str]:
    return set(recording.one("ConfigMap", "raw-outputs-scripts").plain["data"]["outputs"].splitlines())


def test_every_task_scope_has_a_prefix_in_its_own_bucket():
    found = run(
        projects=[{"name": "a"}, {"name": "b"}], domains=["d-dev"], minio={"dataBucket": "x-{project}-{domain}"}
    )

    assert told(found) == {"a d-dev s3://x-a-d-dev/data", "b d-dev s3://x-b-d-dev/data"}


def test_the_job_calls_flyte_and_runs_after_it_is_installed(dev: Recording):
    job = dev.one("Job", "raw-outputs")
    (container,) = containers(job.plain)

    assert {"name": "FLYTE_HOST", "value": "flyte-binary-http"} in container["env"]
    assert dev.one("Release").urn in job.dependencies


def test_the_job_runs_again_when_a_bucket_changes(dev: Recording):
    other = run(minio={"dataBucket": "x-{project}-{domain}"})

    name = other.one("Job", "raw-outputs").manifest["metadata"]["name"]
    assert name != dev.one("Job", "raw-outputs").manifest["metadata"]["name"]
