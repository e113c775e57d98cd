"""Answers that the sample galleries share: images with validators, furniture, not found."""

from __future__ import annotations

import hashlib
from email.utils import format_datetime

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from pipeline.sample import catalogue, encodings
from pipeline.sample.catalogue import Work

MIME = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "jpg": "image/jpeg"}
STYLE = """body{font:14px sans-serif;background:#eceff1;margin:2em}img{image-rendering:pixelated;min-width:96px}
.grid{display:flex;flex-wrap:wrap;gap:12px}.imgbox,.gallery-thumbnail,.card{background:#fff;padding:6px}
.tooltip{width:9em}.pager{flex-basis:100%}color{display:inline-block;width:1em;height:1em}date,tags{display:block}svg{display:none}"""


def image_response(request: Request, work: Work | None, *, thumbnail: bool = False) -> Response:
    """A work's file, broken in the way that the catalogue says; thumbnails are whole."""
    if work is None or (work.special == "missing" and not thumbnail):
        return not_found(request)
    if thumbnail:
        return _validated(request, catalogue.thumbnail(work.source, work.index), "image/png", work)
    if work.special == "html":
        return HTMLResponse("<html><body>Please enable cookies.</body></html>", headers={"content-type": "image/png"})
    response = _validated(request, catalogue.file(work.source, work.index), MIME[work.extension], work)
    if work.special == "noai":
        response.headers["x-robots-tag"] = "noindex, NoAI, noimageai"
    return response


def _validated(request: Request, data: bytes, mime: str, work: Work) -> Response:
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    headers = {"etag": tag, "last-modified": format_datetime(work.posted, usegmt=True)}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(data, headers={**headers, "content-type": mime})


async def upload_response(_: Request) -> Response:
    """Furniture and uploads: pictures that are no works of the gallery."""
    coin = np.full((8, 8, 4), (240, 192, 32, 255), np.uint8)
    return Response(encodings.encode([coin], "png"), media_type="image/png")


def not_found(_: Request) -> Response:
    return PlainTextResponse("not found", status_code=404)
