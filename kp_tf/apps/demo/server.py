"""The `demo` command: a page that shows faces and their points, lets you correct them, and saves them.

The server listens on this machine only. Without a folder it stores nothing: photographs and corrections stay in the
page, which sends what the server has to compute. With a folder it serves the page of a project, which keeps everything
there.
"""

import asyncio
import socket
import threading
import webbrowser
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kp_tf.apps.demo.exporting import ExportService
from kp_tf.apps.demo.live import LiveService
from kp_tf.apps.demo.pages import static_routes
from kp_tf.apps.demo.project import Project, opened
from kp_tf.apps.demo.project_service import OtherPageError, ProjectService
from kp_tf.apps.demo.proposals import Proposals
from kp_tf.apps.demo.service import DemoService
from kp_tf.apps.demo.trainings import Trainings
from kp_tf.artifacts.weights import WEIGHTS
from kp_tf.core.errors import KpError
from kp_tf.predict.detectors import DEFAULT, find_detector
from kp_tf.predict.search import NETWORK

if TYPE_CHECKING:  # optional dependencies
    import uvicorn
    from starlette.applications import Starlette
    from starlette.requests import Request
    from starlette.responses import Response

    from kp_tf.apps.demo.limits import Limits, Uploads

HOST = "127.0.0.1"
SLOW = ("/project/propose", "/project/network", "/project/crop", "/project/detect", "/project/export", "/preview")


def demo(
    runs: Sequence[str] | None = None,
    port: int = 8000,
    browser: bool = True,
    detector: str = DEFAULT,
    folder: Path | None = None,
) -> None:
    """Serve the page until Ctrl-C.

    Args:
        runs: networks to offer before those that come with kp_tf, each as `Predictor.load` takes it.
        port: the port on this machine; 0 lets the system choose.
        browser: open the page in the default browser.
        detector: a name or directory, see `detectors.find_detector`.
        folder: of a project to open; None: the page that keeps nothing.

    Raises:
        KpError: if the extra is not installed, the port is in use, or the project or the first network cannot be
            loaded.
    """
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise KpError("the demo needs Starlette and uvicorn: pip install starlette uvicorn")
    if folder and runs:
        raise KpError("--run cannot be used with a folder: a project proposes points with the networks in its runs")
    if detector != NETWORK:
        find_detector(detector)  # which may not exist
    with ExitStack() as held:
        if folder:
            server = project_server(held.enter_context(opened(folder)), detector=detector)
        else:
            server = http_server(name_networks(runs or ()), detector=detector)
        _serve(server, port, browser)


def _serve(server: "uvicorn.Server", port: int, browser: bool) -> None:
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


def name_networks(runs: Sequence[str]) -> dict[str, str]:
    """Name the user's networks and, after them, those of WEIGHTS; a name that is taken already gets a number.

    Args:
        runs: what the user gave: names, run directories or files.

    Returns:
        For each name what `Predictor.load` takes.
    """
    sources: dict[str, str] = {}
    for source in [*runs, *(name for name in WEIGHTS if name not in runs)]:
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
    service = DemoService(sources, detector)
    settings = {"networks": service.networks}
    endpoints = {
        "/predict": (service.predict, "json"),
        "/preview": (service.preview, "jpeg"),
        "/labels": (service.read_labels, "json"),
        "/upright": (service.to_upright, "json"),
        "/save": (service.save, "text"),
    }
    return _server("index.html", endpoints, settings, limits)


def project_server(
    project: Project,
    limits: "Limits | None" = None,
    detector: str = DEFAULT,
    trainings: Trainings | None = None,
) -> "uvicorn.Server":
    """Build the server of a project's page, to be run with a socket.

    Args:
        project: to serve.
        limits: None takes the usual ones.
        detector: as `demo` takes it.
        trainings: of the project; None: those of `kp-tf train`.
    """
    proposals = Proposals(detector)
    service, live = ProjectService(project, proposals, trainings), LiveService(project, proposals)
    endpoints = {
        "/project/open": (service.open, "json"),
        "/project/alive": (service.alive, "json"),
        "/project/close": (service.close, "json"),
        "/project/photograph": (service.photograph, "bytes"),
        "/project/faces": (service.faces, "json"),
        "/project/save": (service.save, "json"),
        "/project/scheme": (service.change_scheme, "json"),
        "/project/shape": (service.shape, "json"),
        "/project/propose": (service.propose, "json"),
        "/project/next": (service.next_to_mark, "json"),
        "/project/add": (service.add, "json"),
        "/project/network": (live.network, "json"),
        "/project/crop": (live.crop, "bytes"),
        "/project/detect": (live.detect, "json"),
        "/project/export": (ExportService(project, proposals).export, "json"),
        "/project/train": (service.train, "json"),
        "/project/stop": (service.stop, "json"),
        "/project/training": (service.training, "json"),
        "/preview": (service.preview, "jpeg"),
    }
    return _server("project/index.html", endpoints, {}, limits, slow=SLOW)


def _server(
    page: str,
    endpoints: "Mapping[str, tuple[Callable, str]]",
    settings: Mapping[str, object],
    limits: "Limits | None",
    slow: Sequence[str] = (),
) -> "uvicorn.Server":
    """A server of a page, its files and the methods that it asks for; the slow ones have a thread of their own."""
    import uvicorn

    from kp_tf.apps.demo.limits import LimitedProtocol, Limits

    limits = limits or Limits()
    protocol: Any = partial(LimitedProtocol, limits=limits)
    application = _application(page, endpoints, {"upload_limit": limits.upload, **settings}, limits, slow)
    return uvicorn.Server(uvicorn.Config(application, http=protocol, ws="none", log_level="warning"))


def _application(
    page: str,
    endpoints: "Mapping[str, tuple[Callable, str]]",
    settings: Mapping[str, object],
    limits: "Limits",
    slow: Sequence[str],
) -> "Starlette":
    from starlette.applications import Starlette
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse, PlainTextResponse, Response
    from starlette.routing import Route

    from kp_tf.apps.demo.limits import BUSY, RETRY_HEADERS, BusyError, OwnPage, Uploads

    uploads = Uploads(limits)
    # one thread: each further one would take memory for a detector and a heap of its own
    worker = ThreadPoolExecutor(1)
    slow_worker = ThreadPoolExecutor(1) if slow else worker
    responses = {
        "json": JSONResponse,
        "text": PlainTextResponse,
        "jpeg": partial(Response, media_type="image/jpeg"),
        "bytes": partial(Response, media_type="application/octet-stream"),
    }

    async def say_settings(request: Request) -> Response:
        return JSONResponse(settings)

    def refusal(status: int, text: str | None = None, headers: Mapping[str, str] | None = None) -> Callable:
        async def refuse(request: Request, error: Exception) -> Response:
            said = (text or str(error)).encode(errors="backslashreplace").decode()  # half a surrogate pair
            return JSONResponse({"error": said}, status, headers)

        return refuse

    late = f"the request did not arrive within {limits.body_seconds:g} seconds"
    refusals = {
        KpError: refusal(422),
        OtherPageError: refusal(409),
        BusyError: refusal(503, BUSY, RETRY_HEADERS),
        TimeoutError: refusal(408, late, {"Connection": "close"}),
        ClientDisconnect: refusal(400, "the client has gone away"),
    }
    routes = [
        *static_routes(page),
        Route("/settings", say_settings),
        *(
            Route(
                path,
                _endpoint(method, responses[kind], uploads, slow_worker if path in slow else worker),
                methods=["POST"],
            )
            for path, (method, kind) in endpoints.items()
        ),
    ]
    # Another site's host name that resolves to this machine would let that site read the answers.
    trusted = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[trusted, Middleware(OwnPage)], exception_handlers=refusals)


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
