"""Settings of the motion diffusion model, and its presets."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import attrs

from parc_core.config import Use, dump, setting

__all__ = ["BUILT_IN_LOSSES", "PATCH_SIDE", "SHAPE_SETTINGS", "LossWeights", "MdmConfig", "plain_settings"]

PATCH_SIDE = 31  # points of the height patch, ahead and across


@attrs.frozen(kw_only=True)
class LossWeights:
    """Weight of each loss term, and further terms; a term of weight 0 is not computed.

    Source: published PARC implementation.
    """

    terms: dict[str, Use] = setting(
        kind="generator_loss", factory=dict, help="Further losses by name, from plugins or your own files."
    )

    root_pos: float = setting(1.0, ge=0, help="squared distance of the roots")
    root_rot: float = setting(1.0, ge=0, help="squared angle between the root rotations")
    joint_rot: float = setting(0.5, ge=0, help="squared angles between the joint rotations")
    contacts: float = setting(1.0, ge=0, help="squared difference of the contact labels")
    joint_pos: float = setting(0.5, ge=0, help="predicted joint positions against those of the truth")
    consistency: float = setting(1.0, ge=0, help="predicted joint positions against the predicted rotations")
    body_pos: float = setting(0.5, ge=0, help="body positions by forward kinematics")
    body_rot: float = setting(0.1, ge=0, help="squared angles between body rotations by forward kinematics")
    body_vel: float = setting(0.03, ge=0, help="body velocities by forward kinematics")
    root_vel: float = setting(0.5, ge=0, help="root velocity")
    root_ang_vel: float = setting(0.02, ge=0, help="root angular velocity")
    joint_ang_vel: float = setting(0.01, ge=0, help="joint angular velocities")
    velocities: float = setting(
        0.03, ge=0, help="predicted velocities of the bodies, where `velocities` makes them features"
    )
    collision: float = setting(
        0.0, ge=0, help="half the squared depth of points inside the ground (published: off; 15)"
    )
    target: float = setting(
        0.0, ge=0, help="displacement against the target direction (published: off; 0.02)"
    )


@attrs.frozen(kw_only=True)
class MdmConfig:
    """Settings of the generator `mdm`. Those in `SHAPE_SETTINGS` belong to the weights and come from their file.

    Source: the documents of PARC where they speak, else the published implementation; `preset: paper` gives the
    published implementation's values throughout.
    """

    # training
    epochs: int = setting(1000, ge=1, help="training epochs")
    batch_size: int = setting(512, ge=1, help="windows per training step")
    iters_per_epoch: int = setting(100, ge=1, help="training steps per epoch")
    epochs_per_checkpoint: int = setting(100, ge=1, help="epochs between checkpoints")
    learning_rate: float = setting(1e-4, gt=0, help="AdamW learning rate")
    weight_decay: float = setting(0.0, ge=0, help="AdamW weight decay")
    warmup_iters: int = setting(0, ge=0, help="steps over which the learning rate rises from 0")
    lr_decay: Literal["none", "cosine"] = setting("none", help="learning rate after the warm-up")
    lr_final_fraction: float = setting(
        0.05, ge=0, le=1, help="cosine decay: last learning rate over the first"
    )
    grad_clip: float = setting(1.0, gt=0, help="largest norm of the gradient")
    ema_decay: float = setting(0.99, ge=0, lt=1, help="decay of the averaged weights, which generate")
    ema_start: int = setting(200, ge=0, help="steps before averaging starts")
    divergence_factor: float = setting(
        1000.0, gt=1, help="a loss this many times the lowest mean of an epoch ends the training as diverged"
    )
    validation_share: float = setting(
        0.0, ge=0, lt=1, help="share of the clips, at least one, that is only for measuring; 0: all train"
    )
    validation_epochs: int = setting(1, ge=1, help="epochs between measurements on these clips")
    refit_statistics: bool = setting(
        False, help="fine-tuning standardises by the new clips instead of those of the given weights"
    )
    short_clips: Literal["error", "skip"] = setting(
        "error", help="what happens to clips that are shorter than a window"
    )
    loss_function: Literal["square", "pseudo_huber"] = setting("square", help="penalty of each difference")
    losses: LossWeights = setting(factory=LossWeights, help="loss weights")

    # training conditions
    noise_indicator_prob: float = setting(
        0.5, ge=0, le=1, help="share of windows that show their history clean"
    )
    drop_history_prob: float = setting(0.15, ge=0, le=1, help="share of windows whose history is hidden")
    drop_target_prob: float = setting(0.025, ge=0, le=1, help="share of windows whose target is hidden")
    drop_heights_prob: float = setting(
        0.025, ge=0, le=1, help="share of windows whose height patch is hidden"
    )
    target_min_time: float = setting(0.4, ge=0, unit="s", help="the target lies at least so far ahead")
    target_time_range: float = setting(1.1, ge=0, unit="s", help="and at most so much further")
    target_min_speed: float = setting(
        0.0,
        ge=0,
        unit="m/s",
        help="a target that is approached more slowly counts as standing; 0: only within 0.1 m",
    )
    target_noise: float = setting(0.05, ge=0, unit="m", help="standard deviation of the target's position")
    history_noise: float = setting(
        0.0, ge=0, help="noise on the clean history, in deviations of each feature"
    )
    history_drift: float = setting(
        0.0, ge=0, unit="m", help="random lift of the history that a window undoes"
    )
    augment: Literal["maxpool_and_boxes", "noise", "none"] = setting(
        "maxpool_and_boxes", help="what happens to ground that a window does not touch"
    )
    augment_height: float = setting(3.0, gt=0, unit="m", help="heights of augmented ground around the root")
    augment_flat_prob: float = setting(
        0.1, ge=0, le=1, help="share of windows whose free ground becomes one plane"
    )
    augment_pool_prob: float = setting(0.15, ge=0, le=1, help="chance of each of three max pools")
    augment_max_boxes: int = setting(4, ge=0, help="most boxes on one patch")
    augment_shear: float = setting(
        0.0, ge=0, help="the ground's edges are turned: metres ahead per metre to the side, up to this"
    )
    mirror: bool = setting(True, help="train on every clip's mirror image too")

    precision: Literal["float32", "bfloat16"] = setting(
        "float32",
        help="numbers of the transformer and the convolutions, in training and generation; bfloat16 pays where the "
        "processor multiplies it in hardware",
    )

    # features, diffusion and shape of the network
    rotation: Literal["default", "expmap", "quat", "rot6d", "rotmat", "axis_angle"] = setting(
        "default",
        help="numbers of a rotation; default: scalar joint coordinates, exponential map of the root",
    )
    velocities: bool = setting(False, help="velocities of the bodies are features too")
    height_from: Literal["root", "floor"] = setting(
        "root", help="heights of motion and ground count from the window's root, or from the ground under it"
    )
    diffusion_timesteps: int = setting(1000, ge=2, help="steps of the diffusion process")
    sequence_duration: float = setting(0.5, gt=0, unit="s", help="length of a window")
    network: Use | None = setting(
        None,
        kind="generator_network",
        help="Another network, from a plugin or your own file. null: the transformer that the settings below shape.",
    )
    width: int = setting(256, ge=8, help="width of a token")
    layers: int = setting(4, ge=1, help="transformer layers")
    heads: int = setting(8, ge=1, help="attention heads")
    feed_forward: int = setting(256, ge=8, help="width of the feed-forward part")
    target_hidden: int = setting(512, ge=8, help="hidden width of the target's network")
    height_channels: tuple[int, ...] = setting(
        (32, 32, 32, 64), help="channels of the height patch's convolutions"
    )
    height_kernels: tuple[int, ...] = setting((5, 5, 5, 4), help="their kernel sizes")
    height_strides: tuple[int, ...] = setting((1, 1, 1, 1), help="their strides")
    height_scale: float = setting(
        3.0, gt=0, unit="m", help="heights are divided by this before the first convolution"
    )
    height_unfold: int = setting(2, ge=1, help="side of the square of features that makes one token")
    dropout: float = setting(0.1, ge=0, lt=1, help="dropout of the transformer")

    # sampling
    use_ddim: bool = setting(True, help="deterministic steps (DDIM) instead of DDPM")
    ddim_stride: int = setting(111, ge=1, help="diffusion steps that one DDIM step covers")
    use_cfg: bool = setting(True, help="guidance: mix in the prediction without history")
    cfg_scale: float = setting(0.65, ge=0, help="share of the prediction without history")
    penetration_guidance: float = setting(
        0.0,
        ge=0,
        help="step that lifts bodies out of the ground while a window is made; 0: none, 1 is strong",
    )
    target_guidance: float = setting(
        0.0, ge=0, help="step towards the path's point ahead while a window is made; 0: none, 1 is strong"
    )
    guidance_gradient: Literal["sample", "prediction"] = setting(
        "sample",
        help="guidance follows the gradient at the noised sample, through the network, or at its prediction",
    )

    # generation along a path
    next_node_lookahead: int = setting(7, ge=1, help="the target is at most so many path points ahead")
    lookahead_distance: float | None = setting(
        None, gt=0, unit="m", help="and at most so far ahead; None: any"
    )
    search_window: float = setting(
        2.0, gt=0, unit="m", help="how far ahead along the path the closest point is sought"
    )
    rewind_num_frames: int = setting(
        5, ge=0, help="frames at the end of a segment that the next one makes anew"
    )
    max_motion_length: float = setting(
        10.0, gt=0, unit="s", help="a candidate that is not there by then has failed"
    )
    goal_radius: float = setting(0.5, gt=0, unit="m", help="feet this near to the path's end have arrived")
    start_height: tuple[float, float] | None = setting(
        None, unit="m", help="root above ground at the start; None: as the training clips stand"
    )
    first_heading_mode: Literal["auto", "random"] = setting(
        "auto", help="first heading: along the path, or any"
    )
    seam_frames: int = setting(0, ge=0, help="frames over which the step between two segments is evened out")
    terrain_padding: float = setting(1.2, ge=0, unit="m", help="ground kept around a candidate")

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
            "target_min_speed": 0.3,  # else whoever stops or is about to start has a direction, and stands for ever
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
