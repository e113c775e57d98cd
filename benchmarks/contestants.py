"""The three loops that are compared, each run in a process of its own by `scrape.py`.

    python benchmarks/contestants.py bare|plain|crawl SOURCE URL ITEMS FOLDER     # prints one JSON object

bare: httpx asks for the addresses of the plan, nothing else.
plain: the loop that anyone would write: parse, hash, decode, write durably, note.
crawl: `facetopix scrape`'s own function.
"""

from __future__ import annotations

import argparse
import asyncio
import hashlib
import io
import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import replica
from PIL import Image

from pipeline import params
from pipeline.scrape import crawl, origins
from pipeline.scrape.sites.gallery import ArtworkDetails, ListingEntry, Request

ROOT = Path(__file__).parent.parent
AGENT = {"User-Agent": "facetopix (+loopback replica)", "Accept": "*/*"}
PAGE = {**AGENT, "Accept-Encoding": "gzip, deflate"}
IMAGE = {**AGENT, "Accept-Encoding": "identity"}


def bare(source: str, url: str, items: int, folder: Path) -> None:  # noqa: ARG001
    asyncio.run(_ask_all(url, list(replica.plan(source, items))))


async def _ask_all(url: str, plan: list[replica.PlannedRequest]) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        for method, target, form in plan:
            headers = IMAGE if target.endswith(".png") else PAGE
            fields = dict(field.split("=") for field in form.split("&")) if form else None
            response = await client.request(method, url + target, headers=headers, data=fields)
            response.raise_for_status()


def plain(source: str, url: str, items: int, folder: Path) -> None:  # noqa: ARG001
    (folder / "images").mkdir(parents=True)
    asyncio.run(_walk(source, url, folder))


async def _walk(source: str, url: str, folder: Path) -> None:
    gallery = origins.gallery(source, url, params.load(ROOT / "params.yaml").scrape)
    request: Request | None = gallery.start()
    async with httpx.AsyncClient(trust_env=False, headers=PAGE) as client:
        with (folder / "journal.jsonl").open("ab", buffering=0) as journal:
            await client.get(url + "/robots.txt")
            await client.get(url + replica.RESERVATIONS)
            while request is not None:
                page = await client.request(request.method, request.url, data=dict(request.form) or None)
                listing = gallery.parse_listing(page.text, str(page.url), request)
                for item in listing.items:
                    artwork = item.artwork
                    if artwork is None:
                        opened = await client.get(item.page_url)
                        parsed = gallery.parse_artwork(opened.text, str(opened.url))
                        assert isinstance(parsed, ArtworkDetails)
                        artwork = parsed
                    image = await client.get(artwork.image_url, headers=IMAGE)
                    journal.write(_store(item, artwork, image.content, folder / "images"))
                request = listing.next if listing.items else None


def _store(item: ListingEntry, artwork: ArtworkDetails, data: bytes, images: Path) -> bytes:
    """Make an image durable; returns its journal line."""
    name = hashlib.sha256(data).hexdigest()
    with Image.open(io.BytesIO(data)) as image:
        for frame in range(getattr(image, "n_frames", 1)):
            image.seek(frame)
            image.load()
        facts = {"format": image.format, "width": image.width, "height": image.height}
    partial = images / f"{name}.partial"
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(images / f"{name}.png")
    row = {"id": item.source_id, "page": item.page_url, "title": artwork.title, "artist": artwork.artist, **facts}
    return json.dumps({**row, "image": artwork.image_url, "sha256": name, "bytes": len(data)}).encode() + b"\n"


def crawl_gallery(source: str, url: str, items: int, folder: Path) -> None:
    values = params.load(ROOT / "params.yaml")
    stats = crawl.run(source, folder / "out", values.scrape, values.sample, state=folder / "state", base_url=url)
    assert stats["kept"] == items, stats


CONTESTANTS: dict[str, Callable[[str, str, int, Path], None]] = {"bare": bare, "plain": plain, "crawl": crawl_gallery}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("contestant", choices=CONTESTANTS)
    parser.add_argument("source")
    parser.add_argument("url")
    parser.add_argument("items", type=int)
    parser.add_argument("folder", type=Path)
    options = parser.parse_args()
    began, busy = time.perf_counter(), time.process_time()
    CONTESTANTS[options.contestant](options.source, options.url, options.items, options.folder)
    seconds, cpu = time.perf_counter() - began, time.process_time() - busy
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024  # Linux counts KiB
    print(json.dumps({"seconds": seconds, "cpu": cpu, "peak_mb": peak}))  # noqa: T201


if __name__ == "__main__":
    main()
