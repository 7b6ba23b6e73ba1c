"""Providers that no plugin registered: ``module:attribute`` and ``path/to/file.py:attribute``."""

from __future__ import annotations

import os
import sys
import textwrap
from typing import TYPE_CHECKING

import attrs
import pytest

from parc_core.config import Use, setting
from parc_core.errors import BrokenPlugin, ProviderUnavailable, UnknownProvider
from parc_core.plugins import Provider, Registry
from parc_testing.plugins import FakeEntryPoint, install, make_plugin, make_provider

if TYPE_CHECKING:
    from no_such_module import Frame

KIND = "reward_term"


@attrs.frozen(kw_only=True)
class NearConfig:
    weight: float = setting(0.5, ge=0, help="Weight of the term.")
    k: float = setting(2.0, ge=0, help="Sharpness.")


@attrs.frozen(kw_only=True)
class PlainConfig:
    k: float = setting(2.0, help="Sharpness.")


class Near:
    """A term with collaborators."""

    def __init__(self, config: NearConfig, *, scale: float) -> None:
        self.config, self.scale = config, scale

    def __call__(self, frame: float) -> float:
        return self.config.k * self.scale * frame


class WithoutConfig:
    def __init__(self, *, scale: float) -> None: ...


class UntypedConfig:
    def __init__(self, config) -> None: ...


class DictConfig:
    def __init__(self, config: dict) -> None: ...


class Weightless:
    def __init__(self, config: PlainConfig) -> None: ...


def feet_apart(
    frame: Frame,
    *,
    k: float = 3.0,
    names: tuple[str, ...] = (),
    table: dict[str, int] = {"a": 1},  # noqa: B006
) -> float:
    """How far the feet are apart.

    Args:
        frame: what the term sees.
        k: sharpness of the term,
            in 1/m.
        names (optional): bodies that count.

    Returns:
        A number.
    """
    return k * frame


def positional(frame, k: float = 3.0):
    return frame


def starred(frame, *rest):
    return frame


def double_starred(frame, **settings):
    return frame


def untyped(frame, *, k=3.0):
    return frame


def unresolvable(frame, *, k: Frame = None):
    return frame


def reserved(frame, *, preset: str = "x"):
    return frame


number = 3


def own_weight(frame, *, weight: float = 0.25):
    return weight * frame


@pytest.fixture
def registry(monkeypatch) -> Registry:
    providers = [
        make_provider(KIND, "near", NearConfig, Near),
        Provider(kind=KIND, name="feet", target=f"{__name__}:feet_apart"),
    ]
    return install(monkeypatch, FakeEntryPoint(module=make_plugin(providers), distribution="parc-demo"))


def here(name: str) -> str:
    return f"{__name__}:{name}"


@pytest.fixture
def write(tmp_path):
    def write(text: str, name: str = "my_terms.py") -> str:
        (tmp_path / name).write_text(textwrap.dedent(text))
        return str(tmp_path / name)

    return write


# --- settings from the signature


def test_settings_of_a_function_are_its_keyword_only_parameters(registry):
    cls = registry.load_config_class(KIND, here("feet_apart"))
    assert attrs.asdict(cls()) == {"weight": 1.0, "k": 3.0, "names": (), "table": {"a": 1}}


def test_help_of_a_functions_settings_comes_from_its_docstring(registry):
    fields = attrs.fields_dict(registry.load_config_class(KIND, here("feet_apart")))
    assert [fields[name].metadata["help"] for name in ("weight", "k", "names", "table")] == [
        "Weight of this term in the sum.",
        "sharpness of the term, in 1/m.",
        "bodies that count.",
        "Parameter 'table' of feet_apart.",
    ]


def test_mutable_default_is_copied(registry):
    cls = registry.load_config_class(KIND, here("feet_apart"))
    cls().table["b"] = 2
    assert cls().table == {"a": 1}


def test_settings_class_of_a_function_is_made_once(registry):
    assert registry.load_config_class(KIND, here("feet_apart")) is registry.load_config_class(KIND, "feet")


def test_kind_without_weights_adds_none(registry):
    cls = registry.load_config_class("observation_term", here("feet_apart"))
    assert "weight" not in attrs.fields_dict(cls)


def test_function_with_its_own_weight_keeps_it(registry):
    target = registry.resolve(KIND, here("own_weight"))
    assert target.settings_class()().weight == 0.25
    assert target.create(target.settings_class()(weight=3.0))(2.0) == 6.0


def test_settings_of_a_class_are_the_type_of_its_config(registry):
    assert registry.load_config_class(KIND, here("Near")) is NearConfig


def test_registered_function_needs_no_settings_class(registry):
    assert registry.create(KIND, Use("feet"))(2.0) == 6.0


# --- creation


def test_class_is_called_with_settings_and_collaborators(registry):
    term = registry.create(KIND, Use(here("Near"), NearConfig(k=5.0)), scale=2.0)
    assert term(3.0) == 30.0


def test_function_gets_its_settings_and_no_collaborators(registry):
    cls = registry.load_config_class(KIND, here("feet_apart"))
    assert registry.create(KIND, Use(here("feet_apart"), cls(k=4.0, weight=9.0)), scale=2.0)(2.0) == 8.0


# --- files


def test_function_in_a_file_is_found_beside_the_file_that_names_it(registry, write, tmp_path):
    write("def near(frame, *, k: float = 2.0): return k * frame")
    target = registry.resolve(KIND, "my_terms.py:near", base=tmp_path)
    assert target.name == f"{tmp_path / 'my_terms.py'}:near"
    assert registry.create(KIND, Use(target.name))(3.0) == 6.0


def test_file_is_searched_in_the_current_directory_too(registry, write, tmp_path, monkeypatch):
    write("def near(frame): return frame")
    monkeypatch.chdir(tmp_path)
    assert (
        registry.resolve(KIND, "my_terms.py:near", base=tmp_path / "other").file == tmp_path / "my_terms.py"
    )


def test_file_is_imported_once(registry, write):
    path = write("def one(frame): return 1\ndef two(frame): return 2\n")
    first = registry.resolve(KIND, f"{path}:one").load()
    again = registry.resolve(KIND, f"{os.path.dirname(path)}/./my_terms.py:two").load()
    assert first.__globals__ is again.__globals__


def test_classes_in_a_file_may_use_its_annotations(registry, write):
    path = write(
        """
        from __future__ import annotations
        import attrs
        from parc_core.config import setting

        @attrs.frozen(kw_only=True)
        class Config:
            weight: float = setting(0.3, help="Weight.")

        class Term:
            def __init__(self, config: Config) -> None:
                self.config = config
        """
    )
    assert registry.create(KIND, Use(f"{path}:Term")).config.weight == 0.3


def test_identity_of_a_file_is_its_content(registry, write, tmp_path):
    target = registry.resolve(KIND, f"{write('def near(frame): return frame')}:near")
    (tmp_path / "elsewhere").mkdir()
    copy = registry.resolve(KIND, f"{write('def near(frame): return frame', 'elsewhere/b.py')}:near")
    other = registry.resolve(KIND, f"{write('def near(frame): return 2', 'elsewhere/c.py')}:near")
    assert target.identity() == copy.identity() != other.identity()
    assert target.identity()["attribute"] == "near"


def test_identity_of_installed_code_is_its_distribution(registry):
    assert registry.resolve(KIND, "near").identity() == {"dist": "parc-demo", "version": "1.2.3"}
    assert registry.resolve(KIND, "attrs:frozen").identity() == {
        "dist": "attrs",
        "version": attrs.__version__,
    }


def test_identity_of_a_module_without_distribution_is_its_file(registry, write, tmp_path, monkeypatch):
    path = write("def near(frame): return frame", "loose_terms.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    loose, file = registry.resolve(KIND, "loose_terms:near"), registry.resolve(KIND, f"{path}:near")
    assert loose.identity() == file.identity()


# --- errors, whole texts


def test_missing_file_says_where_it_was_searched(registry, tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")
    with pytest.raises(UnknownProvider) as error:
        registry.resolve(KIND, "my_terms.py:near", base=tmp_path)
    assert str(error.value) == (
        "reward_term 'my_terms.py:near': the file does not exist\n"
        f"  searched    {tmp_path}/my_terms.py\n"
        f"              {tmp_path}/cwd/my_terms.py\n"
        "  to do       write the path relative to the file that names it, or the absolute path"
    )


def test_missing_attribute_of_a_file_says_what_it_defines(registry, write):
    path = write("import math\ndef near(frame): return frame\nclass Far: pass\n_x = near\n")
    with pytest.raises(UnknownProvider) as error:
        registry.resolve(KIND, f"{path}:nera").load()
    assert str(error.value) == (
        f"reward_term '{path}:nera': the file has no 'nera'\n  closest     near\n  defined     near, Far"
    )


def test_missing_attribute_of_a_module_says_so(registry):
    with pytest.raises(UnknownProvider, match=r"^reward_term 'attrs:frozn': the module has no 'frozn'\n"):
        registry.resolve(KIND, "attrs:frozn").load()


def test_missing_module_is_an_unknown_name(registry):
    with pytest.raises(UnknownProvider) as error:
        registry.resolve(KIND, "my_terms:near")
    assert str(error.value) == (
        "no reward_term is called 'my_terms:near'\n"
        "  installed   parc-demo:feet, parc-demo:near\n"
        "  not found   a module 'my_terms'\n"
        "  see         parc plugins --kind reward_term"
    )


def test_module_that_imports_something_missing_is_unavailable(registry, write, tmp_path, monkeypatch):
    write("import shapely_that_does_not_exist\n", "needing_terms.py")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(ProviderUnavailable) as error:
        registry.load_config_class(KIND, "needing_terms:near")
    assert str(error.value) == (
        "reward_term 'needing_terms:near' cannot be imported: "
        "ModuleNotFoundError: No module named 'shapely_that_does_not_exist'\n"
        "  target      needing_terms:near\n"
        "  to do       install the missing module 'shapely_that_does_not_exist'"
    )


@pytest.mark.parametrize(
    ("text", "line", "raised"),
    [
        ("x = 1\nraise RuntimeError('boom')\n", 2, "RuntimeError: boom"),
        ("import sys\n\nsys.exit(2)\n", 3, "SystemExit: 2 (the plugin called sys.exit)"),
    ],
    ids=["raises", "exits"],
)
def test_file_that_raises_is_reported_with_its_line(registry, write, text, line, raised):
    path = write(text)
    with pytest.raises(BrokenPlugin) as error:
        registry.load_config_class(KIND, f"{path}:near")
    assert str(error.value) == f"reward_term '{path}:near': {path}:{line}: importing the file raised {raised}"
    assert not [name for name, module in sys.modules.items() if getattr(module, "__file__", "") == path]


def test_file_with_a_syntax_error_is_reported_with_its_line(registry, write):
    path = write("x = 1\ndef near(:\n")
    with pytest.raises(BrokenPlugin, match=r"my_terms\.py:2: importing the file raised SyntaxError: "):
        registry.load_config_class(KIND, f"{path}:near")


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("number", "is 3, expected a class or a function"),
        (
            "positional",
            "positional: the parameter 'k' has a default, but it is not keyword-only\n"
            "  to do       put a * before the settings, e.g. def positional(frame, *, k: float = 3.0)",
        ),
        (
            "starred",
            "starred takes *rest, expected parameters with names\n"
            "  to do       write every setting out, e.g. def starred(frame, *, k: float = 3.0)",
        ),
        (
            "double_starred",
            "double_starred takes **settings, expected parameters with names\n"
            "  to do       write every setting out, e.g. def double_starred(frame, *, k: float = 3.0)",
        ),
        (
            "untyped",
            "untyped: the setting 'k' has no type\n  to do       annotate it, e.g. k: float = 3.0",
        ),
        (
            "unresolvable",
            "unresolvable: the type of a setting cannot be resolved: name 'Frame' is not defined\n"
            "  to do       import the name outside of `if TYPE_CHECKING:`",
        ),
        ("reserved", "the setting 'preset' has a reserved name (use, preset). Rename it."),
        (
            "WithoutConfig",
            "class WithoutConfig: __init__ has no parameter 'config'\n"
            "  to do       write def __init__(self, config: WithoutConfigConfig, ...) with an attrs class",
        ),
        (
            "UntypedConfig",
            "UntypedConfig: the parameter 'config' has no type\n"
            "  to do       annotate it with the attrs class of its settings",
        ),
        ("DictConfig", "DictConfig: the parameter 'config' is a dict, expected an attrs class of settings"),
        (
            "Weightless",
            "its settings class PlainConfig has no 'weight'\n"
            "  to do       add weight: float = setting(1.0, ge=0, help=...)",
        ),
    ],
)
def test_code_that_does_not_say_its_settings_is_refused(registry, name, text):
    with pytest.raises(BrokenPlugin) as error:
        registry.load_config_class(KIND, here(name))
    assert str(error.value) == f"reward_term '{here(name)}': {text}"


def test_simulator_says_how_many_copies_a_training_runs(registry):
    with pytest.raises(BrokenPlugin) as error:
        registry.load_config_class("simulator", here("Weightless"))
    assert str(error.value) == (
        f"simulator '{here('Weightless')}': its settings class PlainConfig has no 'num_envs'\n"
        "  to do       add num_envs: int = setting(256, ge=1, help=...)"
    )


def test_constructor_of_unregistered_code_is_reported_without_an_owner(registry, write):
    path = write(
        """
        import attrs
        @attrs.frozen
        class Config:
            weight: float = 1.0
        class Term:
            def __init__(self, config: Config) -> None:
                raise RuntimeError("no feet")
        """
    )
    with pytest.raises(BrokenPlugin) as error:
        registry.create(KIND, Use(f"{path}:Term"))
    assert str(error.value) == (
        f"reward_term '{path}:Term': its constructor raised RuntimeError: no feet\n"
        f"  target      {path}:Term\n"
        "  to do       correct the code; `parc --debug ...` shows where it happened"
    )
