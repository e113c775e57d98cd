"""The three galleries replayed on loopback: the default origin of a crawl, and the server that tests crawl."""

from __future__ import annotations

import asyncio
import itertools
import socket
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import ExitStack, asynccontextmanager, contextmanager

import uvicorn
from anyio.from_thread import start_blocking_portal
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pipeline.errors import Unreachable
from pipeline.sample.galleries import pages_lospec, pages_pixeljoint, pages_pixiehaus
from pipeline.sample.galleries.faults import Faults, Hit
from pipeline.sample.params import Sample

HOST = "127.0.0.1"
ROUTES = {"pixeljoint": pages_pixeljoint.routes, "lospec": pages_lospec.routes, "pixiehaus": pages_pixiehaus.routes}


def app(source: str, sample: Sample, faults: Faults) -> ASGIApp:
    """One gallery as an ASGI application."""

    async def robots(_: Request) -> Response:
        return PlainTextResponse(faults.robots)

    routes = ROUTES[source](getattr(sample, source), faults)
    return _FaultInjector(Starlette(routes=[Route("/robots.txt", robots), *routes]), source, faults)


class _FaultInjector:
    """Reports each request, and answers it by script where one covers it."""

    def __init__(self, inner: ASGIApp, source: str, faults: Faults) -> None:
        self._inner, self._source, self._faults = inner, source, faults
        self._counts = [itertools.count() for _ in faults.scripted]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._inner(scope, receive, send)
            return
        request = Request(scope, receive)
        body = await request.body()
        hit = _hit(self._source, request, body)
        self._faults.on_hit(hit)
        await asyncio.sleep(self._faults.latency)
        answer = self._scripted(hit) or self._inner

        async def replay() -> Message:
            return {"type": "http.request", "body": body, "more_body": False}

        await answer(scope, replay, send)

    def _scripted(self, hit: Hit) -> Response | None:
        for script, count in zip(self._faults.scripted, self._counts, strict=True):
            if script.covers(hit) and (script.times is None or next(count) < script.times):
                return Response(script.body, script.status, dict(script.headers))
        return None


def _hit(source: str, request: Request, body: bytes) -> Hit:
    query = f"?{request.url.query}" if request.url.query else ""
    agent, cookie = (request.headers.get(name, "") for name in ("user-agent", "cookie"))
    return Hit(
        source,
        request.method,
        request.url.path + query,
        body.decode(errors="replace"),
        agent,
        cookie,
        headers=dict(request.headers),
        time=time.monotonic(),
    )


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Ctrl-C belongs to whoever runs the galleries."""
        yield


@asynccontextmanager
async def running(
    sample: Sample, sources: Sequence[str], *, faults: Faults | None = None, port: int = 0
) -> AsyncIterator[dict[str, int]]:
    """Run the galleries in this event loop while the block runs; yields the port of each.

    Args:
        port: of the first source, the others follow; 0 = free ports.

    Raises:
        Unreachable: a port is taken.
    """
    with ExitStack() as stack:
        listeners = [stack.enter_context(_listen(port + place if port else 0)) for place in range(len(sources))]
        servers = [_server(app(source, sample, faults or Faults())) for source in sources]
        pairs = zip(servers, listeners, strict=True)
        tasks = [asyncio.create_task(server.serve(sockets=[listener])) for server, listener in pairs]
        try:
            while not all(server.started for server in servers):
                await asyncio.sleep(0.005)
            yield {source: listener.getsockname()[1] for source, listener in zip(sources, listeners, strict=True)}
        finally:
            for server in servers:
                server.should_exit = True
            await asyncio.gather(*tasks)


@contextmanager
def serve(
    sample: Sample, sources: Sequence[str], *, faults: Faults | None = None, port: int = 0
) -> Iterator[dict[str, str]]:
    """Run the galleries in a thread while the block runs; yields the base address of each. See `running`."""
    galleries = running(sample, sources, faults=faults, port=port)
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(galleries) as ports:
        yield {source: f"http://{HOST}:{number}" for source, number in ports.items()}


def _server(gallery: ASGIApp) -> _Server:
    config = uvicorn.Config(
        gallery, http="h11", ws="none", lifespan="off", log_config=None, access_log=False, timeout_graceful_shutdown=2
    )
    return _Server(config)


def _listen(port: int) -> socket.socket:
    listener = socket.socket(proto=socket.IPPROTO_TCP)  # asyncio switches Nagle off only where it is told TCP
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        raise Unreachable(f"port {port} of {HOST} cannot be used: {error}") from error
    return listener


def serve_forever(
    sample: Sample, sources: Sequence[str], *, port: int = 0, on_ready: Callable[[dict[str, str]], None]
) -> None:
    """Run the galleries until interrupted; `on_ready` is called with the base address of each."""

    async def forever() -> None:
        async with running(sample, sources, port=port) as ports:
            on_ready({source: f"http://{HOST}:{number}" for source, number in ports.items()})
            await asyncio.Event().wait()

    asyncio.run(forever())
