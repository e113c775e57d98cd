"""The sample gallery in a guessed markup of pixie.haus/gallery; only the addresses of the files are known."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.runtime import seeds
from pipeline.sample.galleries import catalogue
from pipeline.sample.galleries.catalogue import ListedWork
from pipeline.sample.galleries.faults import Faults
from pipeline.sample.galleries.serving import STYLE, image_response, listing_response, upload_response

SOURCE = "pixiehaus"
PER_PAGE = 30
NUMERIC_EVERY = 25  # one name in so many is a number


def stem(work: ListedWork) -> str:
    """The name of a work's file: a UUID version 4 without dashes, or a number that falls as works get older."""
    if work.index % NUMERIC_EVERY == 3:
        return str(629_048 - 4 * work.index)
    digits = f"{seeds.derive(0, 'name', work.index, 1):016x}{seeds.derive(0, 'name', work.index, 2):016x}"
    return f"{digits[:12]}4{digits[13:16]}8{digits[17:]}"


def path(work: ListedWork) -> str:
    """The path of a work's file."""
    folder = "animations" if work.kind == "animation" else "sprites"
    return f"/{folder}/{stem(work)}.{work.extension}"


def routes(size: int, faults: Faults) -> list[Route]:
    """The addresses of a gallery of `size` works."""
    works = [catalogue.work(SOURCE, index) for index in range(size)]
    by_path = {path(work): work for work in works}
    last = max(1, -(-size // PER_PAGE))

    async def gallery(request: Request) -> Response:
        number = int(request.query_params.get(faults.page_parameter, faults.first_page)) - faults.first_page + 1
        page = min(number, last) if faults.end == "repeat" else number
        listed = works[(page - 1) * PER_PAGE : page * PER_PAGE] if page > 0 else []
        following = number + faults.first_page if number < last else None
        response = _json(listed, following) if faults.json else HTMLResponse(_document(listed, following, faults))
        return listing_response(request, response, works[0], faults)

    async def image(request: Request) -> Response:
        return image_response(request, by_path.get(request.url.path))

    return [
        Route("/gallery", gallery),
        Route("/sprites/{file}", image),
        Route("/animations/{file}", image),
        Route("/special/{file}", upload_response),
        Route("/static/uploads/{file}", upload_response),
    ]


def _card(work: ListedWork) -> str:
    """Among the cards stands an uploaded picture of somebody else's, as on the site."""
    link, image = f"/sprite/{stem(work)}", f'<img loading="lazy" src="{path(work)}" alt="{escape(work.title)}">'
    card = f'<div class="card"><a href="{link}">{image}</a></div>\n'
    if work.index % 20 == 6:
        card += f'<div class="card"><img src="/static/uploads/some-prompt__{work.index:08x}.webp"></div>\n'
    return card


def _json(works: Sequence[ListedWork], following: int | None) -> Response:
    furniture = {"avatar": "/special/default.png", "made_from": "/static/uploads/some-prompt__1a2b3c4d.webp"}
    items = [{"id": stem(work), "prompt": work.title, "image": path(work), **furniture} for work in works]
    return JSONResponse({"items": items, "next": following})


def _document(works: Sequence[ListedWork], following: int | None, faults: Faults) -> str:
    cards = "".join(map(_card, works))
    more = f'<a href="/gallery?{faults.page_parameter}={following}">more</a>' if following is not None else ""
    return f"""<!DOCTYPE html><html><head><meta charset="utf-8"><style>{STYLE}</style></head><body>
<main id="gallery" class="grid">
{cards}</main>{more}
<aside><img src="/special/coin.png"><img src="/special/default.png">
<img src="/static/uploads/some-prompt__1a2b3c4d.webp"></aside></body></html>"""
