"""Runs the workflow at fixed times, and mails its failures. `make example WAY=schedule` registers it on a cluster."""

import os

from flytekit import CronSchedule, Email, LaunchPlan, WorkflowExecutionPhase

from workflow import remedy

# Both are read on the machine that registers the launch plan.
TIMES = os.environ.get("REMEDY_CRON") or "0 4 * * *"
RECIPIENTS = os.environ.get("REMEDY_NOTIFY", "").replace(",", " ").split()
FAILURES = [WorkflowExecutionPhase.FAILED, WorkflowExecutionPhase.TIMED_OUT]

nightly = LaunchPlan.get_or_create(
    workflow=remedy,
    name="remedy_nightly",
    schedule=CronSchedule(schedule=TIMES),
    notifications=[Email(phases=FAILURES, recipients_email=RECIPIENTS)] if RECIPIENTS else None,
)
