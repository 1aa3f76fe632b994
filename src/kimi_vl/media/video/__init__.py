"""Videos: what they are, their frames at exact moments, where they change, what their subtitles say.

Each reader is a generator over an open file and a request (a dict of JSON values) that gives `Part`s; all are made to run in a confined
process.
"""

from kimi_vl.media.video.changes import read_video_changes
from kimi_vl.media.video.frames import read_video_frames
from kimi_vl.media.video.info import read_video_info
from kimi_vl.media.video.subtitles import read_video_subtitles

__all__ = ["read_video_changes", "read_video_frames", "read_video_info", "read_video_subtitles"]
