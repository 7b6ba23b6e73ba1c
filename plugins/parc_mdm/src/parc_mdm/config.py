"""Settings of the motion diffusion model, and its presets."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import Use, dump, setting

__all__ = [
    "BUILT_IN_LOSSES",
    "FPS",
    "NUM_HISTORY",
    "PATCH_SIDE",
    "SHAPE_SETTINGS",
    "LossWeights",
    "MdmConfig",
    "plain_settings",
]

FPS = 30.0  # frames per second of every window
NUM_HISTORY = 2  # frames at the start of a window that are given when a motion is continued
PATCH_SIDE = 31  # points of the height patch, ahead and across


@attrs.frozen(kw_only=True)
class LossWeights:
    """Weight of each loss term, and further terms; a term of weight 0 is not computed.

    Source: `parc_motion.published`.
    """

    terms: dict[str, Use] = setting(
        kind="generator_loss", factory=dict, help="Further losses by name, from plugins or your own files."
    )

    root_pos: float = setting(1.0, ge=0, le=1e9, help="Weight of the squared distance between the roots.")
    root_rot: float = setting(
        1.0, ge=0, le=1e9, help="Weight of the squared angle between the root rotations."
    )
    joint_rot: float = setting(
        0.5, ge=0, le=1e9, help="Weight of the squared angles between the joint rotations."
    )
    contacts: float = setting(
        1.0, ge=0, le=1e9, help="Weight of the squared difference of the contact labels."
    )
    joint_pos: float = setting(
        0.5, ge=0, le=1e9, help="Weight of the predicted joint positions against the true ones."
    )
    consistency: float = setting(
        1.0,
        ge=0,
        le=1e9,
        help="Weight of the consistency of predicted joint positions with predicted rotations.",
    )
    body_pos: float = setting(0.5, ge=0, le=1e9, help="Weight of body positions by forward kinematics.")
    body_rot: float = setting(
        0.1, ge=0, le=1e9, help="Weight of the squared angles between body rotations by forward kinematics."
    )
    body_vel: float = setting(0.03, ge=0, le=1e9, help="Weight of body velocities by forward kinematics.")
    root_vel: float = setting(0.5, ge=0, le=1e9, help="Weight of the root velocity.")
    root_ang_vel: float = setting(0.02, ge=0, le=1e9, help="Weight of the root's angular velocity.")
    joint_ang_vel: float = setting(0.01, ge=0, le=1e9, help="Weight of joint angular velocities.")
    velocities: float = setting(
        0.03, ge=0, le=1e9, help="Weight of predicted body velocities, if `velocities` makes them features."
    )
    collision: float = setting(
        0.0,
        ge=0,
        le=1e9,
        help="Weight of half the squared depth of points inside the ground (published: off; 15).",
    )
    target: float = setting(
        0.0, ge=0, le=1e9, help="Weight of displacement against the target direction (published: off; 0.02)."
    )


@attrs.frozen(kw_only=True)
class MdmConfig:
    """Settings of the generator `mdm`. Those in `SHAPE_SETTINGS` belong to the weights and come from their file.

    Source: the documents of PARC where they speak, else `parc_motion.published`; `preset: paper` gives the
    published implementation's values throughout.
    """

    # training
    epochs: int = setting(1000, ge=1, le=1_000_000_000, extends=True, help="Number of training epochs.")
    batch_size: int = setting(512, ge=1, le=100000, help="Windows per training step.")
    iters_per_epoch: int = setting(100, ge=1, le=1_000_000_000, help="Training steps per epoch.")
    epochs_per_checkpoint: int = setting(100, ge=1, le=1_000_000_000, help="Epochs between checkpoints.")
    learning_rate: float = setting(1e-4, ge=1e-12, le=1e6, help="Learning rate of AdamW.")
    weight_decay: float = setting(0.0, ge=0, le=10, help="Weight decay of AdamW.")
    warmup_iters: int = setting(
        0, ge=0, le=1_000_000_000_000, help="Steps over which the learning rate warms up linearly from 0."
    )
    lr_decay: Literal["none", "cosine"] = setting(
        "none", help="Schedule of the learning rate after the warm-up."
    )
    lr_final_fraction: float = setting(
        0.05, ge=0, le=1, help="Last learning rate of the cosine decay as a fraction of the first."
    )
    grad_clip: float = setting(1.0, ge=1e-9, le=1e9, help="Gradients are clipped to this L2 norm.")
    ema_decay: float = setting(
        0.99,
        ge=0,
        lt=1,
        help="Decay of the exponential moving average of the weights, which generation uses.",
    )
    ema_start: int = setting(
        200, ge=0, le=1_000_000_000_000, help="Steps before the moving average of the weights starts."
    )
    divergence_factor: float = setting(
        1000.0,
        gt=1,
        le=1e12,
        help="The training ends as diverged when a loss exceeds the lowest epoch mean by this factor.",
    )
    validation_share: float = setting(
        0.0,
        ge=0,
        lt=1,
        help="Fraction of the clips (at least one) held out for validation. 0 trains on all clips.",
    )
    validation_epochs: int = setting(1, ge=1, le=1_000_000_000, help="Epochs between validations.")
    refit_statistics: bool = setting(
        False,
        help="Fine-tuning standardizes by the new clips instead of by those of the given weights.",
    )
    short_clips: Literal["error", "skip"] = setting(
        "error", help="What happens to clips that are shorter than a window."
    )
    loss_function: Literal["square", "pseudo_huber"] = setting("square", help="Penalty of each difference.")
    losses: LossWeights = setting(factory=LossWeights, help="Loss terms and their weights.")

    # training conditions
    noise_indicator_prob: float = setting(
        0.5, ge=0, le=1, help="Probability that a window's history is shown clean instead of noised."
    )
    drop_history_prob: float = setting(
        0.15, ge=0, le=1, help="Probability that a window's history is masked."
    )
    drop_target_prob: float = setting(0.025, ge=0, le=1, help="Probability that a window's target is masked.")
    drop_heights_prob: float = setting(
        0.025, ge=0, le=1, help="Probability that a window's height patch is masked."
    )
    target_min_time: float = setting(
        0.4, ge=0, le=60, unit="s", help="Earliest time of the target after the reference frame."
    )
    target_time_range: float = setting(
        1.1,
        ge=0,
        le=60,
        unit="s",
        help="The target's time is sampled from an interval of this length after `target_min_time`.",
    )
    target_min_speed: float = setting(
        0.0,
        ge=0,
        le=10000,
        unit="m/s",
        help="A target that is approached more slowly than this counts as standing. 0: only targets within 0.1 m do.",
    )
    target_noise: float = setting(
        0.05, ge=0, le=1000, unit="m", help="Standard deviation of the noise on the target's position."
    )
    history_noise: float = setting(
        0.0,
        ge=0,
        le=1000,
        help="Standard deviation of the noise on the clean history, in standardized units.",
    )
    history_drift: float = setting(
        0.0,
        ge=0,
        le=1000,
        unit="m",
        help="Standard deviation of a random vertical offset of the history, which the rest of the window removes.",
    )
    augment: Literal["maxpool_and_boxes", "noise", "none"] = setting(
        "maxpool_and_boxes", help="How ground that a window does not touch is changed."
    )
    augment_height: float = setting(
        3.0, ge=0.001, le=1000, unit="m", help="Range of augmented heights above and below the root."
    )
    augment_flat_prob: float = setting(
        0.1, ge=0, le=1, help="Probability that all untouched ground of a window becomes one plane."
    )
    augment_pool_prob: float = setting(
        0.15, ge=0, le=1, help="Probability of each of three max-pooling operations on the ground."
    )
    augment_max_boxes: int = setting(
        4, ge=0, le=1000, help="Maximum number of boxes added to one height patch."
    )
    augment_shear: float = setting(
        0.0, ge=0, le=100, help="Maximum shear of the ground: meters ahead per meter to the side."
    )
    mirror: bool = setting(True, help="Train on the mirror image of every clip as well.")

    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        help="Number format of the transformer and the convolutions, in training and generation. bfloat16 is faster if "
        "the processor multiplies it in hardware.",
    )

    # features, diffusion and shape of the network
    rotation: Literal["default", "expmap", "quat", "rot6d", "rotmat", "axis_angle"] = setting(
        "default",
        help="Representation of rotations. default: scalar joint coordinates and the exponential map of the root.",
    )
    velocities: bool = setting(False, help="Body velocities are features as well.")
    height_from: Literal["root", "floor"] = setting(
        "root",
        help="Whether heights of motion and ground are relative to the window's root or to the ground below it.",
    )
    diffusion_timesteps: int = setting(
        1000, ge=2, le=10_000, help="Number of steps of the diffusion process."
    )
    sequence_duration: float = setting(0.5, ge=0.1, le=60, unit="s", help="Length of a window.")
    network: Use | None = setting(
        None,
        kind="generator_network",
        help="Another network, from a plugin or your own file. null: the transformer that the settings below shape.",
    )
    width: int = setting(256, ge=8, le=8192, help="Width of a token (model dimension).")
    layers: int = setting(4, ge=1, le=256, help="Number of transformer layers.")
    heads: int = setting(8, ge=1, le=1024, help="Number of attention heads.")
    feed_forward: int = setting(256, ge=8, le=65536, help="Hidden width of the feed-forward network.")
    target_hidden: int = setting(512, ge=8, le=65536, help="Hidden width of the target's embedding network.")
    height_channels: tuple[int, ...] = setting(
        (32, 32, 32, 64), ge=1, le=4096, help="Channels of the convolutions over the height patch."
    )
    height_kernels: tuple[int, ...] = setting(
        (5, 5, 5, 4), ge=1, le=PATCH_SIDE, help="Kernel sizes of the convolutions over the height patch."
    )
    height_strides: tuple[int, ...] = setting(
        (1, 1, 1, 1), ge=1, le=PATCH_SIDE, help="Strides of the convolutions over the height patch."
    )
    height_scale: float = setting(
        3.0, ge=0.001, le=1000, unit="m", help="Heights are divided by this before the first convolution."
    )
    height_unfold: int = setting(
        2, ge=1, le=31, help="Side of the square of convolution outputs that becomes one token."
    )
    dropout: float = setting(0.1, ge=0, lt=1, help="Dropout rate of the transformer.")

    # sampling
    use_ddim: bool = setting(True, help="Sample with DDIM (deterministic) instead of DDPM.")
    ddim_stride: int = setting(111, ge=1, le=100000, help="Diffusion steps that one DDIM step covers.")
    use_cfg: bool = setting(
        True, help="Mix the predictions with and without history (classifier-free guidance)."
    )
    cfg_scale: float = setting(
        0.65, ge=0, le=1000, help="Weight of the prediction without history in the mix, 0..1."
    )
    penetration_guidance: float = setting(
        0.0,
        ge=0,
        le=1e6,
        help="Scale of the guidance that moves bodies out of the ground during sampling. 0: none, 1: strong.",
    )
    target_guidance: float = setting(
        0.0,
        ge=0,
        le=1e6,
        help="Scale of the guidance towards the path's point ahead during sampling. 0: none, 1: strong.",
    )
    guidance_gradient: Literal["sample", "prediction"] = setting(
        "sample",
        help="Where the guidance gradient is taken: at the noised sample (through the network) or at the prediction.",
    )

    # generation along a path
    next_node_lookahead: int = setting(
        7, ge=1, le=100000, help="The target is at most this number of path points ahead."
    )
    lookahead_distance: float | None = setting(
        None, ge=1e-6, le=1e6, unit="m", help="The target is at most this far ahead. null: no limit."
    )
    search_window: float = setting(
        2.0, ge=1e-6, le=1e6, unit="m", help="How far ahead along the path the closest point is searched for."
    )
    rewind_num_frames: int = setting(
        5, ge=0, le=1000, help="Frames at the end of a segment that the next segment replaces."
    )
    max_motion_length: float = setting(
        10.0,
        ge=0.01,
        le=3600,
        unit="s",
        help="A candidate that has not reached the end of its path after this time has failed.",
    )
    goal_radius: float = setting(
        0.5,
        ge=1e-6,
        le=1e6,
        unit="m",
        help="A candidate has arrived when its feet are this close to the end of the path.",
    )
    start_height: tuple[float, float] | None = setting(
        None,
        ge=-1000,
        unit="m",
        le=1000,
        help="Range of the root's height above ground at the start. null: the range of the training clips.",
    )
    first_heading_mode: Literal["auto", "random"] = setting(
        "auto", help="First heading: along the path (auto) or random."
    )
    seam_frames: int = setting(
        0, ge=0, le=1000, help="Frames over which the jump between two segments is blended out."
    )
    terrain_padding: float = setting(
        1.2, ge=0, le=1000, unit="m", help="Ground kept around a candidate in its clip."
    )

    PRESETS: ClassVar[dict[str, dict[str, Any]]] = {
        "paper": {
            "epochs": 100_000,
            "batch_size": 64,
            "iters_per_epoch": 50,
            "epochs_per_checkpoint": 2500,
            "learning_rate": 1e-5,
            "weight_decay": 0.01,
            "diffusion_timesteps": 21,
            "ddim_stride": 5,
            "start_height": (0.7, 0.9),
        },
        "small": {
            "epochs": 40,
            "batch_size": 64,
            "iters_per_epoch": 100,
            "epochs_per_checkpoint": 10,
            "learning_rate": 1e-3,
            "weight_decay": 0.01,
            "warmup_iters": 200,
            "lr_decay": "cosine",
            "ema_decay": 0.995,
            "diffusion_timesteps": 21,
            "ddim_stride": 5,
            "width": 128,
            "layers": 3,
            "heads": 4,
            "feed_forward": 256,
            "target_hidden": 128,
            "height_channels": (16, 32, 64),
            "height_kernels": (3, 3, 4),
            "height_strides": (2, 2, 1),
            "height_unfold": 1,
            "height_scale": 0.5,
            "dropout": 0.0,
            # in few steps, heights are learned only where places count more than speeds
            "losses": {
                "root_pos": 20.0,
                "joint_pos": 2.0,
                "body_pos": 4.0,
                "body_vel": 0.02,
                "joint_ang_vel": 0.004,
            },
            "noise_indicator_prob": 0.8,  # without guidance, almost every window that is generated has a history
            "drop_history_prob": 0.05,
            "target_min_speed": 0.3,  # below it a standing character has a direction and never starts
            "history_noise": 0.05,
            "history_drift": 0.03,
            "augment_height": 1.5,
            "augment_shear": 0.6,
            "use_cfg": False,
            "lookahead_distance": 1.2,
            "seam_frames": 5,
        },
        "tiny": {
            "epochs": 2,
            "batch_size": 8,
            "iters_per_epoch": 3,
            "epochs_per_checkpoint": 1,
            "learning_rate": 1e-3,
            "ema_start": 1,
            "diffusion_timesteps": 5,
            "ddim_stride": 2,
            "width": 16,
            "layers": 1,
            "heads": 2,
            "feed_forward": 16,
            "target_hidden": 16,
            "height_channels": (4, 4),
            "height_kernels": (5, 5),
            "height_strides": (4, 3),
            "height_unfold": 1,
            "max_motion_length": 1.0,
        },
    }

    def __attrs_post_init__(self) -> None:
        lengths = {len(self.height_channels), len(self.height_kernels), len(self.height_strides)}
        if len(lengths) != 1:
            raise ValueError(
                f"height_channels, height_kernels and height_strides have {len(self.height_channels)}, "
                f"{len(self.height_kernels)} and {len(self.height_strides)} entries; give one each per convolution"
            )
        if self.height_tokens_per_side < 1:
            raise ValueError(
                f"height_kernels {self.height_kernels} with height_strides {self.height_strides} and height_unfold "
                f"{self.height_unfold} leave nothing of a patch of {PATCH_SIDE} points; make them smaller"
            )
        window = round(self.sequence_duration * FPS)
        if self.rewind_num_frames > window - 1 - NUM_HISTORY:
            raise ValueError(
                f"rewind_num_frames is {self.rewind_num_frames}, but sequence_duration {self.sequence_duration:g} s "
                f"are {window} frames, of which at most {window - 1 - NUM_HISTORY} can be replaced. Lower it"
            )
        if self.width % self.heads or self.width % 2:
            raise ValueError(f"width {self.width} must be even and a multiple of heads {self.heads}")

        taken = [name for name in self.losses.terms if name in BUILT_IN_LOSSES]
        if taken:
            raise ValueError(
                f"losses.terms.{taken[0]}: the name is that of a built-in loss. Choose another name"
            )

    @classmethod
    def preset(cls, name: str, **override: Any) -> MdmConfig:
        """The settings of a preset with some of them replaced."""
        fields = {**cls.PRESETS[name], **override}
        if isinstance(losses := fields.get("losses"), dict):
            fields["losses"] = LossWeights(**losses)
        return cls(**fields)

    @property
    def height_tokens_per_side(self) -> int:
        """Side of the square of tokens that a height patch becomes."""
        side = PATCH_SIDE
        for kernel, stride in zip(self.height_kernels, self.height_strides):
            side = (side - kernel) // stride + 1
        return side // self.height_unfold


SHAPE_SETTINGS = (
    "rotation",
    "velocities",
    "height_from",
    "diffusion_timesteps",
    "sequence_duration",
    "network",
    "width",
    "layers",
    "heads",
    "feed_forward",
    "target_hidden",
    "height_channels",
    "height_kernels",
    "height_strides",
    "height_scale",
    "height_unfold",
)


BUILT_IN_LOSSES = tuple(field.name for field in attrs.fields(LossWeights) if field.name != "terms")


def plain_settings(config: MdmConfig) -> dict[str, Any]:
    """The settings by name, in JSON's types."""
    return dump(config)
