"""The sample gallery in the markup of pixeljoint.com: mixed quotes, windows-1252 bytes, listing state in cookie `v`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from html import escape
from html.entities import codepoint2name
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pipeline.sample.galleries import catalogue
from pipeline.sample.galleries.catalogue import ListedWork
from pipeline.sample.galleries.faults import Faults
from pipeline.sample.galleries.serving import STYLE, image_response, listing_response, not_found

SOURCE = "pixeljoint"
PER_PAGE = 24
FIRST_ID = 990_000  # of index 0; ids fall as works get older
HEADINGS = {"date": "Newest Pixel Art", "rating": "Hall of Fame", "showcase": "Weekly Showcase"}
STATE = ("av", "dimo", "anim", "iso", "ob", "dint", "pg", "search", "tran", "colors", "d", "colorso", "dim", "owner")
REMOVED = "ACHTUNG! PIXEL ART INACTIVE!"
SIDEBAR = """<div id="rightblock"><div class="bx"><div class="imgboxhome"><a href="/pixelart/1.htm">
<img src="/files/icons/full/decoy.png"></a></div></div><img src='/pixels/images/stars_up.gif'></div>"""


def work_id(index: int) -> int:
    """The number in the address of a work's page."""
    return FIRST_ID - 3 * index


def file_name(work: ListedWork) -> str:
    """The name of the thumbnail."""
    return f"{catalogue.slug(work.title).replace('-', '_')}_{work.index}.{work.extension}"


def full_name(work: ListedWork) -> str:
    """The name of the full image: most uploads got a number added."""
    stem, _, extension = file_name(work).rpartition(".")
    suffix = f"__r{catalogue.number(SOURCE, work.index, digits=9)}" if work.index % 3 else ""
    return f"{stem}{suffix}.{extension}"


def routes(size: int, faults: Faults) -> list[Route]:
    """The addresses of a gallery of `size` works."""
    works = [catalogue.work(SOURCE, index) for index in range(size)]
    by_id = {work_id(work.index): work for work in works}
    by_file = {full_name(work): work for work in works}
    by_thumbnail = {file_name(work): work for work in works}

    @lru_cache(maxsize=16)
    def works_of(order: str, text: str) -> Sequence[ListedWork]:
        return _list(works, order, text)

    async def listing(request: Request) -> Response:
        query, state = _pairs(request.url.query), _state(request, faults)
        number = int(query.get("pg", "1"))
        order, text = state.get("ob", "date"), state.get("search", "")
        heading = f"Search results: {escape(text)}" if order == "search" else HEADINGS.get(order, HEADINGS["date"])
        response = _page(works_of(order, text), number, faults, heading)
        if not faults.forgets:
            response.headers["set-cookie"] = f"v={_cookie({**state, 'ob': order, 'pg': str(number)})}; path=/"
        return listing_response(request, response, works[0], faults)

    async def detail(request: Request) -> Response:
        work = by_id.get(request.path_params["number"])
        return not_found(request) if work is None else _html(_detail(work, f"http://{request.headers['host']}"))

    async def full(request: Request) -> Response:
        return image_response(request, by_file.get(request.path_params["file"]))

    async def small(request: Request) -> Response:
        return image_response(request, by_thumbnail.get(request.path_params["file"]), thumbnail=True)

    return [
        Route("/pixels/new_icons.asp", listing),
        Route("/pixelart/{number:int}.htm", detail),
        Route("/files/icons/full/{file}", full),
        Route("/files/icons/{file}", small),
    ]


def _state(request: Request, faults: Faults) -> Mapping[str, str]:
    """Which list is meant: what the query says if it names an order, else what is in cookie `v`."""
    query = _pairs(request.url.query)
    if "ob" in query:
        return query
    return {} if faults.forgets else _pairs(request.cookies.get("v", ""))


def _pairs(text: str) -> dict[str, str]:
    return dict(parse_qsl(text, keep_blank_values=True, encoding="windows-1252"))


def _cookie(state: Mapping[str, str]) -> str:
    """An ASP cookie dictionary."""
    return urlencode({name: state.get(name, "") for name in STATE}, encoding="windows-1252", errors="xmlcharrefreplace")


def _list(works: Sequence[ListedWork], order: str, text: str) -> Sequence[ListedWork]:
    """The works of a list in its order: `ob=date` newest first, `rating` the best third, `search` by title."""
    match order:
        case "rating":
            by_votes = sorted(works, key=lambda work: catalogue.number(SOURCE, work.index, "votes", digits=6))
            return by_votes[: max(1, len(works) // 3)]
        case "showcase":
            return works[: len(works) // 2]
        case "search":
            return [work for work in works if text.casefold() in work.title.casefold()]
    return works


def _page(works: Sequence[ListedWork], number: int, faults: Faults, heading: str) -> Response:
    pages = max(1, -(-len(works) // PER_PAGE))
    page = min(number, pages) if faults.end == "repeat" else number
    entries = "".join(map(_entry, works[(page - 1) * PER_PAGE : page * PER_PAGE])) or "No icons found."
    pager = _pager(page, pages)
    return _html(f"""<div id="leftblockspan"><h1>{heading}</h1><div class="bx"><div class="grid">{pager}
{entries}{pager}</div></div></div>
{SIDEBAR}""")


def _pager(number: int, pages: int) -> str:
    options = "".join(
        f'<option value="{page}"{" selected" if page == number else ""}>{page}</option>' for page in range(1, pages + 1)
    )
    following = f'<a href="/pixels/new_icons.asp?q=1&pg={number + 1}">next</a>' if number < pages else ""
    return f"""<div class="pager"><span class="pager-select-holder">Page <select>{options}</select> of {pages}</span>
{following}</div>"""


def _entry(work: ListedWork) -> str:
    """Every second title in entities, the others in raw windows-1252 bytes."""
    number, artist = work_id(work.index), escape(work.artist_name)
    title = _entities(work.title) if work.index % 2 else escape(work.title)
    return f"""<div class='imgbox' id='bx{number}'><a class='imglink' href='/pixelart/{number}.htm'>\
<img src='/files/icons/{file_name(work)}'></a></div>
<div class='tooltip'><strong><a href='/pixelart/{number}.htm'>{title}</a></strong><br>\
by <a href='/p/{work.artist + 60}.htm'>{artist}</a></div>
"""


def _entities(text: str) -> str:
    return "".join(f"&{codepoint2name[ord(char)]};" if ord(char) > 127 else escape(char) for char in text)


def _detail(work: ListedWork, base: str) -> str:
    if work.special == "removed":
        return f'<div id="leftblockspan"><h1>Pixel Art Details</h1><div class="bx">{REMOVED}</div></div>'
    posted = f"{work.posted.month}/{work.posted.day}/{work.posted.year} {work.posted:%H:%M}"
    source = f"/files/icons/full/{full_name(work)}"
    artist = f'<a href="/p/{work.artist + 60}.htm">{escape(work.artist_name)}</a>'
    return f"""<meta property="og:image" content="{base}{source}" />
<div id="leftblockspan"><h1>Pixel Art Details</h1><div class="bx"><div><table><tr><td><table>
  <tr><td><strong>Title:</strong></td><td>{escape(work.title)}</td></tr>
  <tr><td><strong>Pixel Artist:</strong></td><td>{artist}</td></tr>
  <tr><td><strong>Posted:</strong></td><td>{posted}</td></tr>
  <tr><td colspan="2">Drawn by a program, for rehearsals.</td></tr></table></td></tr></table>
  <div class="img-holder"><img id="mainimg" src="{source}"></div>
</div></div><div class="comment"><table><tr><td><strong>Title:</strong></td><td>not the title</td></tr></table></div>
</div>{SIDEBAR}"""


def _html(body: str) -> Response:
    page = f"<!DOCTYPE html><html><head><style>{STYLE}</style></head><body>{body}</body></html>"
    return Response(page.encode("windows-1252", "xmlcharrefreplace"), headers={"content-type": "text/html"})
