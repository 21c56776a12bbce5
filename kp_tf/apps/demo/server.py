"""The `demo` command: a page that shows faces and their points, lets you correct them, and saves them.

The server listens on this machine only and stores nothing. Photographs and corrections stay in the page, which
sends what the server has to compute.
"""

import asyncio
import socket
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kp_tf.apps.demo.service import DemoService
from kp_tf.core.errors import KpError
from kp_tf.predict.detectors import DEFAULT

if TYPE_CHECKING:  # optional dependencies
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

    from kp_tf.apps.demo.limits import Limits, Uploads

HOST = "127.0.0.1"
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


def demo(runs: Sequence[str] | None = None, port: int = 8000, browser: bool = True, detector: str = DEFAULT) -> None:
    """Serve the page until Ctrl-C.

    Args:
        runs: networks to offer before those that come with kp_tf, each as `Predictor.load` takes it.
        port: the port on this machine; 0 lets the system choose.
        browser: open the page in the default browser.
        detector: the name of one of `detectors.MODULES`.

    Raises:
        KpError: if the extra is not installed, the port is in use, or the first network cannot be loaded.
    """
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise KpError("the demo needs Starlette and uvicorn: pip install starlette uvicorn")
    included = ("compact", "large") if find_spec("tensorflow") else ("compact",)
    server = http_server(name_networks(runs or (), included), detector=detector)
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
            server.run(sockets=[listener])


def name_networks(runs: Sequence[str], included: Sequence[str]) -> dict[str, str]:
    """Name the networks: those of the user first; a name that is taken already gets a number.

    Args:
        runs: what the user gave: names, run directories or files.
        included: the names of the networks that come with kp_tf.

    Returns:
        For each name what `Predictor.load` takes.
    """
    sources: dict[str, str] = {}
    for source in [*runs, *(name for name in included if name not in runs)]:
        path = Path(source).absolute()
        stem = path.name if path.is_dir() else path.stem
        name, number = stem, 1
        while name in sources:
            number += 1
            name = f"{stem} {number}"
        sources[name] = source
    return sources


def http_server(
    sources: Mapping[str, str], limits: "Limits | None" = None, detector: str = DEFAULT
) -> "uvicorn.Server":
    """Build the server of the page, to be run with a socket.

    Args:
        sources: the networks, as `DemoService` takes them.
        limits: None takes the usual ones.
        detector: as `demo` takes it.

    Raises:
        KpError: if the first network cannot be loaded.
    """
    import uvicorn

    from kp_tf.apps.demo.limits import LimitedProtocol, Limits

    limits = limits or Limits()
    protocol: Any = partial(LimitedProtocol, limits=limits)
    return uvicorn.Server(
        uvicorn.Config(
            _application(DemoService(sources, detector), limits), http=protocol, ws="none", log_level="warning"
        )
    )


def _application(service: DemoService, limits: "Limits") -> "Starlette":
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    from kp_tf.apps.demo.limits import BUSY, RETRY_HEADERS, BusyError, OwnPage, Uploads

    uploads = Uploads(limits)
    worker = ThreadPoolExecutor(1)  # each further thread would take memory for a detector and a heap of its own

    async def settings(request: Request) -> Response:
        return JSONResponse({"upload_limit": limits.upload, "networks": service.networks})

    def refusal(status: int, text: str | None = None, headers: Mapping[str, str] | None = None) -> Callable:
        async def refuse(request: Request, error: Exception) -> Response:
            said = (text or str(error)).encode(errors="backslashreplace").decode()  # half a surrogate pair
            return JSONResponse({"error": said}, status, headers)

        return refuse

    late = f"the request did not arrive within {limits.body_seconds:g} seconds"
    refusals = {
        KpError: refusal(422),
        BusyError: refusal(503, BUSY, RETRY_HEADERS),
        TimeoutError: refusal(408, late, {"Connection": "close"}),
        ClientDisconnect: refusal(400, "the client has gone away"),
    }
    computed = {
        "/predict": (service.predict, JSONResponse),
        "/preview": (service.preview, partial(Response, media_type="image/jpeg")),
        "/labels": (service.read_labels, JSONResponse),
        "/upright": (service.to_upright, JSONResponse),
        "/save": (service.save, PlainTextResponse),
    }
    routes = [
        *_static_routes(),
        Route("/settings", settings),
        *(
            Route(path, _endpoint(method, response, uploads, worker), methods=["POST"])
            for path, (method, response) in computed.items()
        ),
    ]
    # Another site's host name that resolves to this machine would let that site read the answers.
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[trusted, Middleware(OwnPage)], exception_handlers=refusals)


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


def _endpoint(
    method: Callable, response: "Callable[..., Response]", uploads: "Uploads", worker: ThreadPoolExecutor
) -> Callable:
    """Serve a method of the service: the body is its content, the query its other arguments."""

    async def endpoint(request: "Request") -> "Response":
        query = dict(request.query_params)
        async with uploads.receive(request) as content:
            try:
                signature(method).bind(content, **query)
            except TypeError as error:
                raise KpError(f"invalid request: {error}") from None
            work = partial(method, content, **query)
            return response(await asyncio.get_running_loop().run_in_executor(worker, work))

    return endpoint
