"""What a provider's result depends on: its settings and what lies in the files that it reads; and which code made it.

Where files lie does not count, so that a run and its inputs can be moved; what is in them does. Versions of code are
recorded, but they do not count either: an upgrade does not make finished work unfinished.
"""

from __future__ import annotations

import glob
import pathlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import attrs

from parc_core.config import Use, dump
from parc_core.plugins import Registry, Target
from parc_motion.clips import read_motion_list
from parc_motion.errors import DataError
from parc_motion.storage import digest_unchanged

__all__ = ["extending_settings", "provider_key", "provider_modules", "provider_versions"]


def provider_key(
    registry: Registry, kind: str, use: Use, digest: Callable[[pathlib.Path], str] = digest_unchanged
) -> dict[str, Any]:
    """Name and settings of a provider; providers inside its settings likewise.

    However it was written: as ``name``, ``dist:name``, or a plain file in another folder.

    Args:
        digest: gives the SHA-256 of a file.
    """
    target = _target(registry, kind, use)
    key = {"use": _name(target), "settings": _settings(registry, use.config, digest)}
    return key if target.results_version == 1 else {**key, "results_version": target.results_version}


def extending_settings(use: Use) -> set[str]:
    """Names, as in a key, of the settings of a provider that only make its work longer, e.g. ``settings.epochs``."""
    return {f"settings.{name}" for name in _extending(use.config)}


def _extending(config: Any) -> Iterator[str]:
    for field in attrs.fields(type(config)) if attrs.has(type(config)) else ():
        if field.metadata.get("extends"):
            yield field.alias
        inner = getattr(config, field.name)
        if not isinstance(inner, Use):
            yield from (f"{field.alias}.{name}" for name in _extending(inner))


def provider_versions(registry: Registry, kind: str, use: Use) -> dict[str, str]:
    """Versions of the distributions that a provider and those inside its settings are from; SHA-256 of plain files."""
    target = _target(registry, kind, use)
    code = target.identity()
    found = {code["dist"]: code["version"]} if "dist" in code else {_name(target): code["file"]}
    for inner_kind, inner in _inner(use.config):
        found |= provider_versions(registry, inner_kind, inner)
    return dict(sorted(found.items()))


def provider_modules(registry: Registry, settings: Any) -> list[str]:
    """Modules of the providers that are chosen anywhere inside settings; plain files are none."""
    found = set()
    for kind, use in _inner(settings):
        target = _target(registry, kind, use)
        if target.file is None:
            found.add(target.spec.rpartition(":")[0])
        found.update(provider_modules(registry, use.config))
    return sorted(found)


def _target(registry: Registry, kind: str, use: Use) -> Target:
    return use.target or registry.resolve(kind, use.name)


def _name(target: Target) -> str:
    if target.registered:
        return f"{target.dist}:{target.name.rpartition(':')[2]}"
    return target.spec if target.file is None else target.spec.rpartition(":")[2]


def _inner(config: Any) -> Iterator[tuple[str, Use]]:
    """The providers inside settings, with their kinds."""
    for field in attrs.fields(type(config)) if attrs.has(type(config)) else ():
        value, kind = getattr(config, field.name), field.metadata.get("kind")
        if kind:
            values = value.values() if isinstance(value, Mapping) else value
            parts = values if isinstance(value, (tuple, list, Mapping)) else (value,)
            yield from ((kind, one) for one in parts if isinstance(one, Use))
        else:
            yield from _inner(value)


def _settings(registry: Registry, config: Any, digest: Callable[[pathlib.Path], str]) -> dict[str, Any]:
    """Every setting by name; what it depends on in place of files and providers."""
    if config is None:
        return {}
    plain = {}
    for field in attrs.fields(type(config)):
        value, kind = getattr(config, field.name), field.metadata.get("kind")
        if field.metadata.get("path"):
            plain[field.alias] = _contents(value, digest)
        elif kind and isinstance(value, Use):
            plain[field.alias] = provider_key(registry, kind, value, digest)
        elif kind and isinstance(value, (tuple, list)):
            plain[field.alias] = [[one.weight, provider_key(registry, kind, one, digest)] for one in value]
        elif kind and isinstance(
            value, Mapping
        ):  # a list, because the order counts: that of observation groups
            plain[field.alias] = [
                [name, provider_key(registry, kind, one, digest)] for name, one in value.items()
            ]
        elif attrs.has(type(value)):
            plain[field.alias] = _settings(registry, value, digest)
        else:
            plain[field.alias] = dump(value)
    return plain


def _contents(value: Any, digest: Callable[[pathlib.Path], str]) -> Any:
    """SHA-256 of every file that a path setting stands for, by its name inside the folder."""
    if value is None:
        return None
    if isinstance(value, (tuple, list)):
        return [_contents(one, digest) for one in value]
    if not value:
        return {}  # no path is given; pathlib would take the current directory
    path = pathlib.Path(value).expanduser()
    if path.is_dir():
        return {
            file.relative_to(path).as_posix(): digest(file)
            for file in sorted(path.rglob("*"))
            if file.is_file()
        }
    if path.is_file():
        return {path.name: digest(path), **_listed(path, digest)}
    files = (pathlib.Path(name) for name in glob.glob(str(path), recursive=True))
    return {file.name: digest(file) for file in sorted(files) if file.is_file()}


def _listed(path: pathlib.Path, digest: Callable[[pathlib.Path], str]) -> dict[str, str | None]:
    """SHA-256 of the files that a motion list in the published form names; manifests hold those digests themselves."""
    if path.suffix not in (".yaml", ".yml"):
        return {}
    try:
        found = read_motion_list(path)
    except DataError:
        return {}  # not a motion list, or one whose reader says what is wrong with it
    files = [] if found.is_manifest else [motion.file for motion in found.motions]
    return {
        f"motion {number} {file.name}": digest(file) if file.is_file() else None
        for number, file in enumerate(files, 1)
    }
