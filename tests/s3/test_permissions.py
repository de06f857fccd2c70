"""The policy that docs/s3-setup.md calls the smallest one suffices, and all of it is needed for what the page says."""

from __future__ import annotations

import copy
import gc
import itertools
import json
import os
import re
from pathlib import Path

import pytest
import s3_server
import s3_users

import datashard

PAGE = Path(__file__).resolve().parents[2] / "docs" / "s3-setup.md"
SCHEMA = datashard.Schema(schema_id=1, fields=[{"id": 1, "name": "id", "type": "long", "required": True},
                                               {"id": 2, "name": "text", "type": "string"}])
pytestmark = pytest.mark.slow
names = itertools.count()


def policy_of_the_page(bucket: str) -> list[dict]:
    [block] = re.findall(r"^```json\n(.*?)^```$", PAGE.read_text(), re.M | re.S)
    return json.loads(block.replace("my-bucket", bucket))["Statement"]


def without(statements: list[dict], action: str) -> list[dict]:
    left = copy.deepcopy(statements)
    for statement in left:
        if action in statement["Action"]:
            statement["Action"].remove(action)
    assert left != statements, f"the page does not name {action}"
    return [statement for statement in left if statement["Action"]]


@pytest.fixture(scope="module")
def owner():
    with s3_server.running(s3_server.Options(keep_alive=True, users=True)) as running:
        yield running
        gc.collect()  # tables write their last hint when they go


@pytest.fixture
def become(owner, monkeypatch):
    """become(statements): from here on tables are opened by a new user who may do that; become(None): by the owner."""
    def change(statements: list[dict] | None) -> None:
        user = owner if statements is None else s3_users.add(owner, f"user{next(names)}", "a secret")
        if statements:
            s3_users.allow(owner, user, statements)
        for name, value in user.variables.items():
            monkeypatch.setenv(name, value)

    return change


@pytest.fixture
def table_of_the_owner(become):
    """The name of a table with one row."""
    become(None)
    name = f"t{next(names)}"
    datashard.create_table(name, SCHEMA).append_records([{"id": 1}])
    return name


def test_the_policy_of_the_page_suffices(owner, become):
    become(policy_of_the_page(owner.bucket))
    table = datashard.create_table(f"t{next(names)}", SCHEMA)
    table.append_records([{"id": 1}])
    first = table.current_snapshot().snapshot_id
    with table.new_transaction() as transaction:
        transaction.append_records([{"id": 2}])
    abandoned = table.new_transaction().begin()
    abandoned.append_records([{"id": 3}])
    assert abandoned.rollback() is True
    table.append_records([{"id": n, "text": os.urandom(1 << 19).hex()} for n in range(4, 84)])
    assert table.metrics()["datashard_s3_upload_complete_requests_total"] > 0, "no object was large enough to go up in parts"
    again = datashard.load_table(table.table_path)
    assert again.row_count() == 82 and again.scan(snapshot_id=first) == [{"id": 1, "text": None}]
    assert [row["id"] for row in again.scan(columns=["id"])] == [1, 2, *range(4, 84)]


def test_a_user_with_no_rights_is_told_so(become, table_of_the_owner):
    become([])
    with pytest.raises(datashard.Denied, match=r"s3://.*give these credentials the rights to get, put, delete and list"):
        datashard.load_table(table_of_the_owner)


def test_reading_needs_get_and_list_alone(owner, become, table_of_the_owner):
    become(without(without(policy_of_the_page(owner.bucket), "s3:PutObject"), "s3:DeleteObject"))
    table = datashard.load_table(table_of_the_owner)
    assert table.scan() == [{"id": 1, "text": None}]
    with pytest.raises(datashard.Denied, match=r"PUT s3://.*rights to get, put, delete and list"):
        table.append_records([{"id": 2}])
    assert table.scan() == [{"id": 1, "text": None}]


def test_without_the_right_to_get_nothing_is_read(owner, become, table_of_the_owner):
    become(without(policy_of_the_page(owner.bucket), "s3:GetObject"))
    with pytest.raises(datashard.Denied, match=r"(GET|HEAD) s3://"):
        datashard.load_table(table_of_the_owner)


def test_without_the_right_to_delete_appends_and_scans_go_on(owner, become, table_of_the_owner):
    become(without(policy_of_the_page(owner.bucket), "s3:DeleteObject"))
    table = datashard.load_table(table_of_the_owner)
    abandoned = table.new_transaction().begin()
    abandoned.append_records([{"id": 3}])
    assert abandoned.rollback() is True
    table.append_records([{"id": 2}])
    assert [row["id"] for row in table.scan()] == [1, 2]


def test_without_the_right_to_list_it_is_said_that_absence_looks_like_that(owner, become):
    become(without(policy_of_the_page(owner.bucket), "s3:ListBucket"))
    with pytest.raises(datashard.Denied, match="without the right to list, an absent object looks like this too"):
        datashard.load_table(f"t{next(names)}")
