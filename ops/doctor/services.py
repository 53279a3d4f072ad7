"""Checks 6 to 9: the ways, the database, Flyte's API, the buckets, signed addresses and gRPC."""

import base64
import hashlib
import json
import re
import urllib.parse
from collections.abc import Iterator

import grpc  # type: ignore[import-untyped]

from components.database import postgres
from components.flyte.names import RELEASE
from ops.doctor.check import Said, ok, wrong
from ops.doctor.stack import Stack, one_line
from ops.lib.client import Client, NoAnswerError
from ops.lib.client_endpoints import ClientEndpoint, ForwardError
from ops.lib.flyte_login import LoginError, client_secret, logged_in
from ops.lib.forwards import Forwards
from ops.lib.port_holder import holder_of, taken_port
from settings.projects import TaskScope
from settings.secrets import TASK_STORE_SECRET
from settings.values import split_address

# What gRPC says of a server of HTTP/1.1, with and without TLS, and of an error page over HTTP/2.
_HTTP = ("settings frame", "alpn", "received http2 header with status", "http1")
# One object, whatever happens: always the same name and content.
_NAME, _CONTENT = "flyte-home-doctor", b"make doctor was here\n"


def endpoint(stack: Stack, wanted: ClientEndpoint, forwards: Forwards | None) -> Iterator[Said]:
    """The address of a service leads to it: through a port-forward, which is opened if nobody has, or by itself.

    Args:
        stack: the stack.
        wanted: the service and its address.
        forwards: entered, if the port-forwards are the doctor's own; None if another command of this stack has them.
    """
    if not wanted.forwarded:
        host = split_address(wanted.address).hostname
        try:
            stack.client.reach(wanted.address)
            if wanted.setting != "grpc":  # which has a check of its own
                stack.client.request(f"{wanted.address}/", seconds=5)
        except NoAnswerError as error:
            said = str(error)
            look = f"openssl s_client -connect {_host(wanted.address)} -servername {host} </dev/null"
            yield wrong(
                f"{stack.client.setting(wanted.setting)}: {wanted.address} cannot be reached: {said}",
                look if said.startswith("TLS") else f"ping -c 1 {host}",
            )
            return
        yield ok(f"{wanted.address} can be reached")
        return
    if not forwards:
        holder = holder_of(stack.name)
        if not holder or holder.cluster != stack.settings.cluster_uid or wanted.local_port not in holder.ports:
            who = f"{holder.command} (process {holder.pid})" if holder else "the command that had them open"
            yield wrong(
                f"{who} has no way to {wanted.address} in this cluster; end it", f"make connect STACK={stack.name}"
            )
            return
        yield ok(f"{wanted.address}, which {holder.command} (process {holder.pid}) keeps open")
        return
    if wanted.listening:
        taken = taken_port(stack.name, wanted)
        yield wrong(taken.says, taken.mend)
        return
    forward = next(found for found in forwards.forwards if found.endpoint.service == wanted.service)
    try:
        forwards.open(forward)
    except ForwardError as error:
        yield wrong(error.says, stack.shown("describe", "service", wanted.service))
        return
    yield ok(f"{wanted.address}, by a port-forward for as long as this runs")


def database(stack: Stack) -> Iterator[Said]:
    """The database lets Flyte in with the password that is mounted, and nobody with another one."""
    pod = f"{postgres.SERVICE}-0"
    answer = stack.cluster.run(
        "exec", pod, f"--namespace={stack.namespace}", "--container=postgres", "--", "/bin/sh", "/scripts/login.sh"
    )
    if answer.returncode:
        yield wrong(
            f"the login of Flyte's role fails: {one_line(_of_psql(answer.stderr))}",
            f"{stack.shown('delete', 'pod', pod)}  # its next start sets the passwords that are mounted",
        )
        return
    yield ok("a login with the mounted password works, and another password is refused")


def login(stack: Stack) -> Iterator[Said]:
    """Flyte asks who is there, and takes the secret of its own client. The stack's client is logged in after this."""
    client = stack.client
    try:
        unknown = client.request(f"{client.http}/api/v1/projects?limit=1")
        stack.client = logged_in(client, client_secret(stack.cluster, stack.namespace))
    except NoAnswerError as error:
        yield wrong(f"Flyte does not answer at {client.http}: {error}", _logs(stack))
        return
    except LoginError as error:
        yield wrong(str(error), _logs(stack))
        return
    if unknown.ok:
        yield wrong(f"flyte-home:auth: Flyte at {client.http} answers without a login", f"make up STACK={stack.name}")
        return
    yield ok(f"{client.http} wants a login; provider {stack.settings.auth.issuer}")


def api(stack: Stack) -> Iterator[Said]:
    """Flyte's API answers from its database, and knows the projects of the settings."""
    client = stack.client
    url = f"{client.http}/api/v1/projects?limit=1000"
    logs = _logs(stack)
    try:
        answer = client.request(url, headers={"Accept": "application/json"}, seconds=20)
        known = {project["id"] for project in json.loads(answer.body).get("projects", [])} if answer.ok else set()
    except NoAnswerError as error:
        yield wrong(f"Flyte's API does not answer at {client.http}: {error}", logs)
        return
    except (ValueError, TypeError, KeyError, AttributeError):
        yield wrong(f"{client.setting('http')}: what answers at {client.http} is not Flyte", logs)
        return
    if not answer.ok:
        yield wrong(f"Flyte's API at {client.http} answers with HTTP {answer.status}", logs)
        return
    missing = sorted({project.name for project in stack.settings.projects} - known)
    if missing:
        yield wrong(
            f"Flyte does not know the project {', '.join(missing)}",
            f"make up STACK={stack.name}  # restarts it with them",
        )
        return
    yield ok(f"{client.http} knows {', '.join(project.name for project in stack.settings.projects)}")


def buckets(stack: Stack) -> Iterator[Said]:
    """The key that the tasks of each project and domain have opens their bucket."""
    troubles = [trouble for scope in stack.settings.task_scopes for trouble in _bucket(stack, scope)]
    yield from troubles
    if not troubles:
        yield ok(", ".join(scope.bucket for scope in stack.settings.task_scopes))


def _bucket(stack: Stack, scope: TaskScope) -> Iterator[Said]:
    from botocore.exceptions import BotoCoreError, ClientError  # type: ignore[import-untyped]

    key = stack.kept_secrets[scope.namespace].get(TASK_STORE_SECRET, {})
    access, secret = key.get("FLYTE_AWS_ACCESS_KEY_ID", ""), key.get("FLYTE_AWS_SECRET_ACCESS_KEY", "")
    if not access or not secret:
        yield wrong(
            f"there is no key: the Secret {TASK_STORE_SECRET} in {scope.namespace} is missing or empty", stack.up_again
        )
        return
    try:
        with stack.client.store(access, secret) as store:
            # Unlike HEAD, its refusal says why.
            store.list_objects_v2(Bucket=scope.bucket, MaxKeys=1)
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code", "unknown")
        if code == "NoSuchBucket":
            yield wrong(f"missing bucket: {scope.bucket}", _provision_again(stack))
        elif code in {"InvalidAccessKeyId", "SignatureDoesNotMatch"}:
            renew = stack.cluster.shown("delete", "secret", TASK_STORE_SECRET, "--namespace", scope.namespace)
            yield wrong(
                f"wrong key: the store refuses that of {scope.namespace} ({code})", f"{renew} && {stack.up_again}"
            )
        elif code == "AccessDenied":
            yield wrong(
                f"the key of {scope.namespace} is right, but may not open its bucket {scope.bucket} ({code})",
                _provision_again(stack),
            )
        else:
            yield wrong(f"the bucket {scope.bucket} cannot be opened: {code}", stack.up_again)
    except BotoCoreError as error:
        yield wrong(
            f"not reachable: the object store at {stack.client.object_store} ({type(error).__name__})",
            stack.shown("logs", "statefulset/minio", "--tail=40"),
        )


def _provision_again(stack: Stack) -> str:
    """The command by which the Job that makes buckets and users runs again."""
    jobs = [job["metadata"]["name"] for job in stack.of("Job") if job["metadata"]["name"].startswith("minio-provision")]
    delete = f"{stack.shown('delete', 'job', *jobs)} && " if jobs else ""
    return f"{delete}{stack.up_again}"


def signed_address(stack: Stack) -> Iterator[Said]:
    """Flyte signs an upload and a download, and both work from here, as `pyflyte run --remote` needs it.

    https://github.com/flyteorg/flyte/blob/v1.16.8/flyteidl/protos/flyteidl/service/dataproxy.proto
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
    logs = _logs(stack)
    try:
        answer = client.request(route, "POST", json.dumps(asked).encode(), as_json)
        upload = json.loads(answer.body) if answer.ok else {}
        if "signed_url" not in upload:
            yield wrong(f"Flyte signs no upload: HTTP {answer.status}: {_said_by_flyte(answer.body)}", logs)
            return
        # Flyte names the length of the checksum as that of the content; flytekit replaces it, too.
        headers = {name: value for name, value in upload["headers"].items() if name.lower() != "content-length"}
        trouble = _use(stack, "upload", upload["signed_url"], client, "PUT", _CONTENT, headers)
        if isinstance(trouble, Said):
            yield trouble
            return
        query = urllib.parse.urlencode({"native_url": upload["native_url"], "expires_in": "60s"})
        answer = client.request(f"{route}?{query}", headers=as_json)
        download = json.loads(answer.body) if answer.ok else {}
        if "signed_url" not in download:
            yield wrong(f"Flyte signs no download: HTTP {answer.status}: {_said_by_flyte(answer.body)}", logs)
            return
        content = _use(stack, "download", download["signed_url"], client, "GET", None, {})
    except NoAnswerError as error:
        yield wrong(f"Flyte's API does not answer at {client.http}: {error}", logs)
        return
    except (ValueError, TypeError, KeyError):
        yield wrong(f"{client.setting('http')}: what answers at {client.http} is not Flyte", logs)
        return
    if isinstance(content, Said):
        yield content
    elif content != _CONTENT:
        yield wrong("what was uploaded comes back changed; something between here and the object store rewrites it")
    else:
        yield ok(f"an upload and a download, signed for {_host(upload['signed_url'])}")


def _use(
    stack: Stack, what: str, url: str, client: Client, method: str, body: bytes | None, headers: dict[str, str]
) -> bytes | Said:
    """What a signed address gives; or what is wrong with it, by its host: the whole of it is a key."""
    host, expected = _host(url), _host(client.object_store)
    setting = client.setting("objectStore")
    foreign = "" if host == expected else f", but {setting} is {client.object_store}"
    mend = f"make up STACK={stack.name}" if foreign else f"curl -v {client.object_store}/minio/health/ready"
    try:
        answer = client.request(url, method, body, headers)
    except NoAnswerError as error:
        return wrong(f"the {what} is signed for {host}, which cannot be reached from here: {error}{foreign}", mend)
    if answer.ok:
        return answer.body
    code = re.search(rb"<Code>(\w+)</Code>", answer.body)
    reason = f"HTTP {answer.status}{f' {code[1].decode()}' if code else ''}"
    if code and code[1] == b"SignatureDoesNotMatch":
        reason += "; something on the way changes the host or a header, or the key is not Flyte's"
    return wrong(f"the {what} is signed for {host}, which refuses it: {reason}{foreign}", mend)


def grpc_api(stack: Stack) -> Iterator[Said]:
    """Flyte's gRPC API answers at its address."""
    client = stack.client
    address, setting = client.grpc, client.setting("grpc")
    try:
        client.reach(address)
    except NoAnswerError as error:
        yield wrong(f"no TCP connection to {address}: {error}", f"make connect STACK={stack.name}")
        return
    try:
        client.flyte_answers()
    except grpc.RpcError as error:
        yield _refusal(stack, error.code(), str(error.details()), f"{setting}: {address}")
        return
    yield ok(f"{address} answers")


def _refusal(stack: Stack, code: grpc.StatusCode, details: str, where: str) -> Said:
    """What an error of gRPC means.

    The texts are those of gRPC's core (https://github.com/grpc/grpc/tree/v1.80.0/src/core), which has no codes for
    them; what is not known is quoted.
    """
    quoted, text = one_line(details, 200), details.lower()
    insecure = "flyte-home:clientEndpoints.insecure"
    services = stack.shown("get", "service,ingress", "--output=wide")
    tls = f"openssl s_client -alpn h2 -connect {stack.client.grpc.rsplit('/', 1)[-1]} </dev/null"
    if code == grpc.StatusCode.UNAUTHENTICATED and stack.client.token:
        return wrong(f"{where}: it does not take the token that Flyte has given ({quoted})", _logs(stack))
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return wrong(f"{where} wants a login, but flyte-home:auth has no issuer", f"make up STACK={stack.name}")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return wrong(f"{where}: something listens, but does not answer", services)
    if "certificate_verify_failed" in text:
        return wrong(f"{where}: TLS: this machine does not trust its certificate ({quoted})", tls)
    if "handshake failed" in text:
        return wrong(
            f"{where}: TLS: it speaks none, or another version ({quoted}); without TLS {insecure} is true", tls
        )
    if code == grpc.StatusCode.UNIMPLEMENTED or any(sign in text for sign in _HTTP):
        return wrong(
            f"{where}: an HTTP answer instead of gRPC ({quoted}); an ingress has to speak HTTP/2 to Flyte (h2c), and "
            "the address to lead to its gRPC service",
            services,
        )
    if stack.client.insecure and code == grpc.StatusCode.UNAVAILABLE:
        return wrong(f"{where}: it closes the connection ({quoted}); if it speaks TLS, {insecure} is false", services)
    return wrong(f"{where}: {code.name}: {quoted}", stack.shown("logs", f"deployment/{RELEASE}", "--tail=40"))


def _logs(stack: Stack) -> str:
    return stack.shown("logs", f"deployment/{RELEASE}", "--tail=40")


def _host(url: str) -> str:
    return urllib.parse.urlsplit(url).netloc.rpartition("@")[2]


def _said_by_flyte(body: bytes) -> str:
    try:
        return one_line(str(json.loads(body)["message"]), 200)
    except (ValueError, TypeError, KeyError):
        return "no message"


def _of_psql(text: str) -> str:
    """Without the line that kubectl adds."""
    return "\n".join(line for line in text.splitlines() if not line.startswith("command terminated"))
