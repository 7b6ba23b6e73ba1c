import os

import hypothesis
import hypothesis.strategies as st
import pytest

from parc_core.config import (
    InvalidConfig,
    MappingNode,
    ScalarNode,
    SequenceNode,
    load_plain,
    parse_text,
    read_text,
    to_plain,
    yaml_source,
)
from parc_core.errors import ConfigError
from parc_testing.timing import least_cpu_seconds


def value_of(text, **environ):
    node, problems = parse_text(text, "f.yaml", environ=environ)
    assert problems == []
    return to_plain(node)


def problems_of(text, **environ):
    try:
        return [str(problem) for problem in parse_text(text, "f.yaml", environ=environ)[1]]
    except InvalidConfig as err:
        return [str(problem) for problem in err.problems]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4), ("-2.5E+3", -2500.0), (".5", 0.5), ("5.", 5.0), ("1_000_000", 1000000), ("-0", 0), ("+7", 7),
        ("true", True), ("FALSE", False), ("~", None), ("null", None), ("", None), ("1_0.5", 10.5),
        ("no", "no"), ("yes", "yes"), ("on", "on"), ("off", "off"), ("y", "y"),
        ("12:30:45", "12:30:45"), ("2026-01-02", "2026-01-02"), ("017", "017"), ("-017", "-017"), ("0x1F", "0x1F"),
        ("1__0", "1__0"), ("_1", "_1"), ("e5", "e5"), (".", "."), ("'1'", "1"), ('"true"', "true"), ("'~'", "~"),
        ("inf", "inf"), ("nan", "nan"), ("=", "="), ("1e", "1e"), ("9" * 500, "9" * 500),
    ],
)  # fmt: skip
def test_scalars_follow_yaml_1_2(text, value):
    read = value_of(text)
    assert read == value and type(read) is type(value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("a: 1\nb: 2\na: 3", "f.yaml:3:1: a: the key is given twice, first in line 1. Remove one."),
        ("x: {k: 1, k: 2}", "f.yaml:1:11: x.k: the key is given twice, first in line 1. Remove one."),
        ("a: .nan", "f.yaml:1:4: a: '.nan' is not a finite number. Write a number, or leave the key out."),
        ("a: [1, -.Inf]", "f.yaml:1:8: a.1: '-.Inf' is not a finite number. Write a number, or leave the key out."),
        ("a: 1e999", "f.yaml:1:4: a: 1e999 is beyond the range of a float."),
        (
            "a: 18446744073709551616",
            "f.yaml:1:4: a: 18446744073709551616 is beyond 64 bits. Put it in quotes if it is a name.",
        ),
        ("a: ${NOPE}/x", "f.yaml:1:4: a: the environment variable NOPE is not set. Set it: export NOPE=..."),
        (
            "a: ${no pe}",
            "f.yaml:1:4: a: '${no pe}' is not a variable. Write ${NAME}, or $${ for the characters themselves.",
        ),
        ("<<: {a: 1}", "f.yaml:1:1: merge keys (<<) are not supported. Write the keys out."),
        ("a: !x 1", "f.yaml:1:4: the tag '!x' is not supported. Remove it; quotes make a string."),
        (
            "a: !!python/object:os.system x",
            "f.yaml:1:4: the tag 'tag:yaml.org,2002:python/object:os.system' is not supported. "
            "Remove it; quotes make a string.",
        ),
        ("a: *x", "f.yaml:1:4: no anchor is called 'x'. Write &x before the value that it stands for."),
        ("&a [*a]", "f.yaml:1:5: '*a' contains itself. Write the value out."),
        ("? [a]\n: b", "f.yaml:1:3: a key has to be plain text. Is a quote or a comma missing?"),
        ("a: 1\n---\nb: 2", "f.yaml:2:1: a second document starts here, expected one. Remove the line `---`."),
        ("%TAG ! x:\n--- a", "f.yaml:1:1: %TAG lines are not supported. Remove it."),
        ("[" * 3000, "f.yaml:1:66: nested more than 64 deep, too deep for a configuration."),
        ("a: \x07", "f.yaml:1:4: not YAML: control characters are not allowed."),
        ("é: \x07", "f.yaml:1:4: not YAML: control characters are not allowed."),
        ("a: \ud800", "f.yaml: holds bytes that are not UTF-8. Write it in UTF-8."),
    ],
)  # fmt: skip
def test_what_is_refused_says_where_and_what_to_do(text, problem):
    assert problems_of(text) == [problem]


@pytest.mark.parametrize("text", ["a: [1", "a: 'x", "{a: b: c}", "\t- a", "@a", "a: b: c", "- a\nb: c"])
def test_what_is_no_yaml_says_where(text):
    (problem,) = problems_of(text)
    assert problem.startswith("f.yaml:") and ": not YAML: " in problem


def test_all_problems_of_a_file_are_reported_together():
    assert len(problems_of("a: .nan\na: 1\nb: ${NOPE}\nc: 1e999")) == 4


def test_positions_are_those_of_the_values():
    node, _ = parse_text("a: 1\nb:\n  - x\n  - {c: d}\n", "f.yaml")
    assert isinstance(node, MappingNode)
    second = node.keys["b"].node.items[1]
    assert str(node.keys["b"].at) == "f.yaml:2:1"
    assert str(second.keys["c"].node.at) == "f.yaml:4:9"


def test_position_counts_characters_not_bytes():
    node, _ = parse_text("äöü: [ß, x]", "f.yaml")
    assert str(node.keys["äöü"].node.items[1].at) == "f.yaml:1:10"


def test_variable_is_replaced_inside_a_string():
    assert value_of("${HERE}/initial", HERE="/data") == "/data/initial"


def test_variable_without_quotes_may_give_a_number():
    assert value_of("- ${SEED}\n- '${SEED}'", SEED="7") == [7, "7"]


def test_variable_between_brackets_needs_quotes():
    (problem,) = problems_of("a: [${X}]", X="1")
    assert problem.endswith("Between brackets, put quotes around a value with ${...}.")


@pytest.mark.parametrize(
    ("environ", "value"), [({}, "../x"), ({"HERE": ""}, "../x"), ({"HERE": "/data"}, "/data")]
)
def test_variable_may_have_a_text_for_when_it_is_unset(environ, value):
    assert value_of("'${HERE:-../x}'", **environ) == value


def test_variable_is_not_looked_for_in_a_variable():
    assert value_of("'${A}'", A="${B}") == "${B}"


def test_two_dollars_stand_for_the_characters():
    assert value_of("$${HOME}") == "${HOME}"


def test_variable_with_a_line_break_is_refused():
    assert problems_of("a: ${A}", A="x\ny: 1") == [
        "f.yaml:1:4: a: the environment variable A holds characters that cannot be printed. Set it to plain text."
    ]


def test_alias_repeats_its_anchor():
    assert value_of("a: &x {k: 1}\nb: *x") == {"a": {"k": 1}, "b": {"k": 1}}


def bomb(levels):
    return "a0: &a0 [x, x]\n" + "".join(f"a{i}: &a{i} [*a{i - 1}, *a{i - 1}]\n" for i in range(1, levels))


def test_alias_bomb_is_refused_before_it_goes_off():
    (problem,) = problems_of(bomb(30))
    assert problem.endswith("more than 20,000 values, too many for a configuration.")


def test_aliases_cannot_nest_deeper_than_values():
    text = "a: &a [[[[1]]]]\n" + "b: " + "[" * 60 + "*a" + "]" * 60
    assert problems_of(text) == ["f.yaml:2:64: '*a' nests more than 64 deep, too deep for a configuration."]


@pytest.mark.parametrize(
    "text",
    [bomb(12), "[" * 60 + "]" * 60, "a: " + "x" * 60_000, "\n".join(f"k{i}: {i}" for i in range(2000))],
    ids=["bomb", "deep", "long", "many"],
)
def test_reading_is_quick(text):
    assert least_cpu_seconds(lambda: problems_of(text)) < 0.25  # measured 0.002 to 0.02 s


def test_file_that_is_too_large_is_refused_unread(tmp_path):
    path = tmp_path / "big.yaml"
    path.write_bytes(b"#" * (yaml_source.MAX_BYTES + 1))
    with pytest.raises(ConfigError) as error:
        read_text(path)
    assert (
        str(error.value) == f"{path}: larger than 1 MiB, too large for a configuration. Is it the right file?"
    )


def test_file_that_is_missing_is_named(tmp_path):
    with pytest.raises(ConfigError) as error:
        read_text(tmp_path / "no.yaml")
    assert (
        str(error.value) == f"{tmp_path}/no.yaml: cannot read: No such file or directory. Is the name right?"
    )


def test_folder_instead_of_a_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match="is not a regular file"):
        read_text(tmp_path)


def test_file_in_another_encoding_says_where(tmp_path):
    path = tmp_path / "latin.yaml"
    path.write_bytes(b"a: 1\nb: \xe4\n")
    with pytest.raises(ConfigError) as error:
        read_text(path)
    assert str(error.value) == f"{path}:2:4: byte 0xe4 is not UTF-8. Save the file as UTF-8."


def test_byte_order_mark_is_passed_over(tmp_path):
    path = tmp_path / "bom.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert load_plain(path) == {"a": 1}


# --- whatever is in a file, only ConfigError comes out

WORDS = st.sampled_from(
    [
        "a", "use", "1e-4", ".nan", "${X}", "${", "$${", "&a", "*a", "!!int", "!", "'", '"', "[", "]", "{", "}", ":",
        ": ", "- ", "? ", "\n", "\n  ", "\t", "#", "|", ">", "%YAML 1.2", "---", "...", "<<", "~", "0o7", "1:2", "é",
        "\x85", "\ufeff", "2026-13-45", "9" * 40, ",", "@", "`", "\\x00", "\x00", "\r", "null", "true", "1_0",
    ]
)  # fmt: skip


@hypothesis.given(st.one_of(st.text(max_size=200), st.lists(WORDS, max_size=60).map("".join)))
@hypothesis.settings(max_examples=int(os.environ.get("PARC_FUZZ", "1000")), deadline=None, derandomize=True)
def test_any_text_is_read_or_refused_with_a_position(text):
    try:
        node, problems = parse_text(text, "f.yaml", environ={})
    except InvalidConfig as err:
        problems = err.problems
        assert problems
    else:
        assert isinstance(node, (MappingNode, SequenceNode, ScalarNode))
    for problem in problems:
        assert problem.at.source == "f.yaml"
        lines = (
            text.count("\n")
            + text.count("\r")
            + text.count("\x85")
            + text.count("\u2028")
            + text.count("\u2029")
        )
        assert 0 <= problem.at.line <= lines + 2  # the parser counts the end as a line


@hypothesis.given(st.binary(max_size=200))
@hypothesis.settings(max_examples=200, deadline=None, derandomize=True)
def test_any_bytes_are_read_or_refused(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("fuzz") / "f.yaml"
    path.write_bytes(data)
    try:
        load_plain(path)
    except ConfigError as err:
        assert str(err).startswith(str(path))
