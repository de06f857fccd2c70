"""Where credentials come from; what is never done with them."""

from __future__ import annotations

import os
import pickle
from pathlib import Path

import pytest

from shardyfusion import CredentialProvider, EnvCredentialProvider, S3Credentials, StaticCredentialProvider
from shardyfusion.credentials import credentials_of_env_file, materialize_env_file, read_env_file, remove_env_file, resolve_env_file

GIVEN = StaticCredentialProvider("key", "se=cret", "token")


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch):
    for name in list(os.environ):
        if name.startswith(("S3_", "AWS_")):
            monkeypatch.delenv(name)


def test_given_credentials_travel_but_are_not_shown():
    assert isinstance(GIVEN, CredentialProvider) and pickle.loads(pickle.dumps(GIVEN)) == GIVEN
    assert GIVEN.resolve() == S3Credentials("key", "se=cret", "token")
    assert "cret" not in repr(GIVEN) + repr(GIVEN.resolve()) and "token=" not in repr(GIVEN)


def test_of_the_environment_s3_comes_first_and_each_by_itself(monkeypatch):
    assert EnvCredentialProvider().resolve() == S3Credentials()
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "a")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "b")
    monkeypatch.setenv("S3_SECRET_ACCESS_KEY", "c")
    monkeypatch.setenv("S3_ACCESS_KEY_ID", "")
    assert EnvCredentialProvider().resolve() == S3Credentials("a", "c", None)


def test_an_env_file_is_for_its_owner_alone_and_is_removed():
    before = dict(os.environ)
    with resolve_env_file(None, GIVEN, {"endpoint_url": "http://h:1", "region_name": "r"}) as path:
        assert Path(path).stat().st_mode & 0o777 == 0o600
        assert read_env_file(path) == {"AWS_ACCESS_KEY_ID": "key", "AWS_SECRET_ACCESS_KEY": "se=cret", "AWS_SESSION_TOKEN": "token",
                                       "AWS_ENDPOINT_URL": "http://h:1", "AWS_REGION": "r"}
        assert credentials_of_env_file(path) == (GIVEN.resolve(), {"endpoint_url": "http://h:1", "region_name": "r"})
        assert dict(os.environ) == before
    assert not Path(path).exists()
    remove_env_file(path)


def test_a_users_own_env_file_stays(tmp_path):
    mine = tmp_path / "slate.env"
    mine.write_text("# mine\n\nexport S3_ACCESS_KEY_ID='k'\nAWS_ACCESS_KEY_ID=other\nAWS_SECRET_ACCESS_KEY = \"s\"\nnothing\n"
                    "SLATEDB_S3_ENDPOINT_URL=http://e\n")
    with resolve_env_file(str(mine), GIVEN) as path:
        assert path == str(mine) and credentials_of_env_file(path) == (S3Credentials("k", "s", None), {"endpoint_url": "http://e"})
    assert mine.exists()
    with resolve_env_file(None, None) as path:
        assert path is None


def test_a_value_with_a_line_break_cannot_add_a_line():
    with pytest.raises(ValueError, match="line break"):
        materialize_env_file(S3Credentials("a\nAWS_REGION=x"))
