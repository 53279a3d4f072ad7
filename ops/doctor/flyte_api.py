"""The checks of Flyte's HTTP API: the login, and the projects."""

import json
from collections.abc import Iterator

from components.flyte.names import RELEASE
from ops.doctor.check import Result, ok, wrong
from ops.doctor.stack import Stack
from ops.lib.client import NoAnswerError
from ops.lib.flyte_login import LoginError, client_secret, logged_in


def check_login(stack: Stack) -> Iterator[Result]:
    """Check that Flyte requires a login and accepts the secret of its own client.

    Afterwards the stack's client is logged in.
    """
    client = stack.client
    try:
        unknown = client.request(f"{client.http}/api/v1/projects?limit=1")
        stack.client = logged_in(client, client_secret(stack.cluster, stack.namespace))
    except NoAnswerError as error:
        yield wrong(f"Flyte does not answer at {client.http}: {error}", logs(stack))
        return
    except LoginError as error:
        yield wrong(str(error), logs(stack))
        return
    if unknown.ok:
        yield wrong(f"flyte-home:auth: Flyte at {client.http} answers without a login", f"make up STACK={stack.name}")
        return
    yield ok(f"{client.http} requires a login; provider {stack.settings.auth.issuer}")


def check_api(stack: Stack) -> Iterator[Result]:
    """Check that Flyte's API answers from its database and has every project in the settings."""
    client = stack.client
    url = f"{client.http}/api/v1/projects?limit=1000"
    try:
        answer = client.request(url, headers={"Accept": "application/json"}, seconds=20)
        known = {project["id"] for project in json.loads(answer.body).get("projects", [])} if answer.ok else set()
    except NoAnswerError as error:
        yield wrong(f"Flyte's API does not answer at {client.http}: {error}", logs(stack))
        return
    except (ValueError, TypeError, KeyError, AttributeError):
        yield wrong(f"{client.setting('http')}: the server at {client.http} is not Flyte", logs(stack))
        return
    if not answer.ok:
        yield wrong(f"Flyte's API at {client.http} answers with HTTP {answer.status}", logs(stack))
        return
    missing = sorted({project.name for project in stack.settings.projects} - known)
    if missing:
        yield wrong(
            f"Flyte does not have the project {', '.join(missing)}",
            f"make up STACK={stack.name}  # restarts it with them",
        )
        return
    yield ok(f"{client.http} has {', '.join(project.name for project in stack.settings.projects)}")


def logs(stack: Stack) -> str:
    """Return the command that shows the end of Flyte's log."""
    return stack.shown("logs", f"deployment/{RELEASE}", "--tail=40")
