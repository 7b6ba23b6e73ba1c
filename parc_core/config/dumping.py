"""From settings back to plain data with every value explicit, as a run folder keeps them."""

from __future__ import annotations

import math
import pathlib
from collections.abc import Mapping
from typing import Any

import attrs
import yaml

from parc_core.config.classes import default_of
from parc_core.config.fields import Use, key_of
from parc_core.config.iteration import Changes
from parc_core.config.yaml_scalars import resolve_scalar
from parc_core.errors import ConfigError
from parc_core.plugins import WEIGHTED_KINDS

__all__ = ["config_digest", "dump", "dump_yaml"]


def dump(value: Any) -> Any:
    """Settings as dicts, lists and scalars; `structure` makes equal settings of them again.

    ``${`` in strings is escaped, because the reader would expand a variable. An entry of a ``dict[str, Use]`` that
    has a default and was taken out is written as None, so that reading does not bring it back.
    """
    return _plain(value)


def dump_yaml(config: Any, heading: str = "") -> str:
    """Settings as a YAML text with every value explicit.

    Args:
        heading: comment lines above, without ``#``.
    """
    comment = "".join(f"# {line}\n" for line in heading.splitlines())
    return comment + yaml.dump(
        dump(config), Dumper=_Dumper, sort_keys=False, allow_unicode=True, default_flow_style=False, width=110
    )


def config_digest(value: Any) -> str:
    """SHA-256 of settings (or plain data holding settings) in canonical JSON form; equal settings, equal digest."""
    from parc_motion.storage import digest_json  # here: the package of storage loads NumPy

    return digest_json(dump(value))


def _plain(value: Any, default: Any = None) -> Any:
    """Plain data of a value; `default` is the default that the reader would use in its place."""
    if isinstance(value, Use):
        same = isinstance(default, Use) and default.name == value.name
        return {"use": value.name} | (
            _record(value.config, default.config if same else None) if value.config else {}
        )
    if isinstance(value, Changes):
        return _plain(value.written)
    if attrs.has(type(value)):
        return _record(value, default if type(default) is type(value) else None)
    if isinstance(value, Mapping):
        below = default if isinstance(default, Mapping) else {}
        plain = {
            key if isinstance(key, int) else str(key): _plain(item, below.get(key))
            for key, item in value.items()
        }
        return plain | {
            name: None for name, use in below.items() if isinstance(use, Use) and name not in plain
        }
    if isinstance(value, (list, tuple)):
        return [_list_item(item) for item in value]
    if isinstance(value, pathlib.PurePath):
        return str(value).replace("${", "$${")
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"a setting is {value}; settings must be finite. Write None for no limit.")
    return value.replace("${", "$${") if isinstance(value, str) else value


def _record(value: Any, base: Any) -> dict[str, Any]:
    """Plain data of an instance of a settings class; `base` holds the defaults, those of the class when None."""
    fields = [field for field in attrs.fields(type(value)) if field.init]
    return {key_of(field): _plain(getattr(value, field.name), default_of(field, base)) for field in fields}


def _list_item(value: Any) -> Any:
    plain = _plain(value)
    if isinstance(value, Use) and value.kind not in WEIGHTED_KINDS:
        return {"use": plain.pop("use"), "weight": value.weight} | plain
    return plain


class _Dumper(yaml.SafeDumper):
    """Quotes the strings that the reader would otherwise read as numbers, truth values or null."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _string(dumper: _Dumper, text: str) -> yaml.ScalarNode:
    value, problem = resolve_scalar(text)
    style = None if problem is None and isinstance(value, str) and text.isprintable() else '"'
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


def _float(dumper: _Dumper, number: float) -> yaml.ScalarNode:
    mantissa, e, exponent = repr(number).partition("e")
    text = f"{mantissa}{'' if '.' in mantissa or not e else '.0'}{e}{exponent}"  # without the dot PyYAML adds a tag
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(str, _string)
_Dumper.add_representer(float, _float)
