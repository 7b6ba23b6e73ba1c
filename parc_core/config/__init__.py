"""Typed, strict configuration: attrs classes in, errors with file:line:column out.

A provider declares its settings with `setting`; `Use` is a provider chosen in a file. The functions read files and
options (`load_iteration`, `load_settings`, `structure`) and write settings back (`dump`, `dump_yaml`).
"""

from parc_core.config.classes import class_hints
from parc_core.config.describe import describe_settings
from parc_core.config.dumping import config_digest, dump, dump_yaml
from parc_core.config.fields import Use, describe_range, key_of, setting
from parc_core.config.iteration import STAGES, IterationConfig
from parc_core.config.kept import check_kept, kept_body, kept_yaml
from parc_core.config.load import LoadedConfig, load_iteration, load_settings
from parc_core.config.nodes import (
    InvalidConfig,
    Key,
    MappingNode,
    Node,
    Position,
    Problem,
    ScalarNode,
    SequenceNode,
    to_node,
    to_plain,
)
from parc_core.config.overrides import apply_override
from parc_core.config.schema import iteration_schema
from parc_core.config.stage_file import StageFile, read_stage_file
from parc_core.config.structuring import Structured, structure
from parc_core.config.yaml_source import load_plain, parse_text, read_text

__all__ = [
    "STAGES",
    "InvalidConfig",
    "IterationConfig",
    "Key",
    "LoadedConfig",
    "MappingNode",
    "Node",
    "Position",
    "Problem",
    "ScalarNode",
    "SequenceNode",
    "StageFile",
    "Structured",
    "Use",
    "apply_override",
    "check_kept",
    "class_hints",
    "config_digest",
    "describe_range",
    "describe_settings",
    "dump",
    "dump_yaml",
    "iteration_schema",
    "kept_body",
    "kept_yaml",
    "key_of",
    "load_iteration",
    "load_plain",
    "load_settings",
    "parse_text",
    "read_stage_file",
    "read_text",
    "setting",
    "structure",
    "to_node",
    "to_plain",
]
