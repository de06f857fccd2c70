"""What each command does and prints in a pipe."""
import csv
import gzip
import io
import json
import os
import time

import pyarrow as pa
import pyarrow.parquet as pq
import pytest


def lines(text):
    return [json.loads(line) for line in text.splitlines()]


def rows(cli, table, *options):
    return lines(cli.ok("scan", table, *options))


# --- create ---

def test_create_tells_where_the_table_lies(cli):
    made = json.loads(cli.ok("create", "a/b/t", "--schema", "id:long!,amount:decimal(10,2)", "--property", "owner=a=b"))
    assert made["created"] is True
    assert made["location"] == f"file://{cli.directory}/a/b/t"
    info = json.loads(cli.ok("info", "a/b/t"))
    assert info["uuid"] == made["uuid"]
    assert info["schema"] == [{"id": 1, "name": "id", "type": "long", "required": True},
                              {"id": 2, "name": "amount", "type": "decimal(10, 2)", "required": False}]
    assert info["properties"]["owner"] == "a=b"
    assert (info["rows"], info["files"], info["size_bytes"], info["snapshots"], info["current_snapshot_id"]) == (0, 0, 0, 0, None)


def test_create_of_an_existing_table_is_an_error_unless_ignored(cli):
    cli.ok("create", "t", "--schema", "id:long")
    assert "exists" in cli.fails(4, "create", "t", "--schema", "id:long")
    again = json.loads(cli.ok("create", "t", "--schema", "id:long", "--if-exists", "ignore"))
    assert again["created"] is False
    cli.fails(4, "create", "t", "--schema", "id:string", "--if-exists", "ignore")


def test_create_from_a_schema_file(cli):
    schema = {"type": "struct", "schema-id": 0, "fields": [
        {"id": 1, "name": "id", "required": True, "type": "long"},
        {"id": 2, "name": "größe", "required": False, "type": "double"}]}
    (cli.directory / "s.json").write_text(json.dumps(schema))
    cli.ok("create", "t", "--schema-file", "s.json")
    assert [(f["name"], f["type"]) for f in json.loads(cli.ok("info", "t"))["schema"]] == [("id", "long"), ("größe", "double")]
    assert "s.json" in cli.fails(3, "create", "u", "--schema-file", "missing/s.json")
    (cli.directory / "bad.json").write_text('{"fields": [{"name": "a", "type": "lnog"}]}')
    assert "field a" in cli.fails(2, "create", "u", "--schema-file", "bad.json")
    assert not (cli.directory / "u").exists()


def test_create_like_a_file_takes_columns_but_no_rows(cli):
    (cli.directory / "x.csv").write_text("id;at\n1;2024-01-01T00:00:00Z\n")
    cli.ok("create", "t", "--like", "x.csv", "--delimiter", ";", "--type", "at=timestamptz")
    info = json.loads(cli.ok("info", "t"))
    assert [(f["name"], f["type"]) for f in info["schema"]] == [("id", "long"), ("at", "timestamptz")]
    assert info["rows"] == 0


def test_a_table_without_schema_takes_that_of_its_first_append(cli):
    cli.ok("create", "t")
    assert json.loads(cli.ok("info", "t"))["schema"] is None
    assert cli.ok("scan", "t") == ""
    assert cli.ok("count", "t") == "0\n"
    assert "no schema yet" in cli.fails(2, "scan", "t", "--where", "a = 1")
    cli.ok("append", "t", stdin='{"a":1}\n')
    assert rows(cli, "t") == [{"a": 1}]


# --- import ---

def test_import_makes_the_table_and_reads_nulls_and_types(cli):
    (cli.directory / "x.csv").write_text('id,name,at\n1,NA,2024-01-01T01:00:00+01:00\n2,"NA",\n3,-,NA\n')
    answer = json.loads(cli.ok("import", "t", "x.csv", "--null", "NA", "--null", "-", "--type", "at=timestamptz"))
    assert answer["created"] is True and answer["rows"] == 3 and len(answer["snapshots"]) == 1
    assert rows(cli, "t") == [{"id": 1, "name": None, "at": "2024-01-01T00:00:00Z"},
                              {"id": 2, "name": "NA", "at": None}, {"id": 3, "name": None, "at": None}]


@pytest.mark.parametrize("batch_rows, snapshots", [(1, 10), (3, 4), (10, 1), (11, 1)])
def test_import_commits_a_snapshot_per_batch(cli, batch_rows, snapshots):
    (cli.directory / "x.jsonl").write_text("".join(f'{{"id":{i},"text":"row {i}"}}\n' for i in range(10)))
    answer = json.loads(cli.ok("import", "t", "x.jsonl", "--batch-rows", str(batch_rows)))
    assert len(answer["snapshots"]) == snapshots
    assert rows(cli, "t") == [{"id": i, "text": f"row {i}"} for i in range(10)]
    log = lines(cli.ok("log", "t"))
    assert [entry["snapshot_id"] for entry in reversed(log)] == answer["snapshots"]
    assert sum(int(entry["summary"]["added-records"]) for entry in log) == 10


def test_import_of_several_formats_in_one_snapshot(cli):
    (cli.directory / "a.csv").write_text("id,name\n1,a\n")
    (cli.directory / "b.jsonl").write_text('{"name":"b","id":2}\n')
    pq.write_table(pa.table({"id": pa.array([3, 4], pa.int64())}), cli.directory / "c.parquet")
    with gzip.open(cli.directory / "d.csv.gz", "wt") as file:
        file.write("name,id\nd,5\n")
    (cli.directory / "e.tsv").write_text("id\tname\n6\te,e\n")
    answer = json.loads(cli.ok("import", "t", "a.csv", "b.jsonl", "c.parquet", "d.csv.gz", "e.tsv", "--single-snapshot"))
    assert answer["rows"] == 6 and len(answer["snapshots"]) == 1
    assert [(row["id"], row["name"]) for row in rows(cli, "t")] == [(1, "a"), (2, "b"), (3, None), (4, None), (5, "d"), (6, "e,e")]


def test_single_snapshot_is_everything_or_nothing(cli):
    cli.ok("create", "t", "--schema", "id:long")
    (cli.directory / "a.jsonl").write_text('{"id":1}\n')
    (cli.directory / "b.jsonl").write_text('{"id":"x"}\n')
    assert "no rows were committed" in cli.fails(2, "import", "t", "a.jsonl", "b.jsonl", "--single-snapshot")
    assert cli.ok("count", "t") == "0\n"
    assert not list((cli.directory / "t" / "data").glob("*.parquet"))


def test_a_failing_import_says_what_stays(cli):
    (cli.directory / "a.jsonl").write_text('{"id":1}\n{"id":2}\n')
    (cli.directory / "b.jsonl").write_text('{"idd":3}\n')
    error = cli.fails(2, "import", "t", "a.jsonl", "b.jsonl")
    assert "b.jsonl" in error and "did you mean 'id'?" in error and "2 rows in 1 snapshot were committed and stay" in error
    assert cli.ok("count", "t") == "2\n"


def test_a_file_that_cannot_be_read_leaves_no_table_behind(cli):
    (cli.directory / "x.jsonl").write_text('{"id":\n')
    (cli.directory / "x.parquet").write_bytes(b"PAR1 this is not Parquet PAR1")
    (cli.directory / "x.txt").write_text("?")
    cli.fails(2, "import", "t", "x.jsonl")
    cli.fails(10, "import", "t", "x.parquet")
    assert "--format" in cli.fails(2, "import", "t", "x.txt")
    cli.fails(3, "import", "t", "missing.csv")
    cli.fails(2, "import", "t", "x.jsonl", "--type", "nope=long")
    assert not (cli.directory / "t").exists()


def test_import_from_standard_input_and_no_create(cli):
    assert "datashard create" in cli.fails(3, "import", "t", "-", "--no-create", stdin='{"id":1}\n')
    cli.ok("import", "t", "-", "--format", "csv", "--type", "id=string", stdin="id\n1\n")
    assert rows(cli, "t") == [{"id": "1"}]
    assert "the table has this column as string" in cli.fails(2, "import", "t", "-", "--type", "id=long", stdin='{"id":"2"}\n')


def test_options_that_a_format_does_not_know_are_refused(cli):
    pq.write_table(pa.table({"id": [1]}), cli.directory / "x.parquet")
    assert "--null" in cli.fails(2, "import", "t", "x.parquet", "--null", "NA")
    assert "--type" in cli.fails(2, "import", "t", "x.parquet", "--type", "id=string")
    assert "--like" in cli.fails(2, "create", "t", "--null", "NA")
    assert "--delimiter" in cli.fails(2, "import", "t", "x.csv", "--delimiter", "ab")
    assert not (cli.directory / "t").exists()


# --- append ---

def test_append_is_exactly_one_snapshot_however_many_rows(people):
    many = "".join(f'{{"id":{i}}}\n' for i in range(300_000))  # several blocks of input
    answer = json.loads(people.ok("append", "people", stdin=many))
    assert answer["rows"] == 300_000
    assert len(lines(people.ok("log", "people"))) == 3
    assert people.ok("count", "people", "--where", "name is null") == "300000\n"


def test_append_without_rows_makes_no_snapshot(people):
    answer = json.loads(people.ok("append", "people", "--format", "csv", stdin="id,name\n"))
    assert answer == {"table": "people", "rows": 0, "snapshot_id": None}
    assert len(lines(people.ok("log", "people"))) == 2


def test_append_refuses_what_does_not_fit(people):
    assert "did you mean 'name'?" in people.fails(2, "append", "people", stdin='{"id":1,"nmae":"x"}\n')
    assert "'id'" in people.fails(2, "append", "people", stdin='{"name":"x"}\n')
    assert "datashard create" in people.fails(3, "append", "nobody", stdin='{"id":1}\n')
    assert people.ok("count", "people") == "3\n"


def test_scan_feeds_append(people):
    people.ok("create", "copy", "--schema", "id:long!,name:string,score:double")
    people.ok("append", "copy", stdin=people.ok("scan", "people"))
    assert rows(people, "copy") == rows(people, "people")


# --- scan and count ---

def test_scan_columns_where_and_limit(people):
    assert rows(people, "people", "--columns", "name,id", "--where", "id >= 2") == [{"name": "Bob", "id": 2}, {"name": "", "id": 3}]
    assert rows(people, "people", "--where", "score is null") == [{"id": 2, "name": "Bob", "score": None}]
    assert rows(people, "people", "--where", "id > 1", "--where", "score < 0")[0]["id"] == 3
    assert rows(people, "people", "--where", "name in (Ann, 'Bob') and id between 2 and 9") == [{"id": 2, "name": "Bob", "score": None}]
    assert len(rows(people, "people", "--limit", "2")) == 2
    assert rows(people, "people", "--limit", "0") == []
    assert list(rows(people, "people", "--columns", "score", "--columns", "id", "--threads", "3")[0]) == ["score", "id"]


def test_count(people):
    assert people.ok("count", "people") == "3\n"
    assert people.ok("count", "people", "--where", "score < 1") == "1\n"
    assert people.ok("count", "people", "--where", "name = nobody", "--json") == '{"count":0}\n'


def test_csv_keeps_null_empty_text_and_line_ends_apart(cli):
    cli.ok("create", "t", "--schema", 'id:long,"a, ""b""":string')
    values = [None, "", "x,y", 'say "hi"', "two\nlines\r\n", "\x1b[31m", " NA "]
    cli.ok("append", "t", stdin="".join(json.dumps({"id": i, 'a, "b"': value}) + "\n" for i, value in enumerate(values)))
    text = cli.run("scan", "t", "--format", "csv").out
    assert text.splitlines()[:3] == ['id,"a, ""b"""', "0,", '1,""']
    read = list(csv.reader(io.StringIO(text, newline="")))
    assert [row[1] for row in read[1:]] == [value or "" for value in values]


def test_a_csv_export_comes_back_as_it_was(cli):
    cli.ok("create", "t", "--schema", "id:long,b:boolean,d:date,t:time,s:timestamp,z:timestamptz,n:decimal(9,3),f:double,x:string")
    row = {"id": 1, "b": True, "d": "2024-02-29", "t": "23:59:59.000001", "s": "2024-02-29T12:00:00", "z": "2024-02-29T12:00:00Z",
           "n": "-12.500", "f": 0.1, "x": "a\nb"}
    cli.ok("append", "t", stdin=json.dumps(row) + "\n" + '{"id":2,"x":""}\n')
    exported = cli.run("scan", "t", "--format", "csv").out
    cli.ok("create", "u", "--schema", "id:long,b:boolean,d:date,t:time,s:timestamp,z:timestamptz,n:decimal(9,3),f:double,x:string")
    cli.ok("append", "u", "--format", "csv", stdin=exported)
    assert rows(cli, "u") == rows(cli, "t")
    assert rows(cli, "u")[0]["n"] == "-12.500"


def test_time_travel_by_id_milliseconds_and_time(people):
    newest, oldest = lines(people.ok("log", "people"))
    assert len(rows(people, "people", "--at", str(oldest["snapshot_id"]))) == 2
    assert people.ok("count", "people", "--at", str(oldest["timestamp_ms"])) == "2\n"
    assert people.ok("count", "people", "--at", oldest["timestamp"]) == "2\n"
    assert people.ok("count", "people", "--at", newest["timestamp"], "--where", "id > 0") == "3\n"
    assert people.ok("count", "people", "--at", "2999-01-01") == "3\n"
    assert "its first one is of " + oldest["timestamp"] in people.fails(3, "scan", "people", "--at", "1999-12-31 23:59")
    assert "datashard log" in people.fails(3, "scan", "people", "--at", "123456789012345678")
    assert "ISO 8601" in people.fails(2, "scan", "people", "--at", "yesterday")


# --- info, log, version ---

def test_info_counts_files_and_bytes(people):
    info = json.loads(people.ok("info", "people"))
    files = list((people.directory / "people" / "data").glob("*.parquet"))
    assert info["files"] == len(files) == 2
    assert info["size_bytes"] == sum(file.stat().st_size for file in files)
    assert (info["rows"], info["snapshots"]) == (3, 2)


def test_log_is_newest_first_and_chained(people):
    newest, oldest = lines(people.ok("log", "people"))
    assert newest["current"] is True and oldest["current"] is False
    assert newest["parent_snapshot_id"] == oldest["snapshot_id"] and oldest["parent_snapshot_id"] is None
    assert lines(people.ok("log", "people", "--limit", "1")) == [newest]
    assert people.ok("log", "people", "--limit", "0") == ""


def test_version_is_that_of_the_package(cli):
    text = cli.ok("version")
    assert text == cli.ok("--version")
    source = (os.path.join(os.path.dirname(__file__), "../../python/datashard/_version.py"))
    package = {}
    exec(open(source).read(), package)
    assert text == f"datashard {package['__version__']}\n"
    assert json.loads(cli.ok("version", "--json")) == {"version": package["__version__"]}


@pytest.mark.skipif(bool(os.environ.get("DATASHARD_SANITIZE")), reason="sanitizers start slowly")
@pytest.mark.parametrize("argument", ["--help", "version"])
def test_start_takes_less_than_20_ms_of_cpu(cli, argument):
    best_s = 1.0
    for _ in range(10):
        pid = os.posix_spawn(cli.path, [cli.path, argument], os.environ,
                             file_actions=[(os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0)])
        _, status, usage = os.wait4(pid, 0)
        assert status == 0
        best_s = min(best_s, usage.ru_utime + usage.ru_stime)
        time.sleep(0.01)
    assert best_s < 0.020
