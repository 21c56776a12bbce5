"""`python -m kp_tf demo`: a page that shows faces and points, lets them be corrected, and saves them; an extra.

The server listens on this machine alone and keeps nothing: photographs, and what was corrected in them, stay in the
page, which sends what it wants computed. Between the two, points and boxes are in pixels of the upright photograph.
"""

import io
import json
import socket
import tempfile
import threading
import webbrowser
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from kp_tf.core.errors import KpError
from kp_tf.core.images import Turn, open_photograph
from kp_tf.core.keypoints import Scheme
from kp_tf.predict import writers as results
from kp_tf.predict.predictor import Face, Predictor

if TYPE_CHECKING:  # an extra
    from starlette.types import ASGIApp

INSTALL = "pip install starlette uvicorn"
HOST = "127.0.0.1"
UPLOAD = 100_000_000  # bytes of a photograph, or of the points of many
PAGE = Path(__file__).with_name("static")
# nothing from outside, and nothing to outside; photographs are shown from the browser's own memory
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {"index.html": "text/html", "page.css": "text/css", "page.js": "text/javascript"}


def demo(runs: Sequence[str] | None = None, port: int = 8000, browser: bool = True) -> None:
    """Serve the page until Ctrl-C.

    Args:
        runs: networks to offer before the project's own, see `engines.load_engine`.
        port: on this machine.
        browser: open the page in one.

    Raises:
        KpError: if the extra is not installed, the port is taken, or the first network cannot be used.
    """
    if not (find_spec("starlette") and find_spec("uvicorn")):
        raise KpError(f"the page needs Starlette and uvicorn: {INSTALL}")
    import uvicorn

    own = ("compact", "large") if find_spec("tensorflow") else ("compact",)
    sources = {Path(run).stem: run for run in runs or ()} | {name: name for name in own}
    app = application(sources)
    try:
        listening = socket.create_server((HOST, port))
    except (OSError, OverflowError) as error:
        raise KpError(f"--port {port}: expected a free port, found: {error}") from None
    with listening:
        address = f"http://{HOST}:{listening.getsockname()[1]}"
        print(f"{address} (Ctrl-C ends it)", flush=True)
        if browser:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        with suppress(KeyboardInterrupt):  # how it is meant to end
            uvicorn.Server(uvicorn.Config(app, log_level="warning")).run(sockets=[listening])


class Desk:
    """What the page asks for, one thing at a time however many come."""

    def __init__(self, sources: Mapping[str, str]) -> None:
        """Args: sources: the networks to offer by name, see `engines.load_engine`; the first is loaded now."""
        self._sources, self._loaded, self._alone = sources, {}, threading.Lock()
        self._predictor(None)

    def about(self) -> dict:
        """What the page has to know before it asks."""
        return {"upload": UPLOAD, "networks": list(self._sources)}

    def predict(self, content: bytes, name: str, network: str | None = None, boxes: str | None = None) -> dict:
        """The upright size of a photograph, its orientation, its faces, and what their points are.

        Args:
            content: of the file.
            name: for messages.
            network: None takes the first.
            boxes: JSON (N, 4) left, top, width, height; None: faces are found.
        """
        with self._alone:
            predictor, photograph = self._predictor(network), open_photograph(name, content)
            turn, scheme = photograph.turn, predictor.scheme
            if boxes is not None:
                boxes = turn.boxes_to_stored(np.array(json.loads(boxes), np.float64).reshape(-1, 4))
            faces = predictor.predict(photograph, boxes)
        return {
            **{"width": turn.size[0], "height": turn.size[1], "orientation": turn.orientation},
            "faces": [_turned(face, turn) for face in faces],
            "names": scheme.names,
            "groups": {group: list(indices) for group, indices in scheme.groups},
            "colours": results.colours(scheme),
        }

    def show(self, content: bytes, name: str) -> bytes:
        """A JPEG of a photograph that browsers do not show, upright."""
        picture = io.BytesIO()
        with self._alone:
            open_photograph(name, content).upright.save(picture, "JPEG", quality=92)
        return picture.getvalue()

    def upright(self, content: bytes) -> list[dict]:
        """Faces of a photograph, from the pixels as stored, where marks are kept, to upright ones."""
        photograph = json.loads(content)
        turn = _turn(photograph)
        return [_turned(_face(face, None), turn) for face in photograph["faces"]]

    def save(self, content: bytes) -> str:
        """A file of `python -m kp_tf predict` from faces as the page has them: json, pts of one, or xml."""
        asked = json.loads(content)
        with self._alone:
            predictor = self._predictor(asked["network"])
        scheme, found = predictor.scheme, []
        for photograph in asked["photographs"]:
            turn, faces = _turn(photograph), [_face(face, scheme) for face in photograph["faces"]]
            stored = [
                replace(face, box=turn.boxes_to_stored(face.box[None])[0], points=turn.to_stored(face.points))
                for face in faces
            ]
            found.append((str(photograph["file"]), stored))
        match asked["format"]:
            case "json":
                return results.as_json(found, scheme, predictor.run.path.stem)
            case "pts":
                ((_, (face,)),) = found
                return results.as_pts(face)
            case "xml":
                with tempfile.TemporaryDirectory() as folder:
                    path = Path(folder, "points.xml")
                    results.write_xml(path, [(str(Path(folder, file)), faces) for file, faces in found], scheme)
                    return path.read_text(encoding="utf-8")
        raise ValueError(asked["format"])

    def _predictor(self, name: str | None) -> Predictor:
        name = name or next(iter(self._sources))
        if name not in self._sources:
            raise KpError(f"network: expected one of {', '.join(self._sources)}, found {name!r}")
        if name not in self._loaded:
            self._loaded[name] = Predictor.load(self._sources[name])
        return self._loaded[name]


def _turn(photograph: dict) -> Turn:
    return Turn((int(photograph["width"]), int(photograph["height"])), int(photograph["orientation"]))


def _face(face: dict, scheme: Scheme | None) -> Face:
    """A face from the page's JSON; null is a missing point, or one that a person has set."""
    points = [point or (None, None) for point in face["points"]]
    confidence = face.get("confidence") or [None] * len(points)
    shapes = ((4,), (len(scheme) if scheme else len(points), 2), (len(points),))
    arrays = [np.array(values, np.float64) for values in (face["box"], points, confidence)]
    if tuple(array.shape for array in arrays) != shapes:
        raise ValueError("a box, points and their confidence of other shapes")
    return Face(*arrays, scheme)


def _turned(face: Face, turn: Turn) -> dict:
    """For the page: upright."""
    box, points = turn.boxes_to_upright(face.box[None])[0], turn.to_upright(face.points)
    return results.plain(replace(face, box=box, points=points))


def application(sources: Mapping[str, str]) -> "ASGIApp":
    """The page and what it asks for as an ASGI application.

    Args:
        sources: as of `Desk`.

    Raises:
        KpError: if the first network cannot be used.
    """
    from starlette.applications import Starlette
    from starlette.concurrency import run_in_threadpool
    from starlette.middleware import Middleware
    from starlette.middleware.trustedhost import TrustedHostMiddleware
    from starlette.requests import Request
    from starlette.responses import JSONResponse, Response
    from starlette.routing import Route

    desk = Desk(sources)

    async def answer(request: Request) -> Response:
        content = bytearray()
        async for part in request.stream():
            content += part
            if len(content) > UPLOAD:
                raise KpError(f"expected at most {UPLOAD // 10**6} MB, found more")
        ask = getattr(desk, request.url.path[1:])
        try:
            found = await run_in_threadpool(ask, bytes(content), **request.query_params)
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise KpError(f"expected a request as the page makes it, found: {error!r}") from None
        if isinstance(found, dict | list):
            return JSONResponse(found)
        return Response(found, media_type="text/plain" if isinstance(found, str) else "image/jpeg")

    async def page(request: Request) -> Response:
        name = request.url.path[1:] or "index.html"
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store", "Referrer-Policy": "no-referrer"}
        return Response((PAGE / name).read_bytes(), media_type=TYPES[name], headers=headers)

    async def about(request: Request) -> Response:
        return JSONResponse(desk.about())

    async def refuse(request: Request, error: KpError) -> Response:
        return JSONResponse({"error": str(error)}, 422)

    routes = [Route("/", page), *(Route(f"/{name}", page) for name in TYPES), Route("/about", about)]
    routes += [Route(f"/{name}", answer, methods=["POST"]) for name in ("predict", "show", "upright", "save")]
    # a name of another site that leads here would let that site read the answers
    guard = Middleware(TrustedHostMiddleware, allowed_hosts=[HOST, "localhost"])
    return Starlette(routes=routes, middleware=[guard], exception_handlers={KpError: refuse})
