"""When the object store deletes the data of executions by itself.

Flyte's own bucket holds objects of three kinds. Those under ``metadata/propeller/`` (inputs and outputs of nodes) and
``metadata/PROJECT/`` (inputs of executions, cached outputs) belong to executions. Those under ``metadata/admin/`` (what
was compiled at a registration) and ``PROJECT/DOMAIN/`` (registered code) belong to what is registered, and never
expire. In the bucket of a project and domain, tasks write below ``data/``.
"""

from collections.abc import Sequence

from settings.projects import TaskScope

_DATA = "data/"
_ENGINE = "metadata/propeller/"


def flyte_prefixes(scopes: Sequence[TaskScope]) -> list[str]:
    """Prefixes in Flyte's own bucket of what belongs to executions. A bucket may have 1000 rules."""
    projects = dict.fromkeys(scope.project for scope in scopes)
    return [_ENGINE, *(f"metadata/{project}/" for project in projects)]


def task_prefixes() -> list[str]:
    """Prefixes of the bucket of a project and domain."""
    return [_DATA]


def lifecycle(prefixes: Sequence[str], days: int) -> str:
    """The lifecycle of a bucket: objects below the prefixes expire after ``days``; 0: never.

    A rule that is switched off replaces one that an earlier setting has left.
    """
    rules = "".join(_rule(prefix, "Enabled", days) for prefix in prefixes) if days else _rule("", "Disabled", 1)
    return f"<LifecycleConfiguration>{rules}</LifecycleConfiguration>"


def _rule(prefix: str, status: str, days: int) -> str:
    name = prefix.strip("/").replace("/", "-") or "nothing"
    return (
        f"<Rule><ID>flyte-home-{name}</ID><Status>{status}</Status><Filter><Prefix>{prefix}</Prefix></Filter>"
        f"<Expiration><Days>{days}</Days></Expiration></Rule>"
    )
