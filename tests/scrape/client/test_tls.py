"""Requests over real TLS, to a server on loopback with a certificate of its own."""

from __future__ import annotations

import asyncio
import datetime
import ipaddress
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from pipeline.scrape.client.connect import Transport
from pipeline.scrape.client.fetch import Fetcher
from pipeline.scrape.client.pace import Access
from pipeline.scrape.sites.gallery import Rejection, Request

HOST = "127.0.0.1"
ACCESS = Access(frozenset({HOST}), https=True, delay=0.0, backoff=0.001)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificate and key in one PEM file, signed by itself, for 127.0.0.1."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.now(datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "facetopix test")])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(HOST))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "server.pem"
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    path.write_bytes(signed.public_bytes(serialization.Encoding.PEM) + private)
    return path


@dataclass
class Server:
    """Answers in TLS only; `requests` are the request lines that came through it."""

    port: int = 0
    requests: list[str] = field(default_factory=list)

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = (await reader.readuntil(b"\r\n\r\n")).split(b"\r\n")[0].decode()
        path = line.split()[1]
        if not path.startswith("/.well-known/"):
            self.requests.append(line)
        moved = f"HTTP/1.1 302 Found\r\nLocation: http://{HOST}:{self.port}/new\r\n" if path == "/old" else ""
        head = moved or f"HTTP/1.1 {404 if path.endswith(('.txt', '.json')) else 200} There\r\n"
        writer.write(f"{head}Content-Length: 2\r\nConnection: close\r\n\r\nhi".encode())
        await writer.drain()
        writer.close()


@asynccontextmanager
async def serving(certificate: Path) -> AsyncIterator[Server]:
    context, server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), Server()
    context.load_cert_chain(certificate)
    listening = await asyncio.start_server(server.answer, HOST, 0, ssl=context)
    async with listening:
        server.port = listening.sockets[0].getsockname()[1]
        yield server


async def ask(certificate: Path, trusted: Path | None, path: str) -> tuple[str, list[str]]:
    """Text of the page at an http address of the server, and what the server was asked."""
    context = ssl.create_default_context(cafile=trusted)
    async with serving(certificate) as server:
        client = Fetcher(ACCESS, user_agent="facetopix/1", transport=Transport(verify=context))
        async with client:
            page = await client.page(Request(f"http://{HOST}:{server.port}{path}"))
    return page.text, server.requests


def test_http_addresses_are_asked_over_tls(certificate: Path) -> None:
    assert asyncio.run(ask(certificate, certificate, "/page")) == (
        "hi",
        ["GET /robots.txt HTTP/1.1", "GET /page HTTP/1.1"],
    )


def test_a_redirect_back_to_http_stays_on_tls(certificate: Path) -> None:
    assert asyncio.run(ask(certificate, certificate, "/old")) == (
        "hi",
        ["GET /robots.txt HTTP/1.1", "GET /old HTTP/1.1", "GET /new HTTP/1.1"],
    )


def test_a_certificate_that_nobody_vouches_for_is_a_network_failure(certificate: Path) -> None:
    """Not even robots.txt is asked: nothing is told to a host that may be another."""
    with pytest.raises(Rejection) as caught:
        asyncio.run(ask(certificate, None, "/page"))
    assert caught.value.reason == "network"
    assert "certificate" in caught.value.detail.lower()
