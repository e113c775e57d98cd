"""Readers of pages: their elements, their words, and what a real browser makes of them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


class Elements(HTMLParser):
    """The tags of a page with their attributes, in order."""

    def __init__(self, page):
        super().__init__()
        self.tags = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def all(self, tag):
        return [attributes for name, attributes in self.tags if name == tag]


def text_of(page):
    return re.sub(r"\s+", " ", re.sub(r"<(script|style)>.*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL))


PROBE = """
<script>
addEventListener("error", (event) => errors.push(String(event.message || event.target.src)), true);
const errors = [];
addEventListener("load", () => {
  const broken = [...document.images].filter((image) => !image.naturalWidth || image.width % image.naturalWidth);
  const elsewhere = performance.getEntriesByType("resource").map((entry) => entry.name);
  const facts = {
    images: document.images.length, broken: broken.map((image) => image.alt), errors,
    requests: elsewhere.filter((name) => !name.startsWith("data:")),
    timings: !(document.getElementById("timings")?.hidden ?? true),
    wide: document.documentElement.scrollWidth > innerWidth,
  };
  document.body.innerHTML = "<pre id=probe>" + JSON.stringify(facts) + "</pre>";
});
</script>
"""


def probe(page, folder, width=1280):
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "index.html").write_text(page.replace("<head>", "<head>" + PROBE))
    done = subprocess.run(
        [
            CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking",
            "--no-first-run", f"--user-data-dir={folder / 'profile'}", f"--window-size={width},900",
            "--virtual-time-budget=5000", "--dump-dom", (folder / "index.html").as_uri(),
        ],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return json.loads(re.search(r'<pre id="probe">(.*?)</pre>', done.stdout, re.DOTALL)[1])
