"""The metrics to which alerts and dashboards refer, and how a query selects those of this stack.

The tests compare every name here with a scrape of the real component.
"""

from collections.abc import Iterable

from components.monitoring.names import DATABASE, DATABASE_CLUSTER, FLYTE, STORE
from settings.stack import Settings

_PROPELLER = "flyte:propeller:all"
_SCHEDULER = "flyte:flytescheduler"

FREE_WORKERS = f"{_PROPELLER}:free_workers_count"
QUEUE = f"{_PROPELLER}:main_depth"
TOO_LARGE = f"{_PROPELLER}:wf_too_large"
PANICS = (
    f"{_PROPELLER}:round:panic_unlabeled",
    "flyte:admin:admin:handler_panic",
    "flyte:admin:signal:handler_panic",
    f"{_SCHEDULER}:initialization_panic",
    f"{_SCHEDULER}:job_func_panic_counter",
)
"""Counters of panics that Flyte has survived."""
STORE_FAILURES = tuple(
    f"{part}:{kind}_failure_unlabeled"
    for part in (f"{_PROPELLER}:metastore", "flyte:admin:storage", "datacatalog:datacatalog:storage")
    for kind in ("head", "read", "write")
)
"""Counters of requests to the object store that have failed, as Flyte sees them."""
SCHEDULER_FAILURES = (
    f"{_SCHEDULER}:failed_execution_counter",
    f"{_SCHEDULER}:job_schedule_failed_counter",
    f"{_SCHEDULER}:catchup_error_counter",
    f"{_SCHEDULER}:checkpoint_save_error_counter",
)
"""Counters of what the scheduler could not do."""


def services(settings: Settings) -> list[str]:
    """The Services with metrics: those of the servers that the stack runs."""
    databases = {"bundled": [DATABASE], "cloudnative-pg": [DATABASE_CLUSTER], "external": []}
    return [FLYTE, *([STORE] if settings.minio.mode == "bundled" else []), *databases[settings.postgres.mode]]


def of_service(service: str, metric: str, namespace: str, *matchers: str) -> str:
    """The series of ``metric`` that Prometheus has scraped from a Service of the stack."""
    return series(metric, f'namespace="{namespace}"', f'service="{service}"', *matchers)


def flyte(metric: str, namespace: str, *matchers: str) -> str:
    """The series of a ``metric`` of Flyte."""
    return of_service(FLYTE, metric, namespace, *matchers)


def store(metric: str, namespace: str, *matchers: str) -> str:
    """The series of a ``metric`` of the object store."""
    return of_service(STORE, metric, namespace, *matchers)


def database(metric: str, namespace: str, *matchers: str) -> str:
    """The series of a ``metric`` of the database."""
    return of_service(DATABASE, metric, namespace, *matchers)


def database_cluster(metric: str, namespace: str, *matchers: str) -> str:
    """The series of a ``metric`` of the instances of a database of CloudNativePG."""
    return of_service(DATABASE_CLUSTER, metric, namespace, *matchers)


def series(metric: str, *matchers: str) -> str:
    """The series of ``metric`` with these labels."""
    return f"{metric}{{{', '.join(matchers)}}}"


def any_of(conditions: Iterable[str]) -> str:
    """Whether one of the conditions holds."""
    return "\nor ".join(conditions)
