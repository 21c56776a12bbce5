"""What the server refuses: other sites, requests beyond what it can hold, and requests that never end."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from kp_tf.core.errors import KpError

RETRY_HEADERS = {"Retry-After": "1"}  # seconds
BUSY = "the server is busy; try again"
_BUSY_RESPONSE = b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"


@dataclass(frozen=True)
class Limits:
    """What the server takes on at once.

    Attributes:
        upload: bytes of one request: a photograph, or the faces of many.
        uploads: bytes of all requests that are being read or answered.
        requests: how many requests may be read or answered at once.
        connections: how many connections may be open at once; a browser opens six.
        head_seconds: how long a connection may take to send the head of a request.
        body_seconds: how long a request may take to send its body.
    """

    upload: int = 100_000_000
    uploads: int = 250_000_000
    requests: int = 16
    connections: int = 64
    head_seconds: float = 10
    body_seconds: float = 60


class BusyError(Exception):
    """The server has reached a limit; the request can be sent again later."""


class Uploads:
    """The bodies of the requests in progress, within the limits."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._requests = 0
        self._bytes = 0

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[bytes]:
        """Read the body of a request and count it until the request is answered.

        Raises:
            BusyError: if other requests leave no room for it.
            TimeoutError: if it does not arrive in time.
            KpError: if it is too large.
        """
        if self._requests >= self._limits.requests:
            raise BusyError
        chunks, size = [], 0
        self._requests += 1
        try:
            async with asyncio.timeout(self._limits.body_seconds):
                async for chunk in request.stream():
                    chunks.append(chunk)
                    size += len(chunk)
                    self._bytes += len(chunk)
                    self._check(size)
            content = b"".join(chunks)
            chunks.clear()  # or there would be two of it
            yield content
        finally:
            self._requests -= 1
            self._bytes -= size

    def _check(self, size: int) -> None:
        if size > self._limits.upload:
            raise KpError(f"the upload is larger than the limit of {self._limits.upload / 1e6:g} MB")
        if self._bytes > self._limits.uploads:
            raise BusyError


class OwnPage:
    """Middleware that answers the page alone: requests that another site causes are refused."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, or refuse it."""
        if scope["type"] != "http" or _is_own(Request(scope)):
            await self._app(scope, receive, send)
        else:
            refusal = JSONResponse({"error": "requests of other sites are refused"}, 403)
            await refusal(scope, receive, send)


def _is_own(request: Request) -> bool:
    """Whether a request comes from the page itself, from a program, or from a person who opens the address."""
    headers = request.headers
    if request.method == "GET" and headers.get("sec-fetch-mode") == "navigate":
        return True  # a link to the page; other sites cannot read the answer
    own = f"{request.url.scheme}://{headers.get('host', '')}"
    return headers.get("origin", own) == own and headers.get("sec-fetch-site", "none") in ("none", "same-origin")


class LimitedProtocol(H11Protocol):
    """HTTP with a limit on connections, each of which must send the head of a request in time."""

    def __init__(self, *args, limits: Limits, **options) -> None:
        super().__init__(*args, **options)
        self._limits = limits
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Await a request, or say that the server is busy."""
        super().connection_made(transport)
        if len(self.connections) > self._limits.connections:
            transport.write(_BUSY_RESPONSE)
            transport.close()
        else:
            self._await_head()

    def handle_events(self) -> None:
        """Stop the clock once a request has begun; its body has a limit of its own."""
        super().handle_events()
        if self._deadline and self.cycle and not self.cycle.response_complete:
            self._deadline.cancel()

    def on_response_complete(self) -> None:
        """Await the next request."""
        self._await_head()
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the clock."""
        super().connection_lost(exc)
        if self._deadline:
            self._deadline.cancel()

    def _await_head(self) -> None:
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(self._limits.head_seconds, self.transport.abort)
