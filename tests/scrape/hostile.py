"""A server that misbehaves by rules, below HTTP where need be, and writes down everything that it is asked.

    python tests/scrape/hostile.py ORDERS LOG [PORT PORT]

ORDERS is a JSON list of rules (`Rule.packed`); the ports come as one line of JSON on stdout. LOG gets two JSON Lines a
request, `ask` when it has arrived and `done` when the last byte is written or the client hangs up: times in seconds,
`at` monotonic and `wall` since 1970. Standard library only, so that it starts in a moment.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import re
import socket
import struct
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from email.utils import formatdate
from pathlib import Path
from typing import Any

CHUNK = 1 << 16
PORTS = 2


@dataclass(frozen=True)
class Rule:
    """An answer, and which requests get it: the first rule that covers one and is not used up.

    In body and header values `@port0@` and `@port1@` stand for the ports, `@in3@` for the HTTP date in three seconds,
    `@name@` for what the group `name` of `target` or `containing` matched.
    """

    target: str  # regular expression that the whole path and query match
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    method: str = ".*"
    containing: str = ""  # regular expression that the header lines (`name: value`, lower case) or the body match
    port: int | None = None  # 0 or 1; None = both
    times: int | None = None  # first requests that get it; None = all
    length: int | None = None  # Content-Length announced instead of the true one; the connection closes afterwards
    cut: int | None = None  # bytes of the body after which the connection closes
    reset: bool = False  # close with a TCP reset
    repeat: int = 1  # the body so many times, without ever being in memory
    wait: float = 0.0  # seconds before the answer
    drip: float = 0.0  # seconds between two bytes of the body
    raw: bool = False  # `body` is all that goes over the wire, then the connection closes

    def packed(self) -> dict[str, Any]:
        return {**asdict(self), "body": base64.b64encode(self.body).decode()}

    def covers(self, request: dict[str, Any], port: int) -> bool:
        return (
            self.port in (None, port)
            and re.fullmatch(self.target, request["target"]) is not None
            and re.fullmatch(self.method, request["method"]) is not None
            and re.search(self.containing, _lines(request)) is not None
        )

    @property
    def closes(self) -> bool:
        return self.raw or self.reset or self.length is not None or self.cut is not None


def unpacked(raw: dict[str, Any]) -> Rule:
    headers = tuple((name, value) for name, value in raw["headers"])
    return Rule(**{**raw, "headers": headers, "body": base64.b64decode(raw["body"])})


class HangUp(Exception):
    """The client has hung up."""


class Server:
    def __init__(self, rules: Sequence[Rule], log: Path) -> None:
        self._rules, self._remaining = list(rules), [rule.times for rule in rules]
        self._log, self._count, self.ports = log, 0, [0] * PORTS

    def note(self, event: str, number: int, **facts: Any) -> None:
        times = {"at": time.monotonic(), "wall": time.time()}
        with self._log.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"event": event, "number": number, **times, **facts}) + "\n")

    async def talk(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, HangUp):
            while not await self._exchange(port, reader, writer):
                pass
        writer.close()

    async def _exchange(self, port: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One request and its answer; True when the connection ends with it."""
        request = await _read(reader)
        number, self._count = self._count, self._count + 1
        rule = self._choose(request, port)
        self.note("ask", number, port=port, **request)
        sent = [0]
        try:
            await _answer(self._filled(rule, request), reader, writer, sent, head=request["method"] == "HEAD")
        except (ConnectionError, HangUp):
            self.note("done", number, status=rule.status, sent=sent[0], hung_up=True)
            raise
        self.note("done", number, status=rule.status, sent=sent[0], hung_up=False)
        if rule.reset:
            linger = struct.pack("ii", 1, 0)
            writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            writer.transport.abort()
        return rule.closes

    def _choose(self, request: dict[str, Any], port: int) -> Rule:
        for number, rule in enumerate(self._rules):
            remaining = self._remaining[number]
            if remaining != 0 and rule.covers(request, port):
                self._remaining[number] = None if remaining is None else remaining - 1
                return rule
        return Rule(".*", 404, b"no such page")

    def _filled(self, rule: Rule, request: dict[str, Any]) -> Rule:
        words = {f"port{number}": str(port) for number, port in enumerate(self.ports)}
        for match in (re.fullmatch(rule.target, request["target"]), re.search(rule.containing, _lines(request))):
            words.update({name: text or "" for name, text in (match.groupdict() if match else {}).items()})
        headers = tuple((name, _fill(value, words)) for name, value in rule.headers)
        body = rule.body
        for name, text in words.items():
            body = body.replace(f"@{name}@".encode(), text.encode())
        return replace(rule, headers=headers, body=body)


def _lines(request: dict[str, Any]) -> str:
    return "".join(f"{name}: {value}\n" for name, value in request["headers"].items()) + str(request["body"])


def _fill(text: str, words: dict[str, str]) -> str:
    for name, value in words.items():
        text = text.replace(f"@{name}@", value)
    return re.sub(r"@in(\d+)@", lambda match: formatdate(time.time() + int(match[1]), usegmt=True), text)


async def _read(reader: asyncio.StreamReader) -> dict[str, Any]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
    first, *lines = head.rstrip("\r\n").split("\r\n")
    method, target, _ = first.split(" ", 2)
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return {
        "method": method, "target": target, "headers": headers, "body": body.decode("latin-1"),
        "host": headers.get("host", ""), "agent": headers.get("user-agent", ""), "cookie": headers.get("cookie", ""),
    }  # fmt: skip


async def _answer(
    rule: Rule, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: list[int], head: bool
) -> None:
    if rule.wait:
        await _pause(reader, rule.wait)
    length = len(rule.body) * rule.repeat
    if not rule.raw:
        writer.write(_head(rule, length))
    limit = 0 if head else length if rule.cut is None else min(rule.cut, length)
    for piece in _pieces(rule, limit):
        writer.write(piece)
        sent[0] += len(piece)
        await (_pause(reader, rule.drip) if rule.drip else writer.drain())


def _head(rule: Rule, length: int) -> bytes:
    lines = [f"HTTP/1.1 {rule.status} Told", *(f"{name}: {value}" for name, value in rule.headers)]
    if rule.status not in (204, 304):
        lines.append(f"Content-Length: {length if rule.length is None else rule.length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


def _pieces(rule: Rule, limit: int) -> Iterator[bytes]:
    step = 1 if rule.drip else CHUNK
    for _ in range(rule.repeat):
        for start in range(0, len(rule.body), step):
            if limit <= 0:
                return
            piece = rule.body[start : start + min(step, limit)]
            limit -= len(piece)
            yield piece


async def _pause(reader: asyncio.StreamReader, seconds: float) -> None:
    """Wait, unless the client hangs up."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            if not await reader.read(1):
                raise HangUp


async def main(orders: Path, log: Path, *ports: str) -> None:
    server = Server([unpacked(raw) for raw in json.loads(orders.read_bytes())], log)
    listening = []
    for number in range(PORTS):

        async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int = number) -> None:
            await server.talk(number, reader, writer)

        listening.append(await asyncio.start_server(talk, "127.0.0.1", int(ports[number]) if ports else 0))
        server.ports[number] = listening[-1].sockets[0].getsockname()[1]
    sys.stdout.write(json.dumps(server.ports) + "\n")
    sys.stdout.flush()
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), Path(sys.argv[2]), *sys.argv[3:]))
