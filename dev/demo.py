"""The main job on real data: four processes load the 336,776 flights that left New York in 2013 into one table at once,
day by day; then the table is checked against the CSV, filtered, read as it was earlier, asked in SQL, published as a snapshot to look
aircraft up in, and stressed.

    .venv/bin/python dev/demo.py FLIGHTS.csv DIRECTORY
"""

from __future__ import annotations

import csv
import datetime
import json
import multiprocessing
import shutil
import subprocess
import sys
import time
from pathlib import Path

import datashard
import stress
import stress_check
from shardyfusion import ColumnWriteInput, ConcurrentShardedReader, HashShardedWriteConfig, ValueSpec
from shardyfusion.writer.python import write_hash_sharded

WRITERS = 4
SHOWN = ("month", "day", "carrier", "flight", "origin", "dest")
SUMMED = ("dep_delay", "arr_delay", "air_time", "distance", "flight")
COLUMNS = [(name, "int") for name in ("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time",
                                      "sched_arr_time", "arr_delay")]
COLUMNS += [("carrier", "string"), ("flight", "int"), ("tailnum", "string"), ("origin", "string"), ("dest", "string")]
COLUMNS += [(name, "int") for name in ("air_time", "distance", "hour", "minute")] + [("time_hour", "timestamptz")]
SCHEMA = datashard.Schema(schema_id=1, fields=[
    {"id": number, "name": name, "type": kind, "required": False} for number, (name, kind) in enumerate(COLUMNS, start=1)])


def say(text: str) -> None:
    print(f"   {text}", flush=True)


def days_of(path: str):
    """The CSV as one pyarrow table per day of the year, in order; `NA` is null."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import csv as arrow_csv

    types = {"int": pa.int32(), "string": pa.string(), "timestamptz": pa.timestamp("us", tz="UTC")}
    flights = arrow_csv.read_csv(path, convert_options=arrow_csv.ConvertOptions(
        column_types={name: types[kind] for name, kind in COLUMNS}, null_values=["NA"], strings_can_be_null=True))
    day_number = pc.add(pc.multiply(flights["month"], 100), flights["day"])
    for day in sorted(pc.unique(day_number).to_pylist()):
        yield flights.filter(pc.equal(day_number, day))


def load_days(csv_path: str, table_path: str, writer: int, rows) -> None:
    """Appends every WRITERS-th day, each as one commit."""
    table = datashard.load_table(table_path)
    for number, day in enumerate(days_of(csv_path)):
        if number % WRITERS == writer:
            table.append_arrow(day)
            with rows.get_lock():
                rows.value += day.num_rows


def load(csv_path: str, table_path: str) -> float:
    """Runs the writers with a live line; returns seconds."""
    context = multiprocessing.get_context("spawn")
    rows = context.Value("l", 0)
    start = time.monotonic()
    writers = [context.Process(target=load_days, args=(csv_path, table_path, number, rows)) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    live = sys.stderr.isatty()
    while any(writer.is_alive() for writer in writers):
        time.sleep(0.1)
        if live:
            print(f"\r   {rows.value:>9,} of 336,776 rows, {time.monotonic() - start:4.1f} s ", end="", file=sys.stderr)
    if live:
        print("\r\033[K", end="", file=sys.stderr)
    if any(writer.exitcode != 0 for writer in writers):
        raise SystemExit("a writer failed")
    return time.monotonic() - start


def sums_of_csv(path: str) -> dict[str, int]:
    """Row count and column sums, by Python's own csv module: independent of everything under test."""
    sums = dict.fromkeys(("rows", *SUMMED), 0)
    with open(path, newline="") as file:
        for row in csv.DictReader(file):
            sums["rows"] += 1
            for name in SUMMED:
                if row[name] != "NA":
                    sums[name] += int(row[name])
    return sums


def sums_of_table(table: datashard.Table) -> dict[str, int]:
    import pyarrow.compute as pc

    columns = table.to_arrow(columns=list(SUMMED), parallel=True)
    return {"rows": columns.num_rows, **{name: pc.sum(columns[name]).as_py() for name in SUMMED}}


def prove_nothing_is_lost(csv_path: str, table: datashard.Table) -> None:
    expected, found = sums_of_csv(csv_path), sums_of_table(table)
    if expected != found:
        raise SystemExit(f"the table differs from the CSV:\n  CSV   {expected}\n  table {found}")
    say(f"{found['rows']:,} rows and the sums of {len(SUMMED)} columns equal those of the CSV: nothing lost, nothing twice")


def filtered(table: datashard.Table) -> None:
    start = time.monotonic()
    late = table.scan(columns=["carrier", "flight", "dest", "dep_delay"], filter={"dep_delay": (">=", 900)}, parallel=True)
    say(f"{len(late)} flights left 15 hours late or more ({(time.monotonic() - start) * 1e3:.0f} ms); the latest: "
        f"{max(late, key=lambda row: row['dep_delay'])}")


def earlier(table: datashard.Table) -> None:
    snapshots = table.snapshots()
    middle = snapshots[len(snapshots) // 2]
    then = table.time_travel(timestamp=middle["timestamp_ms"])
    when = datetime.datetime.fromtimestamp(then.timestamp_ms / 1000, datetime.timezone.utc)
    rows = table.to_arrow(columns=["flight"], snapshot_id=then.snapshot_id).num_rows
    if rows != int(then.summary["total-records"]):
        raise SystemExit(f"snapshot {then.snapshot_id} says {then.summary['total-records']} rows, a scan found {rows}")
    say(f"at {when:%H:%M:%S.%f} UTC it had {rows:,} rows, read again just now; its history has {len(snapshots)} snapshots")


def files_of(table: datashard.Table) -> list[str]:
    """The Parquet files of the current snapshot; the data directory may hold others, of appends that lost or were killed."""
    files = table.file_manager
    return [str(Path(table.table_path, data.file_path.lstrip("/")))
            for manifest in files.read_manifest_list_file(table.current_snapshot().manifest_list)
            for data in files.read_manifest_file(manifest.manifest_path)]


def sql(table: datashard.Table) -> None:
    import duckdb

    # DuckDB reads the table's own Parquet files; no copy, no import.
    rows = duckdb.sql("""
        SELECT carrier, count(*) AS flights, round(avg(dep_delay), 1) AS delay, sum(count(*)) OVER () AS of_all
        FROM read_parquet($files) GROUP BY carrier ORDER BY delay DESC LIMIT 3""", params={"files": files_of(table)}).fetchall()
    for carrier, flights, delay, of_all in rows:
        say(f"{carrier}: {flights:,} of {of_all:,} flights, {delay} minutes late on average")


def flights_of_aircraft(table: datashard.Table):
    """Every flight with a tail number, as Arrow, in the order of departure."""
    rows = table.to_arrow(columns=["tailnum", "time_hour", "sched_dep_time", *SHOWN], filter={"tailnum": ("is_not_null", True)}, parallel=True)
    return rows.sort_by([("time_hour", "ascending"), ("sched_dep_time", "ascending")])


def look_up(table: datashard.Table, directory: Path) -> None:
    """Publishes the last flight of every aircraft, and looks all of them up again; then a few with the command."""
    rows = flights_of_aircraft(table)
    place = directory / "aircraft"
    shutil.rmtree(place, ignore_errors=True)
    config = HashShardedWriteConfig(num_dbs=4, s3_prefix=place.as_uri(), key_encoding="utf8")
    start = time.monotonic()
    result = write_hash_sharded(rows, config, ColumnWriteInput("tailnum", ValueSpec.json_cols(list(SHOWN))))
    say(f"{rows.num_rows:,} flights became a snapshot of {result.stats.rows_written:,} aircraft in {len(result.winners)} shards "
        f"({(time.monotonic() - start) * 1e3:.0f} ms)")
    groups = rows.group_by("tailnum", use_threads=False).aggregate([(name, "last") for name in SHOWN])  # in order, so the last is the last
    last = {row["tailnum"]: {name: row[f"{name}_last"] for name in SHOWN} for row in groups.to_pylist()}
    start = time.monotonic()
    with ConcurrentShardedReader(s3_prefix=place.as_uri(), local_root=str(directory / "cache")) as reader:
        found = reader.multi_get(list(last))
    seconds = time.monotonic() - start
    if {tailnum: json.loads(value) for tailnum, value in found.items()} != last:
        raise SystemExit("the snapshot differs from the table")
    say(f"all of them looked up from Python in {seconds * 1e3:.0f} ms: each is the last flight of the table")
    settings = directory / "reader.toml"
    settings.write_text(f'[reader]\ncurrent_url = "{place.as_uri()}/_CURRENT"\n[output]\nformat = "text"\nvalue_encoding = "utf8"\n')
    shardy = Path(sys.executable).with_name("shardy")
    lines = subprocess.run([shardy, "--config", settings, "multiget", "N14228", "N328AA", "N00000"], check=True, capture_output=True, text=True)
    for line in lines.stdout.splitlines():
        say(f"shardy: {line}")


def main() -> None:
    csv_path, directory = sys.argv[1], Path(sys.argv[2]).resolve()
    table_path = directory / "flights"
    shutil.rmtree(table_path, ignore_errors=True)
    timings: list[tuple[str, float]] = []

    def part(title: str, work, *arguments) -> None:
        print(f"-- {title}", flush=True)
        start = time.monotonic()
        work(*arguments)
        timings.append((title, time.monotonic() - start))

    table = datashard.create_table(table_path, SCHEMA)
    part(f"{WRITERS} processes append 365 days at once", lambda: say(
        f"365 commits by {WRITERS} processes in {load(csv_path, str(table_path)):.1f} s"))
    part("nothing is lost", prove_nothing_is_lost, csv_path, table)
    part("a filtered scan", filtered, table)
    part("the table as it was", earlier, table)
    part("SQL by DuckDB on the same files", sql, table)
    part("a snapshot to look keys up in", look_up, table, directory)
    stress_path = directory / "stress"
    shutil.rmtree(stress_path, ignore_errors=True)
    (directory / "plain-file.json").unlink(missing_ok=True)

    def in_small() -> None:
        print(stress_check.plain_line(stress.stress_plain_file(str(directory / "plain-file.json"), 12, 50)))
        result = stress.stress_table(str(stress_path), stress.Load(processes=12, appends=50))
        print(stress_check.table_lines(result))
        if not result["ok"]:
            raise SystemExit("rows were lost or repeated")

    part("12 processes append 50 rows each, one by one", in_small)
    print("-- where the time went")
    for title, seconds in timings:
        say(f"{seconds:5.1f} s  {title}")
    print(f"The table lies in {table_path}. Look at it:  .venv/bin/datashard scan {table_path} --limit 5")
    print(f"The snapshot lies beside it. Look into it:  .venv/bin/shardy --config {directory / 'reader.toml'}")


if __name__ == "__main__":
    main()
