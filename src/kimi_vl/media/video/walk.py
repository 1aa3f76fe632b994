"""From moments to pictures: which frame is on screen at each, decoded with as little work as that can be told exactly.

The frame at a moment is the last one whose presentation time is not after it. Packets are looked at some way ahead of decoding, so that it
is known which frames are asked for: frames that no other frame refers to are then not decoded at all, and where the file has an index the
walk jumps to the last keyframe before the next moment if that lies ahead. Both are checked: every picture that is given must have the
presentation time that the packets promise; where it has not, the walk starts anew from the beginning without either.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, BinaryIO

from av.error import FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame

from kimi_vl.errors import MediaError
from kimi_vl.media.video.container import Effort, Video, open_video, reason

AHEAD = 64  # packets looked at before one is decoded; pictures are reordered by 16 at most
MAX_ERRORS = 200  # damaged packets before the rest is given up
LONG = 20  # seconds to the next moment that make a jump worthwhile in a file without an index
GRACE = 1.0  # seconds after the last picture for which it stands, unless the file is said to go on for longer
JUMPS = 5  # attempts to land on a keyframe before a moment

Damage = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A frame, its time and the moments it is on screen at (seconds); `damaged` where it is not quite the right one."""

    frame: VideoFrame
    seconds: float
    moments: tuple[float, ...]
    damaged: bool


class Missed(Exception):
    """A shortcut lost the picture of a moment."""


class Walk:
    """One pass over a video. `damage` is known once `shown` has ended."""

    def __init__(self, video: Video, moments: Sequence[float], effort: Effort, *, shortcuts: bool) -> None:
        self.video, self.moments, self.effort = video, moments, effort
        self.limits = [video.ticks(moment) for moment in moments]  # in ticks, as all that follows
        self.next = 0  # the first moment that has no picture yet
        self.jumped = -1  # the moment last jumped to; none is jumped to twice
        self.damage: Damage = {}
        # AVI has no presentation times: frames are on screen one after another, from the first on, so that none may be left out.
        self.by_order = video.container.format.name == "avi"
        self.shortcuts = shortcuts and not self.by_order
        self.skips = self.shortcuts and video.codec == "h264"  # in others "not referred to" may mean "by frames of its own layer"
        self.promises = video.codec != "vp8"  # whose packets may hold a frame that is never shown
        self.errors = 0
        self._start()

    def _start(self) -> None:
        """Nothing seen or decoded yet, at the beginning or behind a jump."""
        self.current: VideoFrame | None = None
        self.latest: dict[int, int] = {}  # by moment: the last presentation time since the moment before it
        self.promised: int | None = None  # the last presentation time up to the moments done with
        self.newest: int | None = None  # decoding time of the last packet seen
        self.complete = self.next  # moments whose packets have all been seen
        self.queue: deque[Packet] = deque()
        self.order: deque[int | None] = deque()  # decoding times of packets whose frames have not come out yet
        self.source = self.video.container.demux(self.video.stream)

    def shown(self) -> Iterator[Shown]:
        """The pictures in order. Raises: Missed, from which `moments[next:]` are to be walked again; MediaError beyond the limits of
        work.
        """
        if self.shortcuts and self._ahead(self.limits[0], None):
            self._jump(self.limits[0])
        ended = False
        while not ended:
            ended = not self._see()
            while self.queue and (ended or len(self.queue) > AHEAD or self._decided(self.queue[0])):
                for frame in self._decode(self.queue.popleft()):
                    yield from self._take(frame)
                if self.next == len(self.limits):
                    return
            if not ended and self._may_finish():
                yield from self._drain(self.complete)
                yield from self._finish(self.complete)
                if self.complete == len(self.limits):
                    return
                self._jump(self.limits[self.next])
        yield from self._drain(len(self.limits))
        yield from self._end()

    # Packets ---------------------------------------------------------------------------------------------------------

    def _see(self) -> bool:
        """Look at one packet more; False at the end."""
        try:
            packet = next(self.source, None)
        except FFmpegError as error:
            self._note_damage(self.newest, reason(error))
            return False
        if packet is None or (not packet.size and packet.dts is None):
            return False
        self.effort.packet()
        if not packet.size:  # the picture before goes on; to a decoder it would mean the end
            return True
        if packet.has_sidedata("encryption_info") or packet.has_sidedata("encryption_init_info"):
            raise MediaError(f"{self.video.name} is encrypted (DRM); only videos without it can be read", "encrypted_media")
        if self.by_order:
            packet.pts = packet.dts
        self.queue.append(packet)
        if packet.is_corrupt:
            self._note_damage(packet.pts, "a packet is cut short")
        if packet.dts is not None:
            self.newest = packet.dts if self.newest is None else max(self.newest, packet.dts)
            while self.complete < len(self.limits) and self.limits[self.complete] < self.newest:
                self.complete += 1
        if packet.pts is not None and not packet.is_discard and self.promises:
            moment = bisect_left(self.limits, packet.pts)
            self.latest[moment] = max(packet.pts, self.latest.get(moment, packet.pts))
        return True

    def _wanted(self, packet: Packet) -> bool:
        """Whether it may be on screen at a moment, as far as packets have been seen."""
        if packet.pts is None or packet.is_discard or self.current is None:
            return True
        moment = bisect_left(self.limits, packet.pts)
        return moment < len(self.limits) and self.latest.get(moment, packet.pts) <= packet.pts

    def _decided(self, packet: Packet) -> bool:
        """Whether more packets cannot change what `_wanted` says."""
        if packet.pts is None or self.current is None or not self.skips or not self._wanted(packet):
            return True
        return bisect_left(self.limits, packet.pts) < self.complete

    # Pictures --------------------------------------------------------------------------------------------------------

    def _decode(self, packet: Packet | None) -> list[VideoFrame]:
        """What comes out when `packet` goes in; None asks for what is left."""
        context = self.video.stream.codec_context
        if packet is not None:
            context.skip_frame = "NONREF" if self.skips and not self._wanted(packet) else "DEFAULT"
            if self.by_order:
                self.order.append(packet.dts)
        try:
            frames = context.decode(packet)
        except (FFmpegError, EOFError) as error:
            if packet is not None:
                self._note_damage(packet.pts, reason(error))
            return []
        for frame in frames if self.by_order else ():
            frame.pts = self.order.popleft() if self.order else None
        return frames

    def _drain(self, end: int) -> Iterator[Shown]:
        """The pictures that the decoder still holds back, for moments up to `end`: frames shown before the last of them may not have gone
        in.
        """
        while frames := self._decode(None):
            for frame in frames:
                yield from self._take(frame, end)

    def _take(self, frame: VideoFrame, end: int | None = None) -> Iterator[Shown]:
        """`frame` comes on screen: until then, the one before it was."""
        self.effort.picture(frame.width * frame.height)
        if frame.pts is None or (self.current is not None and frame.pts <= _pts(self.current)):
            return
        before = bisect_left(self.limits, frame.pts, self.next)
        yield from self._finish(before if end is None else min(before, end), frame)
        self.current = frame

    def _finish(self, end: int, following: VideoFrame | None = None) -> Iterator[Shown]:
        """Give the frame on screen to the moments up to `end`; before the first frame there is only the one that follows."""
        if end <= self.next:
            return
        frame = self.current or following
        promised = [self.latest.pop(moment) for moment in range(self.next, end) if moment in self.latest]
        missed = frame is None or bool(promised and promised[-1] > _pts(frame))
        if missed and self.shortcuts:
            raise Missed
        if frame is None:
            return
        damaged = frame.is_corrupt or missed
        moments, self.next = tuple(self.moments[self.next : end]), end
        yield Shown(frame, self.video.seconds(_pts(frame)), moments, damaged)

    def _end(self) -> Iterator[Shown]:
        """The last frame stands for its duration, and a little longer where the file ends there too; what is asked for later is not
        there.
        """
        if self.current is None:
            return
        rate = self.video.stream.average_rate
        lasts = self.current.duration or (int(1 / (rate * self.video.tick)) if rate else 0)
        over = _pts(self.current) + lasts
        claimed = self.video.duration
        ends_here = claimed is None or claimed <= self.video.seconds(over) + GRACE
        last = over + int(GRACE / self.video.tick) + 1 if ends_here else over
        yield from self._finish(bisect_left(self.limits, last, self.next))
        if self.next < len(self.limits):
            self._note_damage(over, f"the pictures end at {self.video.seconds(over):.1f} seconds")

    def _note_damage(self, pts: int | None, why: str) -> None:
        """Raises: MediaError after MAX_ERRORS of them."""
        self.errors += 1
        if self.errors > MAX_ERRORS:
            raise MediaError(
                f"{self.video.name} is damaged throughout ({why}, {self.errors} times); save or download it again", "invalid_video"
            )
        if not self.damage:
            known = pts if pts is not None else self.newest
            self.damage = {"damaged_at": None if known is None else max(0.0, self.video.seconds(known)), "reason": why}
        self.damage["errors"] = self.errors

    # Jumps -----------------------------------------------------------------------------------------------------------

    def _may_finish(self) -> bool:
        """Whether everything for some moments has gone into the decoder, and the next one is better reached by a jump, or there is none."""
        if self.current is None or self.next > self.complete:
            return False
        if self.complete == len(self.limits):
            ready = True
        else:
            ready = self.shortcuts and self.complete > self.jumped and self._ahead(self.limits[self.complete], self.newest)
        if self.next < self.complete and ready:
            return not any(p.pts is None or p.pts <= self.limits[self.complete - 1] for p in self.queue)
        return ready

    def _ahead(self, limit: int, newest: int | None) -> bool:
        """Whether there is a keyframe before `limit` and behind `newest`."""
        stream = self.video.stream
        if "mpegts" in self.video.container.format.name or len(stream.index_entries) < 2:
            begun = newest if newest is not None else (stream.start_time or 0)
            return (limit - begun) * self.video.tick > LONG
        place = stream.index_entries.search_timestamp(limit)
        return place > 0 and (newest is None or stream.index_entries[place].timestamp > newest)

    def _jump(self, limit: int) -> None:
        """Go on from the last keyframe that is shown at or before `limit`. Raises: Missed."""
        self.jumped, aim = self.next, limit
        for attempt in range(JUMPS):
            try:
                self.video.container.seek(aim, stream=self.video.stream)
            except FFmpegError:
                break
            self._start()
            while self._see():
                if self.queue[0].is_keyframe:
                    break
                self.queue.clear()
            found = self.queue[0] if self.queue else None
            if found is not None and found.pts is not None and found.pts <= limit:
                self.latest = {moment: pts for moment, pts in self.latest.items() if pts >= found.pts}
                return
            aim = min(aim, limit if found is None or found.dts is None else found.dts) - 1 - int(attempt * attempt * 2 / self.video.tick)
        raise Missed


class Pictures:
    """What a file shows at `moments` (seconds, in order), as an iterator; afterwards `damage` says whether anything was wrong."""

    def __init__(self, file: BinaryIO, video: Video, moments: Sequence[float]) -> None:
        self.file, self.video, self.moments = file, video, moments
        self.damage: Damage = {}

    def __iter__(self) -> Iterator[Shown]:
        if not self.moments:
            return
        effort = Effort(self.video.name)
        walk = Walk(self.video, self.moments, effort, shortcuts=True)
        try:
            yield from walk.shown()
        except Missed:
            rest = self.moments[walk.next :]
            with open_video(self.file, self.video.name) as again:
                walk = Walk(again, rest, effort, shortcuts=False)
                yield from walk.shown()
        self.damage = walk.damage


def _pts(frame: VideoFrame) -> int:
    """The presentation time of a frame that has one."""
    assert frame.pts is not None
    return frame.pts
