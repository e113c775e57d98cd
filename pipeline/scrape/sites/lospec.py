"""lospec.com/gallery: a POST answers JSON whose `html` holds 32 tiles; detail pages use elements of their own names."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from pipeline.errors import MarkupChanged
from pipeline.scrape.sites import html
from pipeline.scrape.sites.gallery import (
    ArtworkDetails,
    Listing,
    ListingEntry,
    RemovalNotice,
    Request,
    UnreadListing,
    read_entries,
    stated_pages,
    unread,
)

PIECE_PATH = re.compile(r"^/gallery/([^/:]+)/([^/:]*)/?$")  # a colon stands in addresses of filters
COLOUR = re.compile(r"#?([0-9a-f]{6})")
MEDIA = ("all", "pixel-art", "voxel-art", "low-poly", "textmode-art")


@dataclass(frozen=True)
class Lospec:
    """One list of the gallery, batch after batch, until a batch brings nothing new.

    The site filters. Several `tags` are sent joined by commas, which is a GUESS: only the name of the field is known.
    """

    origin: str = "https://lospec.com"
    listing: Literal["latest", "top", "likes"] = "latest"
    medium: Literal["all", "pixel-art", "voxel-art", "low-poly", "textmode-art"] = "pixel-art"
    category: str = ""  # as the site names it, e.g. hand-pixelled; empty = every one
    tags: tuple[str, ...] = ()
    name: ClassVar[str] = "lospec"
    hosts: ClassVar[frozenset[str]] = frozenset({"lospec.com", "www.lospec.com", "cdn.lospec.com"})
    delay: ClassVar[float] = 10.0  # the only published figure for this server
    terms: ClassVar[str] = "https://lospec.com/terms-and-conditions"
    ai_generated: ClassVar[bool | None] = None

    @property
    def newest_first(self) -> bool:
        return self.listing == "latest"

    def start(self) -> Request:
        return self._batch(page=1, skip=0)

    def _batch(self, page: int, skip: int) -> Request:
        """Paging is by `skip`; `page` is sent along, as the site's own script does."""
        form = {"page": str(page), "skip": str(skip), "medium": self.medium, "category": self.category}
        form |= {"sorting": self.listing, "time": "all", "artist": "", "liked-by": ""}
        form |= {"tags": ",".join(self.tags), "masterpiece": ""}
        return Request(f"{self.origin}/gallery", method="POST", form=tuple(form.items()))

    def parse_listing(self, text: str, url: str, request: Request | None) -> Listing:
        form = dict(request.form) if request else {}
        page, skip = int(form.get("page", "1")), int(form.get("skip", "0"))
        answer = _answer(text, url)
        batch = html.parse(answer["html"], site=self.name, url=url)
        tiles = batch.all("a.gallery-thumbnail")
        if not tiles and not self._may_be_empty(batch, skip):
            batch.at_least_one("a.gallery-thumbnail")
        following = self._batch(page + 1, skip + len(tiles)) if tiles else None
        entries, changed = read_entries(tiles, self._entry)
        pages = stated_pages(answer, len(tiles)) if not skip else None
        listing = Listing((*entries, *_strays(batch, tiles, entries)), following, pages)
        if changed:
            raise UnreadListing(changed, listing)
        return listing

    def _may_be_empty(self, batch: html.Scope, skip: int) -> bool:
        """Past the end, and where a filter finds nothing; not where links to pieces stand in another markup."""
        filtered = self.category or self.tags or self.medium != "pixel-art"
        paths = [html.split(link.maybe_link("href")).path for link in batch.all("a[href]")]
        return bool(skip or filtered) and not any(PIECE_PATH.match(path) for path in paths)

    def _entry(self, tile: html.Scope) -> ListingEntry:
        self._check_medium(tile)
        return _entry(tile)

    def _check_medium(self, tile: html.Scope) -> None:
        """A tile that names another medium than the one asked for: the site did not filter."""
        media = {node.text().lower().replace(" ", "-") for node in tile.all(".medium")} & set(MEDIA)
        if self.medium != "all" and media - {self.medium}:
            expected = f"{self.medium!r} as asked for, not {', '.join(sorted(media))}"
            raise tile.changed("a.gallery-thumbnail .medium", expected)

    def parse_artwork(self, text: str, url: str) -> ArtworkDetails | RemovalNotice:
        page = html.parse(text, site=self.name, url=url)
        image = page.one("img.fullsize").link("src")
        heading = page.one("header h1")
        artist = page.one("artist profile info name").text()
        posted = page.maybe("header date")
        medium, category = ([node.text() or None for node in page.all("category a")] + [None, None])[:2]
        return ArtworkDetails(
            image,
            title=heading.own_text() or None,  # a <span> inside marks a masterpiece
            artist=artist or None,
            posted=(posted.text() or None) if posted else None,
            tags=_tags(page),
            medium=medium,
            category=category,
            palette=_palette(page),
        )


def _answer(text: str, url: str) -> dict[str, Any]:
    """The JSON answer, whose `html` is the markup of the tiles."""
    try:
        answer = json.loads(text)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict) or not answer.get("success") or not isinstance(answer.get("html"), str):
        raise MarkupChanged(
            site="lospec", selector='{"success": true, "html": ...}', expected="exactly 1", found=0, url=url
        )
    return answer


def _entry(tile: html.Scope) -> ListingEntry:
    """Identity is artist and slug together: slugs repeat between artists, and some are empty."""
    page_url = tile.link("href")
    match = PIECE_PATH.match(html.split(page_url).path)
    if not match:
        raise tile.changed("a.gallery-thumbnail[href='/gallery/<artist>/<slug>']")
    titles = tile.all(".title")
    return ListingEntry(f"{match[1]}/{match[2]}", page_url, title=titles[0].text() if titles else None)


def _strays(batch: html.Scope, tiles: Sequence[html.Scope], entries: Sequence[ListingEntry]) -> Iterator[ListingEntry]:
    """Pictures that lead to pieces and stand in no tile: the tiles of another markup than the one that is known."""
    known = {entry.source_id for entry in entries}
    inside = {link.node.mem_id for tile in tiles for link in (tile, *tile.all("a[href]"))}
    for link in batch.all("a[href]"):
        match = PIECE_PATH.match(html.split(link.maybe_link("href")).path)
        if match and link.node.mem_id not in inside and f"{match[1]}/{match[2]}" not in known and link.all("img"):
            yield unread(link, link.changed("a.gallery-thumbnail"))


def _tags(page: html.Scope) -> tuple[str, ...] | None:
    if not page.all("tags"):
        return None
    tags = (tag.text().lstrip("#") for tag in page.all("tags a.text-link"))
    return tuple(tag for tag in tags if tag)


def _palette(page: html.Scope) -> tuple[str, ...] | None:
    """Whether the site writes a leading # is not known; what is no colour of six hex digits is passed over."""
    if not page.all("palette"):
        return None
    colours = ((swatch.get("data-tooltip") or "").strip().lower() for swatch in page.all("palette color"))
    return tuple(f"#{match[1]}" for colour in colours if (match := COLOUR.fullmatch(colour)))
