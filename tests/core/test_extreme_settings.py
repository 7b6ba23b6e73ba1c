"""Extreme values of every number among the settings of every provider: refused by name, or the provider works."""

from __future__ import annotations

import contextlib
import copy
import math
import os
import resource
import signal
import traceback
import typing
from pathlib import Path

import attrs
import pytest
import torch
import yaml

from parc_core.config import (
    InvalidConfig,
    IterationConfig,
    Use,
    class_hints,
    dump_yaml,
    key_of,
    load_settings,
)
from parc_core.errors import BrokenPlugin, ConfigError
from parc_core.interfaces import Stopped
from parc_core.plugins import KINDS, Registry
from parc_core.runner.outcome import is_out_of_memory
from parc_core.stages import train_tracker
from parc_motion.errors import ParcError
from parc_testing.levels import at_level, level
from parc_testing.quick import ITERATION_FILE
from parc_testing.smallest_work import LEAST, LEFT_OUT, prepare_files, work

VALUES = (
    -(2**63), -(2**40), -1e300, -1.0, -1, -1e-300, 0, 1e-300, 1e-12, 1e-9, 0.5, 1, 1.0, 1e9, 2**31, 2**40, 1e300,
    2**63 - 1,
)  # fmt: skip
MEMORY = 6 << 30  # bytes that a case may allocate besides what the test has
SECONDS = 8  # that a case may take


@attrs.frozen
class Number:
    """A number among the settings of a provider."""

    kind: str
    provider: str
    cls: type  # of the provider's settings
    place: tuple[str, ...]  # keys from there on
    hint: object
    meta: typing.Mapping = attrs.field(eq=False)

    @property
    def name(self):
        return f"{self.kind} {self.provider}: {'.'.join(self.place)}"

    def bounds(self):
        """The smallest and the largest value that the setting declares, the closest number for an open end."""
        get, whole = self.meta.get, "float" not in str(self.hint)
        low = get("ge") if get("ge") is not None else get("gt")
        high = get("le") if get("le") is not None else get("lt")
        if low is not None and get("ge") is None:
            low = low + 1 if whole else math.nextafter(low, math.inf)
        if high is not None and get("le") is None:
            high = high - 1 if whole else math.nextafter(high, -math.inf)
        return low, high

    def settings(self, value):
        """Plain settings of the provider with the value."""
        plain = inner = self.least()
        for key in self.place[:-1]:
            inner = inner.setdefault(key, {})
        inner[self.place[-1]] = self.shaped(value)
        return plain

    def least(self):
        """Plain settings with which the provider has little to do."""
        plain = copy.deepcopy(LEAST.get((self.kind, self.provider), {}))
        if any(field.name == "path" for field in attrs.fields(self.cls)):
            plain.setdefault("path", "clips")
        return plain

    def shaped(self, value):
        """The value as the setting takes it: alone, in a list, or by a name."""
        hint = str(self.hint)
        if "dict[" in hint:
            return {"pelvis" if "cls" not in hint else "x": value}
        pairs = hint.count("tuple[tuple") and [[value, value]]
        if pairs:
            return pairs
        return (
            [value, value]
            if "tuple[float, float]" in hint or "tuple[int, int]" in hint
            else ([value] if "tuple[" in hint else value)
        )


def numbers_of(kind, provider, cls, inner, place=()):
    for field in attrs.fields(inner):
        hint, name = class_hints(inner)[field.name], key_of(field)
        if field.metadata.get("kind"):
            continue
        for member in (hint, *typing.get_args(hint)):
            if isinstance(member, type) and attrs.has(member) and member is not Use:
                yield from numbers_of(kind, provider, cls, member, (*place, name))
        text = str(hint)
        if ("int" in text or "float" in text) and "float32" not in text and "Changes" not in text:
            yield Number(kind, provider, cls, (*place, name), hint, field.metadata)


REGISTRY = Registry.discover()
OURS = [
    (kind, item.provider.name)
    for kind in KINDS
    for item in REGISTRY.providers(kind)
    if item.dist.startswith("parc-") and not item.dist.startswith(("parc-outsider", "parc-plain"))
]
NUMBERS = [
    number
    for kind, name in OURS
    for number in numbers_of(
        kind, name, REGISTRY.load_config_class(kind, name), REGISTRY.load_config_class(kind, name)
    )
]
OF_RUN = list(numbers_of("run", "", IterationConfig, IterationConfig))


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    prepare_files(folder)
    return folder


def structured(number, value, files):
    """The settings with the value; None after an error that names the setting."""
    try:
        return loaded(number, number.settings(value), files)
    except InvalidConfig as err:
        assert number.place[-1] in str(err), f"{number.name} = {value}: {err}"
        return None


def loaded(number, plain, files):
    """The settings as the loader gives them."""
    if number.kind == "run":
        (key, value), options = (number.place[0], plain[number.place[0]]), []
        while isinstance(value, dict) and key != "class_weights":
            ((name, value),) = value.items()
            key = f"{key}.{name}"
        options = [
            f"{key}={yaml.safe_dump(value, default_flow_style=True).removesuffix(chr(10) + '...' + chr(10))}"
        ]
        text = ITERATION_FILE.replace("./clips", str(files / "clips"))
        return load_settings(text, "f.yaml", IterationConfig, REGISTRY, base=files, overrides=options)[0]
    if "preset" in plain:  # which is a matter of the file that chooses a provider
        text = yaml.safe_dump({"used": {"use": number.provider, **plain}})
        return load_settings(text, "f.yaml", Holder, REGISTRY, base=files)[0].used.config
    return load_settings(yaml.safe_dump(plain), "f.yaml", number.cls, REGISTRY, base=files)[0]


@attrs.frozen(kw_only=True)
class Holder:
    used: Use = attrs.field(metadata={"kind": "generator"})


def test_every_number_has_a_smallest_and_a_largest_value():
    without = [number.name for number in (*NUMBERS, *OF_RUN) if None in number.bounds()]
    assert without == ["executor slurm: time_limit"]  # which Slurm itself checks


def test_every_value_is_taken_or_refused_by_name(files, measured):
    taken, refused = 0, 0
    for number in (*NUMBERS, *OF_RUN):
        low, high = number.bounds()
        values = VALUES if level() == "nightly" else (-1e300, 1e-300, 2**40, 1e300)
        for value in (*values, *(bound for bound in (low, high) if bound is not None)):
            config = structured(number, value, files)
            if config is None:
                refused += 1
                continue
            taken += 1
            again = load_settings(dump_yaml(config), "f.yaml", type(config), REGISTRY, base=files)[0]
            assert again == config, f"{number.name} = {value}"
    providers = len({(number.kind, number.provider) for number in NUMBERS})
    measured(
        "extreme settings",
        f"{taken + refused:,} values of {len(NUMBERS) + len(OF_RUN)} settings of {providers} providers and the run: "
        f"{refused:,} refused by name, {taken:,} taken and round-trip",
    )


def test_rates_that_do_not_fit_are_refused_before_a_run_begins():
    rates = "parc: 1\nname: x\ndataset: [procedural]\ntrain_tracker: {env: {control_hz: 30}, simulator: {sim_hz: 100}}"
    config = load_settings(rates, "f.yaml", IterationConfig, REGISTRY)[0]
    with pytest.raises(
        ConfigError, match=r"train_tracker\.simulator\.sim_hz is 100 Hz, which is not a multiple of "
    ):
        train_tracker.check(config, REGISTRY, None, 1)


def in_child(action, folder):
    """How an action ends in a process of its own: "" if well, else what is wrong."""
    answer = folder / "answer.txt"
    pid = os.fork()
    if pid == 0:
        torch.set_num_threads(1)
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS)
        size = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
        resource.setrlimit(resource.RLIMIT_AS, (size + MEMORY, size + MEMORY))
        code = 1
        with contextlib.suppress(BaseException):
            answer.write_text(ending(action))
            code = 0
        os._exit(code)
    _, status = os.waitpid(pid, 0)
    if os.WIFSIGNALED(status):
        return "slow" if os.WTERMSIG(status) == signal.SIGALRM else f"signal {os.WTERMSIG(status)}"
    return answer.read_text() if os.WEXITSTATUS(status) == 0 else f"exit code {os.WEXITSTATUS(status)}"


def ending(action):
    try:
        action()
    except Stopped:
        return "worked"
    except BaseException as err:
        if isinstance(err, ParcError) and not isinstance(err, BrokenPlugin):
            return f"told: {type(err).__name__}: {err}"
        return "memory" if is_out_of_memory(err) else "".join(traceback.format_exception(err))
    return "worked"


def defaults(number, files):
    """The settings with which the provider has little to do."""
    return loaded(number, number.least(), files)


def cases(files):
    """(number, value, settings) of every bound that is taken, one of each class of settings."""
    seen = set()
    for number in NUMBERS:
        if (number.kind, number.provider) in LEFT_OUT:
            continue
        for value in number.bounds():
            key = (number.cls, number.place, value)
            if value is None or (key in seen and number.kind == "motion_source"):
                continue
            seen.add(key)
            config = structured(number, value, files)
            if config is not None:
                yield number, value, config


def test_taken_extremes_work_or_are_told(files, tmp_path, measured):
    every = list(cases(files))
    torch.set_num_threads(1)  # children inherit no threads
    step = max(1, len(every) // at_level(pr=24, nightly=10**9))
    counts = dict.fromkeys(("worked", "told", "memory", "slow"), 0)
    wrong, warm = [], set()
    for index, (number, value, config) in enumerate(every[::step]):
        folder = tmp_path / str(index)
        folder.mkdir()
        target = REGISTRY.resolve(number.kind, number.provider)
        if (
            number.kind,
            number.provider,
        ) not in warm:  # what is imported and compiled is not a matter of one case
            warm.add((number.kind, number.provider))
            with contextlib.suppress(ParcError):
                work(REGISTRY, number.kind, target, defaults(number, files), folder)
        found = in_child(lambda: work(REGISTRY, number.kind, target, config, folder / "case"), folder)  # noqa: B023
        state = found.partition(":")[0]
        if state in counts:
            counts[state] += 1
        else:
            wrong.append(f"{number.name} = {value}: {found}")
    assert wrong == []
    measured(
        "extreme settings at work",
        f"{sum(counts.values())} of {len(every)} values: {counts['worked']} worked, {counts['told']} errors of PARC, "
        f"{counts['memory']} out of memory, {counts['slow']} still at work after {SECONDS} s",
    )
