"""Runs the `datashard` command as its users do: in a pipe or, through a pty, on a terminal."""
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def find_command() -> str:
    """DATASHARD_COMMAND, else the one beside this Python, else the newest of the build trees."""
    named = os.environ.get("DATASHARD_COMMAND")
    if named:
        return named
    beside = Path(sys.prefix) / "bin" / "datashard"
    if beside.exists() and beside.read_bytes()[:4] == b"\x7fELF":
        return str(beside)
    built = sorted(ROOT.glob("build/*/cli/datashard"), key=lambda path: path.stat().st_mtime)
    assert built, "no datashard command: build it, or set DATASHARD_COMMAND"
    return str(built[-1])


@dataclass
class Answer:
    code: int
    out: str
    err: str


class Command:
    def __init__(self, directory: Path):
        self.path = find_command()
        self.directory = directory

    def environment(self, **extra: str) -> dict[str, str]:
        kept = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "COLUMNS")}
        path = f"{Path(self.path).parent}:{os.environ['PATH']}"
        return {**kept, "TERM": "xterm", "PATH": path, **extra}

    def run(self, *arguments: str, stdin: str | bytes = b"", **options) -> Answer:
        if isinstance(stdin, str):
            stdin = stdin.encode()
        done = subprocess.run([self.path, *arguments], input=stdin, capture_output=True, cwd=self.directory,
                              env=self.environment(), timeout=60, **options)
        return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())

    def ok(self, *arguments: str, stdin: str | bytes = b"") -> str:
        answer = self.run(*arguments, stdin=stdin)
        assert answer.code == 0, answer
        assert answer.err == "", answer
        return answer.out

    def fails(self, code: int, *arguments: str, stdin: str | bytes = b"") -> str:
        """The one line of error of a command that exits with `code`."""
        answer = self.run(*arguments, stdin=stdin)
        assert answer.code == code, answer
        assert answer.err.startswith("datashard: ") and answer.err.count("\n") == 1, answer
        return answer.err

    def popen(self, *arguments: str, **options) -> subprocess.Popen:
        return subprocess.Popen([self.path, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                                cwd=self.directory, env=self.environment(), **options)

    def on_terminal(self, *command: str, columns: int = 80, **environment: str) -> Answer:
        """Runs a command with all three channels on one terminal; `out` is what the terminal got."""
        pid, fd = pty.fork()
        if pid == 0:
            try:
                fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
                os.chdir(self.directory)
                os.execvpe(command[0], command, self.environment(**environment))
            finally:
                os._exit(127)
        out = b""
        while True:
            try:
                block = os.read(fd, 65536)
            except OSError:  # EIO: the last process left the terminal
                break
            if not block:
                break
            out += block
        os.close(fd)
        _, status = os.waitpid(pid, 0)
        return Answer(os.waitstatus_to_exitcode(status), out.decode().replace("\r\n", "\n"), "")
