"""Which moments, and how large: budgets are kept, scenes are covered, and clips are read as people write them."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kimi_vl.errors import InputError
from kimi_vl.media.clip import Clip, parse_clip
from kimi_vl.media.selection import (
    POLICIES,
    Changes,
    Frugality,
    adaptively,
    at_rate,
    covered,
    evenly,
    find_scenes,
    fit,
    over_scenes,
    scaled_to,
    select,
)


def tokens_of(width, height):
    """As nano counts: one for every 28×28 pixels."""
    return -(-width // 28) * -(-height // 28)


def changes(cuts=(), lively=(), end=60.0, step=0.25):
    """Quiet but for cuts, and motion in the stretches that are lively."""
    seconds = [k * step for k in range(int(end / step))]
    cut = [0.8 if t in cuts else 0.02 for t in seconds]
    motion = [0.5 if t in cuts else 0.2 if any(a <= t < b for a, b in lively) else 0.001 for t in seconds]
    return Changes(tuple(seconds), tuple(cut), tuple(motion))


# Clips ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "start", "end"),
    [
        ("00:10-00:40", 10, 40),
        ("10-40", 10, 40),
        ("1:02:03-", 3723, None),
        ("-0:30", 0, 30),
        ("0:10.5-0:12.25", 10.5, 12.25),
        (" 5 - 7 ", 5, 7),
        ("90-2:00", 90, 120),
        ("0:30–1:00", 30, 60),
    ],
)
def test_a_clip_is_read_as_people_write_it(text, start, end):
    assert parse_clip(text) == Clip(start, end)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "is no clip; it must read START-END"),
        ("-", "is no clip"),
        ("10", "is no clip"),
        ("10-20-30", "is no clip"),
        (None, "is no clip"),
        ("ten-20", "'ten' in the clip 'ten-20' is no time"),
        ("1:75-2:00", "'1:75' in the clip '1:75-2:00' has 75 seconds after the minutes; they must be below 60"),
        ("1:60:00-", "is no time"),
        ("40-10", "ends where it begins or before"),
        ("-0", "ends where it begins or before"),
        ("10-10", "ends where it begins or before"),
        ("1e3-2e3", "is no time"),
        ("٣-٤", "is no time"),
        ("99999999-", "later than any video lasts"),
    ],
)
def test_what_is_no_clip_is_refused_with_what_would_be(text, words):
    with pytest.raises(InputError, match=words):
        parse_clip(text)


def test_a_clip_is_cut_to_the_video():
    assert parse_clip("10-40").within(30.0) == (10.0, 30.0)
    assert parse_clip("10-").within(30.0) == (10.0, 30.0)
    with pytest.raises(InputError, match=r"begins at 30 seconds and the video is only 30.0 seconds long"):
        parse_clip("0:30-0:40").within(30.0)


@given(st.text(max_size=20))
def test_any_text_is_a_clip_or_an_input_error(text):
    try:
        found = parse_clip(text)
    except InputError:
        return
    assert 0 <= found.start < (found.end if found.end is not None else float("inf"))


# Evenly --------------------------------------------------------------------------------------------------------------


def test_a_rate_and_a_count_are_even():
    assert at_rate(10, 13, 2, 32) == [10, 10.5, 11, 11.5, 12, 12.5]
    assert at_rate(0, 60, 2, 4) == [0, 15, 30, 45]
    assert at_rate(0, 0.1, 2, 4) == [0]
    assert at_rate(0, 3.23, 2, 6) == [0, 0.5, 1, 1.5, 2, 2.5]  # what is left over stretches nothing
    assert evenly(10, 20, 4) == [10, 12.5, 15, 17.5]


# Scenes --------------------------------------------------------------------------------------------------------------


def test_scenes_begin_at_cuts():
    scenes = find_scenes(changes(cuts=(10.0, 40.0)), 0, 60)
    assert [(scene.start, scene.end) for scene in scenes] == [(0, 10), (10, 40), (40, 60)]


def test_shaking_and_a_cut_right_after_another_are_no_scenes():
    shaking = Changes(tuple(k / 4 for k in range(80)), (0.5,) * 80, (0.3,) * 80)
    assert len(find_scenes(shaking, 0, 20)) == 1
    assert [s.start for s in find_scenes(changes(cuts=(10.0, 10.5, 59.75)), 0, 60)] == [0, 10]


def test_each_scene_is_represented_and_longer_ones_more_often():
    scenes = find_scenes(changes(cuts=(10.0, 40.0)), 0, 60)
    moments = over_scenes(scenes, 6)
    assert moments == [5.0, 15.0, 25.0, 35.0, 45.0, 55.0]
    assert over_scenes(scenes, 3) == [5.0, 25.0, 50.0]
    assert over_scenes(scenes, 2) == [5.0, 35.0]  # of two cuts as strong as each other the later is given up


def test_more_frames_where_more_changes():
    found = changes(cuts=(20.0, 40.0), lively=((20.0, 40.0),))
    moments = adaptively(find_scenes(found, 0, 60), found, 12)
    assert sum(20 <= m < 40 for m in moments) >= 8
    assert sum(m < 20 for m in moments) >= 1
    assert sum(m >= 40 for m in moments) >= 1
    still = changes()
    assert adaptively(find_scenes(still, 0, 60), still, 4) == pytest.approx([7.5, 22.5, 37.5, 52.5], abs=0.2)


def test_facts_of_all_parts_are_joined():
    parts = [{"seconds": [0, 1], "cut": [0, 0.9], "motion": [0, 0.2]}, {"seconds": [2], "cut": [0], "motion": [0]}, {"end": True}]
    assert Changes.from_facts(parts) == Changes((0, 1, 2), (0, 0.9, 0), (0, 0.2, 0))


# What fits -----------------------------------------------------------------------------------------------------------


def test_a_short_clip_takes_the_largest_frames_that_were_trained_on():
    found = fit(8.0, (1280, 720), 3000, tokens_of)
    assert (found.count, found.size, found.tokens) == (16, (280, 158), 16 * (60 + 17))
    assert found.notes == ("frames of 280×158 pixels instead of 1280×720: larger ones are not taken from videos",)


def test_first_size_is_given_up_then_frames():
    smaller = fit(16.0, (1280, 720), 1500, tokens_of)
    assert smaller.count == 32
    assert smaller.size[0] < 280
    assert smaller.tokens <= 1500
    fewer = fit(16.0, (1280, 720), 800, tokens_of)
    assert fewer.count < 32
    assert fewer.size[0] >= 168
    assert any("of 32 frames: more would not fit 800 tokens" in note for note in fewer.notes)


def test_then_legibility_and_at_last_coverage():
    tiny = fit(100.0, (1280, 720), 300, tokens_of)
    assert tiny.count == 10  # one every ten seconds
    assert tiny.size[0] < 168
    assert any("small print will not be legible" in note for note in tiny.notes)
    assert fit(100.0, (1280, 720), 40, tokens_of).count == 2
    with pytest.raises(InputError, match=r"17 tokens hold not one frame of this video; it takes at least 18"):
        fit(100.0, (1280, 720), 17, tokens_of)


def test_a_long_video_says_how_far_apart_its_frames_are():
    found = fit(3600.0, (1280, 720), 3000, tokens_of)
    assert found.count == 32
    assert found.notes[0] == "2 frames a second would be 7,200; 32 are the most, so one every 112.5 seconds"


def test_small_videos_are_not_blown_up():
    assert fit(1.0, (100, 50), 1000, tokens_of).size == (100, 50)
    assert scaled_to((100, 50), 200) == (100, 50)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"policy": "best"}, "policy is 'best'; it must be one of 'fps', 'count', 'scene', 'adaptive'"),
        ({"policy": "count"}, "needs a count of frames"),
        ({"policy": "scene"}, "the policy 'scene' needs the changes"),
        ({"policy": "count", "count": 0}, "count is 0; it must be at least 1"),
    ],
)
def test_a_policy_needs_what_it_is_made_from(options, words):
    with pytest.raises(InputError, match=words):
        select((100, 100), 0, 10, budget=1000, tokens_of=tokens_of, **options)


@pytest.mark.parametrize("rules", [{"per_second": 0}, {"most": 0}, {"least_side": 300}])
def test_rules_that_contradict_themselves_are_refused(rules):
    with pytest.raises(InputError):
        Frugality(**rules)


SAMPLES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), min_size=0, max_size=120)


@settings(deadline=None, max_examples=200)
@given(
    start=st.floats(0, 1e4),
    length=st.floats(0.05, 1e4),
    width=st.integers(1, 4000),
    height=st.integers(1, 4000),
    budget=st.integers(0, 20_000),
    policy=st.sampled_from(POLICIES),
    count=st.none() | st.integers(1, 300),
    samples=SAMPLES,
)
def test_every_choice_fits_its_budget_covers_scenes_and_is_the_same_again(start, length, width, height, budget, policy, count, samples):
    end = start + length
    step = length / max(1, len(samples))
    found = Changes(tuple(start + k * step for k in range(len(samples))), *(tuple(s[i] for s in samples) for i in (0, 1)))
    options = {
        "budget": budget,
        "tokens_of": tokens_of,
        "policy": policy,
        "count": count if policy != "count" else count or 7,
        "changes": found,
    }
    if budget < 18:  # one token and a label
        with pytest.raises(InputError, match="hold not one frame"):
            select((width, height), start, end, **options)
        return
    chosen = select((width, height), start, end, **options)
    assert len(chosen.moments) * (tokens_of(*chosen.size) + 17) <= chosen.tokens <= budget
    assert list(chosen.moments) == sorted(chosen.moments)
    assert all(start <= moment < end for moment in chosen.moments)
    assert len(set(chosen.moments)) == len(chosen.moments)
    assert max(chosen.size) <= 280
    assert select((width, height), start, end, **options) == chosen
    if policy in ("scene", "adaptive"):
        scenes = find_scenes(found, start, end)
        if len(scenes) <= len(chosen.moments):
            assert all(any(scene.start <= m < scene.end for m in chosen.moments) for scene in scenes)


# Repeats -------------------------------------------------------------------------------------------------------------


def test_frames_that_were_dropped_are_covered_by_the_one_they_repeat():
    facts = [
        {"index": 0, "moments": [0.0], "seconds": 0.0},
        {"index": 1, "moments": [0.5], "seconds": 0.5, "repeats": 0},
        {"index": 2, "moments": [1.0], "seconds": 1.0},
        {"end": True, "frames": 3, "damaged_at": None},
    ]
    assert covered(facts, 2.0) == [(0, 0.0, 1.0), (2, 1.0, 2.0)]
