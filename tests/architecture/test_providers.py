"""Every installed provider keeps the rules of configuration, whoever wrote it."""

import attrs
import pytest

from parc_core.config import Position, Use, describe_settings, dump, dump_yaml, parse_text, structure, to_node
from parc_core.plugins import Registered, Registry

REGISTRY = Registry.discover()
OURS = [item for item in REGISTRY.providers() if item.dist.startswith("parc-")]
# A path is the one thing that no default can know.
REQUIRED = {"source": {"use": "procedural"}, "path": "/data/clips"}


def title(item: Registered) -> str:
    return f"{item.provider.kind}-{item.provider.name}"


def make_holder(kind: str) -> type:
    return attrs.make_class(
        "Holder", {"chosen": attrs.field(type=Use, metadata={"kind": kind})}, frozen=True, kw_only=True
    )


def load(item: Registered, settings: dict) -> Use:
    node = to_node({"chosen": {"use": item.qualified, **settings}}, Position("test"))
    return structure(node, make_holder(item.provider.kind), REGISTRY).config.chosen


def required(item: Registered) -> dict:
    cls = REGISTRY.load_config_class(item.provider.kind, item.qualified)
    return {row["name"]: REQUIRED[row["name"]] for row in describe_settings(cls) if row["required"]}


def presets() -> list:
    return [
        pytest.param(item, name, id=f"{title(item)}-{name}")
        for item in OURS
        for name in getattr(REGISTRY.load_config_class(item.provider.kind, item.qualified), "PRESETS", {})
    ]


@pytest.mark.parametrize("item", OURS, ids=title)
def test_target_exists(item):
    from parc_core.plugins import import_object

    assert callable(import_object(item.provider.target))


@pytest.mark.parametrize("item", OURS, ids=title)
def test_every_setting_has_a_help_text(item):
    cls = REGISTRY.load_config_class(item.provider.kind, item.qualified)
    assert [row["name"] for row in describe_settings(cls) if not row["help"]] == []


@pytest.mark.parametrize("item", OURS, ids=title)
def test_summary_says_what_it_does(item):
    assert item.provider.summary


@pytest.mark.parametrize("item", OURS, ids=title)
def test_defaults_survive_the_way_through_a_file(item):
    use = load(item, required(item))
    text = dump_yaml({"chosen": use})
    node, problems = parse_text(text, "test")
    assert problems == []
    assert structure(node, make_holder(item.provider.kind), REGISTRY).config.chosen == use, text


@pytest.mark.parametrize(("item", "name"), presets())
def test_preset_is_valid_and_changes_something(item, name):
    plain = required(item)
    assert dump(load(item, {**plain, "preset": name})) != dump(load(item, plain))
