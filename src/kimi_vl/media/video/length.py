"""How long a video is, told by its header where that can be believed, else by its packets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from av.error import FFmpegError

from kimi_vl.media.video.container import Effort, Video, open_video

LONGEST = 86_400.0  # seconds that a header is believed: a day
SPARSEST = 0.02  # pictures a second on average, below which its header is not believed


@dataclass(frozen=True, slots=True)
class Length:
    """Seconds from 0:00 to the end of the last picture, and where that is from: "header" or "packets"."""

    seconds: float
    source: str


def length(file: BinaryIO, video: Video) -> Length:
    """The header's word, or a count of all packets, nothing decoded, from the beginning. Raises: MediaError beyond the limits of work."""
    claimed = video.duration
    if claimed is not None and 0 < claimed <= LONGEST and not (0 < video.stream.frames < claimed * SPARSEST):
        return Length(claimed, "header")
    with open_video(file, video.name) as again:
        return Length(_measured(again), "packets")


def _measured(video: Video) -> float:
    effort, stream = Effort(video.name), video.stream
    lasts = 1 / float(stream.average_rate) if stream.average_rate else 0.0
    end = 0.0
    try:
        for packet in video.container.demux(stream):
            if packet.pts is not None and not packet.is_discard:
                effort.packet()
                end = max(end, video.seconds(packet.pts + (packet.duration or 0)) + (0.0 if packet.duration else lasts))
    except FFmpegError:  # the end is where reading ends
        pass
    return end
