"""The check of Flyte's gRPC API."""

from collections.abc import Iterator

import grpc  # type: ignore[import-untyped]

from ops.doctor.check import Result, ok, wrong
from ops.doctor.flyte_api import logs
from ops.doctor.stack import Stack
from ops.lib.client import NoAnswerError
from ops.lib.text import one_line

# Parts of gRPC's messages about a server of HTTP/1.1, with and without TLS, and about an error page over HTTP/2.
_HTTP = ("settings frame", "alpn", "received http2 header with status", "http1")


def check_grpc(stack: Stack) -> Iterator[Result]:
    """Check that Flyte's gRPC API answers at its address."""
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


def _refusal(stack: Stack, code: grpc.StatusCode, details: str, where: str) -> Result:
    """Explain an error of gRPC.

    The texts come from gRPC's core (https://github.com/grpc/grpc/tree/v1.80.0/src/core), which has no codes for these
    errors. Unknown texts are quoted.
    """
    quoted, text = one_line(details, 200), details.lower()
    insecure = "flyte-home:clientEndpoints.insecure"
    services = stack.shown("get", "service,ingress", "--output=wide")
    tls = f"openssl s_client -alpn h2 -connect {stack.client.grpc.rsplit('/', 1)[-1]} </dev/null"
    if code == grpc.StatusCode.UNAUTHENTICATED and stack.client.token:
        return wrong(f"{where}: the server rejects the token that Flyte issued ({quoted})", logs(stack))
    if code == grpc.StatusCode.UNAUTHENTICATED:
        return wrong(f"{where} requires a login, but flyte-home:auth has no issuer", f"make up STACK={stack.name}")
    if code == grpc.StatusCode.DEADLINE_EXCEEDED:
        return wrong(f"{where}: something listens, but does not answer", services)
    if "certificate_verify_failed" in text:
        return wrong(f"{where}: TLS: this machine does not trust its certificate ({quoted})", tls)
    if "handshake failed" in text:
        return wrong(
            f"{where}: TLS: the server speaks no TLS, or another version ({quoted}); without TLS, set {insecure} to "
            "true",
            tls,
        )
    if code == grpc.StatusCode.UNIMPLEMENTED or any(sign in text for sign in _HTTP):
        return wrong(
            f"{where}: an HTTP answer instead of gRPC ({quoted}); an ingress must speak HTTP/2 to Flyte (h2c), and "
            "the address must lead to Flyte's gRPC service",
            services,
        )
    if stack.client.insecure and code == grpc.StatusCode.UNAVAILABLE:
        return wrong(
            f"{where}: the server closes the connection ({quoted}); if it speaks TLS, set {insecure} to false",
            services,
        )
    return wrong(f"{where}: {code.name}: {quoted}", logs(stack))
