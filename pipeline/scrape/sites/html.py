"""HTML with cardinality: every selector says how many matches it expects, and a surprise is a MarkupChanged."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from urllib.parse import SplitResult, urljoin, urlsplit

from selectolax.lexbor import LexborHTMLParser, LexborNode

from pipeline.errors import MarkupChanged
from pipeline.scrape.sites import charsets

META_CHARSET = re.compile(rb"""<meta[^>]{0,1000}?charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
HEADER_CHARSET = re.compile(r"""charset\s*=\s*["']?\s*([\w.:-]+)""", re.IGNORECASE)
FEW_TAGS = 20_000  # a page of fewer need not be looked at
TOKEN = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|textarea|title)\b.*?(?:</\1\b|\Z)|"
    r"""<(/?)([a-z][^\s/>]*)(?:[^>"']|"[^"]*"|'[^']*')*""",
    re.IGNORECASE | re.DOTALL,
)
NEVER_CLOSED = {
    "area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr", "p", "li",
    "dt", "dd", "tr", "td", "th", "option",
}  # fmt: skip
BLOCKS = {  # a slash before their > means nothing
    "address", "article", "aside", "blockquote", "center", "details", "dialog", "dir", "div", "dl", "fieldset",
    "figure", "figcaption", "footer", "form", "header", "hgroup", "main", "menu", "nav", "ol", "pre", "section",
    "summary", "table", "ul",
}  # fmt: skip
STRAY = {0xDC00 + byte: bytes([byte]).decode("windows-1252", "replace") for byte in range(0x80, 0x100)}


def decode(data: bytes, content_type: str = "") -> str:
    """Text of a page by its byte order mark, or by the declared charset if the bytes agree with it.

    Else it is UTF-8, stray bytes as windows-1252; or the declared charset after all, if that is no close relative.
    """
    for mark, codec in charsets.BYTE_ORDER_MARKS:
        if data.startswith(mark):
            return _replaced(data[len(mark) :], codec)
    codec = _declared(data, content_type)
    for attempt in (codec, "utf-8"):
        try:
            return data.decode(attempt)
        except UnicodeError:
            continue
    return _replaced(data, codec)


def _declared(data: bytes, content_type: str) -> str:
    """Python's codec for the charset that the header names, else the page; UTF-8 where neither names one."""
    header = HEADER_CHARSET.search(content_type)
    codec = charsets.codec_of(header[1]) if header else None
    if codec is None and (meta := META_CHARSET.search(data[:2048])):
        codec = charsets.codec_of(meta[1].decode("ascii", "replace"))
        if codec is not None and codec.startswith("utf-16"):  # whose bytes would not show it
            codec = "utf-8"
    return codec or "utf-8"


def _replaced(data: bytes, codec: str) -> str:
    if codec in ("utf-8", "cp1252"):
        return data.decode("utf-8", "surrogateescape").translate(STRAY)
    return data.decode(codec, "replace")


def depth(text: str) -> int:
    """At most how many elements of a page stand inside one another, without building its tree."""
    if (tags := text.count("<")) <= FEW_TAGS:
        return tags
    deepest, depth, open_tags = 0, 0, Counter[str]()
    for match in TOKEN.finditer(text):
        name = (match[3] or "").lower()
        if not name or name in NEVER_CLOSED or (match[0].endswith("/") and name not in BLOCKS):
            continue
        if not match[2]:
            open_tags[name] += 1
            depth += 1
            deepest = max(deepest, depth)
        elif open_tags[name]:
            open_tags[name] -= 1
            depth -= 1
    return deepest


def clean(text: str) -> str:
    """Runs of white space as one space, none at the ends."""
    return " ".join(text.split())


@dataclass(frozen=True)
class Scope:
    """A node of a page, with what an error message and a link need to know about that page."""

    node: LexborNode
    site: str
    url: str  # final address of the page: links are resolved against it

    def all(self, css: str) -> list[Scope]:
        """Every match, in the order of the page; perhaps none."""
        return [Scope(node, self.site, self.url) for node in self.node.css(css)]

    def at_least_one(self, css: str) -> list[Scope]:
        """Every match; there must be one."""
        matches = self.all(css)
        if not matches:
            raise self.changed(css, "at least 1")
        return matches

    def one(self, css: str) -> Scope:
        """The only match."""
        matches = self.all(css)
        if len(matches) != 1:
            raise self.changed(css, found=len(matches))
        return matches[0]

    def maybe(self, css: str) -> Scope | None:
        """The only match, or None."""
        matches = self.all(css)
        if len(matches) > 1:
            raise self.changed(css, "at most 1", len(matches))
        return matches[0] if matches else None

    def text(self) -> str:
        """Text with that of the child elements, white space as single spaces."""
        return clean(self.node.text())

    def own_text(self) -> str:
        """Text outside the child elements."""
        return clean(self.node.text(deep=False))

    def get(self, attribute: str) -> str | None:
        """An attribute, if it is there."""
        return self.node.attributes.get(attribute)

    def need(self, attribute: str) -> str:
        """An attribute that must be there and not empty."""
        value = (self.get(attribute) or "").strip()
        if not value:
            raise self.changed(f"{self.node.tag}[{attribute}]")
        return value

    def link(self, attribute: str) -> str:
        """An attribute that must be there, as an absolute address."""
        return resolve(self.url, self.need(attribute))

    def maybe_link(self, attribute: str) -> str:
        """An attribute as an absolute address; the page's own where it is missing or empty."""
        return resolve(self.url, self.get(attribute) or "")

    def changed(self, css: str, expected: str = "exactly 1", found: int = 0) -> MarkupChanged:
        """The error for a page whose markup is not what the parser expects."""
        return MarkupChanged(site=self.site, selector=css, expected=expected, found=found, url=self.url)


def parse(text: str, *, site: str, url: str) -> Scope:
    """The root element of a page."""
    root = LexborHTMLParser(text).root
    if root is None:
        raise MarkupChanged(site=site, selector="html", expected="exactly 1", found=0, url=url)
    return Scope(root, site, url)


def resolve(base: str, link: str) -> str:
    """Absolute address of a link in any of its forms; the link as it stands when it cannot be read."""
    try:
        return urljoin(base, link.strip())
    except ValueError:
        return link


def split(address: str) -> SplitResult:
    """The parts of an address; all empty when it is no address."""
    try:
        return urlsplit(address)
    except ValueError:
        return urlsplit("")


def metas(text: str) -> list[tuple[str, str]]:
    """Name (or http-equiv, or property) and content of every meta element, wherever it stands."""
    if "<meta" not in text.lower():
        return []
    root = LexborHTMLParser(text).root
    found = [meta.attributes for meta in root.css("meta")] if root is not None else []
    return [
        (attributes[key] or "", attributes.get("content") or "")
        for attributes in found
        for key in ("name", "http-equiv", "property")
        if key in attributes
    ]
