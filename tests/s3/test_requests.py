"""How many requests things cost, counted by the proxy and by the table itself."""

from __future__ import annotations

import gc
import math

import datashard
import pytest
import s3_proxy
import s3_server

SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True}])
ALONE = {"datashard.group-commit": "off"}  # handles of one process are rivals, as those of two hosts


def without_the_hint(proxy: s3_proxy.Running) -> list[str]:
    """Methods of all requests since the last reset, but for the hint, which follows when it likes."""
    return [request["method"] for request in proxy.report()["requests"] if not request["path"].endswith("version-hint.text")]


def test_a_lost_race_costs_four_requests_more(bucket, monkeypatch):
    rival = datashard.create_table("t", SCHEMA, properties=ALONE)
    rival.append_records([{"id": 0}])
    with s3_proxy.before(bucket.port) as proxy:
        monkeypatch.setenv("DATASHARD_S3_ENDPOINT", proxy.endpoint)
        table = datashard.load_table("t")
        table.append_records([{"id": 1}])
        proxy.reset()
        table.append_records([{"id": 2}])
        warm = without_the_hint(proxy)
        assert warm == ["PUT"] * 4, "data, manifest and list at once, then the version"
        datashard.load_table("t").append_records([{"id": 3}])
        proxy.reset()
        table.append_records([{"id": 4}])
        lost = without_the_hint(proxy)
        assert sorted(row["id"] for row in table.scan()) == [0, 1, 2, 3, 4]
    assert len(lost) > len(warm), "no race was lost"
    more = len(lost) - lost.count("POST") - len(warm)
    assert more <= 4, f"the version that won, its list, a new list and the next version: {lost}"
    assert lost.count("POST") <= 1 and "DELETE" not in lost, "the list of the lost attempt goes when nobody waits"


@pytest.mark.slow
def test_opening_with_a_hint_that_is_far_behind_costs_few_requests(bucket, monkeypatch):
    table = datashard.create_table("t", SCHEMA, properties=ALONE)
    versions = 200
    for number in range(versions - 1):
        table.append_records([{"id": number}])
    del table
    gc.collect()  # the hint is written when the handle closes, if not before
    key = f"/{bucket.bucket}/{datashard.load_table('t').location.partition(bucket.bucket + '/')[2]}/metadata/version-hint.text"
    assert s3_server.request(bucket, "PUT", key, b"2")[0] == 200
    with s3_proxy.before(bucket.port) as proxy:
        monkeypatch.setenv("DATASHARD_S3_ENDPOINT", proxy.endpoint)
        opened = datashard.load_table("t")
        counts = proxy.report()["counts"]
        assert "LIST" not in counts and counts["GET"] == 3, "the hint, the version it names, and the newest"
        assert counts["HEAD"] <= 16 + 2 * math.ceil(math.log2(versions)), "sixteen steps, then leaps and halves"
        assert opened.row_count() == versions - 1
