"""Starts and stops an S3 server on loopback: what dev/s3-server does, also for tests and benchmarks in Python.

    with s3_server.running(s3_server.Options()) as server:
        subprocess.run(command, env={**os.environ, **server.variables})
"""

from __future__ import annotations

import contextlib
import ctypes
import datetime
import hashlib
import hmac
import http.client
import json
import os
import secrets
import shlex
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from s3_server_install import ROOT, SERVERS, Trouble, binary_of, say

STATE = ROOT / ".cache" / "s3-server.json"  # of the one in the background
REGION = "us-east-1"
READY_SECONDS = 30.0
TRIES = 5  # another process may take the port that was free a moment ago
HEALTH = {"versitygw": "/health", "minio": "/minio/health/live"}


@dataclass(frozen=True)
class Options:
    server: str = "versitygw"
    bucket: str = "datashard"
    directory: Path | None = None  # where the objects lie; None: in a temporary directory
    port: int = 0                  # 0: a free one
    keep_alive: bool = False       # versitygw then misreads uploads with a trailer, Arrow's among them
    users: bool = False            # may have users besides the one that starts it (versitygw; tests/support/s3_users.py)
    domain: str = ""               # requests to BUCKET.domain are for that bucket


@dataclass(frozen=True)
class Running:
    """A server that answers; plain values, so that `stop` can be another process."""
    process_id: int
    born: str  # tells the process from a later one with its number
    port: int
    bucket: str
    access_key: str
    secret_key: str
    place: str  # a temporary directory of its own

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def variables(self) -> dict[str, str]:
        return {"DATASHARD_STORAGE_TYPE": "s3", "DATASHARD_S3_ENDPOINT": self.endpoint,
                "DATASHARD_S3_ACCESS_KEY": self.access_key, "DATASHARD_S3_SECRET_KEY": self.secret_key,
                "DATASHARD_S3_BUCKET": self.bucket, "DATASHARD_S3_REGION": REGION}

    @property
    def test_variables(self) -> dict[str, str]:
        """Those that our own C++ tests look at: with the ones above, every table of every test would go to the bucket."""
        return {name.replace("DATASHARD_S3_", "DATASHARD_TEST_S3_"): value for name, value in self.variables.items()
                if name.startswith("DATASHARD_S3_")}

    def exports(self) -> str:
        return "\n".join(f"export {name}={shlex.quote(value)}" for name, value in self.variables.items())

    def lives(self) -> bool:
        return born(self.process_id) == self.born

    def wait(self) -> int:
        """Until the server ends by itself, which it should not: status 1."""
        while self.lives():
            time.sleep(0.2)
        say("the server ended by itself")
        return 1

    def stop(self) -> None:
        for number, seconds in ((signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
            if not self.lives():
                break
            os.kill(self.process_id, number)
            deadline = time.monotonic() + seconds
            while self.lives() and time.monotonic() < deadline:
                time.sleep(0.01)
        shutil.rmtree(self.place, ignore_errors=True)


@contextlib.contextmanager
def running(options: Options) -> Iterator[Running]:
    """A server for the length of a block. It also ends when this process is killed."""
    server = start(options, outlives_us=False)
    try:
        yield server
    finally:
        server.stop()


def start_in_background(options: Options) -> Running:
    server = in_background()
    if server is not None:
        say(f"a server runs already, at {server.endpoint} (process {server.process_id}); dev/s3-server stop ends it")
        return server
    server = start(options, outlives_us=True)
    STATE.parent.mkdir(parents=True, exist_ok=True)
    STATE.touch(mode=0o600)
    STATE.write_text(json.dumps(asdict(server)))
    say(f"{options.server} serves at {server.endpoint} (process {server.process_id}); dev/s3-server stop ends it")
    return server


def stop_in_background() -> None:
    server = in_background()
    if server is None:
        say("no server runs in the background")
        return
    server.stop()
    STATE.unlink(missing_ok=True)
    say(f"stopped process {server.process_id}")


def in_background() -> Running | None:
    """The one that `start` left running, if it still does."""
    try:
        server = Running(**json.loads(STATE.read_text()))
    except (OSError, ValueError, TypeError):
        return None
    return server if server.lives() else None


def start(options: Options, *, outlives_us: bool) -> Running:
    """Returns when the server answers and has the bucket."""
    binary = binary_of(SERVERS[options.server])
    for _ in range(1 if options.port else TRIES):
        server, trouble = try_start(binary, options, outlives_us)
        if server is not None:
            return server
    raise Trouble(trouble)


def try_start(binary: Path, options: Options, outlives_us: bool) -> tuple[Running | None, str]:
    place = Path(tempfile.mkdtemp(prefix="datashard-s3-"))
    data = options.directory or place / "data"
    data.mkdir(parents=True, exist_ok=True)
    port, access, secret = options.port or free_port(), "datashard", secrets.token_hex(20)
    command, environment = command_of(options, binary, port, data, place, access, secret)
    with open(place / "log", "wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                                   cwd=place, start_new_session=True, preexec_fn=None if outlives_us else die_with_parent)
    server = Running(process.pid, born(process.pid) or "", port, options.bucket, access, secret, str(place))
    try:
        deadline = time.monotonic() + READY_SECONDS
        answer = "nothing"
        while process.poll() is None and time.monotonic() < deadline:
            # That another server took the port shows in the answer: only ours knows the key.
            if answers(port, HEALTH[options.server]) and not (answer := make_bucket(server)):
                return server, ""
            if answer.startswith("status 400"):
                raise Trouble(f"bucket '{options.bucket}' could not be made: {answer}")
            time.sleep(0.02)
    except BaseException:
        server.stop()
        raise
    text = (place / "log").read_text(errors="replace")[-2000:]
    server.stop()
    return None, f"{binary.name} did not start at port {port}: its answer was {answer}, its log says:\n{text}"


def command_of(options: Options, binary: Path, port: int, data: Path, place: Path, access: str, secret: str):
    """The command and the variables that start the server."""
    address = f"127.0.0.1:{port}"
    if options.server == "minio":
        return ([str(binary), "server", "--quiet", "--address", address, str(data)],
                {"MINIO_ROOT_USER": access, "MINIO_ROOT_PASSWORD": secret, "MINIO_UPDATE": "off", "MINIO_BROWSER": "off",
                 "MINIO_DOMAIN": options.domain})
    command = [str(binary), "--quiet", "--port", address, "--health", HEALTH["versitygw"]]
    if options.keep_alive:
        command.append("--keep-alive")
    if options.users:
        users = place / "users"
        users.mkdir()
        command += ["--iam-dir", str(users)]
    if options.domain:
        command += ["--virtual-domain", options.domain]
    command.append("posix")
    if not keeps_attributes(data):
        sidecar = place / "sidecar"
        sidecar.mkdir()
        command += ["--sidecar", str(sidecar)]
    return [*command, str(data)], {"ROOT_ACCESS_KEY": access, "ROOT_SECRET_KEY": secret}


def keeps_attributes(directory: Path) -> bool:
    """Can files there have extended attributes, in which versitygw keeps what S3 knows of an object?"""
    with tempfile.NamedTemporaryFile(dir=directory) as probe:
        try:
            os.setxattr(probe.name, "user.datashard", b"1")
        except OSError:
            return False
    return True


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def born(process_id: int) -> str | None:
    """When the process started, as the kernel counts; None if it is gone or only waits to be collected."""
    with contextlib.suppress(ChildProcessError, OSError):
        os.waitpid(process_id, os.WNOHANG)  # only if it is a child of ours
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else fields[19]


def die_with_parent() -> None:
    """In the child: SIGTERM when the thread that started it ends."""
    pr_set_pdeathsig = 1
    ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGTERM)


def make_bucket(server: Running) -> str:
    """Nothing if the bucket is there now, else the server's answer."""
    try:
        status, body = request(server, "PUT", f"/{server.bucket}")
    except (OSError, http.client.HTTPException) as error:
        return str(error)
    there = status == 200 or b"BucketAlreadyOwnedByYou" in body or b"BucketAlreadyExists" in body
    return "" if there else f"status {status}: {body[:500].decode(errors='replace')}"


def request(server: Running, method: str, path: str, body: bytes = b"", headers: dict[str, str] | None = None,
            query: str = "", port: int | None = None) -> tuple[int, bytes]:
    """One signed request (AWS signature version 4): its status and body. `path` and `query` are as they go over the wire: query
    sorted, each name with its '='. `headers` in lower case. `port`: of a proxy before the server."""
    now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
    digest = hashlib.sha256(body).hexdigest()
    headers = {"host": f"127.0.0.1:{port or server.port}", "x-amz-content-sha256": digest, "x-amz-date": now, **(headers or {})}
    signed = ";".join(sorted(headers))
    lines = "".join(f"{name}:{headers[name]}\n" for name in sorted(headers))
    canonical = f"{method}\n{path}\n{query}\n{lines}\n{signed}\n{digest}"
    scope = f"{now[:8]}/{REGION}/s3/aws4_request"
    to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{server.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (f"AWS4-HMAC-SHA256 Credential={server.access_key}/{scope}, SignedHeaders={signed}, "
                                f"Signature={signature}")
    connection = http.client.HTTPConnection("127.0.0.1", port or server.port, timeout=30)
    try:
        connection.request(method, path + (f"?{query}" if query else ""), body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
