"""What is wrong is told before anything starts; none of this needs Ray."""

from __future__ import annotations

import importlib.util

import pytest

from parc_core.config import Use
from parc_core.errors import ConfigError, ProviderUnavailable
from parc_core.interfaces import ExecutorContext, JobSpec
from parc_core.plugins import Registry
from parc_ray.cluster import slots
from parc_ray.config import RayConfig
from parc_ray.executor import RayExecutor


class Nodes:
    """What `ray.nodes()` says."""

    def __init__(self, *nodes):
        self.listed = [{"Alive": alive, "Resources": resources} for alive, resources in nodes]

    def nodes(self):
        return self.listed


def test_missing_package_is_named_with_the_command_that_installs_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ProviderUnavailable) as caught:
        Registry.discover().create("executor", Use("ray"))
    assert str(caught.value) == (
        "executor 'ray' of parc-ray cannot work: No module named 'ray'.\n"
        "  to do       pip install 'parc-ray[ray]', or take executor: {use: local}"
    )


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        ({"gpus": 1.5}, "gpus is 1.5, expected a fraction of one GPU or a whole number"),
        ({"address": ""}, "address is empty"),
    ],
)
def test_values_that_ray_would_refuse_are_refused(settings, text):
    with pytest.raises(ValueError, match=text):
        RayConfig(**settings)


def test_run_on_a_gpu_whose_jobs_would_see_none_is_refused(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: True)
    job = JobSpec(run="runs/quick", iteration=1, stage="kin_gen", part=0, ids=(0, 1))
    ctx = ExecutorContext(
        run_here=None, update=None, message=None, should_stop=None, pack=None, unpack=None, device="cuda"
    )
    with pytest.raises(ConfigError, match="gpus is 0, but the device of the run is cuda"):
        next(RayExecutor(RayConfig()).run([job], ctx))


def test_jobs_that_fit_are_counted_node_by_node():
    config = RayConfig(cpus=2, gpus=0.5, memory=4.0)
    assert config.resources() == {"CPU": 2.0, "GPU": 0.5, "memory": 4e9}
    large, small = {"CPU": 16.0, "GPU": 2.0, "memory": 64e9}, {"CPU": 3.0, "GPU": 1.0, "memory": 64e9}
    assert slots(Nodes((True, large)), config.resources()) == 4
    assert slots(Nodes((True, large), (True, small), (False, large)), config.resources()) == 5
    assert slots(Nodes((True, {"CPU": 16.0, "memory": 64e9})), config.resources()) == 0
    assert slots(Nodes(), RayConfig().resources()) == 0
