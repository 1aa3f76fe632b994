"""Tensors on their way from files to a GPU: threads read them into a few small buffers, out of which they are copied while others are read.

To read a file that lies in memory is to copy it, which one thread does at some 5 GB/s. A GPU takes 50, but only out of pinned memory.
Reading releases the interpreter's lock, so threads add up.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Self

import torch
from torch import Tensor

from kimi_vl.checkpoint.reader import CheckpointReader

THREADS = min(12, os.cpu_count() or 1)
BUFFER_BYTES = 8 << 20  # holds a matrix of an expert of the 16B model, 5.8 MB
BUFFERS = 2  # for each thread: one is read into while the other is copied out of


@dataclass
class _Buffer:
    memory: Tensor
    copied: torch.cuda.Event | None  # its last copy; None where copies are done when they return


class Staging:
    """A context manager that fills tensors on one device from one reader; when it ends, no thread reads or copies any more.

    Memory beside the tensors is THREADS x BUFFERS x BUFFER_BYTES, pinned for a GPU. Copies run on a stream of their own. On a CPU the
    buffers are plain, which is slower than reading in place, and is there for tests.
    """

    def __init__(self, reader: CheckpointReader, device: torch.device) -> None:
        self._reader, self._device = reader, device
        on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if on_gpu else None
        self._free: SimpleQueue[_Buffer] = SimpleQueue()  # the longest unused comes first, so its copy is most likely done
        with torch.cuda.stream(self._stream):  # pinned for this device, which need not be the current one
            for _ in range(THREADS * BUFFERS):
                memory = torch.empty(BUFFER_BYTES, dtype=torch.uint8, pin_memory=on_gpu)
                self._free.put(_Buffer(memory, torch.cuda.Event(blocking=True) if on_gpu else None))
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="checkpoint")

    def send(self, name: str, target: Tensor) -> list[Future[None]]:
        """Begin to fill `target`, on the device, contiguous, of the stored shape and any floating dtype, with a stored tensor. Returns
        what `wait` takes."""
        if self._stream is not None:  # what was launched before may still read the memory that the target was given
            self._stream.wait_stream(torch.cuda.current_stream(self._device))
        flat, count = target.view(-1), BUFFER_BYTES // self._reader.spec(name)[1].itemsize
        return [self._threads.submit(self._send, name, start, flat[start : start + count]) for start in range(0, flat.numel(), count)]

    def wait(self, parts: Iterable[Future[None]]) -> None:
        """Until these are read; what is launched from now on finds them on the device. Raises: as `CheckpointReader.read_into`."""
        for part in parts:
            part.result()
        if self._stream is not None:
            torch.cuda.current_stream(self._device).wait_stream(self._stream)

    def _send(self, name: str, start: int, target: Tensor) -> None:
        """The values of a tensor from `start` on, as many as the target [N] has."""
        dtype = self._reader.spec(name)[1]
        buffer = self._free.get()
        try:
            if buffer.copied is not None:
                buffer.copied.synchronize()
            stored = buffer.memory[: target.numel() * dtype.itemsize].view(dtype)
            self._reader.read_into(name, stored, start)
            # A thread knows nothing of the mode that the target was made in, and only in that mode may it be written to.
            with torch.cuda.stream(self._stream), torch.inference_mode(target.is_inference()):
                # torch would convert on the CPU, and wait for it.
                source = stored if dtype == target.dtype else stored.to(self._device, non_blocking=True)
                target.copy_(source, non_blocking=True)
                if buffer.copied is not None:
                    buffer.copied.record()
        finally:
            self._free.put(buffer)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._threads.shutdown(cancel_futures=True)
        self.wait(())
