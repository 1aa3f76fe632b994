"""Videos: the right frame at every moment, in its own colours and upright; and files that should not be trusted (RELIABILITY group H)."""

import contextlib
import os
import random
import resource
from bisect import bisect_right
from fractions import Fraction
from functools import cache
from io import BytesIO
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from kimi_vl.errors import InputError, MediaError
from kimi_vl.media.identify import Kind
from kimi_vl.media.selection import Changes, find_scenes
from kimi_vl.media.sources import ON_DISK, open_source
from kimi_vl.media.video import container, picture, read_video_changes, read_video_frames, read_video_info, read_video_subtitles, walk
from kimi_vl.media.video.container import Effort, open_video
from tests.media.clips import bars, clip, index_first, number_of, scenes

MS = Fraction(1, 1000)


def uneven(count, seed=0, steps=(20, 33, 40, 40, 40, 100, 500, 1700)):
    """Presentation times of a variable rate, in whole milliseconds."""
    rng, time, times = random.Random(seed), 0, []
    for _ in range(count):
        times.append(time * MS)
        time += rng.choice(steps)
    return times


def steady(count, rate=25):
    return [Fraction(k, rate) for k in range(count)]


def frames(data, moments=None, **request):
    """What a reader gives: (facts, pixels) of frames, and the closing facts."""
    if moments is not None:
        request["moments"] = moments
    *parts, last = read_video_frames(BytesIO(data), "clip", request)
    return [(part.facts, part.pixels_HWC) for part in parts], last.facts


def numbers(data, moments=None, **request):
    """The number that is seen at each moment."""
    given, end = frames(data, moments, **request)
    assert end["damaged_at"] is None
    assert not any("damaged" in facts for facts, _ in given)
    return {moment: number_of(pixels) for facts, pixels in given for moment in facts["moments"]}


def expected(times, moments):
    """The same, counted from the times the clip was made with."""
    return {moment: max(0, bisect_right(times, moment + 1e-6) - 1) for moment in moments}


def info(data):
    (part,) = read_video_info(BytesIO(data), "clip", {})
    return part.facts


X264 = {"preset": "fast", "bf": "3", "g": "30", "x264-params": "scenecut=0:b-pyramid=normal"}
OPEN = {"preset": "fast", "bf": "3", "g": "10", "x264-params": "scenecut=0:b-pyramid=normal:open-gop=1"}
X265 = {"x265-params": "log-level=none:pools=none:frame-threads=1:keyint=10:open-gop=1:bframes=3"}
KINDS = {
    "mp4": {"codec": "libx264", "options": X264},
    "mp4 one keyframe": {"codec": "libx264", "options": X264 | {"g": "250"}},
    "mp4 open groups": {"codec": "libx264", "options": OPEN},
    "mov": {"container": "mov", "options": X264},
    "mkv": {"container": "mkv", "options": X264},
    "mkv open groups": {"container": "mkv", "options": OPEN},
    "ts": {"container": "ts", "options": X264},
    "hevc": {"codec": "libx265", "options": X265},
    "hevc mkv": {"codec": "libx265", "container": "mkv", "options": X265},
    "vp9": {"codec": "libvpx-vp9", "container": "webm", "options": {"g": "12"}},
    "vp8": {"codec": "libvpx", "container": "webm", "options": {"g": "12", "auto-alt-ref": "1", "lag-in-frames": "10"}},
    "av1": {"codec": "libsvtav1"},
    "mpeg4": {"codec": "mpeg4", "options": {"bf": "2", "g": "12"}},
    "10 bits": {"codec": "libx265", "pixel_format": "yuv420p10le", "options": X265},
    "no edit list": {"options": X264, "muxing": {"use_editlist": "0"}},
    "fragments": {"options": X264, "muxing": {"movflags": "frag_keyframe+empty_moov"}},
    "with sound": {"options": X264, "sound": True},
}


@cache
def made(kind):
    """A clip of variable rate and its times."""
    times = uneven(90, seed=len(kind))
    return clip(times, tick=MS, rate=25, **KINDS[kind]), times


# The right frame -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_every_frame_is_on_screen_from_its_own_time_on(kind):
    data, times = made(kind)
    exactly = [float(time) for time in times]
    assert numbers(data, exactly) == expected(times, exactly)
    just_before = [float(time) - 0.002 for time in times[1:]]
    assert numbers(data, just_before) == expected(times, just_before)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [1, 3, 12, 150])
def test_a_few_moments_or_many_show_what_they_should(kind, count):
    data, times = made(kind)
    rng = random.Random(count)
    moments = sorted(rng.uniform(0, float(times[-1]) + 0.019) for _ in range(count))
    assert numbers(data, moments) == expected(times, moments)


@pytest.mark.parametrize(("codec", "options"), [("libx264", X264), ("libx264", OPEN), ("mpeg4", {"bf": "2", "g": "12"}), ("mjpeg", {})])
def test_avi_has_no_presentation_times_and_is_counted(codec, options):
    times = steady(60)
    format_ = "yuvj420p" if codec == "mjpeg" else "yuv420p"
    data = clip(times, container="avi", codec=codec, options=options, tick=Fraction(1, 25), rate=25, pixel_format=format_)
    for moments in ([0.0, 0.4, 1.31, 2.3], [float(time) for time in times]):
        assert numbers(data, moments) == expected(times, moments)


def test_a_rate_asks_for_even_moments_up_to_the_end_and_more_than_the_most_are_spread():
    data = clip(steady(100), tick=Fraction(1, 25), rate=25)
    assert list(numbers(data, per_second=2)) == [0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5]
    assert numbers(data, per_second=2, start=1.0, end=2.5) == {1.0: 25, 1.5: 37, 2.0: 50}
    assert list(numbers(data, per_second=2, max_frames=5)) == pytest.approx([0.0, 0.8, 1.6, 2.4, 3.2])


def test_facts_say_when_a_frame_came_and_for_which_moments_it_stands():
    given, end = frames(clip([0, Fraction(1, 2), 2], tick=MS), [0.1, 0.6, 1.0, 1.9, 2.0])
    assert [(facts["seconds"], facts["moments"], facts["index"]) for facts, _ in given] == [
        (0.0, [0.1], 0),
        (0.5, [0.6, 1.0, 1.9], 1),
        (2.0, [2.0], 2),
    ]
    assert given[0][0]["keyframe"]
    assert end == {"end": True, "frames": 3, "damaged_at": None}


def pass_over(data, moments, shortcuts):
    effort = Effort("clip")
    with open_video(BytesIO(data), "clip") as video:
        shown = list(walk.Walk(video, moments, effort, shortcuts=shortcuts).shown())
    return [(s.seconds, s.moments) for s in shown], effort


def test_shortcuts_change_the_work_and_not_the_frames():
    data = clip(steady(200), options=X264, tick=Fraction(1, 25), rate=25)
    for moments, most in (([0.0, 4.0, 7.9], 40), ([k / 5 for k in range(40)], 160)):
        plain, all_of_it = pass_over(data, moments, shortcuts=False)
        quick, effort = pass_over(data, moments, shortcuts=True)
        assert quick == plain
        assert effort.pixels < most * 96 * 64 < all_of_it.pixels


def test_a_shortcut_that_loses_a_frame_is_noticed_and_undone(monkeypatch):
    """H.264 that says "nobody refers to me" of frames that are wanted."""
    data, times = made("mp4")
    moments = [float(time) for time in times]
    honest = walk.Walk._wanted
    monkeypatch.setattr(walk.Walk, "_wanted", lambda self, packet: honest(self, packet) and (not self.skips or packet.is_keyframe))
    assert numbers(data, moments) == expected(times, moments)


def noise(number, size):
    return np.random.default_rng(number).integers(0, 255, (size[1], size[0], 3), np.uint8)


def test_frames_are_decoded_as_they_are_taken():
    data = clip(steady(100), options=X264 | {"crf": "0"}, tick=Fraction(1, 25), rate=25, size=(160, 128), draw=noise)
    file = BytesIO(index_first(data))
    parts = read_video_frames(file, "clip", {"per_second": 5})
    next(parts)
    assert file.tell() < len(data) // 4
    parts.close()


# Times ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_a_clock_that_starts_late_is_set_to_the_first_picture(kind):
    times = [10 + time for time in uneven(20)]
    data = clip(times, container=kind, tick=MS, rate=25)
    since = [time - 10 for time in times]
    assert numbers(data, [0.0, 0.5, 2.0]) == expected(since, [0.0, 0.5, 2.0])
    assert info(data)["starts_at"] == 0.0
    assert info(data)["duration"] == pytest.approx(float(since[-1]), abs=1.0)


@pytest.mark.parametrize("kind", ["mp4", "mkv", "ts"])
def test_pictures_that_begin_behind_the_sound_keep_their_distance(kind):
    data = clip([1 + time for time in steady(20)], container=kind, tick=MS, rate=25, sound=True)
    assert info(data)["starts_at"] == pytest.approx(1.0, abs=0.08)
    assert numbers(data, [0.0, 0.9, 1.5])[0.9] == 0  # before the first picture there is only the first
    assert numbers(data, [1.5])[1.5] in (10, 11, 12, 13, 14)


@pytest.mark.parametrize("kind", ["mp4", "mkv"])
def test_sound_that_begins_a_little_before_moves_nothing(kind):
    times = [Fraction(1, 10) + time for time in steady(20)]
    data = clip(times, container=kind, tick=MS, rate=25, sound=True)
    assert numbers(data, [0.0, 0.4]) == {0.0: 0, 0.4: 10}


def test_an_edit_list_cuts_the_beginning_off():
    times = [Fraction(k - 13, 25) for k in range(50)]  # the first thirteen frames lie before 0
    data = clip(times, options=X264, tick=Fraction(1, 25), rate=25, muxing={"avoid_negative_ts": "disabled"})
    assert numbers(data, [0.0, 0.4, 1.0]) == {0.0: 13, 0.4: 23, 1.0: 38}


def test_info_says_what_the_file_is():
    cues = [(0.5, 1.5, "Hello")]
    found = info(clip(steady(50), tick=Fraction(1, 25), rate=25, sound=True, subtitles=("mov_text", cues)))
    assert (found["duration"], found["width"], found["height"], found["rate"], found["frames"]) == (2.0, 96, 64, 25.0, 50)
    assert (found["codec"], found["audio"], found["rotation"], found["duration_from"]) == ("h264", True, 0, "header")
    assert [stream["kind"] for stream in found["streams"]] == ["video", "audio", "subtitle"]
    assert found["subtitles"][0]["codec"] == "mov_text"
    assert not info(clip(steady(5)))["audio"]


def test_one_frame_alone_is_a_video():
    data = clip([0])
    assert numbers(data, [0.0]) == {0.0: 0}
    assert info(data)["frames"] == 1


# Pictures ------------------------------------------------------------------------------------------------------------


def quarters(number, size):
    """Red above left, green above right, blue below left, white below right."""
    width, height = size
    pixels = np.full((height, width, 3), 255, np.uint8)
    pixels[: height // 2, : width // 2] = (255, 0, 0)
    pixels[: height // 2, width // 2 :] = (0, 255, 0)
    pixels[height // 2 :, : width // 2] = (0, 0, 255)
    return pixels


def corners(pixels):
    """The nearest name of the colour in the middle of each quarter, row by row."""
    names = {"R": (255, 0, 0), "G": (0, 255, 0), "B": (0, 0, 255), "W": (255, 255, 255)}
    height, width = pixels.shape[:2]
    spots = [pixels[y, x].astype(int) for y in (height // 4, 3 * height // 4) for x in (width // 4, 3 * width // 4)]
    return "".join(min(names, key=lambda name: np.abs(spot - names[name]).sum()) for spot in spots)


@pytest.mark.parametrize(("degrees", "seen"), [(0, "RGBW"), (90, "GWRB"), (180, "WBGR"), (270, "BRWG"), (-90, "BRWG")])
@pytest.mark.parametrize("kind", ["mp4", "mov"])
def test_a_turned_picture_stands_upright(kind, degrees, seen):
    data = clip([0, MS * 40], container=kind, size=(128, 64), draw=quarters, rotation=degrees, pixel_format="yuv444p", tick=MS)
    ((_, pixels),), _ = frames(data, [0.0])
    assert corners(pixels) == seen
    assert pixels.shape == ((128, 64, 3) if degrees % 180 else (64, 128, 3))
    found = info(data)
    assert (found["width"], found["height"], found["rotation"]) == (*pixels.shape[1::-1], degrees % 360)
    ((_, small),), _ = frames(data, [0.0], size=[40, 30])
    assert (small.shape, corners(small)) == ((30, 40, 3), seen)


def test_wide_pixels_become_square():
    data = clip([0], size=(128, 64), draw=quarters, aspect=Fraction(3, 2))
    assert (info(data)["width"], info(data)["height"]) == (192, 64)
    assert frames(data, [0.0])[0][0][1].shape == (64, 192, 3)
    assert frames(data, [0.0], most_side=96)[0][0][1].shape == (32, 96, 3)


def test_odd_sizes_are_read():
    data = clip(steady(3), size=(97, 65), pixel_format="yuv444p", draw=quarters)
    assert frames(data, [0.0])[0][0][1].shape == (65, 97, 3)


PATCHES = np.array(
    [(255, 255, 255), (0, 0, 0), (200, 40, 40), (40, 180, 60), (30, 60, 210), (128, 128, 128), (240, 220, 60), (90, 30, 120)]
)


def patches(number, size):
    width, height = size
    return np.repeat(np.repeat(PATCHES.astype(np.uint8)[None], width // 8, 1), height, 0)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("matrix", ["ITU601", "ITU709"])
@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuv444p", "yuv420p10le"])
def test_colours_come_back_whatever_they_were_stored_as(pixel_format, matrix, full_range):
    options = {"options": {"crf": "4"}, "size": (256, 64), "pixel_format": pixel_format}
    data = clip([0], matrix=matrix, full_range=full_range, draw=patches, **options)
    ((_, pixels),), _ = frames(data, [0.0])
    assert np.abs(pixels[32, 16::32].astype(int) - PATCHES).max() <= 5


@pytest.mark.parametrize(("size", "matrix"), [((1280, 720), 1), ((720, 576), 5)])
def test_pictures_that_do_not_say_are_709_when_large(size, matrix):
    frame = av.VideoFrame(*size, "yuv420p")
    assert picture.matrix(frame) == matrix
    assert picture.colour_range(frame) == 1


def test_transparent_pictures_stand_on_white():
    rgba = np.zeros((16, 16, 4), np.uint8)
    rgba[:8] = (10, 200, 30, 255)
    rgba[8:] = (10, 200, 30, 0)
    rgba[8:, 8:, 3] = 128
    pixels = picture.Painter().pixels(av.VideoFrame.from_ndarray(rgba, "rgba"), (16, 16))
    assert pixels[0, 0].tolist() == [10, 200, 30]
    assert pixels[12, 2].tolist() == [255, 255, 255]
    assert pixels[12, 12].tolist() == [132, 227, 142]


def test_a_size_that_changes_halfway_is_drawn_as_asked():
    first = clip(steady(10), container="ts", tick=MS, rate=25)
    second = clip([1 + time for time in steady(10)], container="ts", tick=MS, rate=25, size=(192, 128))
    moments = [0.0, 0.2, 1.0, 1.2]
    given, _ = frames(first + second, moments, size=[48, 32])
    assert [(pixels.shape, number_of(pixels)) for _, pixels in given] == [((32, 48, 3), k) for k in (0, 5, 0, 5)]
    assert [pixels.shape[:2] for _, pixels in frames(first + second, moments)[0]] == [(64, 96)] * 2 + [(128, 192)] * 2


def test_repeats_are_dropped_and_stood_for():
    def draw(number, size):
        return bars(number // 5, size)

    given, end = frames(clip(steady(20), draw=draw, tick=Fraction(1, 25), rate=25), [k / 25 for k in range(20)], repeats="drop")
    assert [facts["index"] for facts, pixels in given if pixels is not None] == [0, 5, 10, 15]
    assert [facts.get("repeats") for facts, _ in given] == [k // 5 * 5 if k % 5 else None for k in range(20)]
    assert end["frames"] == 20


# Damage (H6, H7) -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["mp4", "mkv", "avi", "ts"])
def test_h7_of_a_file_cut_short_the_frames_before_the_cut_are_given(kind):
    times = steady(200)
    data = clip(times, container=kind, tick=Fraction(1, 25), rate=25, options={"g": "25", "bf": "0"})
    data = index_first(data) if kind == "mp4" else data
    given, end = frames(data[: len(data) * 6 // 10], [float(t) for t in times[::5]])
    sound = [(facts, pixels) for facts, pixels in given if facts["moments"][0] - facts["seconds"] < 0.03]
    assert len(given) <= len(sound) + 1  # the last frame stands a second longer where the file does not say how long it is
    assert 20 <= len(sound) <= 26
    assert [number_of(pixels) for _, pixels in sound] == [round(25 * facts["moments"][0]) for facts, _ in sound]
    assert end["damaged_at"] == pytest.approx(len(sound) / 5, abs=1.3)
    assert end["reason"]


def test_h7_damage_in_the_middle_is_told_and_the_rest_is_given():
    times = steady(100)
    data = bytearray(clip(times, container="ts", tick=Fraction(1, 25), rate=25, options={"g": "10", "bf": "0"}))
    middle = len(data) // 2
    data[middle : middle + 188 * 12] = random.Random(0).randbytes(188 * 12)
    given, end = frames(bytes(data), [float(t) for t in times])
    right = [round(25 * facts["moments"][0]) for facts, pixels in given if number_of(pixels) == round(25 * facts["moments"][0])]
    assert len(right) > 70
    assert right[:30] == list(range(30))
    assert right[-20:] == list(range(80, 100))
    assert end["damaged_at"] is None or 1.0 < end["damaged_at"] < 3.5


def test_moments_behind_the_end_are_not_invented():
    given, end = frames(clip(steady(50), tick=Fraction(1, 25), rate=25), [1.0, 1.99, 2.5, 7.0])
    assert [facts["moments"] for facts, _ in given] == [[1.0], [1.99, 2.5]]  # the last frame stands for a second more
    assert end["damaged_at"] == pytest.approx(2.0)
    assert "2.0 seconds" in end["reason"]


def test_a_stretch_behind_the_end_is_refused():
    with pytest.raises(MediaError, match=r"clip is 2.0 seconds long; there is nothing from 5.0 seconds on"):
        frames(clip(steady(50), tick=Fraction(1, 25), rate=25), per_second=1, start=5)


def test_h6_a_beginning_without_a_keyframe_is_passed_over():
    data = clip(steady(60), container="ts", tick=Fraction(1, 25), rate=25, options={"g": "20", "bf": "0"})
    keep = data.find(b"\x47", len(data) // 6 // 188 * 188)
    given, _ = frames(data[: 188 * 3] + data[keep:], [0.0])
    assert number_of(given[0][1]) in range(61)


# Files that should not be trusted ------------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", bytes(5000), b"\0\0\0\x14ftypisom\0\0\0\0isom", random.Random(1).randbytes(5000)])
def test_h1_what_is_no_video_is_refused_by_name(data):
    for reader, request in ((read_video_info, {}), (read_video_frames, {"per_second": 1})):
        with pytest.raises(MediaError, match="clip"):
            list(reader(BytesIO(data), "clip", request))


def test_h1_half_a_file_whose_index_is_missing_is_refused():
    data = clip(steady(50))
    with pytest.raises(MediaError, match="clip is not a video that can be read"):
        frames(data[: len(data) // 2], per_second=1)


def claiming(data, width, height):
    """An MJPEG MOV whose pictures and header say another size."""
    small = (64).to_bytes(2, "big") + (96).to_bytes(2, "big")
    large = height.to_bytes(2, "big") + width.to_bytes(2, "big")
    return data.replace(b"\xff\xc0\0\x11\x08" + small, b"\xff\xc0\0\x11\x08" + large).replace(
        (96).to_bytes(2, "big") + (64).to_bytes(2, "big") + b"\0\x48", width.to_bytes(2, "big") + height.to_bytes(2, "big") + b"\0\x48"
    )


def test_h2_a_vast_picture_is_refused_before_it_takes_memory():
    data = claiming(clip(steady(2), container="mov", codec="mjpeg", pixel_format="yuvj420p"), 16_000, 16_000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(MediaError, match=r"at most 17,000,000 pixels|not one picture|no picture"):
        list(read_video_info(BytesIO(data), "clip", {}))
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50 * 1024


@pytest.mark.parametrize("claimed", [0, 1, 0x7FFFFFFF, 0xFFFFFFFF])
def test_h3_a_length_that_cannot_be_believed_is_measured(claimed):
    data = bytearray(clip(steady(50), tick=Fraction(1, 25), rate=25, muxing={"use_editlist": "0"}))
    for box, offset in ((b"mvhd", 20), (b"mdhd", 20), (b"tkhd", 24)):
        place = data.index(box) + offset
        data[place : place + 4] = claimed.to_bytes(4, "big")
    found = info(bytes(data))
    assert found["duration"] == pytest.approx(2.0, abs=0.05) or claimed == 1
    given, _ = frames(bytes(data), per_second=2)
    assert 1 <= len(given) <= 4


def test_h3_work_has_a_limit_that_is_counted(monkeypatch):
    data = clip(steady(50), tick=Fraction(1, 25), rate=25)
    monkeypatch.setattr(container, "MAX_PACKETS", 20)
    with pytest.raises(MediaError, match="more than 20 packets"):
        frames(data, [0.0, 1.9])
    monkeypatch.undo()
    monkeypatch.setattr(container, "MAX_DECODED_PIXELS", 10 * 96 * 64)
    with pytest.raises(MediaError, match="61,440 decoded pixels"):
        frames(data, [0.0, 1.9])


SDP = b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 55021 RTP/AVP 96\na=rtpmap:96 H264/90000\n"
M3U8 = b"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n%s\n#EXT-X-ENDLIST\n"
DASH = (
    b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period><AdaptationSet>'
    b'<Representation id="1"><BaseURL>%s</BaseURL></Representation></AdaptationSet></Period></MPD>'
)


@pytest.mark.parametrize("name", ["clip.mp4", "list.m3u8", "session.sdp", "list.ffconcat", "manifest.mpd"])
@pytest.mark.parametrize(
    "body",
    [SDP, M3U8 % b"file://%s", M3U8 % b"http://127.0.0.1:9/x.ts", b"ffconcat version 1.0\nfile %s\n", DASH % b"file://%s", b"concat:%s|%s"],
    ids=["sdp", "hls file", "hls http", "ffconcat", "dash", "concat"],
)
def test_h5_a_list_of_other_files_opens_none_and_binds_no_socket(name, body, tmp_path, monkeypatch):
    other = tmp_path / "other.mp4"
    other.write_bytes(clip(steady(3)))
    path = tmp_path / name
    path.write_bytes(body.replace(b"%s", str(other).encode()))
    asked = []
    monkeypatch.setattr(container, "_refuse", lambda *url: asked.append(url))
    sockets = Path("/proc/net/udp").read_text().count("\n")
    with path.open("rb") as file, pytest.raises(MediaError, match="not a video that can be read"):
        list(read_video_info(file, str(path), {}))
    assert asked == []
    assert Path("/proc/net/udp").read_text().count("\n") == sockets


def test_h5_even_a_demuxer_that_reads_lists_would_open_no_other_file(tmp_path, monkeypatch):
    """The second wall: without lists of what is allowed, and a name that says HLS."""
    other = tmp_path / "other.ts"
    other.write_bytes(clip(steady(3), container="ts"))
    path = tmp_path / "list.m3u8"
    path.write_bytes(M3U8 % str(other).encode())
    monkeypatch.setattr(container, "_OPTIONS", {"allowed_extensions": "ALL", "extension_picky": "0"})
    with path.open("rb") as file, pytest.raises(MediaError):
        list(read_video_info(file, str(path), {}))
    assert not hasattr(container._Nameless(BytesIO(b""), "list.m3u8"), "name")
    monkeypatch.setattr(container._Nameless, "name", str(path), raising=False)
    with path.open("rb") as file, pytest.raises(MediaError):
        list(read_video_info(file, str(path), {}))


def test_h4_pictures_joined_by_commas_are_no_video():
    with pytest.raises(MediaError, match="not a video"):
        frames(b"data:video/jpeg;base64," + b",".join([b"/9j/4AAQSkZJRg=="] * 500), per_second=1)


@pytest.mark.parametrize(
    ("codec", "format_"), [("mpeg2video", "matroska"), ("ffv1", "matroska"), ("prores_ks", "mov"), ("mpeg1video", "matroska")]
)
def test_h10_rare_codecs_are_refused_by_name(codec, format_):
    file = BytesIO()
    with av.open(file, "w", format=format_) as out:
        stream = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv422p10le" if "prores" in codec else "yuv420p"
        frame = av.VideoFrame(96, 64, stream.pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    with pytest.raises(MediaError, match=rf"clip is encoded as {codec.split('_')[0]}; read are h264"):
        frames(file.getvalue(), per_second=1)


def test_h10_a_rare_codec_in_a_stream_without_a_header_is_refused_too():
    file = BytesIO()
    with av.open(file, "w", format="mpegts") as out:
        stream = out.add_stream("mpeg2video", rate=25)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        out.mux(stream.encode(av.VideoFrame(96, 64, "yuv420p")))
        out.mux(stream.encode(None))
    with pytest.raises(MediaError, match=r"encoded as mpeg2video|of a format or codec that is not supported"):
        frames(file.getvalue(), per_second=1)


def test_h10_an_animated_picture_is_no_video():
    file = BytesIO()
    pictures = [Image.fromarray(bars(k)) for k in range(3)]
    pictures[0].save(file, "GIF", save_all=True, append_images=pictures[1:], duration=100)
    with pytest.raises(MediaError, match="not a video that can be read"):
        frames(file.getvalue(), per_second=1)


def test_h11_an_encrypted_video_is_refused_by_that_name():
    key = {"encryption_scheme": "cenc-aes-ctr", "encryption_key": "00112233445566778899aabbccddeeff", "encryption_kid": "00" * 16}
    with pytest.raises(MediaError, match="clip is encrypted"):
        frames(clip(steady(20), muxing=key), per_second=1)


def test_h6_sound_alone_is_no_video():
    file = BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("aac", rate=16000, layout="mono")
        sound = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
        sound.sample_rate = 16000
        out.mux(stream.encode(sound))
        out.mux(stream.encode(None))
    with pytest.raises(MediaError, match="clip holds sound; a video has pictures"):
        frames(file.getvalue(), per_second=1)


def test_damaged_bytes_anywhere_end_in_frames_or_in_a_media_error():
    rng = random.Random(7)
    for kind in ("mp4", "mkv", "ts", "vp9"):
        data, _ = made(kind)
        for _ in range(12):
            bad = bytearray(data)
            for _ in range(rng.choice([1, 5, 40])):
                bad[rng.randrange(len(bad))] = rng.randrange(256)
            with contextlib.suppress(MediaError):
                frames(bytes(bad), per_second=1, max_frames=8)


# Requests ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        ({}, "needs either moments or per_second"),
        ([], "must be a JSON object, not list"),
        ({"moments": [0], "per_second": 1}, "either moments or per_second"),
        ({"momments": [0]}, "unknown key 'momments' in a request; did you mean 'moments'"),
        ({"moments": [1, 0.5]}, "moments must ascend; 0.5 follows 1"),
        ({"moments": [-1]}, "moments must be a list of seconds from 0"),
        ({"moments": [float("nan")]}, "moments must be a list"),
        ({"moments": [True]}, "moments must be a list"),
        ({"moments": "0"}, "moments must be a list"),
        ({"moments": [0.0] * 300}, "moments has 300 entries; max_frames is 256"),
        ({"moments": [0], "start": 1}, "start and end go with per_second"),
        ({"per_second": 0}, "per_second is 0"),
        ({"per_second": 1e6}, "per_second is 1000000.0"),
        ({"per_second": "2"}, "per_second is '2'"),
        ({"per_second": 1, "start": 5, "end": 5}, "end is 5 seconds; it must be after start, 5"),
        ({"per_second": 1, "size": [0, 10]}, "size is .0, 10.; it must be .width, height."),
        ({"per_second": 1, "size": [10.0, 10]}, "size is"),
        ({"per_second": 1, "size": [10, 10], "most_side": 5}, "size or most_side, not both"),
        ({"per_second": 1, "most_side": 10_000}, "most_side is 10000"),
        ({"per_second": 1, "max_frames": 10**9}, "max_frames is 1000000000"),
        ({"per_second": 1, "repeats": "maybe"}, "repeats is 'maybe'"),
    ],
)
def test_a_request_is_checked_before_the_file_is_opened(request_, words):
    with pytest.raises(InputError, match=words):
        next(read_video_frames(BytesIO(b"not opened"), "clip", request_))


# Changes and subtitles -----------------------------------------------------------------------------------------------


def changes(data, **request):
    return Changes.from_facts(part.facts for part in read_video_changes(BytesIO(data), "clip", request))


def test_cuts_are_found_where_they_are_and_motion_is_none():
    data = clip(steady(100), draw=scenes, tick=Fraction(1, 25), rate=25, options=X264)
    found = changes(data, per_second=25)
    assert [scene.start for scene in find_scenes(found, 0, 4)] == [0.0, 1.0, 2.0, 3.0]
    assert len(found.seconds) == 100
    assert [scene.start for scene in find_scenes(changes(data), 0, 4)] == pytest.approx([0.0, 1.0, 2.0, 3.0], abs=0.25)
    assert changes(data, start=1.0, end=2.0).seconds == (1.0, 1.25, 1.5, 1.75)


def test_a_fade_and_a_passer_by_are_no_cuts():
    def fading(number, size):
        return np.full((size[1], size[0], 3), 20 + 2 * number, np.uint8)

    def passing(number, size):
        pixels = np.full((size[1], size[0], 3), 120, np.uint8)
        pixels[10:50, number : number + 20] = (200, 30, 30)
        return pixels

    for draw in (fading, passing):
        found = changes(clip(steady(75), draw=draw, tick=Fraction(1, 25), rate=25), per_second=5)
        assert len(find_scenes(found, 0, 3)) == 1


CUES = [(0.5, 1.2, "Hello there"), (1.5, 1.9, "Second line")]


def subtitles(data, **request):
    *parts, end = [part.facts for part in read_video_subtitles(BytesIO(data), "clip", request)]
    return [tuple(cue) for part in parts for cue in part["subtitles"]], end


@pytest.mark.parametrize(
    ("kind", "codec"), [("mp4", "mov_text"), ("mkv", "subrip"), ("mkv", "ass"), ("mkv", "webvtt"), ("mov", "mov_text")]
)
def test_subtitles_come_with_their_times(kind, codec):
    data = clip(steady(50), container=kind, tick=Fraction(1, 25), rate=25, subtitles=(codec, CUES))
    assert info(data)["subtitles"][0]["codec"] == codec
    found, end = subtitles(data)
    assert found == CUES
    assert (end["track"], end["cut_short"]) == (0, False)
    assert subtitles(data, start=1.3)[0] == CUES[1:]
    assert numbers(data, [1.0]) == {1.0: 25}  # H12: nothing else comes of them unless asked


def test_subtitles_are_cleaned_of_markup():
    marked = [(0.5, 1.0, r"{\an8\pos(10,20)}{\i1}Up{\i0}\Nand <b>down</b>\h3 < 4" + "\u202e")]
    data = clip(steady(50), container="mkv", tick=Fraction(1, 25), rate=25, subtitles=("ass", marked))
    assert subtitles(data)[0] == [(0.5, 1.0, "Up\nand down 3 < 4")]


def test_a_video_without_subtitles_says_so():
    with pytest.raises(MediaError, match="clip has no subtitles that are text"):
        subtitles(clip(steady(3)))
    with pytest.raises(MediaError, match="has no track 3 of subtitles that are text; it has 0"):
        subtitles(clip(steady(50), container="mkv", tick=MS, subtitles=("subrip", CUES)), track=3)


def test_subtitles_are_bounded(monkeypatch):
    monkeypatch.setattr("kimi_vl.media.video.subtitles.MAX_CUES", 1)
    found, end = subtitles(clip(steady(50), container="mkv", tick=Fraction(1, 25), rate=25, subtitles=("subrip", CUES)))
    assert (found, end["cut_short"]) == (CUES[:1], True)


def test_a_video_on_a_disk_is_read_where_it_lies_and_may_be_large(tmp_path):
    """An hour of 1280×720 may take 1.2 GB; here most of it is a hole."""
    data, path = clip([0, 0.5]), tmp_path / "long.mp4"
    for size in (600 << 20, ON_DISK[Kind.VIDEO]):
        path.write_bytes(data)
        os.truncate(path, size)
        with open_source(path) as source:
            assert source.identity.kind is Kind.VIDEO
    os.truncate(path, ON_DISK[Kind.VIDEO] + 1)
    with pytest.raises(MediaError, match=r"long.mp4 is larger than the limit of 17,179,869,184 bytes; cut it into parts") as error:
        open_source(path)
    assert error.value.code == "media_too_large"
    with pytest.raises(MediaError, match=f"larger than the limit of {len(data) - 1:,} bytes; cut it into parts"):
        open_source(data, max_bytes={Kind.VIDEO: len(data) - 1})
