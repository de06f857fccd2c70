"""Writes the golden tables of this directory with the released datashard 0.11.2.

Run with a Python that has datashard==0.11.2, in an empty directory outside the repository, and copy `plain` and
`partitioned` here: `python make.py /tmp/golden`. Metadata holds absolute URIs of that directory; tests that open the
tables as tables treat them as moved. Ids, names and times are random: a new run gives other bytes with the same rows.
"""
import datetime as dt
import decimal
import pathlib
import shutil
import sys
import uuid

import datashard
from datashard import PartitionField, PartitionSpec, Schema

TYPES = ["boolean", "int", "long", "float", "double", "decimal(9,2)", "date", "time", "timestamp", "timestamptz",
         "string", "binary", "uuid", "fixed[4]"]


def row(i):
    """Row i: every type once; every third row is null but for its id."""
    if i % 3 == 2:
        return {"id": i}
    at = dt.datetime(2013, 1, 1, 5, 0, i)
    return {"id": i, "c_boolean": i % 2 == 0, "c_int": i, "c_long": i << 40, "c_float": i / 4, "c_double": i / 8,
            "c_decimal": decimal.Decimal(i) / 4, "c_date": at.date(), "c_time": at.time(), "c_timestamp": at,
            "c_timestamptz": at.replace(tzinfo=dt.timezone.utc), "c_string": f"row {i} ä", "c_binary": bytes([i, 255]),
            "c_uuid": uuid.UUID(int=i), "c_fixed": bytes([0, 0, 0, i])}


def plain(path):
    fields = [{"id": 1, "name": "id", "type": "long", "required": True}]
    for i, name in enumerate(TYPES):
        fields.append({"id": i + 2, "name": "c_" + name.split("(")[0].split("[")[0], "type": name, "required": False})
    table = datashard.create_table(str(path), Schema(schema_id=1, fields=fields))
    for start in (0, 4, 8):
        table.append_records([row(i) for i in range(start, start + 4)])
    table.set_properties({"comment": "golden"})


def partitioned(path):
    fields = [{"id": 1, "name": "id", "type": "long", "required": True},
              {"id": 2, "name": "day", "type": "date", "required": False},
              {"id": 3, "name": "word", "type": "string", "required": False}]
    spec = PartitionSpec(spec_id=0, fields=[PartitionField(source_id=2, field_id=1000, name="day", transform="identity"),
                                            PartitionField(source_id=3, field_id=1001, name="w", transform="truncate[2]")])
    table = datashard.create_table(str(path), Schema(schema_id=1, fields=fields), spec)
    day = dt.date(2013, 1, 1)
    table.append_records([{"id": i, "day": day + dt.timedelta(days=i % 2), "word": "w%d" % (i // 2)} for i in range(4)])
    table.append_records([{"id": 4, "day": None, "word": None}])


if __name__ == "__main__":
    target = pathlib.Path(sys.argv[1])
    for make in (plain, partitioned):
        make(target / make.__name__)
        shutil.rmtree(target / make.__name__ / ".locks")
        shutil.rmtree(target / make.__name__ / "metadata" / "inflight", ignore_errors=True)
