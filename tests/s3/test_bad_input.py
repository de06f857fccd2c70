"""What is set wrong, broken or not allowed, where a user meets it: through tables. Faults that no healthy server shows are those of
the proxy; every test asserts that its fault fired."""

from __future__ import annotations

import contextlib
import email.utils
import http.server
import re
import threading
import time

import datashard
import pytest
import s3_places
import s3_proxy
import s3_server

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])
VERSION = r"/v[0-9]+\.metadata\.json"


@pytest.fixture
def table(bucket):
    """Two rows in two snapshots."""
    table = datashard.create_table("t", SCHEMA)
    for number in (1, 2):
        table.append_records([{"id": number}])
    return table


@pytest.fixture
def through(bucket, monkeypatch):
    """through(rule, …): from now on tables are opened through a proxy with these rules."""
    with s3_proxy.before(bucket.port) as proxy:
        def with_rules(*rules: dict) -> s3_proxy.Running:
            proxy.set_rules(*rules)
            monkeypatch.setenv("DATASHARD_S3_ENDPOINT", proxy.endpoint)
            return proxy
        yield with_rules
        fired = proxy.summary()["fired"]
        assert all(fired), f"not every fault fired: {fired}"


def ids(table=None) -> list[int]:
    return sorted(row["id"] for row in (table or datashard.load_table("t")).scan())


def keys(server, request, part: str) -> list[str]:
    """Keys of the table's objects whose name contains `part`."""
    status, body = s3_server.request(server, "GET", f"/{server.bucket}", query=f"list-type=2&prefix={s3_places.own_prefix(request)}")
    assert status == 200, body
    return [key for key in re.findall(r"<Key>([^<]*)</Key>", body.decode()) if part in key]


def put(server, key: str, body: bytes) -> None:
    assert s3_server.request(server, "PUT", f"/{server.bucket}/{key}", body)[0] == 200


def get(server, key: str) -> bytes:
    status, body = s3_server.request(server, "GET", f"/{server.bucket}/{key}")
    assert status == 200
    return body


# What is set wrong.

def test_a_bucket_that_does_not_exist(table, monkeypatch):
    monkeypatch.setenv("DATASHARD_S3_BUCKET", "no-such-bucket")
    for work in (lambda: datashard.load_table("t"), lambda: datashard.create_table("t", SCHEMA)):
        with pytest.raises(datashard.InvalidArgument, match="s3://no-such-bucket.*NoSuchBucket.*create the bucket, or correct its name"):
            work()


@pytest.mark.parametrize(("variable", "advice"), [
    ("DATASHARD_S3_ACCESS_KEY", "does not know the access key"),
    ("DATASHARD_S3_SECRET_KEY", "the secret key does not belong to the access key"),
])
def test_a_wrong_key(table, monkeypatch, variable, advice):
    monkeypatch.setenv(variable, "wrongvalue")
    for work in (lambda: datashard.load_table("t"), lambda: datashard.create_table("t", SCHEMA)):
        with pytest.raises(datashard.Denied, match=f"s3://.*{advice}") as denied:
            work()
        assert "wrongvalue" not in str(denied.value)


def test_a_session_token_that_has_expired(table, through):
    proxy = through({"fault": "error_before", "status": 400, "code": "ExpiredToken"})
    with pytest.raises(datashard.Denied, match="s3://.*version-hint.*the session token has expired; fetch new credentials"):
        datashard.load_table("t")
    assert proxy.summary()["fired"][0] <= 4, "each request is repeated once, with new credentials"


def test_a_clock_that_is_wrong_is_corrected_by_the_servers(table, through, capfd):
    """Four minutes: more than we take for noise, and less than the server takes for an attack."""
    through({"fault": "error_before", "status": 403, "code": "RequestTimeTooSkewed", "times": 1,
             "headers": {"Date": email.utils.formatdate(time.time() + 240, usegmt=True)}})
    assert ids() == [1, 2]
    assert re.search(r"this machine's clock differs by 2[34]\d s from that of", capfd.readouterr().err)


def test_a_region_that_is_wrong_is_corrected(table, through, monkeypatch, capfd):
    monkeypatch.setenv("DATASHARD_S3_REGION", "eu-north-1")
    through({"fault": "error_before", "status": 301, "times": 1, "headers": {"x-amz-bucket-region": s3_server.REGION, "Location": "http://127.0.0.1:1/"}})
    assert ids() == [1, 2]
    assert f"lies in region '{s3_server.REGION}', not 'eu-north-1'" in capfd.readouterr().err


def test_a_region_that_stays_wrong_is_named(table, through, monkeypatch):
    through({"fault": "error_before", "status": 301, "headers": {"x-amz-bucket-region": "ap-east-1"}})
    with pytest.raises(datashard.InvalidArgument, match="s3://.*301 PermanentRedirect.*lies in region 'ap-east-1'"):
        datashard.load_table("t")


@contextlib.contextmanager
def web_site(status: int):
    """An HTTP server that has heard nothing of S3."""
    class Site(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            body = b"<html><body>Welcome</body></html>"
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

        do_HEAD = do_GET

        def log_message(self, *_):
            pass

    site = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Site)
    site.daemon_threads = True
    thread = threading.Thread(target=site.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{site.server_address[1]}"
    finally:
        site.shutdown()
        thread.join()
        site.server_close()


@pytest.mark.parametrize("status", [200, 404, 400])
def test_an_endpoint_that_is_no_s3_server(bucket, monkeypatch, status):
    with web_site(status) as url:
        monkeypatch.setenv("DATASHARD_S3_ENDPOINT", url)
        with pytest.raises(datashard.DataShardError, match="s3://.*is the endpoint an S3 server"):
            datashard.load_table("t")


def test_nobody_at_the_endpoint(bucket, monkeypatch):
    monkeypatch.setenv("DATASHARD_S3_ENDPOINT", "https://127.0.0.1:1/elsewhere")
    with pytest.raises(ValueError, match="127.0.0.1:1/elsewhere"):
        datashard.load_table("t")


# What is broken on the way.

def test_a_storm_of_refusals_is_waited_out(table, through):
    through({"fault": "error_before", "status": 503, "for_seconds": 1})
    opened = datashard.load_table("t")
    opened.append_records([{"id": 3}])
    assert ids(opened) == [1, 2, 3]


@pytest.mark.parametrize("fault", ["reset", "cut"])
def test_a_connection_that_breaks_in_the_middle_of_a_body(table, through, fault):
    through(*({"method": "GET", "path": path, "fault": fault, "after_bytes": 50, "times": 2}
              for path in (VERSION, r"/snap-[^/]*\.avro$", r"-m0\.avro$", r"\.parquet$")))
    assert ids() == [1, 2]


def test_bodies_that_come_slowly(table, through):
    through({"method": "GET", "fault": "slow_body", "bytes_per_second": 20_000}, {"method": "PUT", "fault": "slow_upload", "bytes_per_second": 20_000})
    opened = datashard.load_table("t")
    opened.append_records([{"id": 3}])
    assert ids(opened) == [1, 2, 3]


def test_a_file_that_arrives_changed_is_noticed_and_named(table, through):
    through({"method": "GET", "path": r"\.parquet$", "fault": "corrupt_body"})
    opened = datashard.load_table("t")
    with pytest.raises(datashard.CorruptDataError, match=r"data/.*\.parquet"):
        opened.scan()


def test_a_file_that_is_changed_on_its_way_to_the_bucket_is_sent_again(table, through):
    through(*({"method": "PUT", "path": path, "fault": "corrupt_upload", "times": 1} for path in (r"\.parquet$", r"\.avro$", VERSION)))
    opened = datashard.load_table("t")
    opened.append_records([{"id": 3}])
    assert ids(opened) == [1, 2, 3]


@pytest.mark.slow
@pytest.mark.parametrize("applied", [False, True])
def test_an_upload_in_parts_whose_completion_fails_inside_200(bucket, through, applied):
    import random

    import pyarrow as pa

    numbers = pa.array(random.Random(5).sample(range(1 << 62), 5_000_000), pa.int64())  # 40 MB that nothing makes smaller
    datashard.create_table("t", SCHEMA)
    through({"method": "POST", "query": "uploadId", "fault": "error_in_200", "apply": applied, "times": 1},
            {"method": "PUT", "query": "partNumber=2", "fault": "lose_answer", "times": 1},
            {"method": "PUT", "query": "partNumber=3", "fault": "error_after", "times": 1})
    opened = datashard.load_table("t")
    opened.append_arrow(pa.table({"id": numbers}, schema=pa.schema([pa.field("id", pa.int64(), nullable=False)])))
    assert opened.to_arrow()["id"].to_pylist() == numbers.to_pylist()


# What is broken in the bucket.

@pytest.mark.parametrize(("part", "says"), [
    (".parquet", r"data/.*\.parquet"), ("-m0.avro", r"-m0\.avro"), ("/snap-", r"snap-.*\.avro"), ("/v3.metadata", r"v3\.metadata\.json"),
])
def test_an_object_that_was_cut_off_is_named(bucket, table, request, part, says):
    for key in keys(bucket, request, part):
        put(bucket, key, get(bucket, key)[:-40])
    with pytest.raises(datashard.Corruption, match=says):
        datashard.load_table("t").scan()


def test_an_object_that_is_deleted_under_a_reader_is_named(bucket, table, request):
    opened = datashard.load_table("t")
    rows = opened.to_arrow  # nothing is read yet
    for key in keys(bucket, request, ".parquet"):
        assert s3_server.request(bucket, "DELETE", f"/{bucket.bucket}/{key}")[0] == 204
    with pytest.raises(FileNotFoundError, match=r"s3://.*data/.*\.parquet"):
        rows()
    assert opened.row_count() == 2, "the metadata is whole"


def test_an_object_that_is_deleted_in_the_middle_of_a_scan_is_named(bucket, request):
    table = datashard.create_table("t", SCHEMA, properties={"datashard.auto-merge": "off"})
    for number in range(200):  # more files than are fetched ahead
        table.append_records([{"id": number}])
    batches = iter(table.scan_batches())
    next(batches)
    for key in keys(bucket, request, ".parquet"):
        assert s3_server.request(bucket, "DELETE", f"/{bucket.bucket}/{key}")[0] == 204
    with pytest.raises(FileNotFoundError, match=r"s3://.*data/.*\.parquet"):
        for _ in batches:
            pass


# What is not allowed, and what comes late.

def test_without_the_right_to_list_an_open_says_what_is_missing(table, through):
    """Without it AWS answers 403 where an object is absent."""
    through({"fault": "deny_absent"})
    with pytest.raises(datashard.Denied, match="s3://.*v4.metadata.json.*give these credentials the rights to get, put, delete and list"):
        datashard.load_table("t")


def test_only_the_list_denied_harms_nobody_who_has_a_hint(table, bucket, through):
    del table
    through({"query": "list-type", "fault": "error_before", "status": 403})
    opened = datashard.load_table("t")
    opened.append_records([{"id": 3}])
    assert ids(opened) == [1, 2, 3]
    with pytest.raises(datashard.Denied, match="GET s3://.*rights to get, put, delete and list"):
        datashard.load_table("nothing-here")


def test_stale_hints_and_lists_lead_to_the_newest_version(table, through):
    """A cache between us and the bucket that answers from memory."""
    proxy = through({"method": "GET", "path": "version-hint", "fault": "stale"}, {"query": "list-type", "fault": "stale"})
    first = datashard.load_table("t")
    with pytest.raises(ValueError):
        datashard.load_table("nothing-here")
    for number in range(3, 30):
        first.append_records([{"id": number}])
    del first
    assert ids() == list(range(1, 30))
    # Without a hint the list decides, and it is old too.
    proxy.set_rules({"method": "GET", "path": "version-hint", "fault": "error_before", "status": 404}, {"query": "list-type", "fault": "stale"})
    opened = datashard.load_table("t")
    opened.append_records([{"id": 30}])
    assert ids() == list(range(1, 31))


@pytest.mark.parametrize("name", ["a b", "grün-日本-é", "a+b", "100%", "%2F%20", "a&b=c;d", "x'y\"z", "(1)~!*,@$"])
def test_names_that_need_escaping(bucket, name):
    path = f"deep/{name}/t"
    table = datashard.create_table(path, SCHEMA)
    table.append_records([{"id": 1}])
    assert ids(datashard.load_table(path)) == [1] == ids(datashard.load_table(table.location))
    assert table.location.endswith(f"/{path}")
    with pytest.raises(ValueError, match="No Iceberg table found"):
        datashard.load_table(f"deep/{name}x/t")


@pytest.mark.parametrize("name", ["a//b", "a/../b", "a/./b"])
def test_names_that_no_table_can_have(bucket, name):
    for work in (lambda: datashard.create_table(name, SCHEMA), lambda: datashard.load_table(name)):
        with pytest.raises(datashard.InvalidArgument, match=re.escape(name)):
            work()
