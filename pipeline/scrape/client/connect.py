"""Connections: to the very address that was checked, kept open between slow requests, tolerant of sloppy headers."""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import re
import socket
from collections.abc import Iterable, Mapping
from typing import Any

import httpcore
import httpx

from pipeline.errors import Refused

IDLE = 1800.0  # seconds that a connection may idle; the longest Crawl-delay that is obeyed is half of it
IMPATIENCE = 5.0  # seconds for an address of a host that has others
MAX_HEAD = 100 * 1024  # bytes of a status line and its headers; h11 has the same limit
BLANK_LINE = re.compile(rb"\n\r?\n")
STATUS_LINE = re.compile(rb"HTTP/(\d)(?:\.(\d))?[ \t]+(\d{3})(?:[ \t]+(.*))?", re.IGNORECASE)
TOKEN = re.compile(rb"[-!#$%&'*+.^_`|~0-9a-zA-Z]+")
CONTROLS = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]+")
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # IPv4 addresses as IPv6 networks reach them (RFC 6052)


class Transport(httpx.AsyncHTTPTransport):
    """An HTTP/1.1 client without proxies.

    Args:
        public: refuse host names that lead into a private network, or back to this machine.
        ports: host name -> port of this machine that answers for it.
    """

    def __init__(self, *, public: bool = False, ports: Mapping[str, int] | None = None, verify: Any = True) -> None:
        # In place of httpx's own pool, which takes no network backend.
        self._pool = httpcore.AsyncConnectionPool(
            ssl_context=httpx.create_ssl_context(verify),
            keepalive_expiry=IDLE,
            network_backend=Backend(public, ports or {}),
        )


class Backend(httpcore.AnyIOBackend):
    """Opens connections: each name is looked up once, and what was checked is what is connected to."""

    def __init__(self, public: bool, ports: Mapping[str, int]) -> None:
        self._public, self._ports = public, dict(ports)

    async def connect_tcp(
        self, host: str, port: int, timeout: float | None = None, local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:  # fmt: skip
        if host in self._ports:
            host, port = "127.0.0.1", self._ports[host]
        addresses = await _public_addresses(host, port, timeout) if self._public else [host]
        *others, last = addresses
        for address in others:
            patience = min(timeout or IMPATIENCE, IMPATIENCE)
            with contextlib.suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return TolerantStream(await super().connect_tcp(address, port, patience, local_address, socket_options))
        return TolerantStream(await super().connect_tcp(last, port, timeout, local_address, socket_options))


async def _public_addresses(host: str, port: int, timeout: float | None) -> list[str]:
    """All addresses of a host, of which not one may be private."""
    try:
        async with asyncio.timeout(timeout):
            found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except TimeoutError as error:
        raise httpcore.ConnectTimeout(f"{host}: the name could not be looked up in time") from error
    except (OSError, UnicodeError) as error:
        raise httpcore.ConnectError(f"{host}: {error}") from error
    addresses = list(dict.fromkeys(str(address[0]) for *_, address in found))
    for address in addresses:
        if not is_public(address):
            raise Refused(f"{host} leads to {address}, which is no public address: nothing is asked there")
    return addresses


def is_public(address: str) -> bool:
    """Whether an IP address belongs to one host of the internet, also where IPv6 wraps an IPv4 address."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        if ip.ipv4_mapped or ip in NAT64:
            return is_public(str(ip.ipv4_mapped or ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)))
        if ip.is_site_local or (ip.sixtofour and not is_public(str(ip.sixtofour))):
            return False
    return ip.is_global and not ip.is_multicast and not ip.is_reserved


class TolerantStream(httpcore.AsyncNetworkStream):
    """A connection whose answers have clean heads, whatever the server sent: what comes first after a request."""

    def __init__(self, stream: httpcore.AsyncNetworkStream) -> None:
        self._stream = stream
        self._in_head, self._buffer = False, bytearray()

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        if not self._in_head:
            return await self._stream.read(max_bytes, timeout)
        while not (end := BLANK_LINE.search(self._buffer)) and len(self._buffer) <= MAX_HEAD:
            chunk = await self._stream.read(max_bytes, timeout)
            if not chunk:
                break
            self._buffer += chunk if self._buffer else chunk.lstrip(b"\r\n")
        data, self._buffer = bytes(self._buffer), bytearray()
        if end is None:
            self._in_head = False
            return data
        head, rest = clean_head(data[: end.end()]), data[end.end() :]
        if re.match(rb"HTTP/1\.\d 1\d\d", head):  # an interim answer: the head of the final one follows
            self._buffer += rest
            return head
        self._in_head = False
        return head + rest

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._in_head = True
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return TolerantStream(await self._stream.start_tls(*args, **options))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


def clean_head(head: bytes) -> bytes:
    """A status line and headers as HTTP/1.1 has them, read as browsers read those of careless servers.

    Blanks before a colon go, lines that are no header too, control characters become blanks; beside
    `Transfer-Encoding: chunked` neither a Content-Length nor another transfer encoding counts.
    """
    first, *lines = re.split(rb"\r?\n", head.rstrip(b"\r\n"))
    headers: list[tuple[bytes, bytes]] = []
    kept = False  # whether the header before was, whose value the next line may go on with
    for line in lines:
        if line[:1] in (b" ", b"\t"):
            if kept:
                name, value = headers[-1]
                headers[-1] = (name, value + b" " + _value(line))
            continue
        name, colon, value = line.partition(b":")
        kept = bool(colon) and TOKEN.fullmatch(name.rstrip(b" \t")) is not None
        if kept:
            headers.append((name.rstrip(b" \t"), _value(value)))
    encodings = [value.lower() for name, value in headers if name.lower() == b"transfer-encoding"]
    chunked = any(b"chunked" in encoding for encoding in encodings)
    framing = (b"transfer-encoding", b"content-length") if chunked else (b"transfer-encoding",)
    clean = [_status(first), *(name + b": " + value for name, value in headers if name.lower() not in framing)]
    clean += [b"Transfer-Encoding: chunked"] if chunked else []
    return b"\r\n".join([*clean, b"", b""])


def _value(text: bytes) -> bytes:
    return CONTROLS.sub(b" ", text).strip(b" \t")


def _status(line: bytes) -> bytes:
    match = STATUS_LINE.fullmatch(line)
    if not match:
        return line
    minor = match[2] if match[1] == b"1" and match[2] else b"1"
    return b"HTTP/1." + minor + b" " + match[3] + b" " + _value(match[4] or b"")
