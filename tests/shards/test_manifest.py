"""Manifests as models and as SQLite files: what is written is read, what is damaged is refused."""

from __future__ import annotations

import json
import sqlite3
import zlib
from contextlib import closing
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from snapshot_values import CREATED, build_meta, shard_meta
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from shardyfusion import (ConfigValidationError, ManifestBuildError, ManifestParseError, ManifestShardingSpec, ParsedManifest,
                          RequiredShardMeta, SqliteManifestBuilder, SqliteShardLookup, WriterInfo, load_sqlite_build_meta,
                          parse_manifest_payload, parse_sqlite_manifest)
from shardyfusion._datashard_fields import DatashardFields, range_boundaries_member
from shardyfusion._manifest_file import SIZE_BYTES_MAX

HASH_JSON = '{"cel_columns":null,"cel_expr":null,"hash_algorithm":"xxh3_64","routing_values":null,"strategy":"hash"}'


def payload_of(build=None, shards=None, custom=None):
    return SqliteManifestBuilder().build(required_build=build or build_meta(), shards=[shard_meta(0)] if shards is None else shards,
                                         custom_fields=custom or {}).payload


def opened(payload):
    con = sqlite3.connect(":memory:")
    con.deserialize(payload)
    return closing(con)


def changed(payload, *statements, check=False):
    """The same manifest after some SQL; without `check` its checksum is taken away, so that other checks are met."""
    with opened(payload) as con:
        for statement in [*statements, *([] if check else ["DROP TABLE datashard_check"])]:
            con.execute(statement)
        con.commit()
        return con.serialize()


def test_the_file_is_what_the_page_says():
    payload = payload_of(shards=[shard_meta(1, min_key=7), shard_meta(0)], custom={"b": 1, "a": [None, "é"]})
    assert payload[:16] == b"SQLite format 3\0" and payload[16:20] == b"\x10\x00\x01\x01"
    with opened(payload) as con:
        assert [con.execute(f"PRAGMA {name}").fetchone()[0] for name in ("user_version", "application_id", "encoding")] == [0, 0, "UTF-8"]
        assert con.execute("SELECT * FROM build_meta").fetchall() == [
            ("0f3c", "2026-11-21T07:38:13.884350Z", 2, "s3://b/p", "_key", HASH_JSON, "db={db_id:05d}", "shards", 4, "u64be",
             '{"a":[null,"\\u00e9"],"b":1}')]
        writer = '{"attempt":0,"duration_ms":0,"stage_id":null,"task_attempt_id":null}'
        url = "s3://b/p/shards/run_id=0f3c/db=0000{}/attempt=00"
        shards = [(0, url.format(0), 0, 2, 8192, "4", "9", "0" * 32, writer), (1, url.format(1), 0, 2, 8192, "7", "9", "0" * 31 + "1", writer)]
        assert con.execute("SELECT * FROM shards").fetchall() == shards
        rows = [con.execute("SELECT * FROM build_meta").fetchone(), *shards]
        plain = b"".join(b"n" if value is None else b"i%d;" % value if isinstance(value, int)
                         else b"t%d:%s" % (len(value.encode()), value.encode()) for row in rows for value in row)
        assert con.execute("SELECT crc32 FROM datashard_check").fetchall() == [(f"{zlib.crc32(plain):08x}",)]


def test_the_example_of_the_page_is_true():
    build = build_meta(key_encoding="raw")
    shard = shard_meta(1, min_key=b"abc", max_key=b"\xff\x00", checkpoint_id="9f86d081884c7d659a2feaa0c55ad015")
    objects = {"algorithm": "xxh3_64", "shards": {"1": {"shard.db": ["0123456789abcdef", 8192]}}}
    payload = payload_of(build, [shard], {"datashard": {"version": 1, "objects": objects}})
    page = (Path(__file__).resolve().parents[2] / "docs/formats/sharded_manifest.md").read_text()
    with opened(payload) as con:
        for table in ("build_meta", "shards"):
            values = ["NULL" if value is None else str(value) for value in con.execute(f"SELECT * FROM {table}").fetchone()]
            assert "```\n" + "\n".join(values) + "\n```" in page
        assert f"`{con.execute('SELECT crc32 FROM datashard_check').fetchone()[0]}`. The file has {len(payload):,} bytes" in page


KEYS = {"u64be": st.integers(0, 2**64 - 1), "utf8": st.text(st.characters(exclude_categories=["Cs"])), "raw": st.binary(max_size=20)}


@st.composite
def manifests(draw):
    encoding = draw(st.sampled_from(sorted(KEYS)))
    num_dbs = draw(st.integers(1, 6))
    ids = draw(st.lists(st.integers(0, num_dbs - 1), unique=True))
    key = st.one_of(st.none(), KEYS[encoding])
    text = st.one_of(st.none(), st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
    count = st.integers(0, 2**63 - 1)
    shards = [RequiredShardMeta(
        db_id=db_id, db_url=draw(text), attempt=draw(count), row_count=draw(count), db_bytes=draw(count), min_key=draw(key),
        max_key=draw(key), checkpoint_id=draw(text),
        writer_info=WriterInfo(draw(st.one_of(st.none(), st.integers())), None, draw(count), 3)) for db_id in sorted(ids)]
    sharding = {}
    if draw(st.booleans()):
        values = draw(st.one_of(st.none(), *(st.lists(kind, unique=True, min_size=num_dbs, max_size=num_dbs)
                                             for kind in (st.integers(), st.text(st.characters(exclude_categories=["Cs"])), st.binary()))))
        sharding = {"strategy": "cel", "cel_expr": "a", "cel_columns": {"a": "bytes", "B": "int"}, "routing_values": values}
    created = draw(st.datetimes(timezones=st.just(timezone.utc), min_value=datetime(1970, 1, 1)))
    return build_meta(num_dbs=num_dbs, key_encoding=encoding, created_at=created, **sharding), shards


@given(manifests(), st.dictionaries(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda name: name != "datashard"),
                                    st.integers(), max_size=3))
def test_what_is_written_is_read(manifest, custom):
    build, shards = manifest
    parsed = parse_manifest_payload(payload_of(build, shards, custom))
    assert (parsed.required_build, parsed.shards) == (build, shards)
    assert {name: value for name, value in parsed.custom.items() if name != "datashard"} == custom
    assert [type(value) for value in parsed.required_build.sharding.routing_values or []] == \
        [type(value) for value in build.sharding.routing_values or []]
    again = payload_of(parsed.required_build, parsed.shards, parsed.custom)
    assert parse_sqlite_manifest(again) == parsed


def test_keys_that_are_no_utf8_are_published_and_come_back_as_bytes():
    payload = payload_of(build_meta(key_encoding="raw"), [shard_meta(0, min_key=b"abc", max_key=b"\xff\x00"), shard_meta(1, min_key="x")])
    with opened(payload) as con:
        assert con.execute("SELECT min_key, max_key FROM shards").fetchall() == [('"abc"', None), ('"x"', "9")]
    parsed = parse_manifest_payload(payload)
    assert [(shard.min_key, shard.max_key) for shard in parsed.shards] == [(b"abc", b"\xff\x00"), ("x", 9)]
    assert parsed.custom["datashard"] == {"version": 1, "key_bounds": {"0": {"min": ["bytes", "YWJj"], "max": ["bytes", "/wA="]}}}


@pytest.mark.parametrize(("values", "in_sharding"), [([b"a", "é".encode()], ["a", "é"]), ([b"a", b"\xff"], ["YQ==", "/w=="])])
def test_bytes_routing_values_stay_bytes_and_other_readers_see_text(values, in_sharding):
    build = build_meta(strategy="cel", cel_expr="key", cel_columns={"key": "bytes"}, routing_values=values)
    payload = payload_of(build)
    with opened(payload) as con:
        assert json.loads(con.execute("SELECT sharding FROM build_meta").fetchone()[0])["routing_values"] == in_sharding
    assert parse_manifest_payload(payload).required_build.sharding.routing_values == values


def test_objects_and_boundaries_are_kept():
    ours = {"version": 1, "objects": {"algorithm": "xxh3_64", "shards": {"0": {"shard.db": ["0123456789abcdef", 8192]}}},
            "range_boundaries": range_boundaries_member([1.5]), "later": [1], "shard_format": "sqlite"}
    build = build_meta(strategy="cel", cel_expr="key < 1.5 ? 0 : 1", cel_columns={"key": "double"})
    parsed = parse_manifest_payload(payload_of(build, [shard_meta(0, min_key=b"\xff")], {"datashard": ours}))
    assert parsed.custom["datashard"]["later"] == [1]
    fields = DatashardFields.parse(parsed.custom)
    assert fields.shard_format == "sqlite"
    assert fields.objects == {0: {"shard.db": ("0123456789abcdef", 8192)}}
    assert (fields.range_boundaries.kind, fields.range_boundaries.values, fields.key_bounds) == ("double", [1.5], {0: {"min": b"\xff"}})


@pytest.mark.parametrize("ours", [
    5, {}, {"version": 2}, {"version": True}, {"version": 1, "objects": []}, {"version": 1, "objects": {"algorithm": "xxh3_64"}},
    {"version": 1, "objects": {"algorithm": "xxh3_64", "shards": {"00": {}}}},
    {"version": 1, "objects": {"algorithm": "xxh3_64", "shards": {"0": {"a": ["0123456789ABCDEF", 1]}}}},
    {"version": 1, "objects": {"algorithm": "xxh3_64", "shards": {"0": {"a": ["0123456789abcdef", -1]}}}},
    {"version": 1, "key_bounds": {"0": {"min": ["int", "AA=="]}}}, {"version": 1, "key_bounds": {"0": {"min": ["str", "/w=="]}}},
    {"version": 1, "key_bounds": {"0": {"min": ["bytes", "???"]}}}, {"version": 1, "key_bounds": {"0": []}},
    {"version": 1, "routing_values_base64": "AA=="}, {"version": 1, "routing_values_base64": [1]},
    {"version": 1, "range_boundaries": {"kind": "int", "values": [1.5]}}, {"version": 1, "range_boundaries": {"kind": "int", "values": [2, 1]}},
    {"version": 1, "range_boundaries": {"kind": "int", "values": [True]}}, {"version": 1, "range_boundaries": {"kind": "float", "values": []}},
    {"version": 1, "range_boundaries": {"kind": "int", "values": [2**63]}}, {"version": 1, "range_boundaries": {"kind": "double", "values": [10**400]}},
    {"version": 1, "shard_format": 1}, {"version": 1, "key_bounds": {"1": {}}},
    {"version": 1, "objects": {"algorithm": "xxh3_64", "shards": {"1": {}}}},
    {"version": 1, "range_boundaries": {"kind": "int", "values": [5]}}, {"version": 1, "routing_values_base64": ["AA=="]},
])
def test_our_member_in_a_wrong_shape_is_refused(ours):
    text = json.dumps({"datashard": ours}).replace("'", "''")
    with pytest.raises(ManifestParseError, match="datashard|range_boundaries"):
        parse_manifest_payload(changed(payload_of(), f"UPDATE build_meta SET custom = '{text}'"))


def test_checksums_of_an_algorithm_we_do_not_know_are_passed_over():
    assert DatashardFields.parse({"datashard": {"version": 1, "objects": {"algorithm": "blake3"}}}) == DatashardFields()
    assert DatashardFields.parse({}) == DatashardFields()


def test_the_reserved_name_is_refused_where_it_is_not_ours():
    with pytest.raises(ConfigValidationError, match="'datashard' is the store's own"):
        payload_of(custom={"datashard": "mine"})


@pytest.mark.parametrize("wrong", [{"x": object()}, {"x": float("nan")}, {"x": b"a"}])
def test_custom_fields_that_are_no_json_are_refused(wrong):
    with pytest.raises(ManifestBuildError, match="custom fields"):
        payload_of(custom=wrong)


def test_fields_of_the_builder_enter_every_manifest_and_those_of_the_call_win():
    builder = SqliteManifestBuilder()
    builder.add_custom_field("a", 1)
    builder.add_custom_field("b", 1)
    artifact = builder.build(required_build=build_meta(), shards=[], custom_fields={"b": 2})
    assert parse_manifest_payload(artifact.payload).custom == {"a": 1, "b": 2}
    assert (artifact.content_type, artifact.headers) == ("application/x-sqlite3", {})


def test_every_flipped_byte_is_refused_or_changes_nothing_that_is_read():
    payload = payload_of(shards=[shard_meta(0), shard_meta(1)], custom={"a": "b"})
    expected = parse_manifest_payload(payload)
    refused = 0
    for at in range(0, len(payload), 1):
        if payload[at] == 0 and at % 16:
            continue  # free space of pages; a sixteenth of it is enough
        damaged = bytearray(payload)
        damaged[at] ^= 0x01
        try:
            parsed = parse_manifest_payload(bytes(damaged))
        except ManifestParseError:
            refused += 1
        else:
            assert parsed == expected, at
    assert refused > 1000


@pytest.mark.parametrize("statement", [
    "UPDATE shards SET row_count = 3", "UPDATE build_meta SET created_at = '2027-01-01T00:00:00Z'", "DELETE FROM shards",
    "UPDATE datashard_check SET crc32 = '00000000'", "DELETE FROM datashard_check"])
def test_contents_that_do_not_have_their_checksum_are_refused(statement):
    with pytest.raises(ManifestParseError, match="checksum"):
        parse_manifest_payload(changed(payload_of(), statement, check=True))


def test_another_writers_manifest_has_no_checksum_and_more_columns():
    parsed = parse_manifest_payload(changed(
        payload_of(), "ALTER TABLE shards ADD COLUMN more TEXT DEFAULT 'x'", "ALTER TABLE build_meta ADD COLUMN more BLOB",
        "CREATE TABLE more (a)", "UPDATE build_meta SET created_at = '2026-11-21T09:38:13+02:00', sharding = ' ' || sharding",
        "UPDATE shards SET writer_info = '{\"attempt\": 1, \"host\": \"h\"}', min_key = ' 4 '"))
    assert parsed.required_build.created_at == datetime(2026, 11, 21, 7, 38, 13, tzinfo=timezone.utc)
    assert parsed.shards == [shard_meta(0, writer_info=WriterInfo(attempt=1))]


@pytest.mark.parametrize(("statement", "said"), [
    ("UPDATE build_meta SET format_version = 3", "format_version 3"), ("UPDATE build_meta SET format_version = '4'", None),
    ("UPDATE build_meta SET num_dbs = 0", "num_dbs"), ("UPDATE build_meta SET num_dbs = 'many'", "'many', not int"),
    ("UPDATE build_meta SET key_encoding = 'u16be'", "key_encoding"), ("UPDATE build_meta SET sharding = '{'", "sharding is no JSON"),
    ("UPDATE build_meta SET sharding = replace(sharding, 'hash\"', 'range\"')", "range"),
    ("UPDATE build_meta SET sharding = replace(sharding, '\"hash\"', '\"cel\"')", "cel_expr"),
    ("UPDATE build_meta SET sharding = replace(sharding, '{', '{\"extra\":1,')", "extra"),
    ("UPDATE build_meta SET sharding = replace(sharding, 'xxh3_64', 'md5')", "hash_algorithm"),
    ("UPDATE build_meta SET sharding = '{\"strategy\":\"hash\"}'", "hash_algorithm"),
    ("UPDATE build_meta SET custom = '[]'", "custom is no JSON object"), ("UPDATE build_meta SET custom = '{\"a\":NaN}'", "NaN"),
    ("UPDATE build_meta SET custom = replace(hex(zeroblob(50000)), '00', '[')", "no JSON"),
    ("UPDATE build_meta SET created_at = 'today'", "created_at"), ("UPDATE build_meta SET run_id = CAST(x'ff' AS TEXT)", "UTF-8"),
    ("DELETE FROM build_meta", "empty"), ("DROP TABLE shards", "no shards"), ("ALTER TABLE shards DROP COLUMN db_url", "db_url"),
    ("ALTER TABLE build_meta RENAME COLUMN key_encoding TO k", "key_encoding"), ("UPDATE shards SET db_id = 2", "num_dbs is 2"),
    ("UPDATE shards SET db_id = -1", "db_id"), ("UPDATE shards SET row_count = -1", "row_count"),
    ("UPDATE shards SET min_key = 'a'", "min_key of shard 0"), ("UPDATE shards SET max_key = '1.5'", "1.5"),
    ("UPDATE shards SET max_key = 'true'", "True"), ("UPDATE shards SET db_url = x'00'", "not str"),
    ("UPDATE shards SET writer_info = '[]'", "writer_info"), ("UPDATE shards SET writer_info = '{\"attempt\":\"1\"}'", "writer_info"),
])
def test_a_manifest_that_contradicts_the_format_is_refused(statement, said):
    payload = changed(payload_of(), statement)
    if said is None:  # a column of whole numbers makes one of the text
        assert parse_manifest_payload(payload).shards
        return
    with pytest.raises(ManifestParseError, match=said):
        parse_manifest_payload(payload)


@pytest.mark.parametrize("payload", [b"", b"{}", b"SQLite format 3\0", b"SQLite format 3\0" + b"\xff" * 5000, b"PAR1" * 1000])
def test_what_is_no_manifest_is_refused(payload):
    with pytest.raises(ManifestParseError):
        parse_manifest_payload(payload)


def test_a_cut_manifest_is_refused():
    payload = payload_of()
    for size in range(0, len(payload), 509):
        with pytest.raises(ManifestParseError):
            parse_manifest_payload(payload[:size])
    with pytest.raises(ManifestParseError, match="at most"):
        parse_manifest_payload(payload + bytes(SIZE_BYTES_MAX))


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n) SELECT i AS db_id, 'u' AS db_url, 0 AS attempt, 0 AS row_count, " \
    "0 AS db_bytes, NULL AS min_key, NULL AS max_key, NULL AS checkpoint_id, '{}' AS writer_info FROM n"


@pytest.mark.parametrize("statements", [
    ["DROP TABLE shards", f"CREATE VIEW shards AS {ENDLESS}"],
    ["ALTER TABLE shards DROP COLUMN checkpoint_id", "ALTER TABLE shards ADD COLUMN checkpoint_id TEXT AS (hex(zeroblob(500000000)))"],
    ["ALTER TABLE shards DROP COLUMN checkpoint_id", "ALTER TABLE shards ADD COLUMN checkpoint_id TEXT AS (hex(zeroblob(6000)))",
     "UPDATE build_meta SET num_dbs = 1000", "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 900) INSERT INTO "
     "shards SELECT i, '', 0, 0, 0, NULL, NULL, '{}' FROM n"],
])
def test_a_forged_manifest_neither_loops_nor_fills_the_memory(statements):
    with pytest.raises(ManifestParseError):
        parse_manifest_payload(changed(payload_of(), *statements))


def test_shards_are_looked_up_one_by_one():
    shards = [shard_meta(db_id, min_key=bytes([0xff, db_id])) for db_id in (0, 2, 3)]
    payload = payload_of(build_meta(num_dbs=5, key_encoding="raw"), shards, {"mine": 1})
    with opened(payload) as con:
        meta, custom = load_sqlite_build_meta(con)
        assert meta == build_meta(num_dbs=5, key_encoding="raw") and custom["mine"] == 1
        lookup = SqliteShardLookup(con, 5, cache_size=2)
        assert [lookup.get_shard(db_id) for db_id in (0, 2, 3, 0)] == [*shards, shards[0]]
        assert lookup.get_shard(1) == RequiredShardMeta.empty(1) and lookup.get_shard(0) is lookup.get_shard(0)
        for wrong in (-1, 5):
            with pytest.raises(ValueError, match="shards 0 to 4"):
                lookup.get_shard(wrong)
        with pytest.raises(ValueError, match="cache_size"):
            SqliteShardLookup(con, 5, cache_size=0)


@pytest.mark.parametrize("wrong", [
    {"strategy": "hash", "cel_expr": "1"}, {"strategy": "cel"}, {"strategy": "cel", "cel_expr": "a", "cel_columns": {}},
    {"strategy": "cel", "cel_expr": "a", "cel_columns": {"a": "text"}}, {"strategy": "range"}, {"strategy": "custom_expr"},
    {"strategy": "cel", "cel_expr": "a", "cel_columns": {"a": "int"}, "routing_values": [1, 1]},
    {"strategy": "cel", "cel_expr": "a", "cel_columns": {"a": "int"}, "routing_values": [True]}, {"boundaries": [1]},
])
def test_a_rule_that_contradicts_itself_is_refused(wrong):
    with pytest.raises(ValidationError):
        ManifestShardingSpec(hash_algorithm="xxh3_64", **wrong)


def test_a_manifest_is_made_by_either_name_and_checks_its_shards():
    assert ParsedManifest(required=build_meta(), shards=[]) == ParsedManifest(required_build=build_meta(), shards=[])
    assert "required" in ParsedManifest(required_build=build_meta(), shards=[]).model_dump(by_alias=True)
    for shards in ([shard_meta(0), shard_meta(0)], [shard_meta(2)]):
        with pytest.raises(ValidationError, match="num_dbs is 2"):
            ParsedManifest(required_build=build_meta(), shards=shards)
    with pytest.raises(ValidationError, match="3 routing values"):
        ParsedManifest(required_build=build_meta(strategy="cel", cel_expr="a", cel_columns={"a": "int"}, routing_values=[1, 2, 3]), shards=[])
    ParsedManifest(required_build=build_meta(num_dbs=1, strategy="cel", cel_expr="a", cel_columns={"a": "int"}, routing_values=[]), shards=[])


def test_moments_are_in_utc():
    naive, east = datetime(2026, 1, 1), datetime(2026, 1, 1, 9, tzinfo=timezone(timedelta(hours=9)))
    assert build_meta(created_at=naive).created_at == build_meta(created_at=east).created_at == datetime(2026, 1, 1, tzinfo=timezone.utc)
    assert CREATED.tzinfo is timezone.utc
