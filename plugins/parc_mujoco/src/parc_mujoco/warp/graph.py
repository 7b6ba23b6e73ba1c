"""A fixed sequence of launches, fast to repeat."""

from __future__ import annotations

from collections.abc import Callable

import torch
import warp as wp

__all__ = ["LaunchSequence"]


class LaunchSequence:
    """Launches that are recorded once and replayed: a CUDA graph on a GPU, Warp's own recording on a CPU.

    Calling it puts the work on torch's current stream, so it is ordered with torch's own; nothing is waited for.
    The launches see fixed arrays only: what changes between calls is written into those beforehand.
    """

    def __init__(self, launch: Callable[[], None], device: wp.Device) -> None:
        self._launch, self._device = launch, device
        self._graph: wp.Graph | None = None

    def warm_up(self) -> None:
        """Compile the kernels by running the launches, which have to leave everything as it is at this moment.

        A CPU does without: there, recording compiles what it has to and runs nothing.
        """
        if self._device.is_cpu:
            return
        torch.cuda.synchronize(wp.device_to_torch(self._device))
        with wp.ScopedDevice(self._device):
            self._launch()
        wp.synchronize_device(self._device)

    def __call__(self) -> None:
        """Run it."""
        if self._graph is None:
            self._graph = self._record()
        if self._device.is_cpu:
            wp.capture_launch(self._graph)
            return
        stream = wp.stream_from_torch(torch.cuda.current_stream(wp.device_to_torch(self._device)))
        wp.capture_launch(self._graph, stream=stream)

    def _record(self) -> wp.Graph:
        with (
            wp.ScopedDevice(self._device),
            wp.ScopedCapture(device=self._device, force_module_load=False) as capture,
        ):
            self._launch()
        return capture.graph
