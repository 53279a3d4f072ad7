"""The check of signed addresses, by which clients upload and download files."""

import base64
import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterator

from ops.doctor.addresses import host_of
from ops.doctor.check import Result, ok, wrong
from ops.doctor.flyte_api import logs
from ops.doctor.stack import Stack
from ops.lib.client import Client, NoAnswerError
from ops.lib.text import one_line

# Always the same name and content, so that the bucket has only one such object.
_NAME, _CONTENT = "flyte-home-doctor", b"make doctor was here\n"


def check_signed_address(stack: Stack) -> Iterator[Result]:
    """Check that Flyte signs an upload and a download, and that both work from here, as `pyflyte run --remote` needs.

    Source: https://github.com/flyteorg/flyte/blob/v1.16.8/flyteidl/protos/flyteidl/service/dataproxy.proto
    """
    client, project = stack.client, stack.settings.task_scopes[0]
    route = f"{client.http}/api/v1/dataproxy/artifact_urn"
    asked = {
        "project": project.project,
        "domain": project.domain,
        "filename": _NAME,
        "filename_root": _NAME,
        "content_md5": base64.b64encode(hashlib.md5(_CONTENT, usedforsecurity=False).digest()).decode(),
        "add_content_md5_metadata": True,
        "expires_in": "60s",
    }
    as_json = {"Content-Type": "application/json", "Accept": "application/json"}
    try:
        answer = client.request(route, "POST", json.dumps(asked).encode(), as_json)
        upload = json.loads(answer.body) if answer.ok else {}
        if "signed_url" not in upload:
            yield wrong(f"Flyte signs no upload: HTTP {answer.status}: {_message(answer.body)}", logs(stack))
            return
        # Flyte gives the length of the checksum as the length of the content; flytekit replaces it, too.
        headers = {name: value for name, value in upload["headers"].items() if name.lower() != "content-length"}
        trouble = _use(stack, "upload", upload["signed_url"], client, "PUT", _CONTENT, headers)
        if isinstance(trouble, Result):
            yield trouble
            return
        query = urllib.parse.urlencode({"native_url": upload["native_url"], "expires_in": "60s"})
        answer = client.request(f"{route}?{query}", headers=as_json)
        download = json.loads(answer.body) if answer.ok else {}
        if "signed_url" not in download:
            yield wrong(f"Flyte signs no download: HTTP {answer.status}: {_message(answer.body)}", logs(stack))
            return
        content = _use(stack, "download", download["signed_url"], client, "GET", None, {})
    except NoAnswerError as error:
        yield wrong(f"Flyte's API does not answer at {client.http}: {error}", logs(stack))
        return
    except (ValueError, TypeError, KeyError):
        yield wrong(f"{client.setting('http')}: the server at {client.http} is not Flyte", logs(stack))
        return
    if isinstance(content, Result):
        yield content
    elif content != _CONTENT:
        yield wrong("the uploaded content comes back changed; something before the object store rewrites it")
    else:
        yield ok(f"an upload and a download, signed for {host_of(upload['signed_url'])}")


def _use(
    stack: Stack, what: str, url: str, client: Client, method: str, body: bytes | None, headers: dict[str, str]
) -> bytes | Result:
    """Send a request to a signed address; return the content, or a result that names only its host.

    The whole address gives access to the object, so no message may contain it.
    """
    host, expected = host_of(url), host_of(client.object_store)
    setting = client.setting("objectStore")
    foreign = "" if host == expected else f", but {setting} is {client.object_store}"
    health = "/minio/health/ready" if client.bundled_store else ""
    remedy = f"make up STACK={stack.name}" if foreign else f"curl -v {client.object_store}{health}"
    try:
        answer = client.request(url, method, body, headers)
    except NoAnswerError as error:
        return wrong(f"the {what} is signed for {host}, which cannot be reached from here: {error}{foreign}", remedy)
    if answer.ok:
        return answer.body
    code = re.search(rb"<Code>(\w+)</Code>", answer.body)
    reason = f"HTTP {answer.status}{f' {code[1].decode()}' if code else ''}"
    if code and code[1] == b"SignatureDoesNotMatch":
        reason += "; something in between changes the host or a header, or the key is not Flyte's"
    return wrong(f"the {what} is signed for {host}, which rejects it: {reason}{foreign}", remedy)


def _message(body: bytes) -> str:
    """Return the message of an error of Flyte's API."""
    try:
        return one_line(str(json.loads(body)["message"]), 200)
    except (ValueError, TypeError, KeyError):
        return "no message"
