"""The `demo` command: a page that shows faces and their points, lets you correct them, and saves them.

The server listens on this machine only and stores nothing. Photographs and corrections stay in the page, which
sends what the server has to compute.
"""

import socket
import threading
import webbrowser
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING

from kp_tf.apps.demo.service import DemoService
from kp_tf.core.errors import KpError

if TYPE_CHECKING:  # an optional dependency
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route
    from starlette.types import ASGIApp

HOST = "127.0.0.1"
UPLOAD_LIMIT = 100_000_000  # bytes of one request: a photograph, or the faces of many
STATIC = Path(__file__).with_name("static")
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
STATIC_HEADERS = {
    # The page loads nothing from elsewhere and sends nothing elsewhere; blob: is for photographs in its memory.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}


def demo(runs: Sequence[str] | None = None, port: int = 8000, browser: bool = True) -> None:
    """Serve the page until Ctrl-C.

    Args:
        runs: networks to offer before those that come with kp_tf, each as `Predictor.load` takes it.
        port: the port on this machine; 0 lets the system choose.
        browser: open the page in the default browser.

    Raises:
        KpError: if the extra is not installed, the port is in use, or the first network cannot be loaded.
    """
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise KpError("the demo needs Starlette and uvicorn: pip install starlette uvicorn")
    import uvicorn

    included = ("compact", "large") if find_spec("tensorflow") else ("compact",)
    app = application({Path(run).stem: run for run in runs or ()} | {name: name for name in included})
    try:
        listener = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise KpError(f"cannot listen on port {port}: {error}; choose another with --port") from None
    with listener:
        address = f"http://{HOST}:{listener.getsockname()[1]}"
        print(f"Serving the page at {address} (press Ctrl-C to stop)", flush=True)
        if browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        with suppress(KeyboardInterrupt):  # the usual way to stop the server
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listener])


def application(sources: Mapping[str, str], upload_limit: int = UPLOAD_LIMIT) -> "ASGIApp":
    """Build the ASGI application of the page.

    Args:
        sources: the networks, as `DemoService` takes them.
        upload_limit: the largest request, in bytes.

    Raises:
        KpError: if the first network cannot be loaded.
    """
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    service = DemoService(sources)

    async def settings(request: Request) -> Response:
        return JSONResponse({"upload_limit": upload_limit, "networks": service.networks})

    async def explain(request: Request, error: Exception) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    computed = {
        "/predict": (service.predict, JSONResponse),
        "/preview": (service.preview, partial(Response, media_type="image/jpeg")),
        "/upright": (service.to_upright, JSONResponse),
        "/save": (service.save, PlainTextResponse),
    }
    routes = [
        *_static_routes(),
        Route("/settings", settings),
        *(
            Route(path, _endpoint(method, response, upload_limit), methods=["POST"])
            for path, (method, response) in computed.items()
        ),
    ]
    # Another site's host name that resolves to this machine would let that site read the answers.
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[trusted], exception_handlers={KpError: explain})


def _static_routes() -> "list[Route]":
    """Routes to the files of the static folder; index.html is the page itself."""
    from starlette.responses import FileResponse
    from starlette.routing import Route

    def serve(path: Path) -> Callable:
        async def endpoint(request: "Request") -> "Response":
            return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=STATIC_HEADERS)

        return endpoint

    files = sorted(path for path in STATIC.iterdir() if path.suffix in MEDIA_TYPES)
    return [Route("/", serve(STATIC / "index.html")), *(Route(f"/{path.name}", serve(path)) for path in files)]


def _endpoint(method: Callable, response: "Callable[..., Response]", upload_limit: int) -> Callable:
    """Serve a method of the service: the body is its content, the query its other arguments."""
    from starlette.concurrency import run_in_threadpool

    async def endpoint(request: "Request") -> "Response":
        content, query = await _read(request.stream(), upload_limit), dict(request.query_params)
        try:
            signature(method).bind(content, **query)
        except TypeError as error:
            raise KpError(f"invalid request: {error}") from None
        return response(await run_in_threadpool(method, content, **query))

    return endpoint


async def _read(stream: AsyncIterator[bytes], limit: int) -> bytes:
    """Read a request's body without ever holding more than the limit and one chunk."""
    content = bytearray()
    async for chunk in stream:
        content += chunk
        if len(content) > limit:
            raise KpError(f"the upload is larger than the limit of {limit / 1e6:g} MB")
    return bytes(content)
