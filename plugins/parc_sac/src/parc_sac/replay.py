"""The replay: what was experienced, in half precision, and n-step returns drawn from it."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor

from parc_core.interfaces import Done, Step

__all__ = ["Drawn", "Replay", "bytes_per_sample"]

_HALF_MAX = 65504.0  # the largest number in half precision


def bytes_per_sample(obs_size: int, action_size: int) -> int:
    """Memory that one sample takes: observation and action in half precision, a reward and two flags."""
    return 2 * (obs_size + action_size) + 4 + 1 + 1


@attrs.frozen(kw_only=True, eq=False)
class Drawn:
    """A batch of S samples with their n-step returns."""

    obs: Tensor  # [S, O], as the environment gave them
    action: Tensor  # [S, A], normalized
    reward: Tensor  # [S], sum of the discounted rewards of up to n steps
    discount: Tensor  # [S], of the value of `next_obs`; 0 where the episode ended without value
    next_obs: Tensor  # [S, O], the state after these steps


class Replay:
    """A ring of rows for every environment.

    A row is a state, and the action taken there with what it gave. The row after it is the next state. Where an
    episode ends, its last state takes a row of its own, in which no action was taken, before the next episode begins.
    The newest row of an environment is its present state.
    """

    def __init__(self, rows: int, num_envs: int, obs_size: int, action_size: int, device: str) -> None:
        if rows < 3:
            raise ValueError(f"a replay of {rows} rows per environment; at least 3 are needed")
        self.obs = torch.zeros(rows, num_envs, obs_size, dtype=torch.float16, device=device)
        self.action = torch.zeros(rows, num_envs, action_size, dtype=torch.float16, device=device)
        self.reward = torch.zeros(rows, num_envs, device=device)
        self.done = torch.zeros(rows, num_envs, dtype=torch.int8, device=device)
        self.acted = torch.zeros(rows, num_envs, dtype=torch.bool, device=device)
        self.head = torch.zeros(num_envs, dtype=torch.int64, device=device)  # row of the present state
        self.count = torch.zeros(num_envs, dtype=torch.int64, device=device)  # rows before it that are filled
        self._envs = torch.arange(num_envs, device=device)

    def __len__(self) -> int:
        """Number of filled rows, of all environments."""
        return int(self.count.sum())

    def begin(self, obs: Tensor) -> None:
        """New episodes begin everywhere at `obs` ``[N, O]``; episodes that were going on are cut off there.

        What was cut off counts as having run out of time.
        """
        going_on = (self.count > 0) & self.acted[self.head - 1, self._envs]
        going_on &= self.done[self.head - 1, self._envs] == Done.NULL
        last = (self.head - 1) % len(self.obs)
        done = self.done[last, self._envs]
        self.done[last, self._envs] = torch.where(going_on, torch.full_like(done, int(Done.TIMEOUT)), done)
        self._advance(self._envs[going_on])
        self._place(self._envs, obs)

    def add(self, action: Tensor, step: Step) -> None:
        """Add a control step of every environment, from its present state."""
        here = (self.head, self._envs)
        self.action[here] = action.to(torch.float16)
        self.reward[here] = step.reward.float()
        self.done[here] = step.done
        self.acted[here] = True
        self._advance(self._envs)
        self._place(self._envs, step.final_obs)
        ended = (step.done != Done.NULL).nonzero()[:, 0]
        if len(ended):
            self._advance(ended)
            self._place(ended, step.obs[ended])

    def draw(
        self,
        size: int,
        n_steps: int,
        discount: float,
        rng: torch.Generator,
        *,
        bootstrap_timeout: bool = True,
        bootstrap_success: bool = True,
    ) -> Drawn:
        """A batch of samples, each equally likely.

        ``R = sum_{k < m} discount^k r_{t+k}`` with m = n_steps, or fewer where the episode or the experience ends
        before; ``discount^m`` is the factor of the value of the state after them.

        Source: Sutton and Barto 2018, "Reinforcement Learning", section 7.1.
        """
        time, env = self._rows(size, rng)
        rows = len(self.obs)
        reward = torch.zeros(size, device=self.reward.device)
        factor = torch.ones_like(reward)
        going_on = torch.ones(size, dtype=torch.bool, device=reward.device)
        terminal = torch.zeros_like(going_on)
        after = time
        for k in range(n_steps):
            row = (time + k) % rows
            going_on = going_on & (row != self.head[env])
            reward = reward + torch.where(going_on, factor * self.reward[row, env], 0.0)
            factor = torch.where(going_on, factor * discount, factor)
            after = torch.where(going_on, (row + 1) % rows, after)
            done = self.done[row, env]
            without_value = done == Done.FAIL
            if not bootstrap_timeout:
                without_value = without_value | (done == Done.TIMEOUT)
            if not bootstrap_success:
                without_value = without_value | (done == Done.SUCCESS)
            terminal = terminal | (going_on & without_value)
            going_on = going_on & (done == Done.NULL)
        return Drawn(
            obs=self.obs[time, env].float(),
            action=self.action[time, env].float(),
            reward=reward,
            discount=torch.where(terminal, 0.0, factor),
            next_obs=self.obs[after, env].float(),
        )

    def tensors(self) -> dict[str, Tensor]:
        """Everything, for a checkpoint: the rows that were ever filled."""
        filled = min(int(self.head.max()) + 1, len(self.obs)) if self._never_full() else len(self.obs)
        names = ("obs", "action", "reward", "done", "acted")
        return {name: getattr(self, name)[:filled] for name in names} | {
            "head": self.head,
            "count": self.count,
        }

    def load(self, tensors: dict[str, Tensor]) -> None:
        """Restore what `tensors` gave, of a replay of the same size.

        Raises:
            ValueError: it was another size.
        """
        filled, num_envs = tensors["obs"].shape[:2]
        if filled > len(self.obs) or num_envs != len(self.head):
            raise ValueError(
                f"a replay of {filled} rows for {num_envs} environments, expected at most {len(self.obs)} for "
                f"{len(self.head)}"
            )
        for name in ("obs", "action", "reward", "done", "acted"):
            getattr(self, name)[:filled] = tensors[name].to(self.obs.device)
        self.head.copy_(tensors["head"])
        self.count.copy_(tensors["count"])

    def _never_full(self) -> bool:
        return bool((self.count == self.head).all())

    def _rows(self, size: int, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Random rows ``[size]`` in which an action was taken, and their environments."""
        times: list[Tensor] = []
        envs: list[Tensor] = []
        missing = size
        while missing > 0:
            # environments have equally many rows, or nearly: each row is drawn with equal probability
            tries = missing + missing // 4 + 16
            env = torch.randint(len(self.head), (tries,), generator=rng, device=rng.device)
            back = torch.rand(tries, generator=rng, device=rng.device) * self.count[env]
            time = (self.head[env] - 1 - back.long()) % len(self.obs)
            taken = (self.acted[time, env] & (self.count[env] > 0)).nonzero()[:missing, 0]
            times.append(time[taken])
            envs.append(env[taken])
            missing -= len(taken)
        return torch.cat(times), torch.cat(envs)

    def _advance(self, envs: Tensor) -> None:
        self.head[envs] = (self.head[envs] + 1) % len(self.obs)
        # the row of the present state is not counted
        self.count[envs] = (self.count[envs] + 1).clamp(max=len(self.obs) - 1)

    def _place(self, envs: Tensor, obs: Tensor) -> None:
        """Write present states; no action has been taken there."""
        here = (self.head[envs], envs)
        self.obs[here] = obs.clamp(-_HALF_MAX, _HALF_MAX).to(torch.float16)
        self.acted[here] = False
        self.done[here] = 0
