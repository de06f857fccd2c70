"""Builds the S3 servers of tests and trials into .cache/bin, with a Go that is new enough, wherever that comes from. They are
programs of their own: nothing of them becomes part of datashard.

Which registry Go's module client asks is the machine's affair (go env GOPROXY). Module and build caches are Go's own, so that
a second checkout on the same machine builds in seconds.
"""

from __future__ import annotations

import fcntl
import glob
import json
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BIN = ROOT / ".cache" / "bin"
TOOLCHAIN = "1.25.0"  # what an older Go fetches
HEARTBEAT_SECONDS = 30
PLACES_OF_GO = ["/usr/local/go/bin/go", "/usr/lib/go-*/bin/go"]


class Trouble(Exception):
    """What could not be done, and what to do about it."""


@dataclass(frozen=True)
class Server:
    name: str
    package: str
    version: str
    go: str  # the oldest Go that builds it
    cost: str


SERVERS = {server.name: server for server in (
    Server("versitygw", "github.com/versity/versitygw/cmd/versitygw", "v1.8.0", "1.25",
           "3 to 6 minutes on two cores, downloads included"),
    Server("minio", "github.com/minio/minio", "v0.0.0-20260212201848-7aac2a2c5b7c", "1.25",
           "6 to 9 minutes on two cores, downloads included"),
)}


def say(text: str) -> None:
    print(f"== {text}", file=sys.stderr, flush=True)


def binary_of(server: Server) -> Path:
    """The server's executable, built now if need be. Of several processes that ask at once, one builds."""
    binary = BIN / f"{server.name}-{server.version}"
    if binary.exists():
        return binary
    BIN.mkdir(parents=True, exist_ok=True)
    with open(BIN / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not binary.exists():
            build(server, binary)
    return binary


def build(server: Server, binary: Path) -> None:
    go = go_of(server.go)
    with tempfile.TemporaryDirectory(dir=BIN) as place:
        environment = {**os.environ, "GOBIN": place, "GOTOOLCHAIN": "local", "CGO_ENABLED": "0", "PATH": path_with(go)}
        call(f"build {server.name} {server.version} with {go} ({server.cost}; only once)",
             [go, "install", "-trimpath", "-ldflags=-s -w", f"{server.package}@{server.version}"], environment)
        os.rename(Path(place) / server.name, binary)


def call(what: str, command: list[str], environment: dict[str, str] | None = None) -> str:
    """Runs `command`, says what it is for and, now and then, that it still runs; its standard output."""
    say(what)
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors,
                                   text=True)
        while True:
            try:
                output, _ = process.communicate(timeout=HEARTBEAT_SECONDS)
                break
            except subprocess.TimeoutExpired:
                say(f"… {round(time.monotonic() - start)} s")
            except BaseException:
                process.kill()
                process.wait()
                raise
        errors.seek(0)
        if process.returncode != 0:
            raise Trouble(f"could not {what}: `{' '.join(command)}` ended with status {process.returncode}:\n{errors.read()[-4000:]}")
    say(f"done in {round(time.monotonic() - start)} s")
    return output


def go_of(minimum: str) -> str:
    """A Go of at least version `minimum`: the machine's newest, or one that it fetched as a module."""
    found = newest_go()
    if found is None:
        install_go()
        found = newest_go()
        if found is None:
            raise Trouble("the Debian package golang-go is installed, but no `go` was found")
    go, version = found
    return go if version >= number_of(minimum) else fetch_toolchain(go)


def newest_go() -> tuple[str, tuple[int, ...]] | None:
    places = [shutil.which("go"), *(place for pattern in PLACES_OF_GO for place in glob.glob(pattern))]
    found = [(version, place) for place in places if place and (version := version_of(place))]
    if not found:
        return None
    version, place = max(found)
    return place, version


def version_of(go: str) -> tuple[int, ...] | None:
    """Of a `go`; None where it does not run."""
    try:
        asked = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True,
                               env={**os.environ, "GOTOOLCHAIN": "local"}, timeout=60)
    except OSError:
        return None
    return number_of(asked.stdout) if asked.returncode == 0 else None


def number_of(version: str) -> tuple[int, ...] | None:
    """(1, 19) of "go1.19.8" or "1.19"."""
    match = re.search(r"(\d+)\.(\d+)", version)
    return (int(match[1]), int(match[2])) if match else None


def install_go() -> None:
    if shutil.which("apt-get") is None:
        raise Trouble(f"there is no Go and no apt-get to install it; install Go {TOOLCHAIN} or newer")
    install = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", "golang-go"]
    if os.geteuid() != 0:
        raise Trouble(f"there is no Go; run once: sudo apt-get update && sudo {' '.join(install)}")
    call("refresh Debian's package lists", ["apt-get", "update", "-qq"])
    call("install Go with Debian's package golang-go (some 300 MB on disk)", install,
         {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def fetch_toolchain(go: str) -> str:
    """The newer Go that the old `go` fetches as a module. Modules lose their executable bits, which are set here."""
    kind = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine())
    if kind is None:
        raise Trouble(f"{go} is too old, and there is no newer one to fetch for {platform.machine()}; install Go {TOOLCHAIN}")
    module = f"golang.org/toolchain@v0.0.1-go{TOOLCHAIN}.linux-{kind}"
    answer = call(f"fetch Go {TOOLCHAIN} as a module, since {go} is too old (213 MB)", [go, "mod", "download", "-json", module])
    directory = Path(json.loads(answer)["Dir"])
    for program in [*(directory / "bin").iterdir(), *(directory / "pkg" / "tool").rglob("*")]:
        if program.is_file():
            program.chmod(0o555)
    return str(directory / "bin" / "go")


def path_with(go: str) -> str:
    return os.pathsep.join([str(Path(go).parent), os.environ.get("PATH", os.defpath)])
