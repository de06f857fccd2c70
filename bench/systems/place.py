"""Where tables lie: in a directory, or under the same path in the bucket that the variables of `datashard` name.

`datashard` itself follows the variables; the others are told here. The S3 server is on loopback: plain http, bucket in the path.
"""

from __future__ import annotations

import os


def in_bucket() -> bool:
    return os.environ.get("DATASHARD_STORAGE_TYPE") == "s3"


def uri(directory: str, name: str = "") -> str:
    """Of the table `name`: a path, or s3://bucket/path."""
    path = os.path.join(directory, name) if name else directory
    return f"s3://{_variable('BUCKET')}{path}" if in_bucket() else path


def delta_options() -> dict[str, str] | None:
    """storage_options of deltalake. A commit is a put with If-None-Match, without a lock table."""
    if not in_bucket():
        return None
    return {"aws_endpoint_url": _variable("ENDPOINT"), "aws_access_key_id": _variable("ACCESS_KEY"),
            "aws_secret_access_key": _variable("SECRET_KEY"), "aws_region": _variable("REGION"), "aws_allow_http": "true",
            "aws_virtual_hosted_style_request": "false", "aws_conditional_put": "etag"}


def iceberg_properties(directory: str) -> dict[str, str]:
    """Properties of PyIceberg's SQL catalog, whose database is a local file in either case."""
    properties = {"uri": f"sqlite:///{directory}/catalog.db", "warehouse": f"file://{directory}"}
    if in_bucket():
        properties |= {"warehouse": uri(directory), "s3.endpoint": _variable("ENDPOINT"), "s3.region": _variable("REGION"),
                       "s3.access-key-id": _variable("ACCESS_KEY"), "s3.secret-access-key": _variable("SECRET_KEY"),
                       "s3.force-virtual-addressing": "false"}
    return properties


def _variable(name: str) -> str:
    return os.environ[f"DATASHARD_S3_{name}"]
