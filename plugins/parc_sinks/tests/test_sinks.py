"""The sinks keep what they are given, side by side, and say what is missing."""

import importlib
import sys
import types

import pytest
import yaml

from parc_core.config import Use
from parc_core.errors import ProviderUnavailable
from parc_core.interfaces import MetricRecord
from parc_core.plugins import Registry
from parc_sinks.config import TensorBoardConfig, WandbConfig
from parc_sinks.tensorboard import TensorBoardSink
from parc_sinks.wandb import WandbSink
from parc_testing.contracts.metric_sink import MetricSinkContract, make_job_info


class TestTensorBoardSink(MetricSinkContract):
    @pytest.fixture
    def make(self):
        pytest.importorskip("tensorboard", reason="pip install 'parc-sinks[tensorboard]'")
        return lambda folder: TensorBoardSink(TensorBoardConfig(), folder=folder)

    @pytest.fixture
    def make_for_job(self):
        pytest.importorskip("tensorboard", reason="pip install 'parc-sinks[tensorboard]'")
        return lambda folder, job: TensorBoardSink(TensorBoardConfig(), folder=folder, job=job)

    def read(self, folder):
        return [(step, tag, value) for step, tag, value, _ in scalars(folder)]

    def read_times(self, folder):
        return [wall_time for *_, wall_time in scalars(folder)]


def scalars(folder):
    """(step, tag, value, wall time) of every scalar in the event files, in order."""
    loader = importlib.import_module("tensorboard.backend.event_processing.event_file_loader")
    tensors = importlib.import_module("tensorboard.util.tensor_util")
    return [
        (event.step, value.tag, tensors.make_ndarray(value.tensor).item(), event.wall_time)
        for file in sorted((folder / "tb").iterdir())
        for event in loader.EventFileLoader(str(file)).Load()
        for value in event.summary.value
        if value.tag != "job"
    ]


def test_tensorboard_itself_shows_the_numbers(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    sink = TensorBoardSink(TensorBoardConfig(), folder=tmp_path)
    sink.write([MetricRecord(64, "train_gen/loss/total", 2.5)])
    shown = accumulators.EventAccumulator(str(tmp_path / "tb"))  # before `close`: a running job is seen
    shown.Reload()
    sink.close()
    plugin = shown.SummaryMetadata("train_gen/loss/total").plugin_data.plugin_name
    assert plugin == "scalars" and shown.Tensors("train_gen/loss/total")[0].step == 64


def test_tensorboard_shows_settings_as_text_before_the_first_number(tmp_path):
    accumulators = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    job = make_job_info(tmp_path / "p1_train_gen", train_gen={"generator": {"use": "mdm", "epochs": 3}})
    sink = TensorBoardSink(TensorBoardConfig(), folder=tmp_path, job=job)
    shown = accumulators.EventAccumulator(str(tmp_path / "tb"))
    shown.Reload()
    sink.close()
    assert shown.SummaryMetadata("job").plugin_data.plugin_name == "text"
    (event,) = shown.Tensors("job")
    lines = event.tensor_proto.string_val[0].decode().splitlines()
    assert event.step == 0 and all(line.startswith("    ") for line in lines)  # Markdown for code
    found = yaml.safe_load("\n".join(line[4:] for line in lines))
    assert found["settings"] == job.settings and found["versions"] == {"parc-core": "0.1.0"}
    assert (found["run"], found["job"]) == ("demo", "iter_001/p1_train_gen")
    assert (found["iteration"], found["stage"]) == (1, "train_gen")
    assert found["folder"] == str(tmp_path / "p1_train_gen")


class Run:
    """What the package's run does with numbers, as far as the sink uses it."""

    def __init__(self, store, **options):
        self.options, self.rows, self.over_step, self.finished = options, store, {}, False

    def define_metric(self, name, step_metric=None):
        self.over_step[name] = step_metric

    def log(self, values):
        assert not self.finished
        self.rows.append(dict(values))

    def finish(self):
        assert not self.finished
        self.finished = True


@pytest.fixture
def runs(monkeypatch):
    """A stand-in for the package: runs by id, which keep their rows when they are resumed."""
    made, rows = [], {}

    def init(**options):
        made.append(Run(rows.setdefault(options["id"], []), **options))
        return made[-1]

    monkeypatch.setitem(sys.modules, "wandb", types.SimpleNamespace(init=init))
    return types.SimpleNamespace(made=made, rows=rows)


class TestWandbSink(MetricSinkContract):
    @pytest.fixture
    def make(self, runs):
        self.runs = runs
        return lambda folder: WandbSink(WandbConfig(), folder=folder)

    @pytest.fixture
    def make_for_job(self, runs):
        self.runs = runs
        return lambda folder, job: WandbSink(WandbConfig(), folder=folder, job=job)

    def read(self, folder):
        return [
            (row["step"], name, value)
            for rows in self.runs.rows.values()
            for row in rows
            for name, value in row.items()
            if name not in ("step", "_timestamp")
        ]

    def read_times(self, folder):
        return [row["_timestamp"] for rows in self.runs.rows.values() for row in rows]


def test_wandb_is_offline_and_in_the_jobs_folder_unless_told_otherwise(runs, tmp_path):
    WandbSink(WandbConfig(), folder=tmp_path).close()
    options = runs.made[0].options
    assert options["mode"] == "offline" and options["dir"] == str(tmp_path)
    assert options["resume"] == "allow" and runs.made[0].over_step["*"] == "step"


def test_wandb_has_the_settings_and_the_place_of_the_job(runs, tmp_path):
    job = make_job_info(tmp_path / "p1_train_gen", length=4)
    WandbSink(WandbConfig(), folder=tmp_path / "p1_train_gen.partial", job=job).close()
    options = runs.made[0].options
    assert (options["group"], options["job_type"]) == ("demo", "train_gen")
    assert options["name"] == "demo/iter_001/p1_train_gen"
    about = {"name": "iter_001/p1_train_gen", "iteration": 1, "versions": {"parc-core": "0.1.0"}}
    assert options["config"] == {**job.settings, "job": about}
    assert options["dir"] == str(
        tmp_path
    )  # what lies in the job's folder must not change when it is finished


def test_wandb_run_is_that_of_the_lasting_folder(runs, tmp_path):
    for folder, lasting in (("a.partial", "a"), ("a", "a"), ("b.partial", "b")):
        WandbSink(WandbConfig(), folder=tmp_path / folder, job=make_job_info(tmp_path / lasting)).close()
    WandbSink(WandbConfig(), folder=tmp_path / "a").close()
    ids = [run.options["id"] for run in runs.made]
    assert ids[0] == ids[1] == ids[3] != ids[2]


def test_jobs_have_runs_of_their_own(runs, tmp_path):
    for name in ("a", "b", "a"):
        WandbSink(WandbConfig(), folder=tmp_path / name).close()
    ids = [run.options["id"] for run in runs.made]
    assert ids[0] == ids[2] != ids[1]


@pytest.mark.parametrize("name", ["tensorboard", "wandb"])
def test_missing_package_is_named_with_the_command_that_installs_it(monkeypatch, tmp_path, name):
    for module in [m for m in sys.modules if m.split(".")[0] == name]:
        monkeypatch.delitem(sys.modules, module)
    finder = importlib.import_module

    def refuse(module, *rest, **options):
        if module.split(".")[0] == name:
            raise ModuleNotFoundError(f"No module named '{name}'", name=name)
        return finder(module, *rest, **options)

    monkeypatch.setattr(importlib, "import_module", refuse)
    with pytest.raises(ProviderUnavailable) as caught:
        Registry.discover().create("metric_sink", Use(name), folder=tmp_path)
    assert str(caught.value) == (
        f"metric_sink '{name}' of parc-sinks cannot work: No module named '{name}'.\n"
        f"  to do       pip install 'parc-sinks[{name}]', or take {name} out of `metrics`"
    )


def test_several_sinks_keep_the_numbers_of_one_job(tmp_path):
    pytest.importorskip("tensorboard", reason="pip install 'parc-sinks[tensorboard]'")
    registry = Registry.discover()
    sinks = [registry.create("metric_sink", Use(name), folder=tmp_path) for name in ("jsonl", "tensorboard")]
    for sink in sinks:
        sink.write([MetricRecord(1, "kin_gen/kept", 3.0)])
        sink.close()
    assert (tmp_path / "metrics.jsonl").is_file()
    assert TestTensorBoardSink().read(tmp_path) == [(1, "kin_gen/kept", 3.0)]
