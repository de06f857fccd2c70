"""Events with fields, contexts, and the two formats."""

from __future__ import annotations

import asyncio
import io
import json
import logging

import pytest

from shardyfusion import FailureSeverity, JsonFormatter, LogContext, configure_logging, get_logger
from shardyfusion.logging import log_event, log_failure


@pytest.fixture(autouse=True)
def quiet_again():
    yield
    logger = logging.getLogger("shardyfusion")
    logger.handlers.clear()
    logger.setLevel(logging.NOTSET)
    logger.propagate = True


def json_lines(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_fields_are_in_the_record_and_contexts_nest(caplog):
    with caplog.at_level(logging.INFO, "shardyfusion"), LogContext(run_id="r", db_id=1):
        with LogContext(db_id=2):
            log_event("write_started", rows=3, logger=get_logger("writer"))
        log_event("write_completed", db_id=4)
    log_event("quiet", level=logging.DEBUG)
    assert [(record.name, record.getMessage(), record.shardyfusion) for record in caplog.records] == [
        ("shardyfusion.writer", "write_started", {"run_id": "r", "db_id": 2, "rows": 3}),
        ("shardyfusion", "write_completed", {"run_id": "r", "db_id": 4})]
    assert caplog.records[0].funcName == "test_fields_are_in_the_record_and_contexts_nest"


@pytest.mark.parametrize(("severity", "level"), [
    (FailureSeverity.TRANSIENT, logging.WARNING), (FailureSeverity.ERROR, logging.ERROR), (FailureSeverity.CRITICAL, logging.CRITICAL)])
def test_a_failure_has_its_severity_error_and_traceback(caplog, severity, level):
    try:
        raise OSError("disk")
    except OSError as error:
        log_failure("manifest_publish_failed", severity=severity, error=error, include_traceback=True, ref="x")
    record = caplog.records[0]
    assert record.levelno == level and record.funcName == "test_a_failure_has_its_severity_error_and_traceback"
    assert record.shardyfusion["severity"] == severity.value and record.shardyfusion["error"] == "OSError('disk')"
    assert "Traceback" in record.shardyfusion["traceback"] and record.shardyfusion["ref"] == "x"


def test_json_lines_hold_the_event_and_its_fields():
    stream = io.StringIO()
    configure_logging(logging.DEBUG, json_format=True, stream=stream)
    log_event("reader_refreshed", changed=True, kind=FailureSeverity.ERROR, timestamp="mine", when=b"\xff")
    logging.getLogger("shardyfusion.x").warning("plain %s", "text")
    try:
        raise OSError("disk")
    except OSError:
        logging.getLogger("shardyfusion.x").exception("bad")
    first, second, third = json_lines(stream)
    assert first["event"] == "reader_refreshed" and first["level"] == "INFO" and first["logger"] == "shardyfusion"
    assert first["changed"] is True and first["kind"] == "error" and first["timestamp"].endswith("Z") and first["when"] == "b'\\xff'"
    assert second["event"] == "plain text" and set(second) == {"timestamp", "level", "logger", "event"}
    assert "OSError: disk" in third["traceback"]


def test_text_lines_end_with_the_fields_and_the_last_configuration_counts():
    before, stream = io.StringIO(), io.StringIO()
    configure_logging(stream=before)
    configure_logging(logging.INFO, stream=stream)
    log_event("write_started", run_id="r")
    log_event("hidden", level=logging.DEBUG)
    assert before.getvalue() == ""
    assert stream.getvalue().endswith("INFO shardyfusion write_started run_id=r\n") and stream.getvalue().count("\n") == 1


def test_tasks_have_contexts_of_their_own():
    stream = io.StringIO()
    configure_logging(json_format=True, stream=stream)

    async def one(number):
        with LogContext(task=number):
            await asyncio.sleep(0)
            log_event("done", number=number)

    async def all_of_them():
        await asyncio.gather(*(one(number) for number in range(5)))

    asyncio.run(all_of_them())
    assert [line["task"] for line in json_lines(stream)] == [line["number"] for line in json_lines(stream)]


def test_loggers_are_below_ours():
    assert get_logger("x").name == "shardyfusion.x" == get_logger("shardyfusion.x").name
    assert isinstance(JsonFormatter(), logging.Formatter)
