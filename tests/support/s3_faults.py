"""What the proxy can do to a request, and rules that say when.

A rule is a JSON object: which requests it is for, when it fires, and what happens then. The first rule that fires has its way.

    {"method": "PUT", "path": "/v[0-9]+\\\\.metadata", "query": "uploadId", "header": {"if-none-match": "\\\\*"},  # regular expressions
     "skip": 2, "times": 1, "probability": 0.1, "for_seconds": 5,                                           # all may be left out
     "fault": "lose_answer"}

`skip`: matching requests that pass first; `times`: how often it fires; `for_seconds`: how long, from the first time on.

    fault         what the client sees                                    what reached the server      settings
    none          its answer: an exception from the rules that follow       the request
    lose_answer   the connection ends                                     the request
    late          nothing (`client`: wait) or the end (close)             the request, `seconds` after the client was gone
    hang          nothing, until it gives up                              nothing
    error_before  `status` (500), `code`, `headers`, `body`               nothing
    error_after   the same                                                the request
    error_in_200  200 with an <Error> body, `code`                        the request if `apply`
    reset         `after_bytes` (0) of the body, then a reset             the request
    cut           `after_bytes` (0) of the body, then the end             the request
    reset_before  a reset                                                 nothing
    slow_body     the body at `bytes_per_second` (1000)                   the request
    slow_upload   its own body taken at `bytes_per_second` (1000)         the request
    corrupt_body  one byte of the body changed                            the request
    corrupt_upload  its answer                                           the request with one byte of its body changed
    deny_absent   403 instead of 404                                      the request
    stale         what the same request was answered first                the request the first time
    date          a Date header `seconds` off                             the request
    delay         the answer `seconds` later                              the request
"""

from __future__ import annotations

import asyncio
import contextlib
import email.utils
import re
import socket
import struct
import time
from dataclasses import dataclass, field

from s3_wire import PIECE, Closed, Message, answer, ask

CODES = {301: "PermanentRedirect", 400: "InvalidRequest", 403: "AccessDenied", 404: "NoSuchKey", 409: "ConditionalRequestConflict",
         412: "PreconditionFailed", 429: "TooManyRequests", 500: "InternalError", 503: "SlowDown"}


def operation_of(request: Message) -> str:
    """LIST, BULK DELETE, CREATE UPLOAD, UPLOAD PART, COMPLETE UPLOAD, ABORT UPLOAD, COPY, or the method; a PUT or DELETE with a
    condition is `PUT if-none-match` and the like."""
    names = {part.partition("=")[0] for part in request.query.split("&")}
    method = request.method
    if method == "GET" and ("list-type" in names or request.path.count("/") == 1):
        return "LIST"
    if method == "POST":
        return "BULK DELETE" if "delete" in names else "CREATE UPLOAD" if "uploads" in names else "COMPLETE UPLOAD"
    if "uploadId" in names:
        return {"PUT": "UPLOAD PART", "DELETE": "ABORT UPLOAD"}.get(method, method)
    if method == "PUT" and request.header("x-amz-copy-source"):
        return "COPY"
    condition = next((name for name in ("if-none-match", "if-match") if request.header(name)), None)
    return f"{method} {condition}" if condition and method in ("PUT", "DELETE") else method


@dataclass
class Rule:
    fault: str
    matches: dict
    settings: dict
    skip: int = 0
    times: int | None = None
    probability: float = 1.0
    for_seconds: float | None = None
    passed: int = 0
    fired: int = 0
    first_fired: float | None = None

    @staticmethod
    def of(rule: dict) -> Rule:
        rule = dict(rule)
        fault = rule.pop("fault")
        if fault not in FAULTS and fault != "slow_upload":
            raise ValueError(f"there is no fault {fault!r}; there are {', '.join(sorted([*FAULTS, 'slow_upload']))}")
        matches = {name: re.compile(rule.pop(name)) for name in ("method", "path", "query") if name in rule}
        matches["header"] = {name.lower(): re.compile(text) for name, text in rule.pop("header", {}).items()}
        when = {name: rule.pop(name) for name in ("skip", "times", "probability", "for_seconds") if name in rule}
        known = {"status", "code", "headers", "body", "apply", "after_bytes", "bytes_per_second", "seconds", "client"}
        if unknown := set(rule) - known:
            raise ValueError(f"a rule has no {', '.join(sorted(unknown))}")
        return Rule(fault, matches, rule, **when)

    def matching(self, request: Message) -> bool:
        return (all(self.matches[name].search(getattr(request, name)) for name in ("method", "path", "query") if name in self.matches)
                and all(pattern.search(request.header(name)) for name, pattern in self.matches["header"].items()))

    def fires(self, request: Message, random, now: float) -> bool:
        if not self.matching(request) or (self.times is not None and self.fired >= self.times):
            return False
        if self.for_seconds is not None and self.first_fired is not None and now > self.first_fired + self.for_seconds:
            return False
        if self.passed < self.skip:
            self.passed += 1
            return False
        if self.probability < 1 and random.random() >= self.probability:
            return False
        self.fired += 1
        self.first_fired = self.first_fired or now
        return True

    def number(self, name: str, default: float) -> float:
        return float(self.settings.get(name, default))


@dataclass
class Exchange:
    """One request on its way; `entry` is its line in the report."""
    proxy: object
    rule: Rule | None
    request: Message
    entry: dict
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    settings: dict = field(init=False)

    def __post_init__(self):
        self.settings = self.rule.settings if self.rule else {}

    async def forward(self) -> Message:
        """The upstream's answer; 502 if there is none."""
        try:
            got = await ask(self.proxy.upstream, self.request)
        except (OSError, Closed, asyncio.IncompleteReadError) as error:
            got = answer(502, f"the server behind the proxy: {error!r}".encode())
        self.entry["applied"] = got.status
        return got

    async def give(self, got: Message) -> None:
        await self.proxy.pause(self.proxy.delay / 2)
        self.entry["status"] = got.status
        self.writer.write(got.bytes())
        await self.writer.drain()

    async def give_part(self, got: Message, size: int) -> None:
        await self.proxy.pause(self.proxy.delay / 2)
        self.entry["status"] = got.status
        self.writer.write(got.head() + got.body[:size])
        await self.writer.drain()

    def error(self) -> Message:
        status = int(self.settings.get("status", 500))
        code = self.settings.get("code", CODES.get(status, "InternalError"))
        return answer(status, self.settings.get("body", error_text(code)).encode() if self.request.method != "HEAD" else b"",
                      {"Content-Type": "application/xml", **self.settings.get("headers", {})})

    def reset(self) -> None:
        """Ends the connection with a reset instead of an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.writer.transport.abort()
        raise Closed

    async def client_gone(self) -> None:
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(PIECE):
                pass


def error_text(code: str) -> str:
    return f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>by the proxy</Message></Error>'


async def none(exchange: Exchange) -> None:
    await exchange.give(await exchange.forward())


async def lose_answer(exchange: Exchange) -> None:
    await exchange.forward()
    raise Closed


async def late(exchange: Exchange) -> None:
    async def deliver():
        await asyncio.sleep(exchange.rule.number("seconds", 1))
        await exchange.forward()

    if exchange.settings.get("client", "wait") == "wait":
        await exchange.client_gone()
    exchange.proxy.later(deliver())
    raise Closed


async def hang(exchange: Exchange) -> None:
    await exchange.client_gone()
    raise Closed


async def error_before(exchange: Exchange) -> None:
    await exchange.give(exchange.error())


async def error_after(exchange: Exchange) -> None:
    await exchange.forward()
    await exchange.give(exchange.error())


async def error_in_200(exchange: Exchange) -> None:
    if exchange.settings.get("apply", False):
        await exchange.forward()
    await exchange.give(answer(200, error_text(exchange.settings.get("code", "InternalError")).encode(),
                               {"Content-Type": "application/xml"}))


async def reset(exchange: Exchange) -> None:
    await exchange.give_part(await exchange.forward(), int(exchange.settings.get("after_bytes", 0)))
    await asyncio.sleep(0.05)  # a reset discards what the client has not read yet
    exchange.reset()


async def reset_before(exchange: Exchange) -> None:
    exchange.reset()


async def cut(exchange: Exchange) -> None:
    await exchange.give_part(await exchange.forward(), int(exchange.settings.get("after_bytes", 0)))
    raise Closed


async def slow_body(exchange: Exchange) -> None:
    got = await exchange.forward()
    rate = exchange.rule.number("bytes_per_second", 1000)
    size = max(1, int(rate / 20))
    await exchange.give_part(got, 0)
    for start in range(0, len(got.body), size):
        exchange.writer.write(got.body[start:start + size])
        await exchange.writer.drain()
        await asyncio.sleep(size / rate)


async def corrupt_body(exchange: Exchange) -> None:
    got = await exchange.forward()
    got.body = changed(got.body)
    await exchange.give(got)


def changed(body: bytes) -> bytes:
    middle = len(body) // 2
    return body[:middle] + bytes([body[middle] ^ 1]) + body[middle + 1:] if body else body


async def corrupt_upload(exchange: Exchange) -> None:
    exchange.request.body = changed(exchange.request.body)
    await exchange.give(await exchange.forward())


async def deny_absent(exchange: Exchange) -> None:
    got = await exchange.forward()
    exchange.settings = {**exchange.settings, "status": 403}
    await exchange.give(exchange.error() if got.status == 404 else got)


async def stale(exchange: Exchange) -> None:
    remembered = exchange.proxy.remembered
    key = (exchange.request.method, exchange.request.target, exchange.request.header("range"))
    if key not in remembered:
        remembered[key] = await exchange.forward()
    await exchange.give(remembered[key])


async def date(exchange: Exchange) -> None:
    moment = email.utils.formatdate(time.time() + exchange.rule.number("seconds", 3600), usegmt=True)
    await exchange.give((await exchange.forward()).with_header("Date", moment))


async def delay(exchange: Exchange) -> None:
    got = await exchange.forward()
    await asyncio.sleep(exchange.rule.number("seconds", 1))
    await exchange.give(got)


# slow_upload acts while the request is read, in Proxy.upload_rate.
FAULTS = {work.__name__: work for work in (none, lose_answer, late, hang, error_before, error_after, error_in_200, reset, reset_before,
                                           cut, slow_body, corrupt_body, corrupt_upload, deny_absent, stale, date, delay)}
