"""Ctrl-C and SIGTERM: what was committed stays, what was not is not there, and the command says how far it got."""
import os
import re
import signal
import socket
import struct
import subprocess
import threading
import time

import pytest


def wait_for_commits(people, table):
    """Until the import has committed something; the metadata files are its commits."""
    directory = people.directory / table / "metadata"
    before = len(list(directory.glob("v*.metadata.json")))
    deadline = time.monotonic() + 30
    while len(list(directory.glob("v*.metadata.json"))) < before + 2:
        assert time.monotonic() < deadline, "the import commits nothing"
        time.sleep(0.01)


@pytest.mark.parametrize("number, code, word", [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")])
def test_an_interrupted_import_keeps_whole_batches_and_says_how_many(cli, number, code, word):
    cli.ok("create", "t", "--schema", "id:long")
    with open(cli.directory / "x.csv", "w") as file:
        file.write("id\n")
        file.writelines(f"{i}\n" for i in range(1_000_000))
    process = cli.popen("import", "t", "x.csv", "--batch-rows", "500")
    wait_for_commits(cli, "t")
    process.send_signal(number)
    _, error = process.communicate(timeout=10)
    assert process.returncode == code
    told = re.search(rf"{word} \(([\d,]+) rows in (\d+) snapshots were committed and stay", error.decode())
    assert told, error
    rows = int(told[1].replace(",", ""))
    assert rows == int(told[2]) * 500 > 0
    assert cli.ok("count", "t") == f"{rows}\n"
    assert cli.ok("count", "t", "--where", f"id < {rows}") == f"{rows}\n"  # the first rows, without a gap


@pytest.mark.parametrize("command, text", [
    (["import", "t", "-"], b'{"id":1}\n{"id":2'),
    (["import", "t", "-", "--format", "csv"], b"id\n1\n2"),
    (["append", "t"], b'{"id":1}\n'),
    (["append", "t"], b""),
])
def test_a_silent_standard_input_can_be_interrupted_and_half_of_it_is_not_appended(cli, command, text):
    cli.ok("create", "t", "--schema", "id:long")
    process = cli.popen(*command)
    process.stdin.write(text)
    process.stdin.flush()
    time.sleep(0.3)
    assert process.poll() is None, "it waits for more"
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    assert b"interrupted" in process.stderr.read()
    assert cli.ok("count", "t") == "0\n"


def test_an_interrupted_append_publishes_nothing(cli):
    cli.ok("create", "t", "--schema", "id:long")
    process = cli.popen("append", "t")
    stop = threading.Event()

    def feed():
        block = b"".join(b'{"id":%d}\n' % i for i in range(10_000))
        try:
            while not stop.is_set():
                process.stdin.write(block)
        except BrokenPipeError:
            pass

    feeder = threading.Thread(target=feed)
    feeder.start()
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130
    stop.set()
    feeder.join()
    assert cli.ok("count", "t") == "0\n"
    assert not list((cli.directory / "t" / "data").glob("*.parquet"))


def test_standard_input_that_breaks_is_not_taken_for_its_end(cli):
    cli.ok("create", "t", "--schema", "id:long")
    with socket.create_server(("127.0.0.1", 0)) as server:
        sender = socket.create_connection(server.getsockname())
        receiver, _ = server.accept()
    with receiver:
        process = subprocess.Popen([cli.path, "import", "t", "-"], stdin=receiver, stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE, cwd=cli.directory)
        sender.sendall(b'{"id":1}\n')
        time.sleep(0.3)
        sender.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # closes with a reset
        sender.close()
        _, error = process.communicate(timeout=10)
    assert process.returncode == 7 and b"reading standard input: Connection reset" in error
    assert cli.ok("count", "t") == "0\n"


def test_a_directory_as_standard_input_is_refused(cli):
    directory = os.open(cli.directory, os.O_RDONLY)
    try:
        done = subprocess.run([cli.path, "import", "t", "-"], stdin=directory, capture_output=True, cwd=cli.directory)
    finally:
        os.close(directory)
    assert done.returncode == 2 and b"is a directory" in done.stderr
