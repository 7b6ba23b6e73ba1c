"""The motions that can be synthesized: ground, footsteps and style of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import ArrayLike

from parc_data.procedural.plan import Footstep, Plan, Route, Style, schedule
from parc_motion.terrains import Terrain

__all__ = ["CLASSES", "plans"]

_CELL = 0.4  # m
_MARGIN = 2.0  # m of ground around the footsteps
_WALK, _RUN = (
    Style(),
    Style(leg=0.78, clearance=0.13, heel_off=0.7, lean=0.16, arm_swing=0.8, elbow=1.35, arm_out=1.25),
)


@attrs.frozen
class _Factors:
    """Factors of stride and period; 1 in the first variation."""

    stride: float = 1.0
    period: float = 1.0


def plans(
    classes: Sequence[str], variations: int, rng: Callable[[str, int], np.random.Generator]
) -> Iterator[Plan]:
    """The plans of the chosen classes.

    Args:
        variations: how many of each; the first is the plain one, the others differ in speed and stride.
        rng: returns the random stream of a recipe and variation.
    """
    for motion_class in classes:
        for name, recipe in _RECIPES[motion_class].items():
            for i in range(variations):
                stream = rng(name, i)
                factors = (
                    _Factors() if i == 0 else _Factors(stream.uniform(0.92, 1.08), stream.uniform(0.94, 1.08))
                )
                plan = recipe(factors)
                full = name if variations == 1 else f"{name}_{i}"
                yield attrs.evolve(plan, name=full, motion_class=motion_class)


def _plan(steps: tuple[Footstep, ...], terrain: Terrain, start: float, end: float, style: Style) -> Plan:
    return Plan(name="", motion_class="", steps=steps, terrain=terrain, start=start, end=end, style=style)


# ground ---------------------------------------------------------------------------------------------------------


def _ground(low: tuple[float, float], high: tuple[float, float]) -> Terrain:
    # level cells whose borders lie on multiples of the cell, reaching at least to the corners
    first = np.floor(np.array(low) / _CELL)
    count = np.ceil(np.array(high) / _CELL) - first
    return Terrain(height=np.zeros(count.astype(int)), origin_xy=(first + 0.5) * _CELL, cell=_CELL)


def _raised(terrain: Terrain, areas: Sequence[tuple[float, float, float, float, float]]) -> Terrain:
    # areas: x from, x to, y from, y to (m), height (m); a cell belongs where its center lies
    height = terrain.height.copy()
    x, y = (terrain.origin_xy[i] + terrain.cell * np.arange(terrain.shape[i]) for i in range(2))
    for x0, x1, y0, y1, z in areas:
        height[np.ix_((x > x0) & (x < x1), (y > y0) & (y < y1))] = z
    return attrs.evolve(terrain, height=height)


def _along_x(length: float) -> tuple[Route, Terrain]:
    return Route.of([(length + 8.0, 0.0)], before=4.0), _ground(
        (-_MARGIN, -_MARGIN), (length + _MARGIN, _MARGIN)
    )


# recipes --------------------------------------------------------------------------------------------------------


def _steady(
    stride: float, period: float, overlap: float, style: Style, width: float = 0.14
) -> Callable[[_Factors], Plan]:
    def recipe(factors: _Factors) -> Plan:
        length, time = stride * factors.stride, period * factors.period
        duration = 3.0
        count = round((duration + 3.0) / time)
        route, terrain = _along_x(duration * length / time)
        lead = 1.5
        arcs = (np.arange(count) - lead / time) * length
        steps = schedule(route, terrain, arcs, time, overlap, width=width)
        return _plan(steps, terrain, lead, lead + duration, style)

    return recipe


def _turning(
    angle: float, radius: float, stride: float = 0.52, period: float = 0.55
) -> Callable[[_Factors], Plan]:
    def recipe(factors: _Factors) -> Plan:
        length, time = stride * factors.stride, period * factors.period
        arc = abs(angle) * radius
        route = Route.of([(5.0, 0.0), (arc, angle), (5.0, 0.0)], before=4.0)
        duration = min(5.0, (arc + 2.0) * time / length)
        xy, _ = route.at(np.linspace(0.0, duration * length / time, 50))
        terrain = _ground(tuple(xy.min(0) - _MARGIN), tuple(xy.max(0) + _MARGIN))
        lead = 1.5
        arcs = (np.arange(round((duration + 3.0) / time)) - lead / time) * length
        steps = schedule(route, terrain, arcs, time, 0.13, first_foot=int(angle < 0))
        return _plan(steps, terrain, lead, lead + duration, _WALK)

    return recipe


def _starting(factors: _Factors) -> Plan:
    length, time = 0.55 * factors.stride, 0.55 * factors.period
    route, terrain = _along_x(4.0)
    arcs = np.concatenate([[0.0, 0.0, 0.6 * length], 0.6 * length + length * np.arange(1, 9)])
    periods = np.concatenate([[1.0, 0.62], np.full(len(arcs) - 3, time)])
    overlaps = np.concatenate([[0.0, 0.16], np.full(len(arcs) - 3, 0.13)])
    steps = schedule(route, terrain, arcs, periods, overlaps, stand_before=True)
    return _plan(steps, terrain, 0.0, 3.6, _WALK)


def _stopping(factors: _Factors) -> Plan:
    length, time = 0.55 * factors.stride, 0.55 * factors.period
    route, terrain = _along_x(4.0)
    arcs = np.concatenate([(np.arange(8) - 2) * length, [5.6 * length, 5.6 * length]])
    periods = np.concatenate([np.full(7, time), [0.6, 0.6]])
    overlaps = np.concatenate([np.full(7, 0.13), [0.18, 0.18]])
    steps = schedule(route, terrain, arcs, periods, overlaps, stand_after=True)
    end = float(periods.sum()) + 0.5  # half a second of standing
    return _plan(steps, terrain, end - 3.6, end, _WALK)


def _stairs(rise: float, count: int, down: bool) -> Callable[[_Factors], Plan]:
    def recipe(factors: _Factors) -> Plan:
        first = 1.6  # m, where the first tread begins
        top = first + (count - 1) * _CELL
        route, ground = _along_x(top + 2.2)
        sign = -1.0 if down else 1.0
        areas = [(first + i * _CELL, 99.0, -99.0, 99.0, sign * rise * (i + 1)) for i in range(count)]
        terrain = _raised(ground, areas)
        # the sole's middle stands in the middle of each tread
        treads = first + (np.arange(count) + 0.5) * _CELL - 0.045
        approach = np.linspace(-1.45, treads[0] - 0.42, 6)
        leave = treads[-1] + np.array([0.45, 0.95, 1.45, 1.95, 2.45])
        arcs = np.concatenate([approach, treads, leave])
        walk, climb = 0.58 * factors.period, 0.72 * factors.period
        on_stairs = (arcs[1:] > first) & (arcs[1:] < top + 2 * _CELL)
        periods = np.where(on_stairs, climb, walk)
        overlaps = np.where(on_stairs, 0.17 if down else 0.22, 0.14)
        toes = np.where(np.concatenate([[0.0], _rises(route, terrain, arcs)]) < -0.1, 0.5, 0.0)
        steps = schedule(route, terrain, arcs, periods, overlaps, toe_first=toes)
        land = np.concatenate([[0.0], np.cumsum(periods)])
        return _plan(steps, terrain, float(land[2]), float(min(land[-2], land[2] + 5.0)), _stepping(rise))

    return recipe


def _box(
    height: float, cells: int | None, down_only: bool = False, step_up: bool = True
) -> Callable[[_Factors], Plan]:
    """Up onto a box (and down again, if its length in `cells` is given), or only down from one."""

    def recipe(factors: _Factors) -> Plan:
        edge = 1.6
        pace, slow = 0.6 * factors.period, (0.62 + 0.55 * height) * factors.period
        far = edge + (cells * _CELL if cells else 0.0)
        length = far + 2.4
        route, ground = _along_x(length)
        if down_only:
            terrain = _raised(ground, [(-99.0, edge, -99.0, 99.0, height)])
            arcs, big = _approach(edge - 0.19, 0.45), []
        else:
            terrain = _raised(ground, [(edge, far if cells else 99.0, -1.4, 1.4, height)])
            arcs = [*_approach(edge - (0.34 if height < 0.45 else 0.43), 0.45), edge + 0.15]
            big = [len(arcs) - 2]
            if not cells:
                arcs += list(arcs[-1] + np.array([0.32, 0.8, 1.3, 1.8]))
                big.append(len(arcs) - 5)
        if cells or down_only:
            if not down_only:
                on_top = np.linspace(arcs[-1], far - 0.19, max(2, round((far - 0.19 - arcs[-1]) / 0.35) + 1))[
                    1:
                ]
                big.append(len(arcs) - 1)
                arcs += list(on_top)
            big.append(len(arcs) - 1)
            arcs += list(arcs[-1] + 0.19 + np.array([0.25, 0.55, 1.0, 1.5, 2.0]))
            big.append(len(arcs) - 5)
        gaps = np.arange(len(arcs) - 1)
        periods = np.where(np.isin(gaps, big), slow, pace)
        overlaps = np.where(np.isin(gaps, big), 0.20, 0.16)
        drop = _rises(route, terrain, arcs)
        toes = np.where(np.concatenate([[0.0], drop]) < -0.1, 0.55 if height < 0.3 else 0.0, 0.0)
        overlaps[drop < -0.1] = 0.10
        if height >= 0.3:  # fall the last part: the standing leg cannot bend so far
            overlaps[drop < -0.2] = -(0.08 + 0.27 * height)
            periods[drop < -0.2] = 0.62
            periods[1:][drop[:-1] < -0.2] = 0.46
        steps = schedule(route, terrain, arcs, periods, overlaps, toe_first=toes)
        land = np.concatenate([[0.0], np.cumsum(periods)])
        first = float(land[2])
        return _plan(steps, terrain, first, float(min(land[-2], first + 5.0)), _stepping(height))

    return recipe


def _rises(route: Route, terrain: Terrain, arcs: ArrayLike) -> np.ndarray:
    # height gained from each step to the next, [n - 1] m
    return np.diff(terrain.height_at(route.at(np.asarray(arcs))[0]))


def _approach(last: float, stride: float, count: int = 6) -> list[float]:
    return [last - stride * (count - 1 - i) for i in range(count)]


def _gap(width: float) -> Callable[[_Factors], Plan]:
    def recipe(factors: _Factors) -> Plan:
        edge = 2.0
        route, ground = _along_x(edge + width + 2.6)
        terrain = _raised(ground, [(edge, edge + width, -99.0, 99.0, -0.8)])
        take_off, landing = edge - 0.20, edge + width + 0.12
        stride = 0.72 * factors.stride
        arcs = [*_approach(take_off, stride, 7), landing, *(landing + stride * np.arange(1, 6))]
        periods = np.full(len(arcs) - 1, 0.36 * factors.period)
        overlaps = np.full(len(arcs) - 1, -0.07)
        leap = 6
        overlaps[leap] = -(0.10 + 0.16 * width)
        periods[leap] = 0.34 + 0.17 * width
        steps = schedule(route, terrain, arcs, periods, overlaps, width=0.13)
        land = np.concatenate([[0.0], np.cumsum(periods)])
        return _plan(steps, terrain, float(land[3]), float(land[3] + 2.6), _RUN)

    return recipe


def _stepping(height: float) -> Style:
    return attrs.evolve(
        _WALK, clearance=0.09 - 0.08 * height, lean=0.05, heel_off=0.6 + 0.5 * height, arm_swing=0.7
    )


_RECIPES: dict[str, dict[str, Callable[[_Factors], Plan]]] = {
    "walk": {
        "walk_slow": _steady(0.42, 0.64, 0.17, _WALK),
        "walk": _steady(0.56, 0.55, 0.12, _WALK),
        "walk_fast": _steady(0.62, 0.44, 0.08, _WALK),
    },
    "run": {
        "run": _steady(0.80, 0.34, -0.11, _RUN, width=0.13),
        "run_fast": _steady(0.98, 0.33, -0.13, _RUN, width=0.13),
    },
    "turn": {"turn_left": _turning(np.pi / 2, 1.0), "turn_right": _turning(-np.pi / 2, 1.0)},
    "start_stop": {"stand_to_walk": _starting, "walk_to_stand": _stopping},
    "stairs": {"stairs_up": _stairs(0.15, 5, down=False), "stairs_up_steep": _stairs(0.25, 4, down=False),
               "stairs_down": _stairs(0.2, 5, down=True)},
    "box": {
        "box_up_30": _box(0.3, None),
        "box_up_50": _box(0.5, None),
        "box_down_30": _box(0.3, None, down_only=True),
        "box_down_50": _box(0.5, None, down_only=True),
        "box_over_20": _box(0.2, 3),
        "box_over_40": _box(0.4, 4),
    },
    "gap": {"gap_40": _gap(0.4), "gap_80": _gap(0.8)},
}  # fmt: skip
CLASSES = tuple(_RECIPES)
