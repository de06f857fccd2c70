"""Fixtures of the tests with Spark. They need `make spark`; the long ones insist on it, the others are skipped without it."""

from __future__ import annotations

import pytest
from beside import HOME, Spark, iceberg_jar


@pytest.fixture(scope="session")
def running_spark(tmp_path_factory):
    place = tmp_path_factory.mktemp("spark")
    (place / "warehouse").mkdir()
    spark = Spark(place / "warehouse", place / "spark.log")
    yield spark
    spark.close()


@pytest.fixture
def spark(request):
    """One Spark for all tests; tables have names of their own."""
    if iceberg_jar() is None:
        message = f"no Spark at {HOME}: run `make spark`"
        if request.node.get_closest_marker("long"):
            pytest.fail(message)
        pytest.skip(message)
    return request.getfixturevalue("running_spark")
