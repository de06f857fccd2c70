"""dev/s3-server: installs, starts, tells how to reach and stops a real S3 server."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import s3_server
import s3_server_install as install

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "dev" / "s3-server"
SHOW = "import json, os; print(json.dumps({k: v for k, v in os.environ.items() if k.startswith('DATASHARD_S')}))"


def script(*arguments: str, status: int = 0, **options) -> subprocess.CompletedProcess:
    done = subprocess.run([sys.executable, str(SCRIPT), *arguments], capture_output=True, text=True, **options)
    assert done.returncode == status, done.stdout + done.stderr
    return done


def process_of(text: str) -> int:
    return int(text.split("(process ")[1].split(")")[0])


def wait_until_gone(process_id: int) -> None:
    deadline = time.monotonic() + 20
    while s3_server.born(process_id) is not None:
        assert time.monotonic() < deadline, f"process {process_id} still runs"
        time.sleep(0.02)


@pytest.mark.slow
@pytest.mark.timeout(1200)  # the first one builds the server, unless `make test` has done so before
class TestServer:
    def test_a_command_runs_with_the_variables_set_and_its_status_is_kept(self):
        variables = json.loads(script("run", "--bucket", "some-bucket", "--", sys.executable, "-c", SHOW).stdout)
        assert variables["DATASHARD_STORAGE_TYPE"] == "s3" and variables["DATASHARD_S3_BUCKET"] == "some-bucket"
        assert variables["DATASHARD_S3_ENDPOINT"].startswith("http://127.0.0.1:")
        assert set(variables) >= {"DATASHARD_S3_ACCESS_KEY", "DATASHARD_S3_SECRET_KEY", "DATASHARD_S3_REGION"}
        of_tests = json.loads(script("run", "--for-tests", "--", sys.executable, "-c", SHOW.replace("_S", "_TEST_S")).stdout)
        assert of_tests["DATASHARD_TEST_S3_BUCKET"] == "datashard" and "DATASHARD_STORAGE_TYPE" not in of_tests
        script("run", "--", "sh", "-c", "exit 7", status=7)
        script("run", "--", "sh", "-c", "kill -9 $$", status=137)

    def test_the_bucket_takes_conditional_puts(self, server):
        assert s3_server.request(server, "PUT", "/datashard/conditional/a", b"first", {"if-none-match": "*"})[0] == 200
        status, body = s3_server.request(server, "PUT", "/datashard/conditional/a", b"second", {"if-none-match": "*"})
        assert (status, b"PreconditionFailed" in body) == (412, True)
        assert s3_server.request(server, "GET", "/datashard/conditional/a") == (200, b"first")

    def test_objects_stay_where_a_directory_was_named(self, tmp_path):
        options = s3_server.Options(directory=tmp_path / "objects")
        with s3_server.running(options) as first:
            assert s3_server.request(first, "PUT", "/datashard/a", b"kept")[0] == 200
        with s3_server.running(options) as second:
            assert s3_server.request(second, "GET", "/datashard/a") == (200, b"kept")
        assert not Path(first.place).exists() and not Path(second.place).exists()

    def test_start_and_stop_are_two_processes(self, tmp_path, monkeypatch):
        monkeypatch.setattr(s3_server, "STATE", tmp_path / "state.json")
        started = s3_server.start_in_background(s3_server.Options())
        try:
            assert oct((tmp_path / "state.json").stat().st_mode)[-3:] == "600"  # it holds the key
            assert s3_server.start_in_background(s3_server.Options()) == started
            assert s3_server.answers(started.port, "/health")
        finally:
            s3_server.stop_in_background()
        wait_until_gone(started.process_id)
        assert not Path(started.place).exists() and s3_server.in_background() is None
        s3_server.stop_in_background()  # nothing to do is no error

    def test_a_process_that_only_has_the_number_is_left_alone(self, tmp_path, monkeypatch):
        monkeypatch.setattr(s3_server, "STATE", tmp_path / "state.json")
        other = subprocess.Popen(["sleep", "60"])
        try:
            state = {"process_id": other.pid, "born": "1", "port": 1, "bucket": "b", "access_key": "a", "secret_key": "s",
                     "place": str(tmp_path / "none")}
            (tmp_path / "state.json").write_text(json.dumps(state))
            s3_server.stop_in_background()
            assert other.poll() is None
        finally:
            other.kill()
            other.wait()

    @pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    def test_the_server_ends_with_the_script(self, number):
        serving = subprocess.Popen([sys.executable, str(SCRIPT)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        exports = [serving.stdout.readline() for _ in range(6)]
        assert exports[0] == "export DATASHARD_STORAGE_TYPE=s3\n", exports
        process_id = process_of(serving.stderr.readline())
        assert s3_server.born(process_id) is not None
        serving.send_signal(number)
        serving.communicate(timeout=30)
        wait_until_gone(process_id)

    def test_a_port_that_is_taken_is_an_error_that_says_so(self, server):
        done = script("run", "--port", str(server.port), "--", "true", status=1)
        assert f"did not start at port {server.port}" in done.stderr

    def test_a_bucket_the_server_does_not_want_is_an_error_that_says_so(self):
        assert "bucket 'b' could not be made: status 400" in script("run", "--bucket", "b", "--", "true", status=1).stderr


@pytest.mark.long
@pytest.mark.timeout(2400)
def test_minio_is_the_second_server():
    with s3_server.running(s3_server.Options(server="minio")) as server:
        assert s3_server.request(server, "PUT", "/datashard/a", b"first", {"if-none-match": "*"})[0] == 200
        assert s3_server.request(server, "PUT", "/datashard/a", b"second", {"if-none-match": "*"})[0] == 412
        assert s3_server.request(server, "GET", "/datashard/a") == (200, b"first")


def test_a_command_is_for_run_only():
    assert "`run` needs a command" in script("run", status=2).stderr
    assert "`run` needs a command" in script("stop", "--", "true", status=2).stderr


def make_go(directory: Path, version: str, extra: str = "") -> str:
    """A `go` that only tells its version, builds an empty server, and does what `extra` says."""
    directory.mkdir(parents=True, exist_ok=True)
    go = directory / "go"
    go.write_text(f"""#!/bin/sh
echo "{version} $*" >>{directory.parent}/calls
case "$1 $2" in
  "env GOVERSION") echo {version} ;;
  "install "*) [ "$GOTOOLCHAIN" = local ] && printf '#!/bin/sh\\n' >"$GOBIN/versitygw" ;;
  {extra}
esac
""")
    go.chmod(0o755)
    return str(go)


def is_program(path: str) -> bool:
    return os.access(path, os.X_OK)


@pytest.fixture
def empty_machine(tmp_path, monkeypatch):
    """No server in the cache, and no Go but what the test puts into tmp_path/path."""
    (tmp_path / "path").mkdir()
    monkeypatch.setattr(install, "BIN", tmp_path / "bin")
    monkeypatch.setattr(install, "PLACES_OF_GO", [str(tmp_path / "go-*/bin/go")])
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    monkeypatch.setattr(install.shutil, "which", lambda name: next(filter(is_program, [str(tmp_path / "path" / name)]), None))
    return tmp_path


def test_a_go_that_is_new_enough_builds_the_server_once(empty_machine, capfd):
    make_go(empty_machine / "path", "go1.19.8")
    make_go(empty_machine / "go-1.26/bin", "go1.26.1")
    server = install.SERVERS["versitygw"]
    assert install.binary_of(server) == install.binary_of(server) == empty_machine / "bin" / "versitygw-v1.8.0"
    calls = (empty_machine / "go-1.26" / "calls").read_text()
    assert calls.count("install") == 1 and "cmd/versitygw@v1.8.0" in calls
    said = capfd.readouterr().err
    assert "== build versitygw v1.8.0" in said and "minutes" in said and "== done in" in said


def test_an_old_go_fetches_a_newer_one_whose_programs_it_makes_executable(empty_machine):
    module = empty_machine / "module"
    make_go(module / "bin", "go1.25.0")
    tool = module / "pkg/tool/linux_amd64/compile"
    tool.parent.mkdir(parents=True)
    tool.write_text("")
    for program in (module / "bin/go", tool):
        program.chmod(0o444)
    make_go(empty_machine / "path", "go1.19.8", f"""'mod download') echo '{{"Dir": "{module}"}}' ;;""")
    assert install.binary_of(install.SERVERS["versitygw"]).exists()
    assert "mod download -json golang.org/toolchain@v0.0.1-go1.25.0.linux-" in (empty_machine / "calls").read_text()
    assert "install" in (module / "calls").read_text()
    assert os.access(tool, os.X_OK)


def test_a_failed_build_says_what_go_said(empty_machine):
    make_go(empty_machine / "path", "go1.26.1")
    go = empty_machine / "path/go"
    go.write_text(go.read_text().replace("[ \"$GOTOOLCHAIN\" = local ]", "echo 'no such module' >&2; exit 3; ["))
    with pytest.raises(install.Trouble, match="(?s)could not build versitygw.*status 3.*no such module"):
        install.binary_of(install.SERVERS["versitygw"])
    assert list((empty_machine / "bin").glob("versitygw*")) == []


def test_without_go_and_without_apt_the_user_is_told(empty_machine):
    with pytest.raises(install.Trouble, match="there is no Go and no apt-get"):
        install.binary_of(install.SERVERS["versitygw"])


def test_without_go_who_is_not_root_is_shown_the_line_to_run(empty_machine, monkeypatch):
    apt = empty_machine / "path/apt-get"
    apt.write_text("#!/bin/sh\nexit 1\n")
    apt.chmod(0o755)
    monkeypatch.setattr(install.os, "geteuid", lambda: 1000)
    with pytest.raises(install.Trouble, match="run once: sudo apt-get update && sudo apt-get install .* golang-go"):
        install.binary_of(install.SERVERS["versitygw"])


@pytest.mark.parametrize(("text", "number"), [("go1.19.8\n", (1, 19)), ("1.25", (1, 25)), ("devel", None)])
def test_versions_are_numbers(text, number):
    assert install.number_of(text) == number
