"""The implementation behind the name of a provider, imported when it is needed, and its origin."""

from __future__ import annotations

import difflib
import pathlib
from collections.abc import Mapping
from types import MappingProxyType, ModuleType
from typing import Any

import attrs

from parc_core.errors import (
    BrokenPlugin,
    ProviderUnavailable,
    UnknownProvider,
    describe_error,
    is_interrupt,
)
from parc_core.plugins.discovery import import_module, import_object
from parc_core.plugins.files import load_file
from parc_core.plugins.provider import required_settings, reserved_keys
from parc_core.plugins.signature import accepted, bind, settings_class
from parc_motion.errors import ParcError

__all__ = ["Target"]


@attrs.frozen(kw_only=True)
class Target:
    """An implementation of a kind, found by `Registry.resolve`; nothing of it is imported yet."""

    kind: str
    name: str  # as it was given; the path of a plain file is absolute
    spec: str  # "module:attribute", or "/path/to/file.py:attribute"
    config: str = ""  # "module:attribute" of the settings class; "": the signature says what the settings are
    dist: str = ""  # distribution and version that the code came with; "" where none is known
    version: str = ""
    registered: bool = True  # by a plugin; False: the name says where the code is
    file: pathlib.Path | None = None  # the plain file that holds it
    results_version: int = 1

    @property
    def title(self) -> str:
        """``kind 'name' of dist version``, for messages."""
        if not self.registered:
            return f"{self.kind} '{self.name}'"
        return f"{self.kind} '{self.name.rpartition(':')[2]}' of {self.dist} {self.version}"

    def identity(self) -> dict[str, str]:
        """What distinguishes this code from other code: distribution and version, or the SHA-256 of a file.

        The file is used if no distribution is known; its folder does not matter.
        """
        import hashlib
        import importlib.util

        module, _, attribute = self.spec.rpartition(":")
        if self.file is None and self.dist:
            return {"dist": self.dist, "version": self.version}
        spec = None if self.file is not None else importlib.util.find_spec(module)
        path = self.file if spec is None or spec.origin is None else pathlib.Path(spec.origin)
        digest = hashlib.sha256(path.read_bytes()).hexdigest() if path is not None and path.is_file() else ""
        return {"file": digest, "attribute": attribute}

    def load(self) -> Any:
        """The class or function.

        Raises:
            UnknownProvider: the module or file has no such attribute.
            ProviderUnavailable: its module, or something that it imports, is missing.
            BrokenPlugin: importing it raised.
        """
        if self.registered:
            return self._import(self.spec)
        module = self._module_of_file(self.file) if self.file is not None else self._import(self.spec)
        return self._attribute(module)

    def settings_class(self) -> type:
        """The attrs class of its settings.

        Raises:
            UnknownProvider, ProviderUnavailable, BrokenPlugin: as `load`, or its settings are not an attrs class.
        """
        if self.config:
            cls = self._import(self.config)
            if not (isinstance(cls, type) and attrs.has(cls)):
                raise BrokenPlugin(
                    f"{self.title}: {self.config} is {cls!r}, expected an attrs class of settings."
                )
        else:
            cls = self._of_signature()
        self._check_names(cls)
        return cls

    def create(
        self, config: Any, *, optional: Mapping[str, Any] = MappingProxyType({}), **collaborators: Any
    ) -> Any:
        """An instance of the provider; a plain function gets its settings bound and no collaborators.

        Args:
            config: its settings; the defaults when None.
            optional: collaborators that only targets with such a parameter get.

        Raises:
            UnknownProvider, ProviderUnavailable, BrokenPlugin: as `load`, or its constructor raised.
        """
        target = self.load()
        config = config if config is not None else self.settings_class()()
        try:
            collaborators |= accepted(target, optional)
            return target(config, **collaborators) if self.config else bind(target, config, collaborators)
        except ParcError:
            raise
        except BaseException as err:  # code of a plugin or user: the message has to say whose it is
            if is_interrupt(err):
                raise
            raise BrokenPlugin(
                f"{self.title}: its constructor raised {describe_error(err)}\n"
                f"  target      {self.spec}\n"
                f"  to do       {self._advice()}; `parc --debug ...` shows where it happened"
            ) from err

    def _of_signature(self) -> type:
        target = self.load()
        try:
            return settings_class(target, self.kind)
        except BrokenPlugin as err:
            raise BrokenPlugin(f"{self.title}: {err}") from err

    def _check_names(self, cls: type) -> None:
        names, reserved = [field.name for field in attrs.fields(cls)], reserved_keys(self.kind)
        taken = [name for name in names if name in reserved]
        if taken:
            raise BrokenPlugin(
                f"{self.title}: the setting '{taken[0]}' has a reserved name ({', '.join(reserved)}). Rename it."
            )
        for name, declaration in required_settings(self.kind).items():
            if name not in names:
                raise BrokenPlugin(
                    f"{self.title}: its settings class {cls.__name__} has no '{name}'\n"
                    f"  to do       add {declaration}"
                )

    def _module_of_file(self, path: pathlib.Path) -> ModuleType:
        try:
            return load_file(path)
        except BrokenPlugin as err:
            raise BrokenPlugin(f"{self.title}: {err}") from err

    def _attribute(self, module: ModuleType) -> Any:
        attribute = self.spec.rpartition(":")[2]
        if hasattr(module, attribute):
            return getattr(module, attribute)
        defined = [
            name
            for name, value in vars(module).items()
            if callable(value) and not name.startswith("_") and value.__module__ == module.__name__
        ]
        where = "the module" if self.file is None else "the file"
        lines = [f"{self.title}: {where} has no '{attribute}'"]
        lines += [f"  closest     {name}" for name in difflib.get_close_matches(attribute, defined, n=1)]
        raise UnknownProvider("\n".join([*lines, f"  defined     {', '.join(defined) or 'nothing'}"]))

    def _import(self, spec: str) -> Any:
        try:
            return import_object(spec) if self.registered else import_module(spec.partition(":")[0])
        except ImportError as err:
            raise ProviderUnavailable(
                f"{self.title} cannot be imported: {describe_error(err)}\n"
                f"  target      {spec}\n"
                f"  to do       {self._import_advice(err, spec)}"
            ) from err
        except BrokenPlugin as err:
            raise BrokenPlugin(
                f"{self.title}: {err}\n  target      {spec}\n  to do       {self._mend_advice()}"
            ) from err

    def _import_advice(self, err: ImportError, spec: str) -> str:
        missing = getattr(err, "name", None) or ""
        foreign = (
            isinstance(err, ModuleNotFoundError) and missing.split(".")[0] != spec.split(":")[0].split(".")[0]
        )
        also = f"install the missing module '{missing}'" if missing and foreign else ""
        if not self.dist:
            return also or f"check the name, and that Python finds the module '{spec.partition(':')[0]}'"
        reinstall = f"pip install --upgrade --force-reinstall {self.dist}"
        return f"{reinstall}, or {also}" if also else reinstall

    def _mend_advice(self) -> str:
        if not self.dist:
            return "correct the module"
        return f"pip install --upgrade {self.dist}, or report it to its authors"

    def _advice(self) -> str:
        return f"report it to the authors of {self.dist}" if self.dist else "correct the code"
