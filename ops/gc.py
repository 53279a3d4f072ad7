"""``make gc``: deletes old rows of Flyte's database now, as the CronJob of ``retention`` does every night.

Usage: python -m ops.gc STACK [--dry-run]

It runs the CronJob's template as a Job of its own, shows its log, and deletes the Job. With ``--dry-run``, the Job only
counts what would go.
"""

import argparse
import copy
import json
import sys
import time
from typing import Any, TextIO

from components.retention import CRON_JOB
from ops.lib.kubectl import Cluster
from ops.lib.stack_file import stack_config
from ops.lib.text import one_line
from settings import PROJECT, Settings, settings_from
from settings.errors import SettingsError

# Seconds between two looks at the Job, and after which the reason for the wait is shown.
_PERIOD, _SILENCE = 1.0, 3.0


class CollectionError(Exception):
    """The Job failed; the message gives the reason."""


def main() -> int:
    """Run the command line; return 0 if the rows are gone, 1 with a message otherwise, and 130 after Ctrl-C."""
    parser = argparse.ArgumentParser(prog="gc", description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("stack")
    parser.add_argument("--dry-run", action="store_true", help="only count what would go")
    args = parser.parse_args()
    try:
        settings = settings_from(*stack_config(args.stack))
        check_configured(settings, args.stack)
        cluster = Cluster.of(settings.context, settings.kubeconfig)
        cluster.check_is(settings.cluster_uid, args.stack)
        job = job_of(cron_job(cluster, settings.namespace, args.stack), dry_run=args.dry_run)
        run_job(cluster, settings.namespace, job)
    except (SettingsError, CollectionError) as error:
        print(f"FAILED  {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:  # every batch is complete, and the Job is deleted
        return 130
    if settings.retention.objects:
        print(
            f"ok      the object store deletes the data of executions itself, after {settings.retention.objects} days"
        )
    print(
        "ok      nothing was deleted; without DRY_RUN=1 it is" if args.dry_run else "ok      the database is collected"
    )
    return 0


def check_configured(settings: Settings, stack: str) -> None:
    """Check that the stack deletes any rows.

    Raises:
        SettingsError: it keeps all of them.
    """
    if not settings.retention.rows:
        raise SettingsError(
            f"{PROJECT}:retention: executions and cache are 0, so that the database keeps everything; for example "
            f"pulumi config set --path {PROJECT}:retention.executions 90 --stack {stack}, then make up STACK={stack}"
        )


def cron_job(cluster: Cluster, namespace: str, stack: str) -> dict[str, Any]:
    """Return the CronJob of the deployed stack.

    Raises:
        SettingsError: the cluster does not answer, or the deployed stack has none.
    """
    found = cluster.ask("get", "cronjob", CRON_JOB, f"--namespace={namespace}", "--ignore-not-found", "--output=json")
    if not found.strip():
        raise SettingsError(
            f"{PROJECT}:retention: the deployed stack has no CronJob {CRON_JOB}; run make up STACK={stack}"
        )
    return dict(json.loads(found))


def job_of(cron: dict[str, Any], *, dry_run: bool) -> dict[str, Any]:
    """Return a Job from the template of a CronJob, which is not repeated when it fails."""
    template = copy.deepcopy(cron["spec"]["jobTemplate"])
    spec = {**template["spec"], "backoffLimit": 0}
    for container in spec["template"]["spec"]["containers"] if dry_run else ():
        container.setdefault("env", []).append({"name": "DRY_RUN", "value": "1"})
    labels = template.get("metadata", {}).get("labels", {})
    metadata = {"generateName": f"{CRON_JOB}-now-", "labels": labels}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": spec}


def run_job(
    cluster: Cluster, namespace: str, job: dict[str, Any], out: TextIO = sys.stdout, period: float = _PERIOD
) -> None:
    """Run a Job to its end, show its log as it grows, and delete it.

    Args:
        cluster: cluster of the stack.
        namespace: namespace of the Job.
        job: the Job, with a prefix of its name.
        out: receives the log.
        period: seconds between two looks at the Job.

    Raises:
        CollectionError: it failed.
    """
    where = f"--namespace={namespace}"
    created = cluster.run("create", where, "--filename=-", "--output=name", given=json.dumps(job))
    if created.returncode:
        raise CollectionError(f"the Job cannot be created: {one_line(created.stderr)}")
    name = created.stdout.strip().rpartition("/")[2]
    try:
        shown, last = 0, time.monotonic()
        while True:
            ended = _ended(cluster, where, name)
            lines = cluster.run("logs", f"job/{name}", where).stdout.splitlines()
            for line in lines[shown:]:
                out.write(f"        {line}\n")
            if len(lines) > shown:
                shown, last = len(lines), time.monotonic()
            elif not ended and time.monotonic() - last >= _SILENCE:
                out.write(f"        waiting: {_state(cluster, where, name)}\n")
                last = time.monotonic()
            out.flush()
            if ended == "Failed":
                raise CollectionError(f"job/{name} failed; {lines[-1] if lines else _state(cluster, where, name)}")
            if ended:
                return
            time.sleep(period)
    finally:
        cluster.run("delete", "job", name, where, "--wait=false", "--ignore-not-found")


def _ended(cluster: Cluster, where: str, name: str) -> str:
    """Return ``Complete`` or ``Failed`` for a Job that has ended, and nothing for one that runs."""
    answer = cluster.run("get", "job", name, where, "--output=json")
    if answer.returncode:
        raise CollectionError(f"job/{name} cannot be read: {one_line(answer.stderr)}")
    conditions = json.loads(answer.stdout).get("status", {}).get("conditions", [])
    return next(
        (one["type"] for one in conditions if one["type"] in {"Complete", "Failed"} and one["status"] == "True"), ""
    )


def _state(cluster: Cluster, where: str, name: str) -> str:
    answer = cluster.run("get", "pods", where, f"--selector=job-name={name}", "--no-headers")
    return one_line(answer.stdout) or "no pod yet"


if __name__ == "__main__":
    sys.exit(main())
