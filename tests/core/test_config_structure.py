import os
import pathlib
from typing import Any, ClassVar, Literal

import attrs
import hypothesis
import hypothesis.strategies as st
import pytest

from parc_core.config import InvalidConfig, Use, config_digest, dump, dump_yaml, load_settings, setting
from parc_core.plugins import Provider, Registry
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider


@attrs.frozen(kw_only=True)
class InnerConfig:
    length: float = setting(0.4, gt=0, lt=10, unit="m", help="a length")
    mode: Literal["fast", "exact"] = setting("fast", help="how")


@attrs.frozen(kw_only=True)
class BoxConfig:
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "small": {"num_boxes": 2, "inner": {"length": 0.1}, "rates": {"a": 1.0}},
        "large": {"num_boxes": 50},
    }
    num_boxes: int = setting(10, ge=0, unit="boxes", help="boxes per terrain")
    inner: InnerConfig = setting(factory=lambda: InnerConfig(length=0.7), help="inside")
    rates: dict[str, float] = setting(factory=dict, ge=0, help="by name")


@attrs.frozen(kw_only=True)
class FlatConfig:
    num_boxes: int = setting(0, help="boxes")


@attrs.frozen(kw_only=True)
class RecorderConfig:
    second_chance: Use | None = setting(None, kind="agent", help="who gets what the first lost")


@attrs.frozen(kw_only=True)
class AgentConfig:
    lr: float = setting(1e-3, gt=0, help="step size")


@attrs.frozen(kw_only=True)
class FolderConfig:
    path: str = setting(path=True, help="folder")


@attrs.frozen(kw_only=True)
class RootConfig:
    count: int = setting(1, ge=1, le=8, help="how many")
    ratio: float = setting(0.5, ge=0, lt=1, help="a share")
    on: bool = setting(False, help="a switch")
    name: str = setting("x", help="a name")
    limit: float | None = setting(None, ge=0, help="a limit, or none")
    either: int | str = setting(0, help="two types")
    sizes: tuple[int, ...] = setting((1, 2), ge=1, help="sizes")
    span: tuple[float, float] = setting((0.0, 1.0), help="from and to")
    names: list[str] = setting(factory=list, help="names")
    table: dict[str, float] = setting(factory=dict, help="numbers by name")
    level: Literal["low", "high"] = setting("low", help="a level")
    step: int = setting(2, choices=(2, 4), help="a step")
    inner: InnerConfig = setting(factory=InnerConfig, help="more settings")
    folder: pathlib.Path | None = setting(None, help="a folder")
    file: str | None = setting(None, path=True, help="a file")
    source: tuple[Use, ...] = setting((Use("flat"),), kind="terrain_source", help="terrains")
    chosen: Use = setting(Use("boxes"), kind="terrain_source", help="a terrain")
    recorder: Use = setting(Use("retry"), kind="recorder", help="a recorder")
    motions: tuple[Use, ...] = setting((), kind="motion_source", help="motions")

    def __attrs_post_init__(self) -> None:
        if self.span[0] > self.span[1]:
            raise ValueError(f"span runs from {self.span[0]} to {self.span[1]}, expected the smaller first")


@attrs.frozen(kw_only=True)
class RequiredConfig:
    size: int = setting(help="How large it is.")


SHARED = [hypothesis.HealthCheck.function_scoped_fixture]  # the registry is the same for every example
PROVIDERS = [
    make_provider("terrain_source", "boxes", BoxConfig),
    make_provider("terrain_source", "flat", FlatConfig),
    make_provider("recorder", "retry", RecorderConfig),
    make_provider("agent", "mpc", AgentConfig),
    make_provider("agent", "ppo", AgentConfig),
    make_provider("motion_source", "folder", FolderConfig),
    Provider(kind="agent", name="gone", target="no_such_module:A", config="no_such_module:B"),
]


@pytest.fixture
def registry(monkeypatch) -> Registry:
    return install(
        monkeypatch, FakeEntryPoint(module=make_plugin(PROVIDERS), distribution="parc-demo", version="1.0")
    )


@pytest.fixture
def load(registry):
    def load(text, *overrides, cls=RootConfig, base=None):
        return load_settings(text, "f.yaml", cls, registry, overrides=overrides, base=base)[0]

    return load


@pytest.fixture
def refuse(load):
    def refuse(text, *overrides, **options):
        with pytest.raises(InvalidConfig) as error:
            load(text, *overrides, **options)
        return str(error.value)

    return refuse


# --- types


@pytest.mark.parametrize(
    ("text", "field", "value"),
    [
        ("count: 3", "count", 3),
        ("ratio: 0", "ratio", 0.0),
        ("ratio: 1e-4", "ratio", 1e-4),
        ("on: true", "on", True),
        ("name: 'no'", "name", "no"),
        ("name: no", "name", "no"),
        ("limit: null", "limit", None),
        ("limit: 2", "limit", 2.0),
        ("either: 3", "either", 3),
        ("either: three", "either", "three"),
        ("sizes: [4, 5]", "sizes", (4, 5)),
        ("sizes: []", "sizes", ()),
        ("span: [0, 2]", "span", (0.0, 2.0)),
        ("names: [a, b]", "names", ["a", "b"]),
        ("table: {x: 1, y: 0.5}", "table", {"x": 1.0, "y": 0.5}),
        ("level: high", "level", "high"),
        ("step: 4", "step", 4),
        ("inner: {mode: exact}", "inner", InnerConfig(mode="exact")),
    ],
)
def test_value_becomes_its_type(load, text, field, value):
    read = getattr(load(text), field)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("count: '3'", "f.yaml:1:8: count: expected an integer, got '3'. Write 3 without quotes"),
        ("count: 3.0", "f.yaml:1:8: count: expected an integer, got 3.0. Write 3"),
        ("count: true", "f.yaml:1:8: count: expected an integer, got true"),
        ("count:", "f.yaml:1:7: count: expected an integer, got nothing"),
        ("count: [3]", "f.yaml:1:8: count: expected an integer, got a list of 1"),
        ("count: 0", "f.yaml:1:8: count: 0 is out of range, expected >= 1 and <= 8"),
        ("ratio: 1", "f.yaml:1:8: ratio: 1 is out of range, expected >= 0 and < 1"),
        ("ratio: no", "f.yaml:1:8: ratio: expected a number, got 'no'"),
        ("on: yes", "f.yaml:1:5: on: expected true or false, got 'yes'. Write true"),
        ("on: 1", "f.yaml:1:5: on: expected true or false, got 1"),
        ("name: 3", "f.yaml:1:7: name: expected a string, got 3. Put it in quotes"),
        ("name: ~", "f.yaml:1:7: name: expected a string, got nothing"),
        ("limit: -1", "f.yaml:1:8: limit: -1 is out of range, expected >= 0"),
        ("either: 1.5", "f.yaml:1:9: either: expected an integer or a string, got 1.5"),
        ("sizes: 3", "f.yaml:1:8: sizes: expected a list, got 3. Write [3]"),
        ("sizes: [1, 0]", "f.yaml:1:12: sizes.1: 0 is out of range, expected >= 1"),
        ("span: [1]", "f.yaml:1:7: span: expected a list of 2 values, got 1 values"),
        ("span: [2, 1]", "f.yaml:1:1: span runs from 2.0 to 1.0, expected the smaller first"),
        ("names: [a, 1]", "f.yaml:1:12: names.1: expected a string, got 1. Put it in quotes"),
        ("table: [1]", "f.yaml:1:8: table: expected `name: value` pairs, got a list of 1"),
        ("table: {x: y}", "f.yaml:1:12: table.x: expected a number, got 'y'"),
        ("level: mid", "f.yaml:1:8: level: 'mid' is not allowed, expected one of 'low', 'high'"),
        ("step: 3", "f.yaml:1:7: step: 3 is not allowed, expected one of 2, 4"),
        ("inner: 3", "f.yaml:1:8: inner: expected `key: value` pairs, got 3"),
        ("inner: {length: 0}", "f.yaml:1:17: inner.length: 0 is out of range, expected > 0 and < 10 m"),
        ("folder: 3", "f.yaml:1:9: folder: expected a path, got 3. Put it in quotes"),
        ("cuont: 3", "f.yaml:1:1: cuont: unknown key 'cuont', closest is 'count'"),
        ("inner: {zzz: 3}", "f.yaml:1:9: inner.zzz: unknown key 'zzz', known are length, mode"),
        ("- 1", "f.yaml:1:1: the file holds no `key: value` lines. Is it an iteration file?"),
        ("", "f.yaml:1:1: the file holds no `key: value` lines. Is it an iteration file?"),
    ],
)
def test_wrong_value_says_where_what_and_what_instead(refuse, text, message):
    assert refuse(text) == message


def test_missing_key_says_what_it_is(refuse):
    message = "f.yaml:1:1: size: the key is missing, expected an integer. How large it is."
    assert refuse("{}", cls=RequiredConfig) == message


def test_everything_wrong_is_reported_at_once_in_the_order_of_the_file(refuse):
    text = "count: 0\ncuont: 1\ncount: 2\nname: .nan\nchosen: boxs\nsizes: [0]\n"
    assert [line.partition(": ")[0] for line in refuse(text, "level=mid").splitlines() if not line.startswith(" ")] == [
        "--set level=mid", "f.yaml:1:8", "f.yaml:2:1", "f.yaml:3:1", "f.yaml:4:7", "f.yaml:5:9", "f.yaml:6:9"
    ]  # fmt: skip


def test_part_of_a_nested_class_keeps_the_defaults_of_its_field(load):
    assert load("chosen: {use: boxes, inner: {mode: exact}}").chosen.config.inner == InnerConfig(
        length=0.7, mode="exact"
    )


# --- providers


def test_provider_is_resolved_into_its_settings(load):
    assert load("chosen: {use: boxes, num_boxes: 3}").chosen == Use("boxes", BoxConfig(num_boxes=3))


def test_name_alone_stands_for_a_provider_with_defaults(load):
    assert load("chosen: flat").chosen == Use("flat", FlatConfig())


def test_default_provider_gets_its_settings(load):
    config = load("{}")
    assert config.chosen == Use("boxes", BoxConfig()) and config.source == (Use("flat", FlatConfig()),)


def test_settings_without_a_name_belong_to_the_default_provider(load):
    assert load("chosen: {num_boxes: 4}").chosen == Use("boxes", BoxConfig(num_boxes=4))


def test_several_providers_have_weights(load):
    config = load("source: [{use: boxes, weight: 2}, flat]")
    assert [(use.name, use.weight) for use in config.source] == [("boxes", 2.0), ("flat", 1.0)]


def test_one_provider_may_stand_for_a_list_of_one(load):
    assert load("source: {use: boxes, num_boxes: 1}").source == (Use("boxes", BoxConfig(num_boxes=1)),)


def test_provider_inside_a_provider_is_resolved(load):
    config = load("recorder: {use: retry, second_chance: {use: mpc, lr: 0.1}}")
    assert config.recorder.config.second_chance == Use("mpc", AgentConfig(lr=0.1))


def test_long_name_works(load):
    assert load("chosen: parc-demo:flat").chosen == Use("parc-demo:flat", FlatConfig())


def test_unknown_provider_has_the_whole_text_and_its_place(refuse):
    assert refuse("chosen:\n  use: boxs\n") == (
        "f.yaml:2:8: chosen.use: no terrain_source is called 'boxs'\n"
        "  closest     boxes            (parc-demo 1.0)\n"
        "  installed   boxes, flat\n"
        "  see         parc plugins --kind terrain_source"
    )


def test_provider_that_cannot_be_imported_has_its_place(refuse):
    assert refuse("recorder: {second_chance: gone}") == (
        "f.yaml:1:27: recorder.second_chance: agent 'gone' of parc-demo 1.0 cannot be imported: "
        "ModuleNotFoundError: No module named 'no_such_module'\n"
        "  target      no_such_module:B\n"
        "  to do       pip install --upgrade --force-reinstall parc-demo"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "chosen: {use: boxes, num_boxs: 3}",
            "f.yaml:1:22: chosen.num_boxs: unknown key 'num_boxs', closest is 'num_boxes'; see `parc plugins boxes`",
        ),
        (
            "chosen: {use: boxes, num_boxes: -1}",
            "f.yaml:1:33: chosen.num_boxes: -1 is out of range, expected >= 0 boxes",
        ),
        ("chosen: {use: 3}", "f.yaml:1:15: chosen.use: expected the name of a terrain_source, got 3"),
        (
            "chosen: [flat]",
            "f.yaml:1:9: chosen: expected the name of a terrain_source or `use: name` with settings, got a list of 1",
        ),
        (
            "chosen: {use: flat, weight: 2}",
            "f.yaml:1:21: chosen.weight: only entries of a list have a weight. Remove it",
        ),
        (
            "source: [{use: flat, weight: -2}]",
            "f.yaml:1:30: source.0.weight: -2 is out of range, expected >= 0 and <= 1e+09",
        ),
        ("source: [{num_boxes: 2}]", "f.yaml:1:10: source.0: the key 'use' is missing; it names the terrain_source"),
        (
            "chosen: {use: flat, preset: small}",
            "f.yaml:1:29: chosen.preset: 'flat' has no preset 'small'; it has no presets",
        ),
        (
            "chosen: {use: boxes, preset: smal}",
            "f.yaml:1:30: chosen.preset: 'boxes' has no preset 'smal'; its presets are small, large",
        ),
        ("chosen: {use: boxes, rates: {x: -1}}", "f.yaml:1:33: chosen.rates.x: -1 is out of range, expected >= 0"),
    ],
)  # fmt: skip
def test_wrong_provider_settings_say_where_and_what(refuse, text, message):
    assert refuse(text) == message


# --- presets


def test_preset_lies_below_the_users_keys(load):
    config = load("chosen: {use: boxes, preset: small, inner: {mode: exact}}").chosen.config
    assert config == BoxConfig(num_boxes=2, inner=InnerConfig(length=0.1, mode="exact"), rates={"a": 1.0})


def test_users_key_wins_over_the_preset(load):
    assert load("chosen: {use: boxes, preset: small, num_boxes: 7}").chosen.config.num_boxes == 7


def test_dictionary_of_the_user_replaces_that_of_the_preset(load):
    assert load("chosen: {use: boxes, preset: small, rates: {b: 2}}").chosen.config.rates == {"b": 2.0}


# --- --set


@pytest.mark.parametrize(
    ("text", "override", "field", "value"),
    [
        ("count: 2", "count=3", "count", 3),
        ("{}", "ratio=1e-4", "ratio", 1e-4),
        ("{}", "name=a=b", "name", "a=b"),
        ("{}", "limit=", "limit", None),
        ("{}", "sizes=[3, 4]", "sizes", (3, 4)),
        ("sizes: [3, 4]", "sizes.1=9", "sizes", (3, 9)),
        ("sizes: [3, 4]", "sizes.2=9", "sizes", (3, 4, 9)),
        ("{}", "inner.mode=exact", "inner", InnerConfig(mode="exact")),
        ("{}", "table.x=2", "table", {"x": 2.0}),
        ("source: [flat, boxes]", "source.1.num_boxes=3", "source",
         (Use("flat", FlatConfig()), Use("boxes", BoxConfig(num_boxes=3)))),
        ("source: flat", "source.0.use=boxes", "source", (Use("boxes", BoxConfig()),)),
        ("source: {use: boxes}", "source.1=flat", "source", (Use("boxes", BoxConfig()), Use("flat", FlatConfig()))),
        ("source: [{use: boxes}]", "source.use=flat", "source", (Use("flat", FlatConfig()),)),
        ("{}", "source.0.use=boxes", "source", (Use("boxes", BoxConfig()),)),
        ("chosen: flat", "chosen.num_boxes=3", "chosen", Use("flat", FlatConfig(num_boxes=3))),
        ("{}", "chosen.num_boxes=3", "chosen", Use("boxes", BoxConfig(num_boxes=3))),
        ("{}", "chosen={use: flat}", "chosen", Use("flat", FlatConfig())),
        ("{}", "recorder.second_chance.use=mpc", "recorder",
         Use("retry", RecorderConfig(second_chance=Use("mpc", AgentConfig())))),
    ],
)  # fmt: skip
def test_override_changes_one_setting(load, text, override, field, value):
    changed, before = load(text, override), load(text)
    assert getattr(changed, field) == value
    assert attrs.evolve(changed, **{field: getattr(before, field)}) == before


def test_later_override_wins(load):
    assert load("{}", "count=2", "count=3").count == 3


def test_changed_provider_keeps_the_settings_it_knows_and_drops_the_others(registry):
    text = "chosen: {use: boxes, preset: small, num_boxes: 7, inner: {length: 1}}"
    config, dropped = load_settings(text, "f.yaml", RootConfig, registry, overrides=["chosen.use=flat"])
    assert config.chosen == Use("flat", FlatConfig(num_boxes=7))
    assert [str(problem) for problem in dropped] == [
        "f.yaml:1:22: chosen.preset: 'flat' has no preset 'small'; left out",
        "f.yaml:1:51: chosen.inner: 'flat' has no such setting; left out",
    ]


def test_dropped_settings_are_found_in_nested_providers_too(registry):
    config, dropped = load_settings(
        "recorder: {use: retry, second_chance: {use: mpc, lr: 1, zzz: 1}}",
        "f.yaml",
        RootConfig,
        registry,
        overrides=["recorder.second_chance.use=ppo"],
    )
    assert config.recorder.config.second_chance == Use("ppo", AgentConfig(lr=1.0))
    assert [problem.path for problem in dropped] == ["recorder.second_chance.zzz"]


def test_naming_the_same_provider_again_drops_nothing(refuse):
    assert "unknown key 'zzz'" in refuse("chosen: {use: flat, zzz: 3}", "chosen.use=flat")


def test_setting_given_with_the_new_provider_has_to_be_known(refuse):
    assert refuse("chosen: boxes", "chosen.use=flat", "chosen.inner=3") == (
        "--set chosen.inner=3: chosen.inner: unknown key 'inner', known are num_boxes; see `parc plugins flat`"
    )


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("count", "--set count: expected KEY=VALUE with a dotted key, e.g. kin_gen.candidates=16."),
        ("=3", "--set =3: expected KEY=VALUE with a dotted key, e.g. kin_gen.candidates=16."),
        ("a..b=3", "--set a..b=3: expected KEY=VALUE with a dotted key, e.g. kin_gen.candidates=16."),
        ("count=0", "--set count=0: count: 0 is out of range, expected >= 1 and <= 8"),
        (
            "count=.nan",
            "--set count=.nan: '.nan' is not a finite number. Write a number, or leave the key out.",
        ),
        ("sizes.7=1", "--set sizes.7=1: sizes.7: element 7 does not exist, the list has 2. Count from 0."),
        (
            "sizes.x=1",
            "--set sizes.x=1: sizes.x: 'x' follows a list of 2; write the index of an element, from 0.",
        ),
        (
            "source.use=flat",
            "--set source.use=flat: source.use: 'use' follows a list of 2; write the index of an element, from 0.",
        ),
        ("nmae=x", "--set nmae=x: nmae: unknown key 'nmae', closest is 'name'"),
    ],
)
def test_wrong_override_is_named(refuse, override, message):
    assert refuse("{sizes: [1, 2], source: [flat, boxes]}", override) == message


# --- paths


def test_relative_path_is_looked_for_beside_the_file_first(load, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    (tmp_path / "clips").mkdir()
    config = load("{folder: clips, file: other}", base=tmp_path)
    assert config.folder == tmp_path / "clips" and config.file == str(tmp_path / "here" / "other")


def test_home_is_expanded(load, monkeypatch):
    monkeypatch.setenv("HOME", "/home/somebody")
    assert load("file: ~/x").file == "/home/somebody/x"


@pytest.mark.parametrize("text", ["motions: ./clips", "motions: [clips]", "motions: {use: clips}"])
def test_folder_may_stand_for_a_motion_source(load, tmp_path, text):
    (tmp_path / "clips").mkdir()
    assert load(text, base=tmp_path).motions == (Use("folder", FolderConfig(path=str(tmp_path / "clips"))),)


def test_folder_with_other_settings_is_the_folder_source(load, tmp_path):
    assert load("motions: [{use: /data/x, weight: 3}]").motions == (
        Use("folder", FolderConfig(path="/data/x"), 3.0),
    )


@pytest.mark.parametrize("name", ['"a\\0b"', "''"], ids=["nul", "empty"])
def test_path_that_cannot_be_one_is_refused(refuse, name):
    assert "is not a file name, expected a path" in refuse(f"file: {name}")


# --- back to text


def test_resolved_text_reads_back_to_the_same_settings(load, tmp_path):
    text = (
        "{count: 2, ratio: 1e-7, name: '1e-4', limit: 1e20, either: 'no', sizes: [], span: [0, 1e-9], names: ['~', ''],"
        " table: {a: 0.1}, folder: /x, source: [{use: boxes, preset: small, weight: 0.3}, flat], "
        "recorder: {use: retry, second_chance: mpc}, motions: [./c]}"
    )
    config = load(text)
    again = load(dump_yaml(config, "two\nlines"))
    assert again == config
    assert config_digest(again) == config_digest(config)


def test_every_value_is_explicit(load):
    plain = dump(load("{}"))
    assert plain["chosen"] == {
        "use": "boxes", "num_boxes": 10, "inner": {"length": 0.7, "mode": "fast"}, "rates": {}
    }  # fmt: skip
    assert plain["source"] == [{"use": "flat", "weight": 1.0, "num_boxes": 0}]


def test_dollars_survive_the_round_trip(load):
    config = load("name: $${HOME}")
    assert config.name == "${HOME}" and load(dump_yaml(config)).name == "${HOME}"


def test_setting_that_is_not_finite_is_not_written():
    with pytest.raises(
        Exception, match=r"a setting is inf; settings must be finite\. Write None for no limit\."
    ):
        dump(AgentConfig(lr=float("inf")))


@hypothesis.given(
    name=st.text(max_size=30),
    ratio=st.floats(0, 0.99),
    table=st.dictionaries(st.text(max_size=8), st.floats(-1e300, 1e300), max_size=4),
)
@hypothesis.settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=SHARED
)  # fmt: skip
def test_any_settings_survive_the_round_trip(load, name, ratio, table):
    config = attrs.evolve(load("{}"), name=name, ratio=ratio, table=table)
    assert load(dump_yaml(config)) == config


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([*attrs.fields_dict(RootConfig), "use", "preset", "weight"]), inner, max_size=4
        )
    ),
    max_leaves=8,
)


@hypothesis.given(st.dictionaries(st.sampled_from(list(attrs.fields_dict(RootConfig))), PLAIN, max_size=6))
@hypothesis.settings(
    max_examples=int(os.environ.get('PARC_FUZZ', '300')), deadline=None, derandomize=True, suppress_health_check=SHARED
)  # fmt: skip
def test_any_document_is_read_or_refused_with_a_position(registry, document):
    import yaml

    try:
        load_settings(yaml.safe_dump(document), "f.yaml", RootConfig, registry)
    except InvalidConfig as err:
        assert all(str(problem).startswith("f.yaml:") for problem in err.problems)


@hypothesis.given(st.text(max_size=30), st.text(max_size=20))
@hypothesis.settings(
    max_examples=100, deadline=None, derandomize=True, suppress_health_check=SHARED
)  # fmt: skip
def test_any_override_is_applied_or_refused(registry, key, value):
    for override in (f"{key}={value}", f"chosen.{key}={value}", f"sizes.0={value}"):
        try:
            load_settings("sizes: [1]", "f.yaml", RootConfig, registry, overrides=[override])
        except InvalidConfig as err:
            assert str(err).startswith("--set ")
