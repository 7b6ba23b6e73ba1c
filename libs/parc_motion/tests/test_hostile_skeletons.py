"""Hostile and damaged MJCF files: each is refused with one clear error, quickly and in little memory."""

from __future__ import annotations

import importlib.resources
import pathlib
import random
import sys
import time
from functools import partial

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from hostile_arrays import NO_FILES, Entry

from parc_motion.errors import DataError, ParcError
from parc_motion.skeletons import load_skeleton
from parc_testing.damage import damaged
from parc_testing.levels import rounds
from parc_testing.watching import MAX_CPU_S, faults, figure, watched_each

HUMANOID = (importlib.resources.files("parc_motion") / "characters" / "humanoid.xml").read_bytes()
JOINT = '<joint name="j" axis="1 0 0" range="-1 1"/>'
GEOM = '<geom type="sphere" size="0.1"/>'


def mjcf(
    *,
    head: str = "",
    pelvis: str = GEOM,
    foot: str = JOINT + GEOM,
    inside: str = "",
    tail: str = "",
    attributes: str = "",
) -> bytes:
    """A character of two bodies with something more or else in one place."""
    return (
        f"<mujoco>{head}<worldbody><body name='base'>{pelvis}<body name='sole' pos='0 0 -1' {attributes}>{foot}{inside}"
        f"</body></body></worldbody>{tail}</mujoco>"
    ).encode()


def joint(attributes: str) -> bytes:
    return mjcf(foot=f"<joint {attributes}/>{GEOM}")


def geom(attributes: str) -> bytes:
    return mjcf(pelvis=f"<geom {attributes}/>")


def custom(name: str, data: str) -> bytes:
    return mjcf(head=f'<custom><text name="{name}" data="{data}"/></custom>')


def nested(depth: int) -> str:
    return "".join(f"<body name='b{i}'>" for i in range(depth)) + "</body>" * depth


LAUGHS = "".join(f'<!ENTITY l{i} "{f"&l{i - 1};" * 10}">' for i in range(1, 10))
CORPUS: dict[str, bytes | Entry] = {
    # not XML, or more of it than a character has
    "empty": b"",
    "text": b"humanoid\n" * 100,
    "nulls": b"\0" * 1000,
    "cut": HUMANOID[:2000],
    "trailing_junk": HUMANOID + b"<mujoco/>",
    "utf16": HUMANOID.decode().encode("utf-16"),
    "latin1": "<mujoco model='é'/>".encode("latin1"),
    "encoding_unknown": b"<?xml version='1.0' encoding='spam'?><mujoco/>",
    "control_characters": b"<mujoco>\x01</mujoco>",
    "laughs": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><mujoco>&l9;</mujoco>'.encode(),
    "laughs_in_an_attribute": f'<!DOCTYPE a [<!ENTITY l0 "ha">{LAUGHS}]><mujoco model="&l9;"/>'.encode(),
    "quadratic_entity": f'<!DOCTYPE a [<!ENTITY b "{"x" * 99_999}">]><mujoco>{"&b;" * 10_000}</mujoco>'.encode(),
    "external_entity": b'<!DOCTYPE a [<!ENTITY b SYSTEM "file:///etc/passwd">]><mujoco model="&b;"/>',
    "external_subset": b'<!DOCTYPE mujoco SYSTEM "http://127.0.0.1:9/evil.dtd"><mujoco/>',
    "parameter_entity": b'<!DOCTYPE a [<!ENTITY % b SYSTEM "file:///etc/passwd">%b;]><mujoco/>',
    "document_type_in_utf16": '<!DOCTYPE a [<!ENTITY b "c">]><mujoco/>'.encode("utf-16"),
    "entity_unknown": b"<mujoco model='&evil;'/>",
    "a_million_elements": b"<mujoco>" + b"<a/>" * 900_000 + b"</mujoco>",
    "a_million_levels": b"<a>" * 1_000_000,
    "a_million_attributes": b"<mujoco " + b" ".join(b"a%d='1'" % i for i in range(250_000)) + b"/>",
    "an_attribute_of_4_mb": b"<mujoco model='" + b"x" * 4_000_000 + b"'/>",
    "a_name_of_4_mb": b"<" + b"x" * 4_000_000 + b"/>",
    "a_text_of_4_mb": b"<mujoco>" + b"x" * 4_000_000 + b"</mujoco>",
    "a_comment_of_4_mb": b"<mujoco><!--" + b"x" * 4_000_000 + b"--></mujoco>",
    "many_namespaces": b"<mujoco " + b" ".join(b"xmlns:a%d='u%d'" % (i, i) for i in range(100_000)) + b"/>",
    "larger_than_4_mib": HUMANOID + b" " * (4 << 20),
    # another root, or parts that stand for others
    "other_root": b"<robot/>",
    "no_worldbody": b"<mujoco/>",
    "no_body": b"<mujoco><worldbody/></mujoco>",
    "two_trees": b"<mujoco><worldbody><body name='a'/><body name='b'/></worldbody></mujoco>",
    "include": mjcf(head='<include file="/etc/passwd"/>'),
    "include_in_a_body": mjcf(inside='<include file="../../secret.xml"/>'),
    "include_without_file": mjcf(head="<include/>"),
    "attach": mjcf(inside='<attach model="m" body="b" prefix="p"/>'),
    "asset_file": mjcf(head='<asset><mesh name="m" file="/etc/passwd"/></asset>'),
    "extension": mjcf(head='<extension><plugin plugin="mujoco.elasticity.cable"/></extension>'),
    "plugin_in_a_body": mjcf(inside='<plugin instance="evil"/>'),
    "composite": mjcf(inside='<composite type="cable" count="1000000000 1 1"/>'),
    "replicate": mjcf(inside='<replicate count="1000000000"><geom/></replicate>'),
    "flexcomp": mjcf(inside='<flexcomp name="f" type="grid" count="9999 9999 9999"/>'),
    "frame": mjcf(inside='<frame pos="1 0 0"><geom size="1"/></frame>'),
    "class_of_defaults": mjcf(inside='<geom class="evil" size="0.1"/>'),
    "child_class": mjcf(attributes='childclass="evil"'),
    "joint_defaults": mjcf(head="<default><joint armature='1'/></default>"),
    "nested_defaults": mjcf(head="<default><default class='a'><geom size='1'/></default></default>"),
    "global_coordinates": mjcf(head='<compiler coordinate="global"/>'),
    "angle_unknown": mjcf(head='<compiler angle="gradian"/>'),
    # bodies
    "body_without_name": mjcf(inside="<body/>"),
    "body_twice": mjcf(inside="<body name='base'/>"),
    "body_name_of_control_characters": mjcf(inside="<body name='a&#10;b'/>"),
    "body_name_long": mjcf(inside=f"<body name='{'x' * 10_000}'/>"),
    "body_rotated": mjcf(attributes='euler="1 0 0"'),
    "body_pos_short": mjcf(inside="<body name='c' pos='1 2'/>"),
    "body_pos_nan": mjcf(inside="<body name='c' pos='nan 0 0'/>"),
    "body_pos_infinite": mjcf(inside="<body name='c' pos='1e999 0 0'/>"),
    "body_pos_huge": mjcf(inside="<body name='c' pos='1e30 0 0'/>"),
    "body_pos_text": mjcf(inside="<body name='c' pos='a b c'/>"),
    "body_pos_of_a_million": mjcf(inside=f"<body name='c' pos='{'1 ' * 1_000_000}'/>"),
    "bodies_99_deep": mjcf(inside=nested(99)),
    "bodies_5000_deep": mjcf(inside=nested(5_000)),
    "bodies_40_000": mjcf(inside="".join(f"<body name='b{i}'/>" for i in range(40_000))),
    # joints
    "joint_without_range": joint('name="j" axis="1 0 0"'),
    "joint_range_of_one": joint('name="j" axis="1 0 0" range="1"'),
    "joint_range_reversed": joint('name="j" axis="1 0 0" range="1 -1"'),
    "joint_range_nan": joint('name="j" axis="1 0 0" range="nan nan"'),
    "joint_axis_zero": joint('name="j" axis="0 0 0" range="-1 1"'),
    "joint_axis_nan": joint('name="j" axis="nan 0 0" range="-1 1"'),
    "joint_slide": joint('name="j" type="slide" axis="1 0 0" range="-1 1"'),
    "joint_type_unknown": joint(f'name="j" type="{"x" * 50_000}" range="-1 1"'),
    "joint_stiffness_text": joint('name="j" axis="1 0 0" range="-1 1" stiffness="much"'),
    "joint_damping_negative": joint('name="j" axis="1 0 0" range="-1 1" damping="-5"'),
    "joint_armature_empty": joint('name="j" axis="1 0 0" range="-1 1" armature=""'),
    "joint_off_center": joint('name="j" axis="1 0 0" range="-1 1" pos="1 0 0"'),
    "two_joints": mjcf(foot=JOINT + JOINT.replace('"j"', '"k"')),
    "joints_10_000": mjcf(foot=JOINT * 10_000),
    "joint_twice": mjcf(inside=f"<body name='c'>{JOINT}</body>"),
    # geoms
    "geom_without_size": geom('type="sphere"'),
    "geom_size_empty": geom('type="sphere" size=""'),
    "geom_size_nan": geom('type="sphere" size="nan"'),
    "geom_size_negative": geom('type="box" size="1 -1 1"'),
    "geom_size_zero": geom('type="capsule" size="0 1"'),
    "geom_size_short": geom('type="box" size="1"'),
    "geom_size_long": geom(f'type="box" size="{"1 " * 9}"'),
    "geom_size_huge": geom('type="sphere" size="1e12"'),
    "geom_mesh": geom('type="mesh" mesh="m"'),
    "geom_fromto_short": geom('type="capsule" size="0.1" fromto="0 0 0"'),
    "geom_fromto_of_nothing": geom('type="capsule" size="0.1" fromto="1 1 1 1 1 1"'),
    "geom_fromto_nan": geom('type="capsule" size="0.1" fromto="0 0 0 nan 1 1"'),
    "geom_fromto_without_size": geom('type="capsule" fromto="0 0 0 1 1 1"'),
    "geom_fromto_of_a_box": geom('type="box" size="0.1" fromto="0 0 0 1 1 1"'),
    "geom_quat_zero": geom('type="sphere" size="1" quat="0 0 0 0"'),
    "geom_quat_short": geom('type="sphere" size="1" quat="1 0 0"'),
    "geom_euler": geom('type="sphere" size="1" euler="1 0 0"'),
    "geom_density_negative": geom('type="sphere" size="1" density="-1"'),
    "geom_density_nan": geom('type="sphere" size="1" density="nan"'),
    # motors, hands and feet
    "gear_empty": mjcf(tail='<actuator><motor joint="j" gear=""/></actuator>'),
    "gear_text": mjcf(tail='<actuator><motor joint="j" gear="strong"/></actuator>'),
    "gear_nan": mjcf(tail='<actuator><motor joint="j" gear="nan"/></actuator>'),
    "foot_unknown": custom("parc_feet", "toe"),
    "foot_twice": custom("parc_feet", "sole sole"),
    "feet_100_000": custom("parc_feet", "sole " * 20_000),
    **NO_FILES,
}  # fmt: skip


def put(path: pathlib.Path, content: bytes | Entry) -> None:
    path.write_bytes(content) if isinstance(content, bytes) else content(path)


def load_named(path: pathlib.Path) -> None:
    try:
        load_skeleton(path)
    except DataError as err:
        assert str(path) in str(err)
        assert len(str(err)) < len(str(path)) + 3000
        raise


def test_the_character_without_fault_is_read(tmp_path: pathlib.Path) -> None:
    (tmp_path / "x.xml").write_bytes(mjcf())
    assert load_skeleton(tmp_path / "x.xml").body_names == ("base", "sole")


def test_hostile_characters_are_refused(tmp_path: pathlib.Path, measured) -> None:
    reads = {}
    for name, content in CORPUS.items():
        (tmp_path / name).mkdir()
        put(tmp_path / name / "x.xml", content)
        reads[name] = partial(load_named, tmp_path / name / "x.xml")
    found = watched_each(reads, refusal=ParcError)
    assert all(len(list((tmp_path / name).iterdir())) == (name != "path_missing") for name in reads)
    measured("hostile files, characters (MJCF)", figure(found))
    assert len(found) >= 40
    assert faults(found) == []


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("include", "<include> is not read. Write out what it stands for."),
        ("asset_file", "<mesh file='/etc/passwd'>: other files and classes of defaults are not read."),
        ("geom_size_nan", "<geom name=None> size='nan': expected numbers up to 100."),
        ("joint_axis_zero", "joint 'j' turns about [0.0, 0.0, 0.0], which is no direction."),
        ("a_million_levels", "more than 50000 elements, or nested deeper than 100. Is it a character?"),
        ("path_pipe", "is not a regular file. Give a file."),
    ],
)
def test_the_error_says_what_is_wrong(tmp_path: pathlib.Path, name: str, text: str) -> None:
    put(tmp_path / "x.xml", CORPUS[name])
    with pytest.raises(DataError) as caught:
        load_skeleton(tmp_path / "x.xml")
    assert str(caught.value).startswith(f"{tmp_path}/x.xml: {text}")


def test_mutated_characters_are_read_or_refused(tmp_path: pathlib.Path, measured) -> None:
    rng, path = random.Random(2), tmp_path / "x.xml"
    refused, count, slowest = 0, 0, 0.0
    for _ in rounds(pr=1000, nightly=100_000):
        path.write_bytes(damaged(HUMANOID, rng))
        started, count = time.process_time(), count + 1
        try:
            load_skeleton(path)
        except DataError as err:
            refused += 1
            assert str(path) in str(err)
        slowest = max(slowest, time.process_time() - started)
    measured(
        "mutated files, characters (MJCF)",
        f"{count}, {refused} refused, the others read; at most {slowest:.2f} s CPU",
    )
    assert slowest < MAX_CPU_S
    assert 0.2 * count < refused < count
