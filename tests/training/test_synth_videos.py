"""Clips: times are found again in the pixels, texts in the frames' characters, and nothing asked has two answers."""

import random
import re
from collections.abc import Iterator
from functools import lru_cache
from hashlib import sha256
from string import Formatter

import cv2
import numpy as np
import pytest

from kimi_vl.processor.labels import time_label
from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.clips import screens, texts, videos
from kimi_vl.training.synth.clips.screens import Recording, recording
from kimi_vl.training.synth.clips.shapes import cast, shapes
from kimi_vl.training.synth.clips.texts import cards, counter, running, subtitles
from kimi_vl.training.synth.clips.turns import Clip, Part, VideoTurns
from kimi_vl.training.synth.clips.videos import draw_plan, join, paint, video
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.pictures.pictures import is_held_out
from kimi_vl.training.synth.pictures.shapes import COLOURS, SHAPES
from kimi_vl.training.synth.scene import REFUSAL_IMAGE, Overfull, Scene, Turn
from kimi_vl.training.synth.traces import verify
from kimi_vl.training.synth.wordings.clips import VIDEO_WORDINGS
from kimi_vl.training.synth.wordings.wordings import WORDINGS
from tests.training.interviews import Recorder

PACK = DataPack.builtin()
WHITE = (255, 255, 255)
SIZE = (224, 224)
TIME = re.compile(r"(?:\d+:)?\d+:\d\d\.\d")


def drawn(make, seed: int, split: str = "train"):
    """What `make` draws from its own random source, drawn again where it does not fit."""
    content = Content(random.Random(f"clip {seed}"), PACK, split)
    for _ in range(60):
        try:
            return make(content)
        except Overfull:
            continue
    raise AssertionError("nothing fits")


@lru_cache(maxsize=2048)
def clip(seed: int, split: str = "train", severity: float = 0.0) -> Scene:
    return drawn(lambda content: video(content, severity), seed, split)


def clips(count: int, split: str = "train", severity: float = 0.0) -> list[Scene]:
    return [clip(seed, split, severity) for seed in range(count)]


def part_of(make, seed: int) -> tuple[Part, list[tuple[np.ndarray, np.ndarray, str]], list[int]]:
    """A part on white ground with its frames and its plan."""

    def build(content: Content):
        count = content.rng.randint(8, 20)
        plan = draw_plan(content, count)
        part = make(content, plan, count)
        return part, paint([part], SIZE, count), plan

    return drawn(build, seed)


def moving(content: Content, plan: list[int], count: int) -> Part:
    return shapes(content, (0, 0, *SIZE), plan, count, (WHITE, WHITE, WHITE), whole=True)


MAKERS = {
    "shapes": moving,
    "counter": lambda content, plan, count: counter(content, SIZE, plan, count)[0],
    "subtitles": lambda content, plan, count: subtitles(content, SIZE, plan, count)[0],
    "cards": lambda content, plan, count: cards(content, SIZE, plan, count),
    "recording": lambda content, plan, count: recording(content, SIZE, plan, count),
}


def asked(key: str, question: str) -> dict[str, str] | None:
    """The slots of a question that is one of the key's wordings, however carelessly typed."""
    for wording in WORDINGS[key]:
        pattern = ""
        for text, slot, _, _ in Formatter().parse(wording.rstrip("?.")):
            pattern += re.escape(text) + (f"(?P<{slot}>.+)" if slot else "")
        if found := re.fullmatch(pattern, question.rstrip("?."), re.IGNORECASE):
            return found.groupdict()
    return None


def printed(chars: np.ndarray) -> str:
    return "".join(chr(int(code)) for code in chars[:, 0])


def squeezed(text: str) -> str:
    return "".join(text.split())


def turns(scenes: list[Scene], *tasks: str) -> Iterator[tuple[Scene, Turn]]:
    for scene in scenes:
        for turn in scene.turns:
            if not tasks or turn.task in tasks:
                yield scene, turn


def times(scene: Scene) -> list[str]:
    return [page.label.strip("[]") for page in scene.pages]


# The clip as a whole -------------------------------------------------------------------------------------------------------


def test_equal_arguments_give_equal_bytes_and_other_seeds_other_clips():
    def fingerprint(seed: int) -> str:
        scene = drawn(lambda content: video(content, 1.0), seed)
        pixels = b"".join(page.image.tobytes() + page.chars.tobytes() + page.label.encode() for page in scene.pages)
        return sha256(pixels + repr((scene.turns, scene.text)).encode()).hexdigest()

    assert [fingerprint(seed) for seed in range(12)] == [fingerprint(seed) for seed in range(12)]
    assert len({fingerprint(seed) for seed in range(12)}) == 12


def test_frames_have_one_size_in_whole_cells_and_keep_the_budget_of_tokens():
    costs = []
    for scene in clips(300):
        (shape,) = {page.image.shape for page in scene.pages}
        assert {page.image.dtype for page in scene.pages} == {np.dtype(np.uint8)}
        assert shape[0] % 28 == shape[1] % 28 == 0
        assert 168 <= min(shape[:2]) <= max(shape[:2]) <= 280
        assert 6 <= len(scene.pages) <= 32
        costs.append(len(scene.pages) * (shape[0] * shape[1] // 784 + 9))
    assert max(costs) <= 3000
    assert 0.0 < np.mean(np.array(costs) > 1500) < 0.12


def test_labels_rise_in_even_steps_over_at_most_sixteen_seconds_and_some_clips_start_later():
    late = 0
    for seed in range(200):
        seconds = videos.draw_times(Content(random.Random(seed), PACK, "train"))
        steps = set(np.diff(seconds))
        assert len(steps) == 1
        assert steps <= {0.25, 0.5, 1.0}
        assert seconds[-1] - seconds[0] < 16
        late += seconds[0] > 0
    assert 30 < late < 90
    for scene in clips(60):
        assert all(re.fullmatch(rf"\[{TIME.pattern}\]", page.label) for page in scene.pages)
        assert len({page.label for page in scene.pages}) == len(scene.pages)


def test_a_clip_has_several_different_turns_in_all_modes_and_many_tasks():
    counts = [len(scene.turns) for scene in clips(200)]
    assert set(counts) <= {3, 4, 5, 6}
    assert np.mean(counts) > 4.5
    found = [turn for _, turn in turns(clips(300))]
    assert {turn.mode for turn in found} == {"auto", "on", "off"}
    assert {"when", "order", "count", "state", "field", "read", "title", "sum", "refuse"} == {turn.task for turn in found}
    assert all(turn.thinking is not None for turn in found if turn.mode == "on")
    assert all(turn.thinking is None for turn in found if turn.mode == "off")
    assert all(len({(t.task, t.answer) for t in scene.turns}) == len(scene.turns) for scene in clips(100))


def test_characters_of_all_frames_are_the_transcription_and_lie_inside():
    with_text = 0
    for scene in clips(120, severity=1.0):
        assert "".join(printed(page.chars) for page in scene.pages) == squeezed(scene.text)
        for page in scene.pages:
            height, width = page.image.shape[:2]
            assert (page.chars[:, 1] > 0).all()
            assert (page.chars[:, 1] < width).all()
            assert (page.chars[:, 2] > 0).all()
            assert (page.chars[:, 2] < height).all()
            with_text += len(page.chars) > 0
    assert with_text > 300


def test_frames_that_are_alike_stay_alike_when_all_are_degraded(monkeypatch):
    monkeypatch.setattr(videos, "FLICKER", (0,))
    pairs = changed = 0
    for seed in range(40):
        clean = clip(seed)
        worn = drawn(lambda content: video(content, 1.0), seed)
        changed += not np.array_equal(clean.pages[0].image, worn.pages[0].image)
        for k in range(len(clean.pages) - 1):
            if np.array_equal(clean.pages[k].image, clean.pages[k + 1].image):
                assert np.array_equal(worn.pages[k].image, worn.pages[k + 1].image)
                pairs += 1
    assert pairs > 100
    assert changed > 12


def test_noise_flickers_from_frame_to_frame():
    image = np.full((168, 196, 3), 128, np.uint8)
    rng = random.Random(0)
    first, second = (videos.flicker(rng, image, 3).astype(int) for _ in range(2))
    assert not np.array_equal(first, second)
    assert first.std() == pytest.approx(3, abs=0.3)
    assert first.mean() == pytest.approx(128, abs=0.3)


# Truth ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", MAKERS)
def test_the_picture_changes_at_every_event_and_steady_ones_hardly_anywhere_else(kind):
    events = 0
    for seed in range(60):
        part, frames, plan = part_of(MAKERS[kind], seed)
        changes = [k for k in range(1, len(frames)) if not np.array_equal(frames[k][0], frames[k - 1][0])]
        found = [event.frame for event in part.events]
        assert set(found) <= set(plan)
        assert set(found) <= set(changes), (seed, part.events)
        events += len(found)
        if part.steady and kind != "recording":  # a move's second step, and the return from a blink, come one frame later
            assert set(changes) <= set(found) | {frame + 1 for frame in found}, seed
        if kind in ("counter", "subtitles", "cards"):
            assert changes == found == plan
    assert events > 100


def blobs(image: np.ndarray) -> list[str]:
    """Colours' names of everything on white ground."""
    apart = (np.abs(image.astype(int) - 255).max(axis=2) > 60).astype(np.uint8)
    count, marked, stats, _ = cv2.connectedComponentsWithStats(apart, connectivity=8)
    found = []
    for k in range(1, count):
        if stats[k][4] > 60:
            colour = np.median(image[marked == k], axis=0)
            found.append(min(COLOURS, key=lambda name: float(np.linalg.norm(colour - COLOURS[name]))))
    return found


def test_the_number_of_shapes_is_that_of_the_blobs_in_every_frame():
    checked = 0
    for seed in range(60):
        part, frames, _ = part_of(moving, seed)
        if any("touch" in event.told or "enters" in event.told for event in part.events):
            continue  # they are one blob, or cut
        (track,) = (track for track in part.tracks if track.key == "shapes_then")
        assert [str(len(blobs(image))) for image, _, _ in frames] == list(track.values), seed
        checked += len(frames)
    assert checked > 300


def test_the_colours_that_are_told_are_seen_and_appear_and_turn_at_their_frame():
    checked = 0
    for seed in range(90):
        part, frames, _ = part_of(moving, seed)
        if any("touch" in event.told for event in part.events):
            continue
        seen = [blobs(image) for image, _, _ in frames]
        for track in part.tracks:
            if track.key == "colour_then":
                for k, value in enumerate(track.values):
                    assert value is None or value in seen[k], (seed, track.thing, k)
        for event in part.events:
            before, now = seen[event.frame - 1], seen[event.frame]
            words = event.told.split(" ")
            if words[-1] == "appears":
                assert len(now) == len(before) + 1, (seed, event)
            elif words[-1] in ("disappears", "blinks"):
                assert len(now) == len(before) - 1, (seed, event)
            elif words[-2] == "turns":
                assert now.count(words[-1]) == before.count(words[-1]) + 1, (seed, event)
            else:
                continue
            checked += 1
    assert checked > 60


def extent(image: np.ndarray) -> tuple[int, int, int, int]:
    """x0, y0, x1, y1 of what is not white."""
    ys, xs = np.nonzero(np.abs(image.astype(int) - 255).max(axis=2) > 60)
    return int(xs.min()), int(ys.min()), int(xs.max()), int(ys.max())


def test_moves_grow_shrink_and_bounce_go_the_way_that_is_told():
    seen = set()
    for seed in range(900):
        part, frames, _ = part_of(lambda content, plan, count: moving(content, plan[:1], count), seed)
        if len(part.events) != 1:
            continue
        (event,) = part.events
        before, now = frames[event.frame - 1][0].astype(int), frames[event.frame][0].astype(int)
        gone, come = ((np.abs(a - 255).max(axis=2) > 60) & (np.abs(b - 255).max(axis=2) <= 60) for a, b in ((before, now), (now, before)))
        way = next((w for w in (" to the left", " to the right", " up", " down") if event.told.endswith(f"moves{w}")), "")
        if way:
            axis, sign = (1, 1) if "right" in way else (1, -1) if "left" in way else (0, 1) if "down" in way else (0, -1)
            assert sign * (np.nonzero(come)[axis].mean() - np.nonzero(gone)[axis].mean()) > 10, (seed, event)
            seen.add(way)
        elif event.told.endswith(("grows", "shrinks")) and not re.search("ring|moon", event.told):  # those have holes
            assert (come.sum() > 100 > gone.sum()) if event.told.endswith("grows") else (gone.sum() > 100 > come.sum()), (seed, event)
            seen.add(event.told.split(" ")[-1])
        elif "bounces" in event.told:
            side = event.told.split(" ")[-2]
            x0, y0, x1, y1 = extent(frames[event.frame][0])
            distance = {"left": x0, "top": y0, "right": SIZE[0] - 1 - x1, "bottom": SIZE[1] - 1 - y1}[side]
            assert distance <= 2, (seed, event, distance)
            seen.add(side)
    assert seen == {" to the left", " to the right", " up", " down", "grows", "shrinks", "left", "right", "top", "bottom"}


def test_two_touch_at_their_frame_alone():
    checked = 0
    for seed in range(180):
        part, frames, _ = part_of(lambda content, plan, count: moving(content, plan[:1], count), seed)
        if [event for event in part.events if "touch" in event.told]:
            near = np.ones((5, 5), np.uint8)  # what is at most four pixels apart becomes one
            number = [len(blobs(cv2.erode(image, near))) for image, _, _ in frames]
            k = part.events[0].frame
            gaps = number[:k] + number[k + 1 :]
            assert len(set(gaps)) == 1, (seed, number)
            assert number[k] == gaps[0] - 1, (seed, number)
            checked += 1
    assert checked > 10


@pytest.mark.parametrize("kind", ["counter", "subtitles", "cards", "recording"])
def test_what_a_frame_is_said_to_show_is_printed_on_it(kind):
    checked = 0
    for seed in range(60):
        part, frames, _ = part_of(MAKERS[kind], seed)
        for track in part.tracks:
            if track.key in ("on_then", "options_then"):
                continue
            for (_, chars, text), value in zip(frames, track.values, strict=True):
                assert value is None or value in text, (seed, track, text)
                assert squeezed(text) == printed(chars)
                checked += value is not None
        for event in part.events:
            quoted = re.findall(r'(?:title|subtitle|message|dialog) "(.+)" (?:appears|opens)', event.told)
            for text in quoted:
                assert text in frames[event.frame][2], (seed, event)
                assert text not in frames[event.frame - 1][2].split("\n"), (seed, event)
    assert checked > 300


def test_clocks_show_what_is_said_and_never_go_back():
    for seed in range(40):
        tenths = [round(10 * second) for second in videos.draw_times(Content(random.Random(seed), PACK, "train"))]
        part, _ = drawn(lambda content: running(content, SIZE, tenths), seed)  # noqa: B023 - called at once
        frames = paint([part], SIZE, len(tenths))
        (track,) = set(part.tracks)
        assert tuple(text for _, _, text in frames) == track.values
        ordered = sorted(track.values, reverse=track.thing == "timer")
        assert list(track.values) == ordered or track.thing == "clock"  # a clock passes midnight
        assert len(set(track.values)) > 1


def test_a_box_or_a_switch_looks_different_when_it_is_on():
    checked = 0
    for seed in range(60):
        part, _, _ = part_of(MAKERS["recording"], seed)
        for event in part.events:
            if event.told.endswith(("ticked", "cleared", "turned on", "turned off")):
                label = re.findall('"(.+)"', event.told)[0]
                (track,) = (track for track in part.tracks if track.key == "on_then" and track.thing == label)
                on = event.told.endswith(("ticked", "turned on"))
                assert track.values[event.frame] == ("Yes." if on else "No.")
                assert track.values[event.frame - 1] == ("No." if on else "Yes."), (seed, event)
                checked += 1
    assert checked > 30


def test_the_cursor_has_a_ring_at_its_clicks_and_only_there():
    def build(content: Content) -> Recording:
        screen = Recording(content, SIZE, 12)
        for k, until in ((2, 5), (5, 9), (9, 12)):
            screen.press(k, until)
        return screen

    for seed in range(10):
        screen = drawn(build, seed)
        for frame in range(12):
            page = np.full((SIZE[1], SIZE[0], 3), 255, np.uint8)
            screen.point(page, frame)
            ringed = (np.abs(page.astype(int) - screen.accent).sum(axis=2) < 40).sum() > 40
            assert ringed == (frame in (2, 5, 9))


# Questions -----------------------------------------------------------------------------------------------------------------


def test_times_that_are_answered_are_labels_of_the_clip():
    checked = 0
    for scene, turn in turns(clips(300), "when"):
        assert turn.answer in times(scene), turn
        checked += 1
    assert checked > 250


def interviewed(kind: str, seed: int) -> tuple[VideoTurns, Recorder]:
    """Questions about a part alone, of half-second frames from 0:58.0 on."""
    part, frames, _ = part_of(MAKERS[kind], seed)
    tenths = [580 + 5 * k for k in range(len(frames))]
    content = Content(random.Random(seed), PACK, "train")
    interview = Recorder(content.rng, "\n".join(text for _, _, text in frames))
    facts = join([part], [t / 10 for t in tenths], tenths)
    return VideoTurns(content, interview, facts), interview


def makers(name: str) -> Iterator[tuple[Clip, Turn, Recorder]]:
    """Turns of one maker about many clips."""
    for seed in range(120):
        try:
            asking, interview = interviewed(list(MAKERS)[seed % len(MAKERS)], seed)
        except Overfull:
            continue
        for _ in range(4):
            if turn := getattr(asking, name)():
                yield asking.clip, turn, interview


def event_of(clip: Clip, told: str):
    (event,) = (event for event in clip.events if event.told == told)
    return event


def test_when_is_answered_with_the_only_event_of_its_name():
    checked = 0
    for facts, turn, interview in makers("when"):
        event = event_of(facts, interview.slots["told"])
        assert turn.answer == facts.times[event.frame]
        if turn.thinking:
            assert facts.times[event.frame - 1] in turn.thinking
            assert turn.answer in turn.thinking
        checked += 1
    assert checked > 200


def test_the_first_of_two_has_the_smaller_time_and_the_later_one_the_larger():
    found = set()
    for facts, turn, interview in makers("first_of"):
        a, b = sorted((event_of(facts, interview.slots[slot]) for slot in "ab"), key=lambda event: event.frame)
        expected = a if interview.key == "first_of" else b
        assert turn.answer.casefold().rstrip(".") == expected.told.casefold()
        found.add(interview.key)
    assert found == {"first_of", "later_of"}


def test_before_is_confirmed_only_when_it_is_so():
    answers = set()
    for facts, turn, interview in makers("is_before"):
        a, b = (event_of(facts, interview.slots[slot]) for slot in "ab")
        assert turn.answer == ("Yes." if a.frame < b.frame else "No.")
        answers.add(turn.answer)
    assert answers == {"Yes.", "No."}


def test_the_time_between_two_events_is_worked_out_and_right():
    rows = crossed = 0
    for facts, turn, interview in makers("how_long"):
        a, b = (event_of(facts, interview.slots[slot]) for slot in "ab")
        assert turn.answer == f"{(b.frame - a.frame) / 2:.1f} s"
        if turn.thinking:
            assert verify(turn.thinking), turn.thinking
            assert facts.times[a.frame] in turn.thinking
            assert facts.times[b.frame] in turn.thinking
            assert f" = {turn.answer[:-2]}" in turn.thinking
            rows += 1
            crossed += "Counted from 0:00.0" in turn.thinking
    assert rows > 100
    assert crossed > 20


def test_between_two_times_all_events_are_told_and_no_others():
    checked = 0
    for facts, turn, interview in makers("between"):
        a, b = (facts.times.index(interview.slots[slot]) for slot in "ab")
        inside = [event.told.casefold() for event in facts.events if a < event.frame <= b]
        assert [row.casefold() for row in turn.answer.rstrip(".").split(". ")] == inside or any("." in told for told in inside)
        assert all(event.frame not in (a, b) for event in facts.events)
        checked += 1
    assert checked > 60


def test_lists_tell_every_event_with_its_time_in_order():
    for facts, turn, _ in makers("listed"):
        rows = turn.answer.split("\n")
        assert [row.split(" ")[0] for row in rows] == [facts.times[event.frame] for event in facts.events]
        assert [event.frame for event in facts.events] == sorted({event.frame for event in facts.events})


def test_how_often_counts_the_frames_at_which_it_happens():
    answers = set()
    for facts, turn, interview in makers("how_often"):
        (tally,) = (tally for tally in facts.tallies if tally.told == interview.slots["told"])
        assert turn.answer == str(len(tally.frames))
        if turn.thinking and tally.frames:
            assert turn.thinking == "\n".join(f"{n}. {facts.times[k]}" for n, k in enumerate(tally.frames, 1))
        answers.add(turn.answer)
    assert len(answers) > 3


def test_what_is_seen_at_a_moment_is_the_value_of_that_frame_and_not_in_the_question():
    keys, refused = set(), 0
    for facts, turn, interview in makers("track"):
        when, values = interview.slots["when"], None
        ends = {"at the beginning": 0, "in the first frame": 0, "at the end": -1, "in the last frame": -1}
        if when in ends:
            frame = ends[when]
        elif when.startswith("when "):
            frame = event_of(facts, when.removeprefix("when ")).frame
        else:
            frame = facts.times.index(when.removeprefix("at "))
        (values,) = {t.values for t in facts.tracks if t.key == interview.key and t.thing == interview.slots["thing"]}
        assert turn.answer == (values[frame] or REFUSAL_IMAGE if turn.task != "refuse" else turn.answer)
        assert (turn.task == "refuse") == (values[frame] is None)
        assert values[frame] is None or not when.startswith("when ") or values[frame] not in when
        keys.add(interview.key)
        refused += turn.task == "refuse"
    assert refused > 5
    assert {"shapes_then", "colour_then", "shows_then", "text_then", "title_then", "detail_then", "on_then", "field_then"} <= keys


def test_the_first_frame_with_a_value_is_the_one_answered():
    checked = 0
    for facts, turn, interview in makers("when_shows"):
        track = next(track for track in facts.tracks if track.key == "shows_then" and track.thing == interview.slots["thing"])
        frame = facts.times.index(turn.answer)
        assert track.values[frame] == interview.slots["value"]
        assert interview.slots["value"] not in track.values[:frame]
        checked += 1
    assert checked > 60


def test_what_never_happens_is_not_among_the_events_and_is_refused_or_counted_as_none():
    answers = set()
    for facts, turn, interview in makers("never"):
        assert interview.slots["told"] not in [event.told for event in facts.events]
        assert interview.slots["told"] not in [tally.told for tally in facts.tallies]
        assert interview.slots["asked"] not in [event.asked for event in facts.events]
        answers.add((turn.task, turn.answer == "0"))
    assert answers == {("refuse", False), ("count", True)}


def test_refusals_in_whole_clips_use_the_words_for_images():
    found = [turn.answer for _, turn in turns(clips(200), "refuse")]
    assert set(found) == {REFUSAL_IMAGE}
    assert 40 < len(found) < 250


def test_a_time_after_the_clip_is_refused():
    for facts, turn, interview in makers("outside"):
        assert interview.slots["time"] not in facts.times
        assert interview.slots["time"] > facts.times[-1] or len(interview.slots["time"]) > len(facts.times[-1])
        assert turn.task == "refuse"


def test_no_name_fits_two_shapes():
    both = 0
    for seed in range(200):
        kinds, alone = drawn(lambda content: cast(content, 4, list(COLOURS), ()), seed)
        names = [name for name, _ in kinds]
        assert len(set(kinds)) == 4
        assert all(names.count(name) == 1 for name in alone)
        both += len(alone) < 4
    assert 10 < both < 60
    for seed in range(200):
        part, _, _ = part_of(moving, seed)
        bare = [track.thing for track in part.tracks if track.key == "colour_then"]
        told = " ".join(event.told for event in part.events)
        for name in SHAPES:
            if re.search(rf"the {name}\b", told):
                assert name in bare
            if name in bare:
                assert not re.search(rf"the (?:{'|'.join(COLOURS)}) {name}\b", told)


def test_who_blinks_neither_appears_nor_disappears():
    blinking = 0
    for seed in range(200):
        part, _, _ = part_of(moving, seed)
        for event in part.events:
            if event.told.endswith(" blinks"):
                called = event.told.removesuffix(" blinks")
                others = {other.told for other in part.events} | {told for _, told in part.never}
                assert not {f"{called} appears", f"{called} disappears"} & others
                blinking += 1
    assert blinking > 20


def test_two_events_in_one_frame_and_clips_without_events_are_not_made():
    part, _, _ = part_of(MAKERS["cards"], 0)
    with pytest.raises(AssertionError, match="two events"):
        join([part, part], [0.0], [0])
    with pytest.raises(Overfull, match="hardly anything"):
        join([Part(part.paint)], [0.0], [0])


# Splits --------------------------------------------------------------------------------------------------------------------


def test_held_out_looks_and_labels_are_disjoint_from_those_trained_on():
    choices = {id(value): value for module in (videos, texts, screens) for value in vars(module).values() if isinstance(value, Choice)}
    assert len(choices) >= 8
    assert all(choice.held_out and not set(choice.seen) & set(choice.held_out) for choice in choices.values())


def test_held_out_pairs_of_shape_and_colour_are_shown_in_split_test_only():
    def shown(split: str) -> set[tuple[str, str]]:
        found = set()
        for seed in range(120):
            content = Content(random.Random(seed), PACK, split)
            try:
                part = moving(content, [2, 4, 6, 8, 10], 12)
            except Overfull:
                continue
            found |= {(t.thing, value) for t in part.tracks if t.key == "colour_then" for value in t.values if value}
        return found

    assert not [kind for split in ("train", "val") for kind in shown(split) if is_held_out(*kind)]
    assert len([kind for kind in shown("test") if is_held_out(*kind)]) > 3


def test_every_question_about_clips_has_twenty_wordings_with_their_slots():
    assert sum(len(WORDINGS[key]) for key in VIDEO_WORDINGS) > 400
    for key in VIDEO_WORDINGS:
        wordings = WORDINGS[key]
        assert len(set(wordings)) == len(wordings) >= 20, key
        slots = [{slot for _, slot, _, _ in Formatter().parse(wording) if slot} for wording in wordings]
        if key in ("when", "how_often"):
            assert all(found in ({"asked"}, {"told"}) for found in slots), key
        elif key != "when_shows":
            assert len({frozenset(found) for found in slots}) == 1, key


def test_labels_are_those_of_the_processor():
    for scene in clips(20):
        assert [page.label for page in scene.pages] == [f"[{time}]" for time in times(scene)]
        assert time_label(3.5) == "[0:03.5]"
    canvas = Canvas(*SIZE, WHITE)
    assert canvas.rgb.shape[:2] == (SIZE[1], SIZE[0])
