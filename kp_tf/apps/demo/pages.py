"""The pages and their files; what pages have in common are parts, files of their own."""

import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # optional dependencies
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.routing import Route

STATIC = Path(__file__).with_name("static")
PARTS = STATIC / "parts"
MEDIA_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
STATIC_HEADERS = {
    # The page loads nothing from elsewhere and sends nothing elsewhere; blob: is for photographs in its memory.
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src blob:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
}
_PART = re.compile("^ *<!-- ([a-z]+)( [^>]*)? -->$\n", re.MULTILINE)


def compose(page: Path) -> str:
    """A page with its parts: a line `<!-- NAME KEY=VALUE -->` stands for parts/NAME.html, where KEY is replaced."""

    def part(found: re.Match) -> str:
        text = (PARTS / f"{found[1]}.html").read_text(encoding="utf-8")
        for key, value in re.findall(r"([A-Z]+)=(\S+)", found[2] or ""):
            text = text.replace(key, value)
        return text

    return _PART.sub(part, page.read_text(encoding="utf-8"))


def static_routes(page: str) -> "list[Route]":
    """Routes to the files of the static folder, and to the page itself."""
    from starlette.responses import FileResponse, HTMLResponse
    from starlette.routing import Route

    def serve(path: Path) -> Callable:
        async def endpoint(request: "Request") -> "Response":
            if path.suffix == ".html":
                return HTMLResponse(compose(path), headers=STATIC_HEADERS)
            return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=STATIC_HEADERS)

        return endpoint

    files = sorted(path for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES)
    named = (Route(f"/{path.relative_to(STATIC).as_posix()}", serve(path)) for path in files)
    return [Route("/", serve(STATIC / page)), *named]
