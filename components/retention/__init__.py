"""What deletes old rows of Flyte's database."""

from components.retention.names import CRON_JOB
from components.retention.retention import Retention, RetentionArgs, retention

__all__ = ["CRON_JOB", "Retention", "RetentionArgs", "retention"]
