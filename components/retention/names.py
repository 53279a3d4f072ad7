"""Names that the commands share with the component."""

CRON_JOB = "flyte-retention"
"""Name of the CronJob, and value of the label of its pods."""
