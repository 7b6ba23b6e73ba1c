"""Open lists: providers by the name of their entry (``dict[str, Use]``), and old names of settings."""

from __future__ import annotations

import logging
import textwrap
from typing import Any, ClassVar

import attrs
import pytest

from parc_core.config import (
    InvalidConfig,
    Use,
    config_digest,
    describe_settings,
    dump,
    dump_yaml,
    load_settings,
    setting,
)
from parc_core.plugins import Provider
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider


@attrs.frozen(kw_only=True)
class PoseConfig:
    weight: float = setting(0.5, ge=0, help="Weight of the term.")
    k: float = setting(2.0, ge=0, help="Sharpness.")


@attrs.frozen(kw_only=True)
class VelConfig:
    weight: float = setting(0.1, ge=0, help="Weight of the term.")


@attrs.frozen(kw_only=True)
class PlainConfig:
    size: int = setting(1, help="Size.")


class Pose:
    def __init__(self, config: PoseConfig, *, device: str) -> None:
        self.config, self.device = config, device


def near(frame: float, *, k: float = 3.0) -> float:
    return k * frame


@attrs.frozen(kw_only=True)
class RewardConfig:
    RENAMED: ClassVar[dict[str, str | tuple[str, ...]]] = {
        "w_pose": "terms.pose.weight",
        "sharpness": ("terms.pose.k", "terms.near.k"),
    }
    terms: dict[str, Use] = setting(
        kind="reward_term", factory=lambda: {"pose": Use("pose"), "vel": Use("vel")}, help="Terms of the sum."
    )


@attrs.frozen(kw_only=True)
class EnvConfig:
    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "soft": {"reward": {"terms": {"pose": {"weight": 0.3, "k": 1.0}, "near": {"k": 7.0}}}},
        "shorter": {"reward": {"terms": {"vel": None}}},
    }
    reward: RewardConfig = setting(factory=RewardConfig, help="The reward.")
    observations: dict[str, Use] = setting(kind="observation_term", factory=dict, help="Observations.")


@attrs.frozen(kw_only=True)
class OtherEnvConfig:
    reward: RewardConfig = setting(
        factory=lambda: RewardConfig(terms={"far": Use("pose", PoseConfig(weight=0.9))}), help="The reward."
    )


@attrs.frozen(kw_only=True)
class RootConfig:
    env: Use = setting(Use("env"), kind="tracker_env", help="The environment.")


PROVIDERS = [
    make_provider("tracker_env", "env", EnvConfig),
    make_provider("tracker_env", "other", OtherEnvConfig),
    make_provider("reward_term", "pose", PoseConfig, Pose),
    make_provider("reward_term", "vel", VelConfig),
    Provider(kind="reward_term", name="near", target=f"{__name__}:near"),
    make_provider("observation_term", "state", PlainConfig),
]


@pytest.fixture
def registry(monkeypatch):
    return install(
        monkeypatch, FakeEntryPoint(module=make_plugin(PROVIDERS), distribution="parc-demo", version="1.0")
    )


@pytest.fixture
def load(registry):
    def load(text, *overrides, base=None):
        return load_settings(text, "f.yaml", RootConfig, registry, overrides=overrides, base=base)[0]

    return load


@pytest.fixture
def terms(load):
    def terms(text, *overrides, **options):
        return load(text, *overrides, **options).env.config.reward.terms

    return terms


@pytest.fixture
def refuse(load):
    def refuse(text, *overrides, **options):
        with pytest.raises(InvalidConfig) as error:
            load(text, *overrides, **options)
        return str(error.value)

    return refuse


POSE, VEL = Use("pose", PoseConfig()), Use("vel", VelConfig())


# --- entries


def test_default_entries_get_their_settings(terms):
    assert terms("{}") == {"pose": POSE, "vel": VEL}


@pytest.mark.parametrize(
    ("text", "entries"),
    [
        ("{pose: {weight: 0.4}}", {"pose": Use("pose", PoseConfig(weight=0.4)), "vel": VEL}),
        ("{vel: null}", {"pose": POSE}),
        ("{pose: null, vel: null}", {}),
        ("{pose: vel}", {"pose": VEL, "vel": VEL}),
        ("{pose: {use: vel, weight: 2}}", {"pose": Use("vel", VelConfig(weight=2.0)), "vel": VEL}),
        ("{second: {use: pose, k: 1}}", {"pose": POSE, "vel": VEL, "second": Use("pose", PoseConfig(k=1.0))}),
        (
            "{second: parc-demo:pose}",
            {"pose": POSE, "vel": VEL, "second": Use("parc-demo:pose", PoseConfig())},
        ),
    ],
)
def test_entries_of_the_file_lie_over_the_default(terms, text, entries):
    assert terms(f"env: {{reward: {{terms: {text}}}}}") == entries


def test_entry_without_use_is_the_provider_of_that_name(terms):
    (use,) = [use for name, use in terms("env: {reward: {terms: {near: {k: 1}}}}").items() if name == "near"]
    assert (use.name, use.config.k, use.config.weight) == ("near", 1.0, 1.0)


def test_entries_keep_the_order_of_the_default_and_new_ones_follow(terms):
    found = terms("env: {reward: {terms: {b: pose, vel: {weight: 1}, a: pose, pose: {k: 3}}}}")
    assert list(found) == ["pose", "vel", "b", "a"]


def test_entry_of_a_file_is_found_beside_the_file(terms, tmp_path):
    (tmp_path / "my_terms.py").write_text("def feet_apart(frame, *, k: float = 3.0): return k * frame\n")
    found = terms(
        "env: {reward: {terms: {feet: {use: 'my_terms.py:feet_apart', weight: 0.1, k: 2}}}}", base=tmp_path
    )["feet"]
    assert found.name == f"{tmp_path}/my_terms.py:feet_apart"
    assert (found.config.weight, found.config.k) == (0.1, 2.0)
    assert found.create(device="cpu")(4.0) == 8.0


def test_entries_of_another_kind_have_no_weight(refuse):
    assert refuse("env: {observations: {state: {weight: 2}}}") == (
        "f.yaml:1:30: env.observations.state.weight: only entries of a list have a weight. Remove it"
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("3", "1:23: env.reward.terms: expected `name: {use: ...}` pairs, got 3"),
        ("[pose]", "1:23: env.reward.terms: expected `name: {use: ...}` pairs, got a list of 1"),
        (
            "{pose: 3}",
            "1:30: env.reward.terms.pose: "
            "expected the name of a reward_term or `use: name` with settings, got 3",
        ),
        (
            "{pose: .nan}",
            "1:30: env.reward.terms.pose: '.nan' is not a finite number. Write a number, or leave the key out.",
        ),
        ("{pose: {k: -1}}", "1:34: env.reward.terms.pose.k: -1 is out of range, expected >= 0"),
        (
            "{pose: {l: 1}}",
            "1:31: env.reward.terms.pose.l: unknown key 'l', known are weight, k; see `parc plugins pose`",
        ),
        ("{pose: {weight: -1}}", "1:39: env.reward.terms.pose.weight: -1 is out of range, expected >= 0"),
        (
            "{foot: {weight: 1}}",
            "1:24: env.reward.terms.foot.use: no reward_term is called 'foot'\n"
            "  installed   near, pose, vel\n  see         parc plugins --kind reward_term",
        ),
        (
            "{vell: null}",
            "1:24: env.reward.terms.vell: "
            "null takes a default entry out, and 'vell' is not one; closest is 'vel'",
        ),
        (
            "{x: null}",
            "1:24: env.reward.terms.x: "
            "null takes a default entry out, and 'x' is not one; the default has pose, vel",
        ),
        (
            "{a: '/no/my.py:f'}",
            "1:27: env.reward.terms.a: reward_term '/no/my.py:f': the file does not exist\n"
            "  searched    /no/my.py\n"
            "  to do       write the path relative to the file that names it, or the absolute path",
        ),
    ],
)
def test_wrong_entry_says_where_and_what(refuse, text, message):
    assert refuse(f"env: {{reward: {{terms: {text}}}}}") == f"f.yaml:{message}"


# --- presets and --set


def test_entries_lie_over_a_preset_by_name(terms):
    found = terms("env: {use: env, preset: soft, reward: {terms: {pose: {weight: 0.4}}}}")
    assert found["pose"] == Use("pose", PoseConfig(weight=0.4, k=1.0)) and found["vel"] == VEL
    assert found["near"].config.k == 7.0


def test_null_takes_out_the_entry_of_a_preset(terms):
    assert list(terms("env: {preset: soft, reward: {terms: {near: null, pose: null}}}")) == ["vel"]


def test_preset_may_take_an_entry_out_and_the_file_bring_it_back(terms):
    assert terms("env: {preset: shorter}") == {"pose": POSE}
    assert terms("env: {preset: shorter, reward: {terms: {vel: vel}}}") == {"pose": POSE, "vel": VEL}


def test_entry_of_another_provider_replaces_that_of_the_preset(terms):
    found = terms("env: {preset: soft, reward: {terms: {pose: {use: near}}}}")
    assert found["pose"].name == "near" and found["pose"].config.k == 3.0


@pytest.mark.parametrize(
    ("text", "override", "entry", "use"),
    [
        ("{}", "pose.weight=0.2", "pose", Use("pose", PoseConfig(weight=0.2))),
        ("{}", "pose.use=vel", "pose", VEL),
        ("{}", "pose=null", "pose", None),
        ("{}", "second=pose", "second", POSE),
        ("{vel: null}", "vel.weight=1", "vel", Use("vel", VelConfig(weight=1.0))),
        ("{second: pose}", "second.k=1", "second", Use("pose", PoseConfig(k=1.0))),
        ("{pose: {k: 9}}", "pose.use=vel", "pose", VEL),
    ],
)
def test_option_changes_one_entry(terms, text, override, entry, use):
    found = terms(f"env: {{reward: {{terms: {text}}}}}", f"env.reward.terms.{override}")
    assert found.get(entry) == use


def test_entries_of_a_replaced_environment_are_left_out_where_they_do_not_apply(registry):
    text = "env: {use: env, reward: {terms: {vel: null}}}"
    config, dropped = load_settings(text, "f.yaml", RootConfig, registry, overrides=["env.use=other"])
    assert list(config.env.config.reward.terms) == ["far"]
    assert [str(one) for one in dropped] == [
        "f.yaml:1:34: env.reward.terms.vel: the default has no such entry; left out"
    ]


# --- back to text


@pytest.mark.parametrize(
    "text",
    [
        "{}",
        "env: {reward: {terms: {vel: null, near: {k: 4}}}}",
        "env: {reward: {terms: {vel: null, pose: null}}}",
        "env: {preset: soft, reward: {terms: {z: pose, a: pose, pose: null}}}",
        "env: other",
        "env: {use: other, reward: {terms: {far: null, pose: pose}}}",
        "env: {observations: {b: state, a: {use: state, size: 3}}}",
    ],
)
def test_resolved_text_reads_back_to_the_same_entries(load, text):
    config = load(text)
    again = load(dump_yaml(config))
    assert again == config and config_digest(again) == config_digest(config)
    terms, terms_again = (one.env.config.reward.terms for one in (config, again))
    assert list(terms) == list(terms_again)


def test_resolved_text_of_a_file_entry_reads_back_from_anywhere(load, tmp_path, monkeypatch):
    (tmp_path / "my_terms.py").write_text("def near(frame, *, k: float = 3.0): return k\n")
    config = load("env: {reward: {terms: {near: 'my_terms.py:near'}}}", base=tmp_path)
    monkeypatch.chdir("/")
    assert load(dump_yaml(config), base=None) == config


def test_entry_taken_out_is_written_as_null(load):
    assert dump(load("env: {reward: {terms: {vel: null}}}"))["env"]["reward"] == {
        "terms": {"pose": {"use": "pose", "weight": 0.5, "k": 2.0}, "vel": None}
    }


# --- creation


def test_loaded_entry_creates_its_term(terms):
    term = terms("env: {reward: {terms: {pose: {k: 5}}}}")["pose"].create(device="cpu")
    assert (term.config, term.device) == (PoseConfig(k=5.0), "cpu")


def test_settings_made_in_python_create_their_terms_from_what_is_installed(registry):
    use = RewardConfig().terms["pose"]
    assert use.config is None and use.complete() == POSE
    assert use.create(device="cpu").config == PoseConfig()


def test_use_of_unknown_kind_is_refused():
    with pytest.raises(ValueError) as error:
        Use("pose").create()
    assert str(error.value) == "Use('pose') has no kind. Put it in a field made with setting(kind=...)"


def test_kind_and_implementation_do_not_count_in_comparisons(terms):
    loaded = terms("{}")["pose"]
    assert loaded.target is not None and loaded == POSE and hash(loaded) == hash(POSE)
    assert repr(loaded) == repr(POSE)


def test_settings_rows_show_the_default_entries():
    (row,) = describe_settings(RewardConfig)
    assert (row["name"], row["type"], row["kind"]) == ("terms", "dict[str, Use]", "reward_term")
    assert row["default"] == {"pose": {"use": "pose"}, "vel": {"use": "vel"}}


# --- old names


def test_old_name_is_read_with_one_warning(terms, caplog):
    text = "env:\n  reward: {w_pose: 0.9}\n"
    with caplog.at_level(logging.WARNING):
        assert terms(text) == {"pose": Use("pose", PoseConfig(weight=0.9)), "vel": VEL}
        terms(text)
    assert caplog.messages == [
        "f.yaml:2:12: 'env.reward.w_pose' is now called 'env.reward.terms.pose.weight'; the old name is still read"
    ]


def test_old_name_of_two_settings_sets_both(terms, caplog):
    found = terms("env: {reward: {sharpness: 8, terms: {near: near}}}")
    assert (found["pose"].config.k, found["near"].config.k) == (8.0, 8.0)
    assert "'env.reward.terms.pose.k' and 'env.reward.terms.near.k'" in caplog.text


def test_old_name_joins_what_the_file_says_about_the_new_record(terms):
    found = terms("env: {reward: {w_pose: 0.9, terms: {pose: {k: 1}, vel: null}}}")
    assert found == {"pose": Use("pose", PoseConfig(weight=0.9, k=1.0))}


def test_old_name_works_with_set(terms):
    assert terms("{}", "env.reward.w_pose=0.7")["pose"].config.weight == 0.7


def test_old_name_over_a_presets_new_one_is_read(terms):
    pose = terms("env: {preset: soft, reward: {w_pose: 0.9}}")["pose"]
    assert pose == Use("pose", PoseConfig(weight=0.9, k=1.0))


@pytest.mark.parametrize("entry", ["{weight: 1}", "null"])
def test_old_name_beside_the_new_one_is_refused(refuse, entry):
    text = textwrap.dedent(f"""
        env:
          reward:
            w_pose: 0.9
            terms: {{pose: {entry}}}
        """)
    assert refuse(text) == (
        "f.yaml:4:5: env.reward.w_pose: is now called 'env.reward.terms.pose.weight', and both are given. "
        "Remove 'env.reward.w_pose'"
    )


def test_value_under_an_old_name_is_checked_at_its_place(refuse):
    assert refuse("env: {reward: {w_pose: -1}}") == (
        "f.yaml:1:24: env.reward.terms.pose.weight: -1 is out of range, expected >= 0"
    )
