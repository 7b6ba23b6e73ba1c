"""The examples in the docstrings of the interfaces are complete: they pass the contract suites as they stand."""

import doctest
import pathlib

import pytest

from parc_core.interfaces import Agent, MetricSink, Policy
from parc_motion.kinematics import Kinematics
from parc_testing.contracts.agent import AgentContract
from parc_testing.contracts.metric_sink import MetricSinkContract


def example(interface: type, name: str) -> type:
    """The class `name` that the docstring of an interface defines."""
    scope = {"Agent": Agent, "MetricSink": MetricSink, "Policy": Policy, "Kinematics": Kinematics}
    for part in doctest.DocTestParser().get_examples(interface.__doc__ or ""):
        exec(part.source, scope)
    return scope[name]


class TestAgentExample(AgentContract):
    @pytest.fixture
    def make(self):
        return lambda: example(Agent, "ReferenceAgent")(None, device="cpu")


class TestMetricSinkExample(MetricSinkContract):
    @pytest.fixture
    def make(self):
        return lambda folder: example(MetricSink, "CsvSink")(None, folder=folder)

    def read(self, folder: pathlib.Path):
        rows = [line.split(",") for line in (folder / "metrics.csv").read_text().splitlines()]
        return [(int(step), name, float(value)) for step, name, value in rows]
