import json
import logging

import pytest

from parc_core.interfaces import MetricRecord
from parc_core.runner.jsonl import JsonlConfig, JsonlSink
from parc_core.runner.logs import run_log
from parc_motion.errors import DataError
from parc_testing.contracts.metric_sink import MetricSinkContract


class TestJsonlSink(MetricSinkContract):
    @pytest.fixture
    def make(self):
        return lambda folder: JsonlSink(JsonlConfig(), folder=folder)

    @pytest.fixture
    def make_for_job(self):
        return lambda folder, job: JsonlSink(JsonlConfig(), folder=folder)  # it has no use for the job

    def read(self, folder):
        return [(row["step"], row["name"], row["value"]) for row in rows_in(folder)]

    def read_times(self, folder):
        return [row["time"] for row in rows_in(folder)]


def rows_in(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def test_value_that_json_cannot_say_is_a_string(tmp_path):
    JsonlSink(JsonlConfig(), folder=tmp_path).write([MetricRecord(1, "a", float("nan"), 1_700_000_000.12345)])
    expected = {"step": 1, "name": "a", "value": "nan", "time": 1_700_000_000.123}
    assert json.loads((tmp_path / "metrics.jsonl").read_text()) == expected


def test_torn_last_line_does_not_swallow_the_next(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "na')
    JsonlSink(JsonlConfig(), folder=tmp_path).write([MetricRecord(2, "a", 1.0)])
    assert json.loads((tmp_path / "metrics.jsonl").read_text().splitlines()[1])["step"] == 2


def test_metrics_file_is_a_plain_name():
    with pytest.raises(ValueError, match=r"file is '\.\./x', expected a plain file name"):
        JsonlConfig(file="../x")


def test_log_file_holds_debug_records_of_parc_and_warnings_of_others(tmp_path):
    with run_log(tmp_path / "log.txt"):
        logging.getLogger("parc_core.stages").debug("detail")
        logging.getLogger("other").info("no")
        logging.getLogger("other").warning("yes")
        try:
            raise DataError("odd")
        except DataError:
            logging.getLogger("parc_core").exception("failed")
    logging.getLogger("parc_core").warning("afterwards")
    text = (tmp_path / "log.txt").read_text()
    assert "DEBUG   parc_core.stages: detail" in text and "WARNING other: yes" in text
    assert "Traceback" in text and "other: no" not in text and "afterwards" not in text
