"""Clips whose frames carry their own number as bright and dark bars, in any container and timing."""

from fractions import Fraction
from io import BytesIO

import av
import numpy as np

BITS = 8
SIZE = (96, 64)  # width, height in pixels; a bar is 12 wide
MUXERS = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm", "avi": "avi", "ts": "mpegts"}
QUICK = {
    "libx264": {"preset": "ultrafast", "crf": "20", "threads": "1"},
    "libx265": {"preset": "ultrafast", "crf": "20", "x265-params": "log-level=none:pools=none:frame-threads=1"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8", "crf": "20", "b": "0", "threads": "1"},
    "libvpx": {"deadline": "realtime", "cpu-used": "8", "crf": "10", "b": "1M", "threads": "1"},
    "libsvtav1": {"preset": "12", "crf": "10", "svtav1-params": "lp=1"},
    "mpeg4": {"b": "4M"},
    "mjpeg": {},
}


def bars(number, size=SIZE):
    """uint8 [H, W, 3]: the number in binary, the highest bit on the left."""
    width, height = size
    bits = [(number >> bit) & 1 for bit in reversed(range(BITS))]
    row = np.repeat(np.array(bits, np.uint8) * 215 + 20, width // BITS)
    return np.repeat(np.repeat(row[None, :, None], height, 0), 3, 2)


def scenes(number, size):
    """A new picture every 25 frames, with a bar that moves all the time and light that flickers a little."""
    width, height = size
    pixels = np.random.default_rng(number // 25).integers(0, 2, (4, 6, 3)).repeat(height // 4, 0).repeat(width // 6, 1) * 200 + 20
    pixels[:, number % 25 * 2 : number % 25 * 2 + 6] = 128
    return (pixels + 4 * (number % 2)).astype(np.uint8)


def number_of(pixels):
    """What `bars` drew, from pixels of any size and upright."""
    height, width = pixels.shape[:2]
    middles = [round((bit + 0.5) * width / BITS) for bit in range(BITS)]
    return sum(int(pixels[height // 4 : -height // 4, x].mean() > 128) << (BITS - 1 - bit) for bit, x in enumerate(middles))


def clip(
    times,
    *,
    container="mp4",
    codec="libx264",
    tick=Fraction(1, 600),
    rate=30,
    options=None,
    pixel_format="yuv420p",
    size=SIZE,
    draw=bars,
    sound=False,
    rotation=0,
    aspect=None,
    muxing=None,
    subtitles=None,
    matrix=None,
    full_range=False,
):
    """The bytes of a clip whose frame k is `draw(k)`, on screen from `times[k]` seconds on."""
    file = BytesIO()
    with av.open(file, "w", format=MUXERS[container], options=muxing or {}) as out:
        stream = out.add_stream(codec, rate=rate, options={**QUICK[codec], **(options or {})})
        stream.width, stream.height = size
        stream.pix_fmt, stream.codec_context.time_base = pixel_format, tick
        stream.codec_context.color_range = 2 if full_range else 1
        if matrix:
            stream.codec_context.colorspace = {"ITU601": 6, "ITU709": 1}[matrix]
        if aspect:
            stream.codec_context.sample_aspect_ratio = aspect
        if rotation:
            stream.set_display_rotation(rotation)
        others = [lambda: None]
        if sound:
            others.append(_sound(out))
        if subtitles:
            others.append(_subtitles(out, *subtitles))
        for number, time in enumerate(times):
            out.mux(stream.encode(_frame(draw(number, size), stream, round(Fraction(time) / tick), matrix, full_range)))
        out.mux(stream.encode(None))
        for finish in others:
            finish()
    return file.getvalue()


def _frame(pixels, stream, pts, matrix, full_range):
    rgb = av.VideoFrame.from_ndarray(pixels, "rgb24")
    frame = rgb.reformat(format=stream.pix_fmt, dst_colorspace=matrix or "ITU601", dst_color_range="JPEG" if full_range else "MPEG")
    frame.pts, frame.time_base, frame.pict_type = pts, stream.codec_context.time_base, 0
    return frame


def _sound(out, seconds=2):
    stream = out.add_stream("aac", rate=16000, layout="mono")

    def finish():
        for k in range(seconds * 16000 // 1024):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 1024), np.float32), "fltp", "mono")
            frame.sample_rate, frame.pts, frame.time_base = 16000, 1024 * k, Fraction(1, 16000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))

    return finish


ASS_HEADER = (
    b"[Script Info]\nScriptType: v4.00+\n\n[V4+ Styles]\nFormat: Name\nStyle: Default\n\n"
    b"[Events]\nFormat: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
)


def _subtitles(out, codec, cues):
    stream = out.add_stream(codec)
    stream.codec_context.subtitle_header = ASS_HEADER

    def finish():
        for k, (start, end, text) in enumerate(cues):
            data = text if isinstance(text, bytes) else text.encode()
            if codec == "ass":
                data = f"{k},0,Default,,0,0,0,,".encode() + data
            elif codec == "mov_text":
                data = len(data).to_bytes(2, "big") + data
            packet = av.Packet(data)
            packet.stream, packet.time_base = stream, Fraction(1, 1000)
            packet.pts = packet.dts = round(1000 * start)
            packet.duration = round(1000 * (end - start))
            out.mux(packet)

    return finish


def index_first(data):
    """The same MP4 with its index before its pictures, as for streaming."""
    boxes, place = [], 0
    while place < len(data):
        size = int.from_bytes(data[place : place + 4], "big")
        boxes.append((data[place + 4 : place + 8], data[place : place + size]))
        place += size
    index = bytearray(next(box for kind, box in boxes if kind == b"moov"))
    place = 0
    while (place := index.find(b"stco", place)) >= 0:
        for entry in range(place + 12, place + 12 + 4 * int.from_bytes(index[place + 8 : place + 12], "big"), 4):
            index[entry : entry + 4] = (int.from_bytes(index[entry : entry + 4], "big") + len(index)).to_bytes(4, "big")
        place += 4
    return b"".join([boxes[0][1], bytes(index), *(box for kind, box in boxes[1:] if kind != b"moov")])
