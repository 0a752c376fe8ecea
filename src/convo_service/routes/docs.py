"""The contract as a page that people can read and try: Swagger UI, served from here alone."""

from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import FileResponse

from convo_service.errors import NotFound

STATIC = Path(__file__).resolve().parents[1] / "static"
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-cache",  # asked for again each time, and sent only when it has changed
}
FILES = {
    "docs.js": (STATIC / "docs.js", "text/javascript"),
    "swagger-ui-bundle.js": (STATIC / "lib" / "swagger-ui-bundle.js", "text/javascript"),
    "swagger-ui.css": (STATIC / "lib" / "swagger-ui.css", "text/css"),
}

router = APIRouter(include_in_schema=False)


@router.get("/docs")
async def read_docs() -> FileResponse:
    """The page. It shows nothing that `/openapi.json` does not, which needs no key either."""
    return FileResponse(STATIC / "docs.html", media_type="text/html", headers=HEADERS)


@router.get("/docs/{name}")
async def read_file(name: str) -> FileResponse:
    """What the page loads."""
    if name not in FILES:
        raise NotFound
    path, media_type = FILES[name]
    return FileResponse(path, media_type=media_type, headers=HEADERS)
