"""The browser guard: a proxy on this machine in front of an HTTP endpoint of the stack.

It passes on what `BrowserRules` accept, unchanged: the object store's signatures cover the target and ``Host``. Bodies
of any size are passed on as they arrive.

The gRPC port needs no browser guard: it speaks HTTP/2 without TLS only, and browsers speak HTTP/2 only with TLS. Flyte
closes the connection on the first line of an HTTP/1.1 request.
"""

import asyncio
import logging
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from typing import TypeVar

import aiohttp
from aiohttp import web
from multidict import CIMultiDict
from yarl import URL

from ops.lib.browser_rules import BrowserRules

Place = tuple[str, int]
"""Host and port of a server."""

_T = TypeVar("_T")

# Headers of one connection; the next one has its own (https://www.rfc-editor.org/rfc/rfc9110#section-7.6.1).
_HOP_BY_HOP = {
    "connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "proxy-connection", "te", "trailer",
    "transfer-encoding", "upgrade",
}  # fmt: skip
# Headers that aiohttp would add to a request.
_AUTOMATIC = ("Accept", "Accept-Encoding", "Content-Type", "User-Agent")
# Bytes of a header: the cookies of a login and signed URLs are longer than aiohttp allows by default.
_HEADER_BYTES = 64 * 1024
_CONNECT_SECONDS = 5
_SHUTDOWN_SECONDS = 1

# aiohttp logs a traceback for each malformed request. The client gets an answer; the terminal needs none.
_log = logging.getLogger(__name__)
_log.addHandler(logging.NullHandler())
_log.propagate = False


class BrowserGuard:
    """A proxy that rejects the requests of foreign web pages. It runs in its own thread.

    Args:
        rules: what it accepts.
        place: where it listens.
        upstream: returns where the server is at the moment, or None if it cannot be reached.
    """

    def __init__(self, rules: BrowserRules, place: Place, upstream: Callable[[], Place | None]) -> None:
        self._rules, self._place, self._upstream = rules, place, upstream
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread()
        self._session: aiohttp.ClientSession
        self._runner: web.ServerRunner

    def start(self) -> None:
        """Listen, unless it does already.

        Raises:
            OSError: it cannot listen at its place.
        """
        if self._loop:
            return
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="browser guard", daemon=True)
        self._thread.start()
        try:
            self._run(self._open())
        except OSError:
            self.stop()
            raise

    def stop(self) -> None:
        """Close all connections and stop listening, in any state."""
        if not self._loop:
            return
        self._run(self._close())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()
        self._loop = None

    def _run(self, work: Coroutine[None, None, _T]) -> _T:
        assert self._loop  # noqa: S101 (for mypy)
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _open(self) -> None:
        self._session = aiohttp.ClientSession(
            # One connection per request: a request is never sent on a connection that the server is about to close.
            connector=aiohttp.TCPConnector(limit=0, force_close=True),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=_CONNECT_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
            skip_auto_headers=_AUTOMATIC,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )
        server = web.Server(
            self._answer,
            # Ends the request to the server when the client has gone.
            handler_cancellation=True,
            access_log=None,
            logger=_log,
            auto_decompress=False,
            max_line_size=_HEADER_BYTES,
            max_field_size=_HEADER_BYTES,
        )
        self._runner = web.ServerRunner(server, shutdown_timeout=_SHUTDOWN_SECONDS)
        await self._runner.setup()
        host, port = self._place
        await web.TCPSite(self._runner, host, port).start()

    async def _close(self) -> None:
        await self._runner.cleanup()
        await self._session.close()

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        if violation := self._rules.violation(request.method, request.raw_path, request.headers):
            return _rejected(403, f"rejected, because a web page could have sent this: {violation}")
        place = self._upstream()
        if not place:
            return _rejected(502, "the service cannot be reached at the moment")
        host, port = place
        headers = _end_to_end(request.headers)
        expects = headers.pop("Expect", "").lower() == "100-continue"
        response: web.StreamResponse | None = None
        try:
            async with self._session.request(
                request.method,
                URL(f"http://{host}:{port}{request.raw_path}", encoded=True),
                headers=headers,
                data=_body(request, expects) if request.body_exists else None,
                expect100=expects,
                allow_redirects=False,
            ) as answer:
                response = web.StreamResponse(
                    status=answer.status, reason=answer.reason, headers=_end_to_end(answer.headers)
                )
                if not request.content.at_eof():
                    response.force_close()
                await response.prepare(request)
                async for chunk in answer.content.iter_any():
                    await response.write(chunk)
                await response.write_eof()
                return response
        except (aiohttp.ClientError, OSError, ValueError):
            if not response or not response.prepared:
                return _rejected(502, "the service does not answer")
            # Otherwise the client would take a part of the answer for all of it.
            if request.transport:
                request.transport.abort()
            return response


async def _body(request: web.BaseRequest, expects: bool) -> AsyncIterator[bytes]:
    """Yield the body of a request as it arrives; this starts when the server is ready to receive it."""
    if expects:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    async for chunk in request.content.iter_any():
        yield chunk


def _end_to_end(headers: Mapping[str, str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)


def _rejected(status: int, why: str) -> web.Response:
    response = web.Response(status=status, text=f"flyte-home: {why}\n")
    # The rest of the request stays unread.
    response.force_close()
    return response
