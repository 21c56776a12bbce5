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
_PART = re.compile("^ *<!-- ([a-z]+) -->$\n", re.MULTILINE)
_NOUN = re.compile('(?<=data-noun=")[a-z]+')


def compose(page: Path, noun: str | None = None) -> str:
    """A page with its parts: a line `<!-- NAME -->` stands for parts/NAME.html.

    Args:
        page: its file.
        noun: what the points are on, for which NOUN and LOWER stand. None: what the page's `data-noun` says.
    """
    text = _PART.sub(
        lambda found: (PARTS / f"{found[1]}.html").read_text(encoding="utf-8"), page.read_text(encoding="utf-8")
    )
    word: str = noun or _NOUN.findall(text)[0]
    return _NOUN.sub(word, text, count=1).replace("NOUN", word.capitalize()).replace("LOWER", word)


def static_routes(page: str) -> "list[Route]":
    """Routes to the files of the static folder, and to the page itself."""
    from starlette.responses import FileResponse, HTMLResponse
    from starlette.routing import Route

    def serve(path: Path) -> Callable:
        async def endpoint(request: "Request") -> "Response":
            if path.suffix == ".html" and path.parent != PARTS:
                return HTMLResponse(compose(path), headers=STATIC_HEADERS)
            return FileResponse(path, media_type=MEDIA_TYPES[path.suffix], headers=STATIC_HEADERS)

        return endpoint

    files = sorted(path for path in STATIC.rglob("*") if path.suffix in MEDIA_TYPES)
    named = (Route(f"/{path.relative_to(STATIC).as_posix()}", serve(path)) for path in files)
    return [Route("/", serve(STATIC / page)), *named]
