"""tests/support/s3_proxy.py does to requests what its rules say, and counts them. The upstream is a dictionary with a server
before it; at the end, a real one that checks signatures."""

from __future__ import annotations

import email.utils
import http.client
import http.server
import json
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
import s3_proxy
import s3_server

WORDS = b"0123456789" * 100


class Objects(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_PUT(self):
        body = self.read()
        if self.headers.get("If-None-Match") == "*" and self.path in self.server.objects:
            return self.send(412)
        self.server.objects[self.path] = body
        return self.send(200)

    def do_POST(self):
        self.server.objects[self.path] = self.read()
        self.send(200, b"<Done/>")

    def do_GET(self):
        body = self.server.objects.get(self.path)
        self.send(404 if body is None else 200, body or b"")

    do_HEAD = do_GET

    def read(self):
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def send(self, status, body=b""):
        self.server.hosts.append(self.headers["Host"])
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def upstream():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Objects)
    server.daemon_threads = True
    server.objects, server.hosts = {}, []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def proxy(upstream):
    with s3_proxy.before(upstream.server_address[1]) as running:
        yield running


def ask(proxy, method, path, body=None, headers=None, timeout=10):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=timeout)
    try:
        connection.request(method, path, body=body, headers=headers or {})
        got = connection.getresponse()
        return got.status, got.read()
    finally:
        connection.close()


def until(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_without_rules_everything_passes_as_it_is(upstream, proxy):
    assert ask(proxy, "PUT", "/b/a%20b+c?x=", WORDS) == (200, b"")
    assert ask(proxy, "GET", "/b/a%20b+c?x=") == (200, WORDS)
    assert ask(proxy, "HEAD", "/b/a%20b+c?x=") == (200, b"")
    assert ask(proxy, "GET", "/b/none") == (404, b"")
    assert set(upstream.hosts) == {f"127.0.0.1:{proxy.port}"}


def test_a_body_in_chunks_passes(upstream, proxy):
    assert ask(proxy, "PUT", "/b/chunks", iter([b"one", b"two"])) == (200, b"")
    assert upstream.objects["/b/chunks"] == b"onetwo"


def test_a_client_that_waits_to_be_told_is_told(upstream, proxy):
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=10) as raw:
        raw.sendall(b"PUT /b/x HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert raw.recv(100).startswith(b"HTTP/1.1 100 ")
        raw.sendall(b"abc")
        assert raw.recv(1000).startswith(b"HTTP/1.1 200 ")
    assert upstream.objects["/b/x"] == b"abc"


def test_one_connection_carries_many_requests_and_all_are_counted(proxy):
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    requests = [("PUT", "/b/k", {}), ("PUT", "/b/v", {"If-None-Match": "*"}), ("GET", "/b/k", {"Range": "bytes=0-3"}),
                ("GET", "/b/?list-type=2&prefix=k", {}), ("POST", "/b/k?uploads=", {}), ("PUT", "/b/k?partNumber=1&uploadId=7", {}),
                ("POST", "/b/k?uploadId=7", {}), ("POST", "/b/?delete=", {}), ("HEAD", "/b/k", {})]
    for method, path, headers in requests:
        connection.request(method, path, body=b"body" if method in ("PUT", "POST") else None, headers=headers)
        connection.getresponse().read()
    connection.close()
    report = proxy.report()
    assert report["counts"] == {"PUT": 1, "PUT if-none-match": 1, "GET": 1, "LIST": 1, "CREATE UPLOAD": 1, "UPLOAD PART": 1,
                                "COMPLETE UPLOAD": 1, "BULK DELETE": 1, "HEAD": 1}
    assert (report["connections"], report["in_flight_max"], len(report["requests"])) == (1, 1, 9)
    third = report["requests"][2]
    assert (third["path"], third["range"], third["applied"], third["status"], third["fault"]) == ("/b/k", "bytes=0-3", 200, 200, None)
    proxy.reset()
    assert proxy.report()["counts"] == {}


def test_a_lost_answer_is_that_of_a_request_that_landed(upstream, proxy):
    proxy.set_rules({"method": "PUT", "header": {"if-none-match": "\\*"}, "fault": "lose_answer", "times": 1})
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        ask(proxy, "PUT", "/b/v2", b"mine", {"If-None-Match": "*"})
    assert upstream.objects["/b/v2"] == b"mine"
    # Put again, our own write refuses it.
    assert ask(proxy, "PUT", "/b/v2", b"mine", {"If-None-Match": "*"})[0] == 412
    assert proxy.report()["fired"] == [1]


@pytest.mark.parametrize("client", ["wait", "close"])
def test_a_late_request_arrives_after_its_client_gave_up(upstream, proxy, client):
    proxy.set_rules({"method": "PUT", "fault": "late", "times": 1, "seconds": 0.3, "client": client})
    with pytest.raises((TimeoutError, http.client.RemoteDisconnected)):
        ask(proxy, "PUT", "/b/v2", b"late", timeout=0.2)
    assert "/b/v2" not in upstream.objects
    assert ask(proxy, "PUT", "/b/v2", b"in between")[0] == 200
    until(lambda: upstream.objects["/b/v2"] == b"late")
    until(lambda: proxy.report()["late"] == 0)
    first = proxy.report()["requests"][0]
    assert (first["fault"], first["status"], first["applied"]) == ("late", None, 200)


def test_a_hanging_request_never_arrives(upstream, proxy):
    proxy.set_rules({"fault": "hang", "times": 1})
    with pytest.raises(TimeoutError):
        ask(proxy, "PUT", "/b/k", b"x", timeout=0.2)
    assert ask(proxy, "GET", "/b/k")[0] == 404


def test_errors_come_before_or_after_the_request_was_applied(upstream, proxy):
    proxy.set_rules({"path": "/before", "fault": "error_before", "times": 2},
                    {"path": "/after", "fault": "error_after", "status": 503, "times": 1},
                    {"path": "/moved", "fault": "error_before", "status": 301, "headers": {"x-amz-bucket-region": "eu-west-1"}},
                    {"path": "/odd", "fault": "error_before", "status": 400, "code": "ExpiredToken"})
    status, body = ask(proxy, "PUT", "/b/before", b"x")
    assert status == 500 and b"<Code>InternalError</Code>" in body and "/b/before" not in upstream.objects
    assert ask(proxy, "HEAD", "/b/before") == (500, b"")
    status, body = ask(proxy, "PUT", "/b/after", b"x")
    assert status == 503 and b"<Code>SlowDown</Code>" in body and upstream.objects["/b/after"] == b"x"
    assert ask(proxy, "PUT", "/b/before", b"x")[0] == ask(proxy, "PUT", "/b/after", b"x")[0] == 200
    assert b"PermanentRedirect" in ask(proxy, "GET", "/b/moved")[1] and b"ExpiredToken" in ask(proxy, "GET", "/b/odd")[1]
    assert proxy.report()["fired"] == [2, 1, 1, 1]


def test_a_storm_passes(proxy):
    proxy.set_rules({"fault": "error_before", "status": 503, "for_seconds": 0.3})
    assert ask(proxy, "GET", "/b/k")[0] == 503
    until(lambda: ask(proxy, "GET", "/b/k")[0] == 404)
    assert proxy.report()["fired"][0] >= 1


def test_a_multipart_completion_may_fail_with_200(upstream, proxy):
    proxy.set_rules({"method": "POST", "query": "uploadId", "fault": "error_in_200", "times": 1},
                    {"method": "POST", "query": "uploadId", "fault": "error_in_200", "times": 1, "apply": True})
    status, body = ask(proxy, "POST", "/b/k?uploadId=1", b"<Parts/>")
    assert status == 200 and b"<Error><Code>InternalError" in body and upstream.objects == {}
    assert ask(proxy, "POST", "/b/k?uploadId=1", b"<Parts/>")[1] == body and "/b/k?uploadId=1" in upstream.objects
    assert ask(proxy, "POST", "/b/k?uploadId=1", b"<Parts/>") == (200, b"<Done/>")


@pytest.mark.parametrize(("fault", "error"), [("reset", ConnectionResetError), ("cut", http.client.IncompleteRead)])
def test_a_connection_ends_in_the_middle_of_a_body(upstream, proxy, fault, error):
    upstream.objects["/b/k"] = WORDS
    proxy.set_rules({"method": "GET", "fault": fault, "after_bytes": 100, "times": 1})
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    connection.request("GET", "/b/k")
    got = connection.getresponse()
    assert got.read(100) == WORDS[:100]
    with pytest.raises(error):
        got.read()
    connection.close()
    assert ask(proxy, "GET", "/b/k") == (200, WORDS)


def test_a_connection_may_be_reset_before_anything_happened(upstream, proxy):
    proxy.set_rules({"fault": "reset_before", "times": 1})
    with pytest.raises(ConnectionError):
        ask(proxy, "PUT", "/b/k", b"x")
    assert upstream.objects == {}


def test_a_slow_body_arrives_whole(upstream, proxy):
    upstream.objects["/b/k"] = WORDS
    proxy.set_rules({"method": "GET", "fault": "slow_body", "bytes_per_second": 4000, "times": 1})
    start = time.monotonic()
    assert ask(proxy, "GET", "/b/k") == (200, WORDS)
    assert time.monotonic() - start > 0.2  # what the rule demands: a quarter of a second for 1,000 bytes


def test_a_slow_upload_arrives_whole(upstream, proxy):
    proxy.set_rules({"method": "PUT", "fault": "slow_upload", "bytes_per_second": 4000, "times": 1})
    start = time.monotonic()
    assert ask(proxy, "PUT", "/b/k", WORDS)[0] == 200 and upstream.objects["/b/k"] == WORDS
    assert time.monotonic() - start > 0.2
    assert proxy.report()["fired"] == [1]


def test_a_corrupt_body_differs_in_one_byte(upstream, proxy):
    upstream.objects["/b/k"] = WORDS
    proxy.set_rules({"method": "GET", "fault": "corrupt_body", "times": 1})
    body = ask(proxy, "GET", "/b/k")[1]
    assert len(body) == len(WORDS) and sum(a != b for a, b in zip(body, WORDS, strict=True)) == 1


def test_a_clock_is_off(proxy):
    proxy.set_rules({"fault": "date", "seconds": -7200})
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    connection.request("GET", "/b/k")
    dates = connection.getresponse().headers.get_all("date")
    connection.close()
    assert len(dates) == 1
    assert -7300 < email.utils.parsedate_to_datetime(dates[0]).timestamp() - time.time() < -7100


def test_the_delay_is_one_round_trip_and_another_for_a_new_connection(proxy):
    proxy.set_delay_ms(100)
    connection = http.client.HTTPConnection("127.0.0.1", proxy.port, timeout=10)
    took = []
    for _ in range(3):
        start = time.monotonic()
        connection.request("GET", "/b/k")
        connection.getresponse().read()
        took.append(time.monotonic() - start)
    connection.close()
    assert took[0] >= 0.2 and min(took[1:]) >= 0.1
    proxy.set_rules({"fault": "delay", "seconds": 0.2})
    start = time.monotonic()
    ask(proxy, "GET", "/b/k")
    assert time.monotonic() - start >= 0.4


def test_rules_wait_come_by_chance_and_the_same_again(upstream):
    def pattern(seed):
        with s3_proxy.before(upstream.server_address[1], seed=seed,
                             rules=[{"method": "GET", "skip": 2, "probability": 0.5, "fault": "error_before"}]) as proxy:
            return [ask(proxy, "GET", "/b/k")[0] for _ in range(22)]

    first = pattern(1)
    assert first[:2] == [404, 404] and {404, 500} == set(first[2:])
    assert pattern(1) == first and pattern(2) != first


@pytest.mark.parametrize("rule", [{"fault": "nonsense"}, {"fault": "late", "second": 1}, {}, {"fault": "late", "path": "("}])
def test_a_rule_it_does_not_understand_is_refused(proxy, rule):
    with pytest.raises((ValueError, KeyError)):
        proxy.set_rules(rule)
    assert ask(proxy, "GET", "/b/k")[0] == 404


def test_it_also_runs_from_the_shell_and_ends_with_its_parent(upstream, tmp_path):
    (tmp_path / "rules.json").write_text(json.dumps([{"fault": "error_before", "status": 503}]))
    script = Path(s3_proxy.__file__)
    process = subprocess.Popen([sys.executable, str(script), "--upstream", f"127.0.0.1:{upstream.server_address[1]}", "--rules",
                                str(tmp_path / "rules.json")], stdout=subprocess.PIPE, text=True)
    try:
        assert ask(s3_proxy.Running(int(process.stdout.readline())), "GET", "/b/k")[0] == 503
    finally:
        process.kill()
        process.communicate()


def test_a_server_that_is_gone_is_a_502(upstream):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with s3_proxy.before(unused.getsockname()[1]) as proxy:
            assert ask(proxy, "GET", "/b/k")[0] == 502


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_signatures_stay_valid_before_a_real_server(server):
    with s3_proxy.before(server.port, delay_ms=2) as proxy:
        key = "/datashard/through/a%20b"
        put = {"if-none-match": "*"}
        assert s3_server.request(server, "PUT", key, b"body", put, port=proxy.port)[0] == 200
        assert s3_server.request(server, "PUT", key, b"body", put, port=proxy.port)[0] == 412
        assert s3_server.request(server, "GET", key, headers={"range": "bytes=1-2"}, port=proxy.port) == (206, b"od")
        status, body = s3_server.request(server, "GET", "/datashard", query="list-type=2&prefix=through%2F", port=proxy.port)
        assert status == 200 and b"<Key>through/a b</Key>" in body
        assert proxy.report()["counts"] == {"PUT if-none-match": 2, "GET": 1, "LIST": 1}
