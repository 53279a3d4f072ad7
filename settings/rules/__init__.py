"""Rules between settings. Each yields one message for each problem: the key, what is wrong, and what to write."""

from collections.abc import Iterator

from settings.chart_values import own_value_problems
from settings.images import image_problems
from settings.rules.backup import backup_problems, backup_warnings
from settings.rules.buckets import bucket_problems
from settings.rules.cloudnative_pg import cloudnative_pg_problems, cloudnative_pg_warnings
from settings.rules.database import database_problems, database_warnings
from settings.rules.endpoints import endpoint_problems
from settings.rules.external_store import external_store_problems, external_store_warnings
from settings.rules.gpus import gpu_problems, gpu_warnings
from settings.rules.keys import key_problems, plain_text_problems, provider_problems
from settings.rules.monitoring import monitoring_problems
from settings.rules.names import name_problems
from settings.rules.namespaces import namespace_problems
from settings.rules.notifications import notification_problems, notification_warnings
from settings.rules.registries import registry_problems
from settings.rules.retention import retention_problems
from settings.rules.secrets import sample_warnings, secret_problems, strict_json
from settings.rules.tasks import api_access_warnings, privilege_problems, quota_problems, quota_warnings
from settings.rules.text import text_problems
from settings.stack import Settings

__all__ = [
    "key_problems",
    "plain_text_problems",
    "problems",
    "provider_problems",
    "strict_json",
    "text_problems",
    "warnings",
]


def problems(settings: Settings) -> Iterator[str]:
    """Everything that is wrong with settings whose values are valid one by one."""
    yield from name_problems(settings)
    yield from namespace_problems(settings)
    yield from bucket_problems(settings)
    yield from quota_problems(settings)
    yield from database_problems(settings)
    yield from cloudnative_pg_problems(settings)
    yield from backup_problems(settings)
    yield from monitoring_problems(settings)
    yield from privilege_problems(settings)
    yield from secret_problems(settings)
    yield from retention_problems(settings)
    yield from endpoint_problems(settings)
    yield from external_store_problems(settings)
    yield from image_problems(settings.images)
    yield from registry_problems(settings)
    yield from gpu_problems(settings)
    yield from notification_problems(settings)
    yield from own_value_problems(settings.flyte_values, settings.flyte.rights)


def warnings(settings: Settings) -> Iterator[str]:
    """What is allowed, but what the owner of a stack must know."""
    yield from sample_warnings(settings)
    yield from api_access_warnings(settings)
    yield from quota_warnings(settings)
    yield from database_warnings(settings)
    yield from cloudnative_pg_warnings(settings)
    yield from backup_warnings(settings)
    yield from external_store_warnings(settings)
    yield from gpu_warnings(settings)
    yield from notification_warnings(settings)
