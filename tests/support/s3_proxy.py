"""A proxy before an S3 server, on loopback, that adds round-trip time and breaks things by a script.

    python tests/support/s3_proxy.py --upstream 127.0.0.1:7070 --delay-ms 50 --rules rules.json    # prints its port
    with s3_proxy.before(server.port, rules=[…]) as proxy: …                                       # the same from Python

It forwards bytes as they are, the Host header too, so signatures stay valid. Every request has an upstream connection of its own:
the proxy itself never sends anything twice. s3_faults.py says what rules look like. Under /__proxy__/ it listens to the test:

    PUT    /__proxy__/rules     a JSON list: the rules from now on, none of them fired yet
    PUT    /__proxy__/delay     {"ms": 50}
    GET    /__proxy__/report    counts of requests by operation, how often each rule fired, and every request
    GET    /__proxy__/summary   the same without the requests
    DELETE /__proxy__/report    forget what was counted

The delay is that of a distant server: half of it before a request arrives, half before its answer does, and all of it once
more when a connection is made. Bodies pass at full speed unless a rule slows them down.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import random
import re
import subprocess
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from s3_faults import FAULTS, Exchange, Rule, operation_of  # noqa: E402
from s3_wire import Closed, Message, answer, read_request  # noqa: E402

CONTROL = "/__proxy__/"
REQUESTS_KEPT = 200_000


@dataclass
class Report:
    counts: Counter = field(default_factory=Counter)
    requests: deque = field(default_factory=deque)
    connections: int = 0
    in_flight: int = 0
    in_flight_max: int = 0


class Proxy:
    def __init__(self, upstream: tuple[str, int], rules: list[dict], delay_ms: float, seed: int, requests_kept: int = REQUESTS_KEPT):
        self.upstream = upstream
        self.delay = delay_ms / 1e3
        self.random = random.Random(seed)
        self.rules = [Rule.of(rule) for rule in rules]
        self.requests_kept = requests_kept
        self.report = self.empty_report()
        self.late: set[asyncio.Task] = set()
        self.remembered: dict[tuple, Message] = {}

    def empty_report(self) -> Report:
        return Report(requests=deque(maxlen=self.requests_kept))

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection of a client, until either side ends it."""
        fresh = True
        with contextlib.suppress(Closed, ConnectionError, TimeoutError, asyncio.CancelledError):
            while True:
                request = await read_request(reader, writer, self.upload_rate)
                if request.path.startswith(CONTROL):
                    await self.control(request, writer)
                    continue
                if fresh:
                    self.report.connections += 1
                    await self.pause(self.delay)
                    fresh = False
                await self.exchange(request, reader, writer)
                if request.header("connection").lower() == "close":
                    break
        writer.close()

    def upload_rate(self, head: Message) -> float | None:
        """Bytes per second at which this request's body is read; None: as it comes."""
        rule = self.pick(head, uploading=True)
        return None if rule is None else rule.number("bytes_per_second", 1000)

    def pick(self, request: Message, *, uploading: bool) -> Rule | None:
        for rule in self.rules:
            if (rule.fault == "slow_upload") == uploading and rule.fires(request, self.random, time.monotonic()):
                return rule
        return None

    async def exchange(self, request: Message, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        report = self.report
        operation = operation_of(request)
        entry = {"operation": operation, "method": request.method, "path": request.path, "query": request.query,
                 "range": request.header("range"), "bytes": len(request.body), "began": time.monotonic(), "ended": None,
                 "fault": None, "applied": None, "status": None}
        report.counts[operation] += 1
        report.requests.append(entry)
        report.in_flight += 1
        report.in_flight_max = max(report.in_flight_max, report.in_flight)
        try:
            rule = self.pick(request, uploading=False)
            entry["fault"] = rule and rule.fault
            await self.pause(self.delay / 2)
            await FAULTS[rule.fault if rule else "none"](Exchange(self, rule, request, entry, reader, writer))
        finally:
            report.in_flight -= 1
            entry["ended"] = time.monotonic()

    async def pause(self, seconds: float) -> None:
        if seconds > 0:
            await asyncio.sleep(seconds)

    def later(self, work) -> None:
        """Runs `work` when its request is long over."""
        task = asyncio.get_running_loop().create_task(work)
        self.late.add(task)
        task.add_done_callback(self.late.discard)

    async def control(self, request: Message, writer: asyncio.StreamWriter) -> None:
        try:
            status, body = self.controlled(request.method, request.path[len(CONTROL):], request.body)
        except (ValueError, KeyError, TypeError, re.error) as error:
            status, body = 400, {"error": f"{type(error).__name__}: {error}"}
        writer.write(answer(status, json.dumps(body).encode(), {"Content-Type": "application/json"}).bytes())
        await writer.drain()

    def controlled(self, method: str, what: str, body: bytes) -> tuple[int, dict]:
        if (method, what) == ("PUT", "rules"):
            self.rules = [Rule.of(rule) for rule in json.loads(body)]
        elif (method, what) == ("PUT", "delay"):
            self.delay = float(json.loads(body)["ms"]) / 1e3
        elif (method, what) == ("DELETE", "report"):
            self.report = self.empty_report()
        elif method == "GET" and what in ("report", "summary"):
            report = self.report
            summary = {"counts": dict(report.counts), "fired": [rule.fired for rule in self.rules],
                       "faults": [rule.fault for rule in self.rules], "late": len(self.late),
                       "connections": report.connections, "in_flight_max": report.in_flight_max}
            return 200, summary | ({"requests": list(report.requests)} if what == "report" else {})
        else:
            return 404, {"error": f"{method} {CONTROL}{what} is not among what this proxy is told"}
        return 200, {}


@dataclass(frozen=True)
class Running:
    """A proxy in a process of its own."""
    port: int

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def set_rules(self, *rules: dict) -> None:
        self._tell("PUT", "rules", list(rules))

    def set_delay_ms(self, milliseconds: float) -> None:
        self._tell("PUT", "delay", {"ms": milliseconds})

    def report(self) -> dict:
        return self._tell("GET", "report")

    def summary(self) -> dict:
        return self._tell("GET", "summary")

    def reset(self) -> None:
        """Forgets what was counted; rules and what they fired stay."""
        self._tell("DELETE", "report")

    def _tell(self, method: str, what: str, body=None) -> dict:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request(method, CONTROL + what, body=None if body is None else json.dumps(body))
            told = connection.getresponse()
            text = json.loads(told.read())
            if told.status != 200:
                raise ValueError(text["error"])
            return text
        finally:
            connection.close()


@contextlib.contextmanager
def before(upstream_port: int, *, rules: list[dict] | None = None, delay_ms: float = 0, seed: int = 0,
           requests_kept: int = REQUESTS_KEPT) -> Iterator[Running]:
    """A proxy before the server at `upstream_port`, for the length of a block."""
    process = subprocess.Popen([sys.executable, __file__, "--upstream", f"127.0.0.1:{upstream_port}", "--delay-ms", str(delay_ms),
                                "--seed", str(seed), "--requests-kept", str(requests_kept), "--until-input-ends"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        proxy = Running(int(process.stdout.readline()))
        proxy.set_rules(*(rules or []))
        yield proxy
    finally:
        process.stdin.close()
        process.wait(timeout=30)
        process.stdout.close()


async def input_ends() -> None:
    """Returns at the end of standard input, which comes with the end of whoever started this process."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


async def run(arguments: argparse.Namespace) -> None:
    host, _, port = arguments.upstream.rpartition(":")
    rules = json.loads(arguments.rules.read_text()) if arguments.rules else []
    proxy = Proxy((host, int(port)), rules, arguments.delay_ms, arguments.seed, arguments.requests_kept)
    server = await asyncio.start_server(proxy.serve, "127.0.0.1", arguments.port, backlog=1024, limit=1 << 20)
    print(server.sockets[0].getsockname()[1], flush=True)
    if arguments.until_input_ends:
        await input_ends()
    else:
        await server.serve_forever()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--upstream", required=True, metavar="HOST:PORT")
    parser.add_argument("--port", type=int, default=0, help="a free one by default")
    parser.add_argument("--delay-ms", type=float, default=0, help="round-trip time to add")
    parser.add_argument("--rules", type=Path, help="a file with a JSON list of rules")
    parser.add_argument("--seed", type=int, default=0, help="of the rules' probabilities")
    parser.add_argument("--requests-kept", type=int, default=REQUESTS_KEPT, help="the newest so many, for the report")
    parser.add_argument("--until-input-ends", action="store_true")
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    main()
