"""`shardy` with manifests in a real PostgreSQL server."""
from pathlib import Path

import postgres_server
import pytest
from shardy_command import Shardy, publish


@pytest.fixture(scope="module")
def postgres():
    with postgres_server.running() as server:
        yield server


@pytest.fixture
def shardy(postgres, tmp_path: Path) -> Shardy:
    from shardyfusion import WriterManifestConfig
    from shardyfusion.db_manifest_store import PostgresManifestStore

    store = PostgresManifestStore(postgres.connect)
    for run_id, rows in (("first", 1), ("second", 2)):
        publish(tmp_path, {i: b"value" for i in range(rows)}, f"{tmp_path.name}-{run_id}", manifest=WriterManifestConfig(store=store))
    (tmp_path / "reader.toml").write_text(
        f'[reader]\ns3_prefix = "file://{tmp_path}/people"\n[manifest_store]\nbackend = "postgres"\ndsn = "{postgres.dsn}"\n')
    return Shardy(tmp_path)


def run_of(shardy: Shardy, name: str) -> str:
    return f"{shardy.directory.name}-{name}"


def test_all_commands_work_as_with_a_bucket(shardy: Shardy):
    assert shardy.json("get", "1")["found"] is True
    assert [entry["run_id"] for entry in shardy.json("history", "--limit", "2")["manifests"]] == [run_of(shardy, "second"), run_of(shardy, "first")]
    assert shardy.json("--offset", "1", "get", "1")["found"] is False
    assert shardy.json("rollback", "--run-id", run_of(shardy, "first"))["run_id"] == run_of(shardy, "first")
    assert shardy.json("get", "1")["found"] is False and shardy.json("info")["run_id"] == run_of(shardy, "first")
    assert shardy.json("health")["status"] == "healthy"
    assert shardy.json("cleanup", "--dry-run", "--keep-last", "5")["total_objects_deleted"] == 0
    shardy.ok("rollback", "--offset", "0")
    assert shardy.json("get", "1")["found"] is True


def test_the_right_to_read_is_enough_for_looking(shardy: Shardy, postgres):
    with postgres.connect() as connection:
        connection.execute("CREATE ROLE looker LOGIN")
        connection.execute("GRANT SELECT ON ALL TABLES IN SCHEMA public TO looker")
    settings = shardy.directory / "reader.toml"
    settings.write_text(settings.read_text().replace("user=tests", "user=looker"))
    assert shardy.json("get", "1")["found"] is True
    assert "permission denied" in shardy.refused("rollback", "--offset", "1")["error"]
    settings.write_text(settings.read_text() + "ensure_table = true\n")
    assert "permission denied" in shardy.refused("get", "1")["error"]


def test_a_missing_table_a_missing_server_and_a_missing_prefix_are_told(shardy: Shardy, postgres):
    settings = shardy.directory / "reader.toml"
    text = settings.read_text()
    settings.write_text(text + 'table_name = "others"\n')
    assert "others" in shardy.refused("get", "1")["error"]
    settings.write_text(text.replace(postgres.dsn, f"host={shardy.directory} user=tests password=secret"))
    error = shardy.refused("get", "1")["error"]
    assert "secret" not in error and "PostgreSQL" in error
    settings.write_text(text.replace("s3_prefix", "# s3_prefix"))
    assert "s3_prefix" in shardy.refused("get", "1")["error"]
