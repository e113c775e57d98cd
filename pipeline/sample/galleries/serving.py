"""Answers that the sample galleries share: images with validators, furniture, not found."""

from __future__ import annotations

import hashlib
from email.utils import format_datetime, parsedate_to_datetime

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from pipeline.sample.galleries import catalogue, encodings
from pipeline.sample.galleries.catalogue import ListedWork
from pipeline.sample.galleries.faults import Faults

MIME = {"png": "image/png", "gif": "image/gif", "webp": "image/webp", "jpg": "image/jpeg"}
STYLE = """body{font:14px sans-serif;background:#eceff1;margin:2em}img{image-rendering:pixelated;min-width:96px}
.grid{display:flex;flex-wrap:wrap;gap:12px}.imgbox,.gallery-thumbnail,.card{background:#fff;padding:6px}
.tooltip{width:9em}.pager{flex-basis:100%}color{display:inline-block;width:1em;height:1em}date,tags{display:block}svg{display:none}"""


def image_response(request: Request, work: ListedWork | None, *, thumbnail: bool = False) -> Response:
    """The file of a work, broken if the catalogue says so, or its thumbnail, which never is."""
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


def _validated(request: Request, data: bytes, mime: str, work: ListedWork) -> Response:
    response = Response(data, headers={"content-type": mime})
    tag = f'"{hashlib.sha256(data).hexdigest()[:16]}"'
    return conditional(request, response, {"etag": tag, "last-modified": format_datetime(work.posted, usegmt=True)})


def listing_response(request: Request, response: Response, newest: ListedWork, faults: Faults) -> Response:
    """A page of a listing with its validators, or 304; `newest` is the work that was listed last."""
    tag = f'"{hashlib.sha256(response.body).hexdigest()}"'
    validators = {"etag": tag, "last-modified": format_datetime(newest.posted, usegmt=True)}
    enabled = {name: value for name, value in validators.items() if name in faults.validators}
    return conditional(request, response, enabled)


def conditional(request: Request, response: Response, validators: dict[str, str]) -> Response:
    """The response with its validators, or 304 where the client has it already (RFC 9110 13.1); cookies stay."""
    response.headers.update(validators)
    if not _is_unchanged(request, validators):
        return response
    headers = {name: value for name, value in response.headers.items() if name in (*validators, "set-cookie", "vary")}
    return Response(status_code=304, headers=headers)


def _is_unchanged(request: Request, validators: dict[str, str]) -> bool:
    tags, since = request.headers.get("if-none-match"), request.headers.get("if-modified-since")
    if tags is not None and "etag" in validators:
        return validators["etag"] in [tag.strip().removeprefix("W/") for tag in tags.split(",")]
    if tags is not None or since is None or "last-modified" not in validators:
        return False
    try:
        return parsedate_to_datetime(validators["last-modified"]) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):  # no date, or one without a time zone
        return False


async def upload_response(_: Request) -> Response:
    """Furniture and uploads: pictures that are no works of the gallery."""
    coin = np.full((8, 8, 4), (240, 192, 32, 255), np.uint8)
    return Response(encodings.encode([coin], "png"), media_type="image/png")


def not_found(_: Request) -> Response:
    """The answer to an address that leads nowhere."""
    return PlainTextResponse("not found", status_code=404)
