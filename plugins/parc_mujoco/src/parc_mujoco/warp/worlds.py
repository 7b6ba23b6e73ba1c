"""Copies of the character on one Warp device: their arrays, and the launches of a control step."""

from __future__ import annotations

import attrs
import mujoco
import mujoco_warp as mjw
import torch
import warp as wp
from torch import Tensor

from parc_mujoco.divergence import FASTEST, MAX_DUMPS
from parc_mujoco.warp import kernels
from parc_mujoco.warp.graph import LaunchSequence
from parc_mujoco.warp.ground import GroundTable

__all__ = ["STATUS_SIZE", "WorldSettings", "WorldState", "Worlds"]

# divergences in steps, overflow bits, most constraint rows, most contacts, most candidate pairs, bad resets
STATUS_SIZE = 6
_PARKED_HEIGHT = 100.0  # m, of copies that have not been reset yet
_GEOMS = ("geom_pos", "geom_size", "geom_rbound", "geom_aabb")  # fields that differ from copy to copy


@attrs.frozen(kw_only=True)
class WorldSettings:
    """What the arrays are made for."""

    substeps: int  # physics steps per control step
    nconmax: int
    njmax: int
    deterministic: bool


@attrs.frozen(kw_only=True, eq=False)
class WorldState:
    """The complete state of M copies, to put into these or other worlds."""

    qpos: Tensor  # [M, nq]
    qvel: Tensor  # [M, nv]
    warmstart: Tensor  # [M, nv]
    terrain_ids: Tensor  # [M] int32


class Worlds:
    """N copies that step together. All tensors are views of Warp's own memory; nothing leaves the device.

    A control step is replayed from a recording. Copies that do not move are simulated like the others and then put
    back, which on a GPU costs less than telling them apart.

    `wanted` says who moves in the next step, `sound` who has not diverged, `targets` where the servos go.
    """

    def __init__(
        self,
        model: mujoco.MjModel,
        num_worlds: int,
        ground: GroundTable,
        settings: WorldSettings,
        device: wp.Device,
    ) -> None:
        self.num_worlds, self.settings = num_worlds, settings
        self._ground, self._device = ground, device
        with wp.ScopedDevice(device):
            self.model = mjw.put_model(model, batch_sizes=dict.fromkeys(_GEOMS, num_worlds))
            self.data = mjw.make_data(
                model, nworld=num_worlds, nconmax=settings.nconmax, njmax=settings.njmax
            )
            self.model.opt.warn_overflow = 0  # reported with numbers by `parc_mujoco.warp.watch`
            self.model.opt.deterministic = settings.deterministic
            self._make_arrays(model)
        self._make_views()
        self._step_sequence = LaunchSequence(self._launch_step, device)
        self._forward_sequence = LaunchSequence(self._launch_forward, device)
        everyone = torch.arange(num_worlds, device=self.qpos.device)
        self.place(everyone, torch.zeros_like(everyone))
        self.qpos[:, 2] = _PARKED_HEIGHT
        self.start_qpos.copy_(self.qpos)
        self.sound.fill_(1)
        self._step_sequence.warm_up()  # no env is selected, so nothing moves
        self._forward_sequence.warm_up()
        self.status.zero_()
        self.wanted.fill_(1)

    def place(self, env_ids: Tensor, terrain_ids: Tensor) -> None:
        """Put copies on terrains."""
        self._ground.write(self._geoms, env_ids, terrain_ids)
        self.terrain_ids[env_ids] = terrain_ids.to(torch.int32)

    def put(self, env_ids: Tensor, qpos: Tensor, qvel: Tensor) -> None:
        """Put copies into states, at rest in the solver; what is not finite stays where it was put before."""
        sound = torch.isfinite(qpos).all(dim=-1) & (qvel.abs() < FASTEST).all(dim=-1)
        for start, value in ((self.start_qpos, qpos), (self.start_qvel, qvel)):
            start[env_ids] = torch.where(sound[:, None], value, start[env_ids])
        self.qpos[env_ids], self.qvel[env_ids] = self.start_qpos[env_ids], self.start_qvel[env_ids]
        self.warmstart[env_ids] = 0.0
        self.time[env_ids] = 0.0
        self.sound[env_ids] = sound.to(torch.int32)
        self.status[5] += (~sound).sum().to(torch.int32)

    def state(self, env_ids: Tensor) -> WorldState:
        """Copies of states."""
        return WorldState(
            qpos=self.qpos[env_ids],
            qvel=self.qvel[env_ids],
            warmstart=self.warmstart[env_ids],
            terrain_ids=self.terrain_ids[env_ids],
        )

    def step(self) -> None:
        """One control step of those that are wanted and sound."""
        self._step_sequence()

    def forward(self, mask: Tensor) -> None:
        """Bodies of everybody, and the contact forces of the masked copies ``[N]``, without moving anything."""
        self.active.copy_(mask)
        self._forward_sequence()

    def _make_arrays(self, model: mujoco.MjModel) -> None:
        n, nq, nv, nu = self.num_worlds, model.nq, model.nv, model.nu
        data = self.data
        self._flags = {name: wp.zeros(n, dtype=int) for name in ("wanted", "sound", "active", "terrain_ids")}
        self._targets = wp.zeros((n, nu), dtype=float)
        self._start = wp.zeros((n, nq), dtype=float), wp.zeros((n, nv), dtype=float)
        self._now = data.qpos, data.qvel, data.qacc_warmstart, data.time
        self._held = tuple(wp.zeros_like(array) for array in self._now)
        self._status = wp.zeros(STATUS_SIZE, dtype=int)
        self._cases = wp.zeros((MAX_DUMPS, 2), dtype=int)
        self._case_rows = wp.zeros((MAX_DUMPS, 2 * nq + 3 * nv + 1 + nu), dtype=float)
        self._contact_ids: wp.array = wp.array(list(range(data.naconmax)), dtype=int)
        self._contact_force = wp.zeros(data.naconmax, dtype=wp.spatial_vector)
        self._body_force = wp.zeros((n, model.nbody), dtype=wp.vec3)
        self._ground_force = wp.zeros((n, model.nbody), dtype=wp.vec3)

    def _make_views(self) -> None:
        data, flags = self.data, self._flags
        self.wanted, self.sound, self.active = (wp.to_torch(flags[k]) for k in ("wanted", "sound", "active"))
        self.terrain_ids = wp.to_torch(flags["terrain_ids"])
        self.targets, self.status = wp.to_torch(self._targets), wp.to_torch(self._status)
        self.cases, self.case_rows = wp.to_torch(self._cases), wp.to_torch(self._case_rows)
        self.qpos, self.qvel, self.warmstart, self.time = (wp.to_torch(array) for array in self._now)
        self.start_qpos, self.start_qvel = (wp.to_torch(array) for array in self._start)
        self.xpos, self.xquat, self.cvel = (wp.to_torch(a) for a in (data.xpos, data.xquat, data.cvel))
        self.subtree_com = wp.to_torch(data.subtree_com)
        self.body_force, self.ground_force = wp.to_torch(self._body_force), wp.to_torch(self._ground_force)
        self._geoms = {name: wp.to_torch(getattr(self.model, name)) for name in _GEOMS}
        self._geoms["geom_xpos"] = wp.to_torch(data.geom_xpos)

    def _launch_step(self) -> None:
        flags, held, now, start = self._flags, self._held, self._now, self._start
        data, cases = self.data, (self._status, self._cases, self._case_rows)
        for array, kept in zip(now, held):
            wp.copy(kept, array)
        self._launch(
            kernels.begin_step,
            [flags["wanted"], flags["terrain_ids"], self._targets, *start, *held],
            [*now, data.ctrl, flags["sound"], flags["active"], *cases],
        )
        buffers = (data.nefc, data.nacon, data.ncollision, data.overflow)
        for _ in range(self.settings.substeps):
            mjw.step(self.model, data)
            self._launch(
                kernels.check_worlds,
                [FASTEST, flags["terrain_ids"], self._targets, *start, *held, flags["active"], *buffers],
                [*now, flags["sound"], *cases],
            )
        self._launch_forces()
        self._launch(
            kernels.end_step,
            [*start, *held, flags["active"], flags["sound"]],
            [*now],
        )
        self._launch_kinematics()

    def _launch_forward(self) -> None:
        mjw.forward(self.model, self.data)
        self._launch_forces()
        self._launch_kinematics()

    def _launch_kinematics(self) -> None:
        mjw.kinematics(self.model, self.data)
        mjw.com_pos(self.model, self.data)
        mjw.com_vel(self.model, self.data)

    def _launch_forces(self) -> None:
        data, mask = self.data, self._flags["active"]
        mjw.contact_force(self.model, data, self._contact_ids, True, self._contact_force)
        forces = [self._body_force, self._ground_force]
        wp.launch(kernels.clear_forces, dim=self._body_force.shape, inputs=[mask], outputs=forces)
        contact = data.contact
        wp.launch(
            kernels.add_contact_forces,
            dim=data.naconmax,
            inputs=[
                mask,
                self.model.geom_bodyid,
                data.nacon,
                contact.worldid,
                contact.geom,
                self._contact_force,
            ],
            outputs=forces,
        )

    def _launch(self, kernel: wp.Kernel, inputs: list[object], outputs: list[object]) -> None:
        wp.launch(kernel, dim=self.num_worlds, inputs=inputs, outputs=outputs)
