"""What a plugin implements: one abstract class per kind, and what it is given to work with."""

from parc_core.interfaces.agent import Agent
from parc_core.interfaces.context import Metrics, Progress, StageContext, Stopped
from parc_core.interfaces.executor import Executor, ExecutorContext, JobResult, JobSpec
from parc_core.interfaces.generator import Generator
from parc_core.interfaces.generator_parts import (
    Condition,
    GeneratorLoss,
    GeneratorNetwork,
    LossInput,
    MotionWindows,
)
from parc_core.interfaces.metric_sink import JobInfo, MetricRecord, MetricSink
from parc_core.interfaces.motion_source import MotionSource
from parc_core.interfaces.optimizer import Optimizer, Refined
from parc_core.interfaces.parallel import Parallel
from parc_core.interfaces.planner import Planner
from parc_core.interfaces.policy import Policy
from parc_core.interfaces.policy_network import PolicyNetwork
from parc_core.interfaces.recorder import Kept, Miss, Recorded, Recorder, RecordReport, furthest
from parc_core.interfaces.run_folder import IterationFolder, RunFolder
from parc_core.interfaces.seeds import SeedStreams
from parc_core.interfaces.selector import Scored, Selector
from parc_core.interfaces.simulator import CAPABILITIES, BodyState, CharacterState, Rollout, Scene, Simulator
from parc_core.interfaces.terrain_source import TerrainSource
from parc_core.interfaces.tracker_env import (
    ActionSpec,
    Done,
    ObservationGroup,
    Reference,
    Snapshot,
    Step,
    TrackerEnv,
)
from parc_core.interfaces.tracking_terms import (
    ObservationTerm,
    RewardTerm,
    TerminationTerm,
    TrackingFrame,
    group_of,
    observation_group,
    reward_range_of,
)
from parc_motion.stopping import stop_point

__all__ = [
    "CAPABILITIES",
    "ActionSpec",
    "Agent",
    "BodyState",
    "CharacterState",
    "Condition",
    "Done",
    "Executor",
    "ExecutorContext",
    "Generator",
    "GeneratorLoss",
    "GeneratorNetwork",
    "IterationFolder",
    "JobInfo",
    "JobResult",
    "JobSpec",
    "Kept",
    "LossInput",
    "MetricRecord",
    "MetricSink",
    "Metrics",
    "Miss",
    "MotionSource",
    "MotionWindows",
    "ObservationGroup",
    "ObservationTerm",
    "Optimizer",
    "Parallel",
    "Planner",
    "Policy",
    "PolicyNetwork",
    "Progress",
    "RecordReport",
    "Recorded",
    "Recorder",
    "Reference",
    "Refined",
    "RewardTerm",
    "Rollout",
    "RunFolder",
    "Scene",
    "Scored",
    "SeedStreams",
    "Selector",
    "Simulator",
    "Snapshot",
    "StageContext",
    "Step",
    "Stopped",
    "TerminationTerm",
    "TerrainSource",
    "TrackerEnv",
    "TrackingFrame",
    "furthest",
    "group_of",
    "observation_group",
    "reward_range_of",
    "stop_point",
]
