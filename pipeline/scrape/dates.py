"""Days as sites write them: ISO, names of months in some languages, European and American orders, relative ones.

What could be read in two ways is not read: 03/04/2024 is in March or in April.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator
from datetime import date, datetime, timedelta

LONGEST = 200  # characters that are looked at
MONTHS = (  # English, German, French, Spanish, Italian, Dutch; without accents
    "january januar janvier enero gennaio januari", "february februar fevrier febrero febbraio februari",
    "march marz maerz mars marzo maart mrz", "april avril abril aprile", "may mai mayo maggio mei",
    "june juni juin junio giugno", "july juli juillet julio luglio", "august aout agosto augustus",
    "september septembre septiembre settembre", "october oktober octobre octubre ottobre",
    "november novembre noviembre", "december dezember decembre diciembre dicembre",
)  # fmt: skip
DAY, NAME, YEAR = r"(?P<day>\d{1,2})(?:st|nd|rd|th|er|\.)?", r"(?P<name>[a-z]{3,})\.?", r"(?P<year>\d{4})"
GAP, OF = r"[\s,/-]{1,3}", r"[\s/-]{0,3}(?:(?:of|de|di|del)\s+)?"
TIME = r"(?:\d{1,2}:\d{2}(?::\d{2})?\s+(?:[a-z]{3,4}\s+)?)?"  # ctime puts it before the year
FORMS = [
    re.compile(form)
    for form in (
        rf"\b{YEAR}(?P<mark>[-/.])(?P<month>\d{{1,2}})(?P=mark)(?P<day>\d{{1,2}})(?!\d)",
        r"\b(?P<year>(?:19|20)\d{2})(?P<month>\d{2})(?P<day>\d{2})(?=t\d|\b)",
        rf"\b(?P<day>\d{{1,2}})\.\s?(?P<month>\d{{1,2}})\.\s?{YEAR}\b",
        rf"\b(?P<first>\d{{1,2}})(?P<mark>[-/])(?P<second>\d{{1,2}})(?P=mark){YEAR}\b",
        rf"(?<![\d.]){DAY}{OF}{NAME}{OF},?\s*{YEAR}\b",
        rf"\b{NAME}{OF}{DAY}{GAP}{TIME}{YEAR}\b",
        rf"\b{YEAR}{GAP}{NAME}{GAP}{DAY}(?!\d)",
    )
]
UNITS = {
    "second": "s sec secs second seconds", "minute": "min mins minute minutes", "hour": "h hr hrs hour hours",
    "day": "d day days", "week": "w wk wks week weeks", "month": "mo mos month months", "year": "y yr yrs year years",
}  # fmt: skip
UNIT_OF = {word: unit for unit, words in UNITS.items() for word in words.split()}
NUMBERS = {"a": 1, "an": 1, "one": 1, "two": 2, "three": 3, "a couple of": 2, "a few": 3}
SPAN = rf"(\d{{1,6}}|{'|'.join(sorted(NUMBERS, key=len, reverse=True))})\s*({'|'.join(UNIT_OF)})\b"
PREFIX = r"(?:[a-z]+\s+on\s+|posted\W+|about\s+|almost\s+|nearly\s+|around\s+|over\s+|more than\s+|less than\s+|~\s*)*"
RELATIVE = re.compile(
    rf"{PREFIX}(?:(?P<now>just now|right now|now|today|moments? ago)|(?P<yesterday>yesterday)|"
    rf"(?P<spans>{SPAN}(?:(?:\s*,|\s+and)?\s*{SPAN})*)\s*(?P<ago>ago|old)?)(?:\W*(?:at\s+)?\d.*)?"
)
SHORT = re.compile(r"\d{1,6}\s?[a-z]{1,3}")  # 3d, 2 mo: no `ago` needed


def read(text: str | None, now: datetime) -> date | None:
    """The day that a text names, seen from `now`; None where there is none that can be read in one way only."""
    plain = _plain(text)
    found = set(_written(plain)) or {_relative(plain, now)}
    return found.pop() if len(found) == 1 else None


def anchored(text: str | None, now: datetime) -> str | None:
    """A text that names a day relative to `now` as the ISO date of that day; any other as it stands."""
    plain = _plain(text)
    day = None if set(_written(plain)) else _relative(plain, now)
    return day.isoformat() if day else text


def _plain(text: str | None) -> str:
    letters = unicodedata.normalize("NFKD", (text or "")[:LONGEST]).casefold()
    return " ".join("".join(char for char in letters if not unicodedata.combining(char)).split())


def _written(plain: str) -> Iterator[date | None]:
    """Every day that is written out; None for what could be two, or is none of the calendar."""
    for form in FORMS:
        for match in form.finditer(plain):
            parts = match.groupdict()
            month = _month(parts["name"]) if parts.get("name") else None
            if "first" in parts:
                day, month = _ordered(int(parts["first"]), int(parts["second"]))
            else:
                day, month = int(parts["day"]), month or int(parts.get("month") or 0)
            if not month and parts.get("name"):
                continue  # a word that is no month
            yield _date(int(parts["year"]), month, day)


def _month(name: str) -> int | None:
    """The number of the month whose name begins so; None where there is none, or more than one."""
    months = [number for number, names in enumerate(MONTHS, 1) if any(word.startswith(name) for word in names.split())]
    return months[0] if len(months) == 1 else None


def _ordered(first: int, second: int) -> tuple[int, int]:
    """Day and month of two numbers of which one cannot be a month; zeros where both could be."""
    if first > 12 or first == second:
        return first, second
    return (second, first) if second > 12 else (0, 0)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def _relative(plain: str, now: datetime) -> date | None:
    match = RELATIVE.fullmatch(plain)
    if not match:
        return None
    if match["now"]:
        return now.date()
    if match["yesterday"]:
        return (now - timedelta(days=1)).date()
    if not match["ago"] and not SHORT.fullmatch(plain):
        return None
    try:
        for number, word in re.findall(SPAN, match["spans"]):
            now = _before(now, NUMBERS.get(number) or int(number), UNIT_OF[word])
    except (OverflowError, ValueError):
        return None
    return now.date()


def _before(now: datetime, count: int, unit: str) -> datetime:
    if unit not in ("month", "year"):
        return now - timedelta(**{unit + "s": count})
    months = now.year * 12 + now.month - 1 - count * (12 if unit == "year" else 1)
    first = now.replace(year=months // 12, month=months % 12 + 1, day=1)
    next_month = (first + timedelta(days=31)).replace(day=1)
    return first.replace(day=min(now.day, (next_month - timedelta(days=1)).day))
