"""Answers by which a site turns a crawler away, whatever their status: challenges, bans, login pages.

Headers and redirects say so by themselves. Words in a page are looked at only where the page is of no use anyway: an
error, bytes that are no picture, or a page in which the parser did not find what it needs.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from pipeline.scrape.client.answers import MISSING
from pipeline.scrape.client.pace import TurnedAway
from pipeline.scrape.sites.gallery import printable
from pipeline.scrape.sites.html import decode, resolve, split

REFUSALS = frozenset({401, 402, 403, 451})
HEADERS = ("cf-mitigated", "cf-chl-bypass", "x-amzn-waf-action", "x-vercel-mitigated", "x-sucuri-block", "sg-captcha",
           "x-dd-b")  # fmt: skip
READ = 2**18  # characters of a page that are looked at
MARKS = re.compile(
    r"_cf_chl_opt|cf-browser-verification|cf-challenge-running|challenge-error-text|orchestrate/(?:chl_page|"
    r"captcha|managed)|used cloudflare to restrict access|gokuProps|AwsWafIntegration|awsWafCookieDomainList|"
    r"\.well-known/ddos-guard|ddos-guard\.net|incapsula incident id|captcha-delivery\.com|px-captcha|"
    r"sucuri_cloudproxy_js|sucuri website firewall|anubis_challenge|cmd/anubis|sec-if-cpt-container|bm-verify|KPSDK",
    re.IGNORECASE,
)
HEADING = re.compile(r"<(title|h1|h2)\b[^>]{0,500}>(.{0,500}?)</\1", re.IGNORECASE | re.DOTALL)
TAG = re.compile(r"<[^>]{0,500}>")
CHALLENGE_WORDS = re.compile(
    r"just a moment|attention required|please wait\W+cloudflare|checking (?:if|your browser)|ddos[- ]guard|"
    r"ddos protection|one more step|verif\w+ (?:that )?you are (?:a )?human|are you (?:a )?(?:human|robot)|"
    r"not a (?:ro)?bot\b|(?:human|bot|browser|security) (?:verification|checkpoint|check)\b|robot check|"
    r"access to this page has been denied|pardon our interruption|you(?:r ip)?(?: address)? (?:have|has) been "
    r"(?:temporarily )?(?:blocked|banned)|you are (?:blocked|banned)",
    re.IGNORECASE,
)
CAPTCHA = re.compile("captcha", re.IGNORECASE)
SOFT_WORDS = re.compile(  # a work may be called so
    r"captcha|access denied|forbidden|unauthori[sz]ed|not authori[sz]ed|too many requests|rate[- ]limit|"
    r"unusual traffic|\bbanned\b|\bblocked\b",
    re.IGNORECASE,
)
WIDGETS = re.compile(
    r"hcaptcha\.com/1/api\.js|google\.com/recaptcha/|recaptcha\.net/recaptcha/|challenges\.cloudflare\.com/turnstile",
    re.IGNORECASE,
)
LOGIN_WORDS = re.compile(
    r"\b(?:log|sign)[ -]?(?:in|on)\b|\banmelden\b|\beinloggen\b|se connecter|iniciar sesi|accedi", re.IGNORECASE
)
PASSWORD = re.compile(r"type\s*=\s*[\"']?password", re.IGNORECASE)
REFRESH = re.compile(
    r"<meta\b[^>]{0,200}http-equiv\s*=\s*[\"']?refresh\b[^>]{0,200}?url\s*=\s*[\"']?([^\"'>\s]+)", re.I
)
DOORS = re.compile(  # a part of a path to which those are sent who may not go on
    r"(?:users?_)?(?:log|sign)[-_]?(?:in|on)|login[-_]?\w*|wp-login|sso|oauth2?|authenticate|authorize|auth|captcha|"
    r"challenges?|verify(?:-human)?|blocked|banned|(?:access-)?denied|sorry|cgi-bin-challenge",
    re.IGNORECASE,
)
PICTURE = re.compile(r"\.(?:png|gif|jpe?g|webp|bmp)$", re.IGNORECASE)
DOOR_HOSTS = re.compile(r"(?:login|signin|auth|sso|accounts?|id)\.", re.IGNORECASE)


class Blocked(TurnedAway):
    """The site turns us away, with a 403 or a challenge; a later run may be let in.

    Args:
        of_one: what was asked for may be all that is refused: a plain status, or a redirect to a login.
        status: the plain status.
    """

    def __init__(self, message: str, *, of_one: bool = False, status: int | None = None) -> None:
        super().__init__(printable(message))
        self.of_one, self.status = of_one, status


def check_headers(url: str, headers: Mapping[str, str]) -> None:
    """Raises Blocked for an answer whose headers call it a challenge."""
    for name in HEADERS:
        if value := headers.get(name):
            raise Blocked(f"{url}: a challenge ({name}: {value[:80]}); the crawl ends here")


def check_redirect(url: str, target: str) -> None:
    """Raises Blocked for a redirect to a login, a captcha or the like, unless that is what was asked for."""
    new, old = split(target), split(url)
    doors = {part for part in _parts(new.path) - _parts(old.path) if DOORS.fullmatch(part.partition(".")[0])}
    if new.hostname == old.hostname and (PICTURE.search(new.path) or _is_sibling(new.path, old.path)):
        doors = set()
    if doors or (new.hostname != old.hostname and DOOR_HOSTS.match(new.hostname or "")):
        raise Blocked(f"{url}: the site leads to {target[:200]} instead; the crawl ends here", of_one=True)


def check_error(url: str, status: int, text: str) -> None:
    """Raises Blocked for an error page that is a challenge, and for a status that refuses."""
    if sign := _in_error(text):
        raise Blocked(f"{url}: the site answers {status} and {sign}; the crawl ends here")
    if status in REFUSALS:
        raise Blocked(f"{url}: the site answers {status}; the crawl ends here", of_one=True, status=status)


def check_image(url: str, status: int, text: str, instead_of: str = "a picture") -> None:
    """Raises Blocked where a challenge stands at the address of a picture, or of another file that is no page."""
    _check_refresh(url, text)
    if sign := _in_error(text) or _of_status(status):
        raise Blocked(f"{url}: {sign} instead of {instead_of}; the crawl ends here")


def check_robots(url: str, target: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raises Blocked where a challenge or a login stands at the address of robots.txt: what it forbids is not seen.

    Args:
        target: the address that answered in the end.
    """
    if status in MISSING:
        return
    check_headers(url, headers)
    check_redirect(url, target)
    if body.lstrip().startswith(b"<"):
        check_image(url, status, decode(body, headers.get("content-type", "")), instead_of="robots.txt")


def check_page(url: str, status: int, text: str, usual: frozenset[str] = frozenset()) -> None:
    """Raises Blocked where a page that could not be read is a challenge, a ban or a login.

    Args:
        usual: marks that pages of this site have which could be read.
    """
    text = text[:READ]
    _check_refresh(url, text)
    words = _headings(text)
    sign = _for_sure(text, words) or _of_status(status)
    of_one = sign is None
    if not sign and (found := SOFT_WORDS.search(words)):
        sign = f"a page that says {found[0]!r}"
    if not sign:
        sign = next(iter(sorted(marks(text) - usual)), None)
    if sign:
        raise Blocked(f"{url}: {sign} instead of the page; the crawl ends here", of_one=of_one)


def marks(text: str) -> frozenset[str]:
    """The captcha and the login form that a page has, which may stand on every page of a site."""
    text = text[:READ]
    login = LOGIN_WORDS.search(_headings(text)) and PASSWORD.search(text)
    found = {"a captcha": WIDGETS.search(text), "a login form": login}
    return frozenset(name for name, match in found.items() if match)


def _check_refresh(url: str, text: str) -> None:
    for match in REFRESH.finditer(text):
        check_redirect(url, resolve(url, match[1]))


def _in_error(text: str) -> str | None:
    """What of a page that is of no use says that it is a challenge."""
    text = text[:READ]
    words = _headings(text)
    captcha = CAPTCHA.search(words)
    return _for_sure(text, words) or (f"a page that says {captcha[0]!r}" if captcha else None)


def _for_sure(text: str, words: str) -> str | None:
    found = MARKS.search(text) or CHALLENGE_WORDS.search(words)
    return f"a challenge or ban page ({found[0]!r})" if found else None


def _of_status(status: int) -> str | None:
    return "an answer with status 202, as before a challenge," if status == 202 else None


def _headings(text: str) -> str:
    """The words of the title and of the headings of a page."""
    return " ".join(TAG.sub(" ", match[2]) for match in HEADING.finditer(text)).replace("&#39;", "'")


def _is_sibling(new: str, old: str) -> bool:
    """Whether a path begins as another does and has a door at most in its middle."""
    ours, theirs = new.lower().strip("/").split("/"), old.lower().strip("/").split("/")
    return len(ours) > 2 and ours[0] == theirs[0] and not DOORS.fullmatch(ours[-1].partition(".")[0])


def _parts(path: str) -> set[str]:
    return {part for part in path.lower().split("/") if part}
