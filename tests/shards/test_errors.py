"""The tree of exceptions, and which of them a retry may help."""

from __future__ import annotations

import pickle

import shardyfusion.errors as errors
from shardyfusion import PublishCurrentError, ShardyfusionError

RETRYABLE = {"BridgeTimeoutError", "PublishManifestError", "PublishCurrentError", "PoolExhaustedError", "ManifestStoreError",
             "ShardWriteError", "S3TransientError"}


def test_all_derive_from_one_and_say_whether_a_retry_may_help():
    assert len(errors.__all__) == 17
    for name in errors.__all__:
        kind = getattr(errors, name)
        assert issubclass(kind, ShardyfusionError) and kind.retryable == (name in RETRYABLE)


def test_a_pointer_that_was_not_moved_names_the_manifest_also_in_another_process():
    error = pickle.loads(pickle.dumps(PublishCurrentError("the pointer", manifest_ref="s3://b/m")))
    assert (str(error), error.manifest_ref, PublishCurrentError("x").manifest_ref) == ("the pointer", "s3://b/m", None)
