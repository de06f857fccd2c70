"""HTTP/1.1 messages as the proxy passes them on: the head understood, the body as the bytes that came."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

PIECE = 256 * 1024


class Closed(Exception):
    """The peer ended the connection."""


@dataclass
class Message:
    first: str  # the request line or the status line
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytes = b""  # chunked bodies with their framing

    def header(self, name: str) -> str:
        return next((value for key, value in self.headers if key.lower() == name), "")

    def with_header(self, name: str, value: str) -> Message:
        kept = [(key, old) for key, old in self.headers if key.lower() != name.lower()]
        return Message(self.first, [*kept, (name, value)], self.body)

    @property
    def method(self) -> str:
        return self.first.split(" ")[0]

    @property
    def target(self) -> str:
        return self.first.split(" ")[1]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]

    @property
    def query(self) -> str:
        return self.target.partition("?")[2]

    @property
    def status(self) -> int:
        return int(self.first.split(" ")[1])

    def head(self) -> bytes:
        return "\r\n".join([self.first, *(f"{name}: {value}" for name, value in self.headers), "", ""]).encode("latin-1")

    def bytes(self) -> bytes:
        return self.head() + self.body


def answer(status: int, body: bytes, headers: dict[str, str] | None = None) -> Message:
    return Message(f"HTTP/1.1 {status} Proxy", [*(headers or {}).items(), ("Content-Length", str(len(body)))], body)


async def read_head(reader: asyncio.StreamReader) -> Message:
    try:
        text = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError as error:
        raise Closed from error
    first, *lines = text.decode("latin-1").rstrip("\r\n").split("\r\n")
    return Message(first, [(name, value.strip()) for name, _, value in (line.partition(":") for line in lines)])


async def read_body(reader: asyncio.StreamReader, message: Message, rate: float | None = None) -> bytes:
    """The body that the head announces, at most `rate` bytes per second; none is announced: none is read."""
    try:
        if message.header("transfer-encoding").lower() == "chunked":
            return await read_chunks(reader)
        left = int(message.header("content-length") or 0)
        pieces = []
        while left > 0:
            size = min(left, PIECE if rate is None else max(1, int(rate / 20)))
            pieces.append(await reader.readexactly(size))
            left -= size
            if rate is not None:
                await asyncio.sleep(size / rate)
        return b"".join(pieces)
    except asyncio.IncompleteReadError as error:
        raise Closed from error


async def read_chunks(reader: asyncio.StreamReader) -> bytes:
    pieces = []
    while True:
        line = await reader.readuntil(b"\r\n")
        pieces.append(line)
        size = int(line.split(b";")[0], 16)
        if size > 0:
            pieces.append(await reader.readexactly(size + 2))
            continue
        while pieces[-1] != b"\r\n":  # trailers end with an empty line
            pieces.append(await reader.readuntil(b"\r\n"))
        return b"".join(pieces)


async def read_request(reader: asyncio.StreamReader, writer: asyncio.StreamWriter,
                       rate_of: Callable[[Message], float | None]) -> Message:
    request = await read_head(reader)
    if request.header("expect").lower() == "100-continue":
        writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
    request.body = await read_body(reader, request, rate_of(request))
    return request


async def ask(upstream: tuple[str, int], request: Message) -> Message:
    """The upstream's answer to `request`, over a connection of its own."""
    reader, writer = await asyncio.open_connection(*upstream, limit=1 << 20)
    try:
        writer.write(request.with_header("Connection", "close").bytes())
        await writer.drain()
        got = await read_head(reader)
        while got.status < 200:
            got = await read_head(reader)
        if request.method != "HEAD" and got.status not in (204, 304):
            framed = got.header("content-length") or got.header("transfer-encoding")
            got.body = await read_body(reader, got) if framed else await reader.read()
        got.headers = [(name, value) for name, value in got.headers if name.lower() != "connection"]
        framed = got.header("content-length") or got.header("transfer-encoding") or got.status == 204
        return got if framed else got.with_header("Content-Length", str(len(got.body)))
    finally:
        writer.close()
