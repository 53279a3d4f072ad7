"""Questions to Flyte's REST API, which is its gRPC API as JSON."""

import json
from http import HTTPStatus
from typing import Any

from ops.lib.client import Client, NoAnswerError
from ops.lib.text import one_line


class FlyteError(Exception):
    """Flyte or its cluster does not answer as expected; the message gives the reason."""


def ask(client: Client, method: str, path: str, body: Any = None, *, missing: bool = False) -> dict[str, Any]:
    """Return the answer of Flyte's API, with the names that its protocol buffers have.

    Args:
        client: client of the stack, logged in if Flyte requires it.
        method: method of HTTP.
        path: path with its query.
        body: content to send as JSON.
        missing: whether the answer is empty instead of an error if there is no such thing.

    Raises:
        FlyteError: Flyte does not answer, or answers with an error.
    """
    url = f"{client.http}{path}"
    where = f"{method} {url.partition('?')[0]}"
    # Without this Accept, Flyte answers with names in camel case.
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        answer = client.request(url, method, json.dumps(body).encode() if body else None, headers, seconds=30)
        content = json.loads(answer.body)
    except NoAnswerError as error:
        raise FlyteError(f"{where}: {error}") from None
    except ValueError:
        raise FlyteError(f"{where}: the answer is not Flyte's (HTTP {answer.status})") from None
    if missing and answer.status == HTTPStatus.NOT_FOUND:
        return {}
    if not answer.ok:
        raise FlyteError(f"{where}: HTTP {answer.status}: {one_line(str(content.get('message', '')), 200)}")
    return dict(content)
