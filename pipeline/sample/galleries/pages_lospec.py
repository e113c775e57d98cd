"""The sample gallery in the markup of lospec.com/gallery: JSON batches of tiles, detail pages of unknown elements."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from html import escape
from urllib.parse import parse_qsl

import numpy as np
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response
from starlette.routing import Route

from pipeline.sample.galleries import catalogue
from pipeline.sample.galleries.catalogue import ListedWork
from pipeline.sample.galleries.faults import Faults
from pipeline.sample.galleries.serving import STYLE, image_response, not_found

SOURCE = "lospec"
BATCH = 32
CATEGORIES = ("hand-pixelled", "hand-pixelled", "hand-pixelled", "pixel-painting", "reduction")  # by turns


def artist_slug(work: ListedWork) -> str:
    """The artist as addresses name them."""
    return catalogue.slug(work.artist_name)


def piece_slug(work: ListedWork) -> str:
    """Not unique: some are empty, some are shared between artists."""
    if work.special == "empty slug" and work.index // 100 < catalogue.ARTISTS[SOURCE]:
        return ""
    if work.special == "same slug":
        return f"untitled-{work.index // 100}"
    return f"{catalogue.slug(work.title)}-{work.index}"


def file_name(work: ListedWork) -> str:
    """The page's slug, or the artist's, and six digits that follow from nothing on the page."""
    stem = piece_slug(work) or artist_slug(work)
    return f"{stem}-{catalogue.number(SOURCE, work.index, digits=6)}.{work.extension}"


def routes(size: int, faults: Faults) -> list[Route]:
    """The addresses of a gallery of `size` works."""
    works = [catalogue.work(SOURCE, index) for index in range(size)]
    by_slug = {(artist_slug(work), piece_slug(work)): work for work in works}
    by_file = {file_name(work): work for work in works}

    @lru_cache(maxsize=16)
    def works_of(medium: str, category: str, sorting: str, tags: str) -> Sequence[ListedWork]:
        return _list(works, medium, category, sorting, tags)

    async def batch(request: Request) -> Response:
        form = dict(parse_qsl((await request.body()).decode(), keep_blank_values=True))
        matches = works_of(*(form.get(name, "") for name in ("medium", "category", "sorting", "tags")))
        skip = int(form.get("skip") or 0)
        if faults.clamp and skip >= len(matches):
            skip = (len(matches) - 1) // BATCH * BATCH
        return JSONResponse({"success": True, "html": _tiles(matches[skip : skip + BATCH], request)})

    async def load(request: Request) -> Response:
        return HTMLResponse(_tiles(works[:BATCH], request))

    async def gallery(request: Request) -> Response:
        return HTMLResponse(_document(f'<div class="grid">{_tiles(works, request)}</div>'))

    async def detail(request: Request) -> Response:
        work = by_slug.get((request.path_params["artist"], request.path_params.get("slug", "")))
        return not_found(request) if work is None else HTMLResponse(_document(*_detail(work, request)))

    async def full(request: Request) -> Response:
        return image_response(request, by_file.get(request.path_params["file"]))

    async def small(request: Request) -> Response:
        slug = request.path_params["file"].rpartition("-default.")[0]
        work = by_slug.get((request.path_params["artist"], slug))
        return image_response(request, work, thumbnail=True)

    return [
        Route("/gallery", batch, methods=["POST"]),
        Route("/gallery", gallery),
        Route("/gallery/load", load),
        Route("/gallery/{artist}/", detail),
        Route("/gallery/{artist}/{slug}", detail),
        Route("/gallery/{file}", full),
        Route("/thumbnails/gallery/{artist}/{file}", small),
    ]


def category(work: ListedWork) -> str:
    """The category in which a work is listed."""
    return CATEGORIES[work.index % len(CATEGORIES)]


def likes(work: ListedWork) -> int:
    """How many people like a work."""
    return work.index % 17


def _list(works: Sequence[ListedWork], medium: str, only: str, sorting: str, tags: str) -> Sequence[ListedWork]:
    """The works of a list: all are pixel art; a work must have each of several tags (split at commas: GUESS)."""
    if medium not in ("", "all", "pixel-art"):
        return []
    required = {tag for tag in tags.split(",") if tag}
    matches = [work for work in works if only in ("", category(work)) and required <= set(work.tags)]
    match sorting:
        case "likes":
            return sorted(matches, key=lambda work: (-likes(work), work.index))
        case "top":
            return sorted(matches, key=lambda work: catalogue.number(SOURCE, work.index, "score", digits=6))
    return matches


def _cdn(request: Request) -> str:
    """The content network's own name under the sample's names; on a bare port the same port."""
    host = request.headers["host"]
    return f"http://cdn.{host}" if host.endswith(".invalid") else f"http://{host}"


def _tiles(works: Sequence[ListedWork], request: Request) -> str:
    return "".join(_tile(work, _cdn(request)) for work in works)


def _tile(work: ListedWork, cdn: str) -> str:
    artist, slug = artist_slug(work), piece_slug(work)
    engagement = f'<div class="engagement"><svg></svg> {likes(work)} <svg></svg> {work.index % 5}</div>'
    return f"""<a class="gallery-thumbnail" href="/gallery/{artist}/{slug}"><img class="thumbnail" \
src="{cdn}/thumbnails/gallery/{artist}/{slug}-default.png"><div class="title">{escape(work.title)}</div>{engagement}\
<div class="medium">pixel art</div></a>"""


def _detail(work: ListedWork, request: Request) -> tuple[str, str]:
    """Body and head of a piece's page."""
    frame = catalogue.frames(SOURCE, work.index)[0]
    height, width = (side * work.factor for side in frame.shape[:2])
    colours = np.unique(frame[frame[..., 3] > 0][:, :3], axis=0)
    sign = "#" if work.index % 5 else ""  # whether the site writes it is not known
    swatches = "".join(f'<color data-tooltip="{sign}{bytes(colour).hex()}"></color>' for colour in colours)
    tags = "".join(f'<a class="text-link" href="/gallery/tags:{tag}">#{escape(tag)}</a>' for tag in work.tags)
    source = f"{_cdn(request)}/gallery/{file_name(work)}"
    name, artist = escape(work.artist_name), artist_slug(work)
    masterpiece = " <span>masterpiece</span>" if work.index % 31 == 4 else ""
    head = f'<meta property="og:image" content="{source}">'
    if work.special == "noai page":
        head += '<meta name="ROBOTS" content="index, NoAI, noimageai">'
    body = f"""<header><h1>{escape(work.title)}{masterpiece}</h1><date>{work.posted:%B %d, %Y}</date></header>
<display><img class="fullsize" src="{source}"></display>
<category><a href="#">pixel art</a> <a href="#">{category(work)}</a></category>
<tags>{tags}</tags>
<info><wrapper><specs><spec><svg></svg> {width} {height} px</spec></specs></wrapper></info>
<detail><specs><spec class="flex">{len(colours)} <palette>{swatches}</palette></spec></specs></detail>
<artist><profile><a href="/{artist}"><img src="/{artist}.png"></a><info><name>{name}</name><slug>@{artist}</slug></info>
</profile><bio>Draws by numbers.</bio></artist>"""
    return body, head


def _document(body: str, head: str = "") -> str:
    return f"""<!DOCTYPE html><html><head><meta charset="utf-8">{head}<style>{STYLE}</style></head>
<body>{body}</body></html>"""
