"""When it is the site that fails and not a work: too many works in a row, or most of them, without a picture."""

from __future__ import annotations

from collections import Counter

from pipeline.errors import MarkupChanged, Refused, Unreachable
from pipeline.runtime.manifest import Row
from pipeline.scrape.again import STUBBORN
from pipeline.scrape.client.challenge import Blocked

IN_A_ROW = 10  # works without a picture
FORBIDDEN_IN_A_ROW = 3
SAMPLE = 10  # works before the share of those without a picture says something
WITHOUT_PICTURE = {
    "not_an_image": "the host answers pages instead of pictures",
    "not_found": "the host does not find what its listing names",
    "truncated": "the host answers cut or damaged files",
    "forbidden": "the host forbids what its listing names",
    "server": "the host answers errors",
    "network": "the host gives no answer",
}


class Guards:
    """Counts how works end. A work that failed in several runs is broken for itself and is passed over."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._works, self._refused, self._opened = 0, 0, 0  # all, refused, with a page that was read
        self._changed: list[MarkupChanged] = []
        self._pictures, self._lost = 0, Counter[str]()  # kept works; those without a picture by their reason
        self._in_a_row: list[str] = []  # reasons of the last works without a picture, as this run met them

    def note(self, row: Row, *, asked: bool, changed: MarkupChanged | None = None) -> None:
        """Count a work; `asked`: this run asked for it.

        Raises:
            MarkupChanged: none of the first pages held what the parser needs.
            Blocked: several works in a row are forbidden.
            Unreachable: many works in a row have no picture.
        """
        reason = row["reason"]
        self._works += 1
        self._opened += row["image_url"] is not None or reason in ("markup", "gone")
        self._refused += reason in ("noai", "robots")
        if changed is not None:
            self._changed.append(changed)
        if len(self._changed) == self._opened >= SAMPLE:
            raise self._changed[0]
        if row["status"] == "kept":
            self._pictures += 1
            self._in_a_row.clear()
        elif reason in WITHOUT_PICTURE and row.get("tries", 1) < STUBBORN and "placeholder" not in row:
            self._lost[reason] += 1
            if asked:
                self._in_a_row.append(reason)
                self._check_row(row)

    def _check_row(self, row: Row) -> None:
        address = row["image_url"] or row["page_url"]
        if self._in_a_row[-FORBIDDEN_IN_A_ROW:] == ["forbidden"] * FORBIDDEN_IN_A_ROW:
            raise Blocked(f"{self._site}: {FORBIDDEN_IN_A_ROW} works in a row are forbidden, last {address}")
        last = self._in_a_row[-IN_A_ROW:]
        if len(last) < IN_A_ROW:
            return
        if set(last) <= {"server", "network"}:
            raise Unreachable(f"{self._site}: {IN_A_ROW} works in a row got no answer, last {address}")
        raise Unreachable(f"{self._without_pictures()}, {IN_A_ROW} in a row, last {address}")

    def _without_pictures(self) -> str:
        """In words."""
        reason, _ = self._lost.most_common(1)[0]
        lost = self._lost.total()
        return f"{self._site}: {WITHOUT_PICTURE[reason]}: {lost} of {lost + self._pictures}"

    def check_all(self) -> None:
        """All works are settled.

        Raises:
            MarkupChanged: most pages lacked what the parser needs.
            Unreachable: most works have no picture.
            Refused: robots.txt or an opt-out covers every work.
        """
        if 2 * len(self._changed) > self._opened >= SAMPLE:
            raise self._changed[0]
        lost = self._lost.total()
        if 2 * lost > lost + self._pictures >= SAMPLE:
            raise Unreachable(self._without_pictures())
        if self._refused == self._works > 0:
            raise Refused(f"{self._site}: robots.txt or a training opt-out covers every one of {self._works} works")
