"""A proxy before an S3 service: it counts requests, and answers some of them with a fault that a plan chooses."""

from __future__ import annotations

import asyncio
import random
import threading
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import NamedTuple

# The kinds of fault. A request that is `refused`, `throttled` or `dropped` does not reach the service; the others do.
REFUSED = "500"  # Internal Error
THROTTLED = "503"  # Slow Down
DROPPED = "dropped"  # the connection is closed before the request is forwarded
UNANSWERED = "unanswered"  # the service does what the request says, and the connection is closed without an answer
DONE_BUT_500 = "done but 500"  # the service does what the request says, and the answer is an error
CUT = "cut"  # the connection is closed in the middle of the answer's body
DELAYED = "delayed"  # the answer is late, and right
KINDS = (REFUSED, THROTTLED, DROPPED, UNANSWERED, DONE_BUT_500, CUT, DELAYED)

_ERRORS = {
    REFUSED: (b"500 Internal Server Error", b"InternalError"),
    DONE_BUT_500: (b"500 Internal Server Error", b"InternalError"),
    THROTTLED: (b"503 Slow Down", b"SlowDown"),
}
_DELAY = 0.2  # seconds


class Request(NamedTuple):
    """A request as a plan sees it."""

    method: str
    path: str

    @property
    def writes(self) -> bool:
        """Whether it changes objects."""
        return self.method not in ("GET", "HEAD")


Plan = Callable[[Request], str | None]  # a request -> the kind of its fault, None for none


def no_faults(_: Request) -> None:
    """The plan of a service without faults."""


@dataclass
class Outages:
    """Plan of a seed: outages that begin at random and take some requests, each with one kind of fault.

    A short outage is survived by the client's retries, a long one is not. Those of an odd seed are for requests that
    write, which are a tenth of all.
    """

    seed: int
    longest: int = 25  # requests of one outage
    happened: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)
        self._gap = 8 if self.seed % 2 else 120  # mean number of requests between two outages
        self._until_next = self._random.randint(1, self._gap)
        self._left, self._kind = 0, ""

    def __call__(self, request: Request) -> str | None:
        if self.seed % 2 and not request.writes:
            return None
        if not self._left:
            self._until_next -= 1
            if self._until_next > 0:
                return None
            self._until_next = self._random.randint(1, 2 * self._gap)
            self._left = self._random.randint(1, self._random.choice((1, 4, self.longest)))
            self._kind = self._random.choice(KINDS)
        self._left -= 1
        self.happened[self._kind] += 1
        return self._kind


class Proxy:
    """Listens on a free port of this machine, in a thread, and forwards to `upstream`, another port of it."""

    def __init__(self, upstream: int) -> None:
        self.plan: Plan = no_faults
        self.requests: list[Request] = []  # since the last `count`
        self._upstream = upstream
        self._loop = asyncio.new_event_loop()
        self._server = self._loop.run_until_complete(asyncio.start_server(self._serve, "127.0.0.1", 0))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stops listening and closes all connections."""
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _stop(self) -> None:
        self._server.close()
        connections = asyncio.all_tasks() - {asyncio.current_task()}
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    def count(self) -> int:
        """Returns the number of requests since the last call, and forgets them."""
        total = len(self.requests)
        self.requests.clear()
        return total

    def written(self) -> list[Request]:
        """Returns the requests since the last `count` that change objects."""
        return [r for r in self.requests if r.writes]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (head := await _head(reader)) and await self._answer(head, reader, writer):
                    pass
        finally:
            writer.close()

    async def _answer(self, head: bytes, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answers one request; returns whether the connection stays open."""
        method, path, _ = head.split(b"\r\n", 1)[0].decode().split(" ")
        request = Request(method, path)
        self.requests.append(request)
        fault = self.plan(request)
        if fault == DROPPED:
            return False
        if _header(head, b"expect") == b"100-continue":
            writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        body = await reader.readexactly(int(_header(head, b"content-length") or 0))
        if fault in (REFUSED, THROTTLED):
            writer.write(_error(fault, method))
            return True
        answer_head, answer_body = await self._forward(head, body, method)
        if fault == UNANSWERED:
            return False
        if fault == DELAYED:
            await asyncio.sleep(_DELAY)
        if fault == DONE_BUT_500:
            writer.write(_error(fault, method))
            return True
        if fault == CUT:
            writer.write(answer_head + answer_body[: len(answer_body) // 2])
            await writer.drain()
            return False
        writer.write(answer_head + answer_body)
        await writer.drain()
        return True

    async def _forward(self, head: bytes, body: bytes, method: str) -> tuple[bytes, bytes]:
        """Returns head and body of the service's answer. One connection a request: the answer ends where it closes."""
        upstream, to = await asyncio.open_connection("127.0.0.1", self._upstream)
        lines = [x for x in head.rstrip(b"\r\n").split(b"\r\n") if not x.lower().startswith((b"expect", b"connection"))]
        to.write(b"\r\n".join([*lines, b"Connection: close", b"", b""]) + body)
        answer = await _head(upstream)
        content = b"" if method == "HEAD" else await upstream.read()
        to.close()
        lines = [x for x in answer.rstrip(b"\r\n").split(b"\r\n") if not x.lower().startswith(b"connection")]
        if _header(answer, b"transfer-encoding") is None and _header(answer, b"content-length") is None:
            lines.append(b"Content-Length: %d" % len(content))
        return b"\r\n".join([*lines, b"", b""]), content


async def _head(reader: asyncio.StreamReader) -> bytes:
    """Returns request line or status line, and headers; empty at the end of the connection."""
    try:
        return await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return b""


def _header(head: bytes, name: bytes) -> bytes | None:
    values = (x.partition(b":")[2].strip() for x in head.split(b"\r\n") if x.lower().startswith(name + b":"))
    return next(values, None)


def _error(kind: str, method: str) -> bytes:
    status, code = _ERRORS[kind]
    body = b"<?xml version='1.0'?><Error><Code>" + code + b"</Code><Message>injected</Message></Error>"
    head = b"HTTP/1.1 %s\r\nContent-Type: application/xml\r\nContent-Length: %d\r\n\r\n" % (status, len(body))
    return head if method == "HEAD" else head + body
