"""The check of the task secrets."""

import json
from collections.abc import Iterator

from ops.doctor.check import Result, ok, remark, wrong
from ops.doctor.stack import Stack
from ops.doctor.vault import check_vault
from settings import is_sample
from settings.secrets import TaskSecretKey


def check_secrets(stack: Stack) -> Iterator[Result]:
    """Check that every secret that a project asks for is in its task namespaces, with valid content."""
    manager = stack.settings.secret_manager.type
    if manager == "Vault":
        yield from check_vault(stack)
        return
    if manager != "K8s":
        yield ok(f"the task secrets are in {manager}")
        return
    groups = {group.group: group for group in stack.settings.task_secrets}
    troubles, samples, count = [], set(), 0
    for scope in stack.settings.task_scopes:
        for name in stack.groups_of(scope):
            for key in groups[name].keys:
                count += 1
                value = stack.kept_secrets[scope.namespace].get(name, {}).get(key.key)
                if problem := _problem(value, key):
                    renew = stack.cluster.shown("delete", "secret", name, "--namespace", scope.namespace)
                    first = "" if value is None else f"{renew} && "
                    troubles.append(
                        wrong(f"{name}/{key.key} in {scope.namespace} {problem}", f"{first}{stack.up_again}")
                    )
                elif value and is_sample(value):
                    samples.add(key.setting)
    yield from troubles
    for setting in sorted(samples):
        yield remark(
            f"flyte-home:{setting} holds the sample, which gives no access to anything",
            f"pulumi config set --secret flyte-home:{setting} --stack {stack.name} < creds.json "
            f"&& make up STACK={stack.name}",
        )
    if not troubles:
        yield ok(f"{count} keys in {len(stack.settings.task_scopes)} namespaces")


def _problem(value: str | None, key: TaskSecretKey) -> str:
    """Return what is wrong with the value of a key, or an empty text. The value itself is never quoted."""
    if value is None:
        return "is missing"
    if not value.strip():
        return "is empty"
    if key.format == "json":
        try:
            if not isinstance(json.loads(value), dict):
                return "is JSON, but not an object"
        except (ValueError, RecursionError):
            return "is not JSON"
    return ""
