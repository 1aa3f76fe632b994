"""What a question sees: made clips and PDFs, their labels, sizes and tokens in the real prompt, and who shares how many tokens."""

import os
import weakref

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from kimi_vl.errors import InputError, MediaError
from kimi_vl.llm import PREFIXES, look_at
from kimi_vl.media import load_frames, open_medium
from kimi_vl.media.clip import Clip
from kimi_vl.media.selection import Frugality
from kimi_vl.processor.budget import LARGE, SMALL, fair_shares, frugality_for, legibility_for, room
from kimi_vl.processor.chat import ImagePart, TextPart
from kimi_vl.processor.findings import drawn, find
from kimi_vl.processor.views import Choice, joined, look
from tests.media.clips import bars, clip, number_of, scenes
from tests.media.pdfs import block, locked, page, pdf, text, unembedded
from tests.tiny_checkpoint import processor

CONTEXT = 16_384
TENTHS = [k / 10 for k in range(40)]


@pytest.fixture(scope="module")
def film():
    """Four seconds at ten pictures a second; picture k says k."""
    return clip(TENTHS, rate=10)


@pytest.fixture(scope="module")
def booklet():
    """Three pages of 400x300 points; page k has a block whose left edge is at 100 k, and says what it costs."""
    return pdf(*(page(text(f"The fee of part {k} is {k}{k}{k} dollars."), block(100 * (k - 1), 20, 40, 40, "1 0 0")) for k in (1, 2, 3)))


def test_frames_that_look_like_the_one_before_are_left_out_where_that_is_asked_for(film):
    """A new picture each second, and one that is never on screen twice; two frames a second are looked at."""
    still = clip(TENTHS, rate=10, draw=lambda number, size: bars(number // 10, size))
    all_of_it, changes = see(still), see(still, skip_repeats=True)
    assert [view.seconds for view in all_of_it.views] == [k / 2 for k in range(8)]
    assert [view.label for view in changes.views] == ["[0:00.0]", "[0:01.0]", "[0:02.0]", "[0:03.0]"]
    assert [number_of(view.cut.pixels()) for view in changes.views] == [0, 1, 2, 3]
    assert changes.looked[0].seconds == (0.0, 1.0, 2.0, 3.0)
    assert changes.looked[0].notes[-1] == "4 of its frames look like the one before, and are left out"
    one = clip([0, 3.9], rate=10, draw=lambda number, size: bars(7, size))  # on screen at all eight moments
    assert [view.seconds for view in see(one, skip_repeats=True).views] == [0.0]
    assert not any("look like" in note for sight in (all_of_it, see(film, skip_repeats=True)) for note in sight.looked[0].notes)
    with pytest.raises(InputError, match="skip_repeats applies to none of the files: it is for videos"):
        see(pdf(page(text("x"))), skip_repeats=True)
    with pytest.raises(InputError, match="skip_repeats is 'yes'; it must be True or False"):
        Choice(skip_repeats="yes")


def test_a_picture_that_is_shrunk_says_so_and_why_and_no_other_does(film, tmp_path):
    large, small = Image.new("RGB", (3000, 2000)), Image.new("RGB", (50, 30))
    large.save(tmp_path / "pages.tif", save_all=True, append_images=[small])
    sight = see(large, small, tmp_path / "pages.tif", film, pdf(page(text("x"))))
    said = [view.shrunk for view in sight.views]
    width, height = sight.views[0].size
    assert width * height < 3000 * 2000
    assert said[0] == f"scaled down from 3000×2000 to {width}×{height} pixels, the most that the official processor lets the model see"
    assert said[2] == said[0]
    assert {*said[1:2], *said[3:]} == {""}
    assert sight.looked[0].notes == ()  # which are for what is given up here


def long_book(count=40, special=17):
    words = {special: "The penguin costs 4711 dollars."}
    return pdf(*(page(text(words.get(k, f"Nothing of interest happens in chapter {k}."))) for k in range(1, count + 1)))


OPEN = []


@pytest.fixture(autouse=True)
def _closed():
    yield
    while OPEN:
        OPEN.pop().close()


def see(*media, question="What?", context=CONTEXT, **choice):
    OPEN.append(look_at(processor(), context, question, list(media), **choice))
    return OPEN[-1]


def layout(sight):
    """Labels as texts, pictures as their sizes, in the order of the prompt."""
    parts = sight.message("Why?").parts
    return [part.text if isinstance(part, TextPart) else part.source.size for part in parts]


# Documents whose fonts are missing -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "font"),
    [
        ("\u5408\u8a08", ("GB1", "STSong-Light", "UniGB-UCS2-H")),
        ("\u5408\u8a08\u304b\u306a", ("Japan1", "HeiseiMin-W3", "UniJIS-UCS2-H")),
        ("\uc548\ub155\ud558", ("Korea1", "HYSMyeongJo-Medium", "UniKS-UCS2-H")),
    ],
)
def test_characters_that_nothing_can_draw_are_counted_and_said(words, font):
    sight = see(unembedded(words, *font))
    [view] = sight.views
    rows = view.cut.pixels().min(axis=(1, 2))
    height = len(rows)
    assert rows[: height // 2].min() == 255  # where the words should be
    assert rows[height // 2 :].min() < 100  # Latin ones are drawn
    assert sight.media[0].texts() == [f"{words}\nTotal 12"]
    assert sight.looked[0].notes == (
        f"{len(words)} Chinese, Japanese or Korean characters on page 1 are in fonts that the file does not hold, and are blank "
        "in what was seen; save it with its fonts embedded",
    )


def test_of_a_page_without_such_characters_nothing_is_said(booklet):
    sight = see(booklet)
    assert sight.media[0].blank == {}
    assert sight.looked[0].notes == ()


# What several questions have seen ------------------------------------------------------------------------------------------------


def test_what_several_questions_have_seen_is_one_sight_with_places_in_all_of_it(booklet):
    picture, pages = see(Image.new("RGB", (90, 60))), see(booklet)
    both = joined([picture, pages])
    assert [view.medium for view in both.views] == [0, 1, 1, 1]
    assert [view.name for view in both.views] == [view.name for sight in (picture, pages) for view in sight.views]
    assert len(both.looked) == 2
    found = find(both, "What is the fee of part 2?", "222 dollars")
    assert [(citation.page, citation.verified) for citation in found.citations] == [(2, True)]
    assert [view.page for view, _ in drawn(both, found)] == [2]
    assert find(joined([pages, picture]), "What is the fee of part 2?", "222 dollars").citations == found.citations


# Clips ---------------------------------------------------------------------------------------------------------------


def test_a_video_is_its_frames_each_behind_its_time_and_each_the_one_on_screen_then(film):
    sight = see(film)
    times = [f"[0:0{k // 2}.{5 * (k % 2)}]" for k in range(8)]
    assert layout(sight) == [piece for time in times for piece in (time, (96, 64))] + ["Why?"]
    assert [number_of(view.cut.pixels()) for view in sight.views] == [0, 5, 10, 15, 20, 25, 30, 35]
    assert [(view.seconds, view.size_before, view.name) for view in sight.views[:2]] == [
        (0.0, (96, 64), "the file"),
        (0.5, (96, 64), "the file"),
    ]


def test_a_picture_that_stays_on_screen_is_shown_at_each_of_its_moments():
    sight = see(clip([0, 2, 3], rate=1))
    assert [(view.seconds, number_of(view.cut.pixels())) for view in sight.views] == [
        *((k / 2, 0) for k in range(4)),
        *((k / 2, 1) for k in (4, 5)),
        *((k / 2, 2) for k in (6, 7)),
    ]


def test_clip_frames_and_fps_say_which_moments(film):
    def seen(**choice):
        sight = see(film, **choice)
        return [(round(view.seconds, 6), number_of(view.cut.pixels())) for view in sight.views]

    assert seen(clip="1-3") == [(1.0, 10), (1.5, 15), (2.0, 20), (2.5, 25)]
    assert seen(clip="00:02.2-", fps=5)[:3] == [(2.2, 22), (2.4, 24), (2.6, 26)]
    assert seen(frames=2) == [(0.0, 0), (2.0, 20)]
    assert seen(frames=1, clip=Clip(3.0)) == [(3.0, 30)]
    assert see(film, frames=1).views[0].label == ""  # one picture is a picture


def test_frames_lie_in_scenes_where_that_is_asked_for():
    film = clip([k / 25 for k in range(100)], draw=scenes, rate=25)  # another scene every second

    def seen(**choice):
        sight = see(film, **choice)
        return [view.seconds for view in sight.views], sight.looked[0].notes

    assert seen(frames=4)[0] == [0.0, 1.0, 2.0, 3.0]
    assert seen(frames=4, policy="even")[0] == [0.0, 1.0, 2.0, 3.0]
    times, notes = seen(frames=4, policy="scene")
    assert times == pytest.approx([0.5, 1.5, 2.5, 3.5], abs=0.15)
    assert notes == ()
    times, notes = seen(frames=3, policy="scene")
    assert len(times) == 3
    assert notes == ("4 scenes and 3 frames: the least distinct scenes are joined with those before them",)
    assert seen(frames=2, policy="scene", clip="2-4")[0] == pytest.approx([2.5, 3.5], abs=0.15)
    assert len(seen(frames=6, policy="adaptive")[0]) == 6


def test_a_large_video_is_scaled_down_and_says_so():
    sight = see(clip([0, 1], size=(640, 384)))
    assert {view.size for view in sight.views} == {(280, 168)}
    assert {view.size_before for view in sight.views} == {(640, 384)}
    assert sight.looked[0].notes == ("frames of 280×168 pixels instead of 640×384: larger ones are not taken from videos",)
    large = see(clip([0, 1], size=(640, 384)), context=131_072)
    assert {view.size for view in large.views} == {(640, 384)}


def test_an_animation_obeys_frames_and_budget_as_a_video_does(tmp_path):
    pictures = [Image.new("RGB", (560, 280), (20 * k, 0, 0)) for k in range(12)]
    pictures[0].save(tmp_path / "a.gif", save_all=True, append_images=pictures[1:], duration=500)
    sight = see(tmp_path / "a.gif")
    assert [view.seconds for view in sight.views] == [k / 2 for k in range(12)]
    assert {view.size for view in sight.views} == {(280, 140)}
    assert [view.seconds for view in see(tmp_path / "a.gif", frames=3).views] == [0.0, 2.0, 4.0]
    few = see(tmp_path / "a.gif", media_tokens=100)
    assert 1 <= len(few.views) < 12
    assert sum(view.cut.tokens for view in few.views) <= 100


def test_load_frames_reads_videos_too(film):
    assert [(seconds, number_of(np.asarray(image))) for seconds, image in load_frames(film, per_second=1)] == [
        (0, 0),
        (1, 10),
        (2, 20),
        (3, 30),
    ]
    assert len(load_frames(film, most=3)) == 3


def test_a_video_cut_short_is_seen_up_to_there_and_that_is_said():
    whole = clip(TENTHS, container="mkv", options={"g": "5"})
    sight = see(whole[: len(whole) // 2])
    assert 1 <= len(sight.views) < 8
    assert len(sight.message("?").parts) == 2 * len(sight.views) + 1
    assert "damaged" in sight.looked[0].notes[-1]


# Documents -----------------------------------------------------------------------------------------------------------


def red_edge(view):
    pixels = view.cut.pixels().astype(int)
    return round(float(np.nonzero((pixels[..., 0] > 200) & (pixels[..., 1] < 60))[1].min() / pixels.shape[1] * 400), -1)


def test_a_document_is_its_pages_each_behind_its_number(booklet):
    sight = see(booklet)
    # 400x300 points at 120 dots an inch.
    assert layout(sight) == ["[page 1]", (666, 500), "[page 2]", (666, 500), "[page 3]", (666, 500), "Why?"]
    assert [red_edge(view) for view in sight.views] == [0, 100, 200]
    assert sight.looked[0].notes == ()
    assert str(sight.looked[0]) == ""


def test_pages_that_are_named_are_the_ones_seen_and_the_others_are_said_to_be_left_out(booklet):
    for pages in ("2", [2], (2,)):
        sight = see(booklet, pages=pages)
        assert layout(sight) == ["[page 2]", (666, 500), "Why?"]
        assert red_edge(sight.views[0]) == 100
    assert str(sight.looked[0]) == "the file: looked at page 2 of 3: those that were named"


def test_the_only_page_of_a_document_has_no_label():
    assert layout(see(pdf(page(text("Alone.")))))[1:] == ["Why?"]


def test_of_a_thousand_pages_those_that_the_question_is_about_are_seen_and_said():
    sight = see(long_book(1000, special=617), question="What does the penguin cost?")
    looked = sight.looked[0]
    assert (looked.pages, looked.of) == ((1, 616, 617, 618), 1000)
    assert looked.notes == ("looked at pages 1 and 616 to 618 of 1,000: those that the question's words point to",)
    assert any(detail.startswith("page 617: best match") for detail in looked.details)
    assert [view.label for view in sight.views] == [f"[page {number}]" for number in looked.pages]


def test_pages_behind_the_64th_are_drawn_in_their_own_size():
    wide = [page(text("x"), size=(200, 100)) for _ in range(70)]
    wide[68] = page(text("x"), size=(100, 200))
    sight = see(pdf(*wide), pages="68-70")
    assert [view.size for view in sight.views] == [(332, 166), (166, 332), (332, 166)]
    assert [view.size_before for view in sight.views] == [(200, 100), (100, 200), (200, 100)]


def test_a_page_that_cannot_be_drawn_is_left_out_and_said():
    pages = (page(text("a")), page(text("x")), page(text("b")), page(text("thin"), size=(14_000, 3)))
    sight = see(pdf(*pages).replace(b"12 0 obj\n<< /Type /Page", b"12 0 obj\n<< /Type /Pore"))
    assert [view.page for view in sight.views] == [1, 3]
    second, fourth = sight.looked[0].notes
    assert second.startswith("page 2 cannot be read: ")
    assert "too elongated" in fourth


def test_a_document_of_which_nothing_can_be_seen_is_an_error():
    with pytest.raises(MediaError, match="the file: not one of its first pages can be read"):
        see(pdf(page(text("a"))).replace(b"10 0 obj\n<< /Type /Page", b"10 0 obj\n<< /Type /Pore"))


def test_a_tiff_is_its_pages_each_as_it_is_behind_its_number(tmp_path):
    pages = [Image.new("RGB", (60 + 20 * k, 40), (40 * k, 0, 0)) for k in range(3)]
    pages[0].save(tmp_path / "scan.tif", save_all=True, append_images=pages[1:])
    sight = see(tmp_path / "scan.tif")
    assert layout(sight) == ["[page 1]", (60, 40), "[page 2]", (80, 40), "[page 3]", (100, 40), "Why?"]
    assert [int(view.cut.pixels()[..., 0].mean()) for view in sight.views] == [0, 40, 80]
    assert (sight.looked[0].pages, sight.looked[0].of, sight.looked[0].notes) == ((1, 2, 3), 3, ())
    sight = see(tmp_path / "scan.tif", pages="2")
    assert layout(sight) == ["[page 2]", (80, 40), "Why?"]
    assert sight.looked[0].notes == ("looked at page 2 of 3: those that were named",)
    assert sight.frame(sight.views[0]).image.getpixel((0, 0)) == (40, 0, 0)
    with pytest.raises(InputError, match=r"scan\.tif: pages is '4': there is no page 4; the document has 3"):
        see(tmp_path / "scan.tif", pages="4")
    pages[1].save(tmp_path / "one.tif")
    assert layout(see(tmp_path / "one.tif")) == [(80, 40), "Why?"]


def test_a_password_opens_and_its_lack_is_said():
    data = locked("secret", "sesame", "owner")
    assert len(see(data, password="sesame").views) == 1
    with pytest.raises(MediaError, match="the file is encrypted and needs a password: --pdf-password") as caught:
        see(data)
    assert caught.value.code == "pdf_password_required"
    with pytest.raises(MediaError, match="this is not its password"):
        see(data, password="wrong")


# Tokens --------------------------------------------------------------------------------------------------------------


def test_the_prompt_has_the_tokens_that_were_counted(film, booklet):
    picture = Image.linear_gradient("L").resize((90, 60)).convert("RGB")
    sight = see(picture, film, booklet)
    message = sight.message("What?")
    for prefix in PREFIXES.values():
        prompt = processor().prompt([message], prefix)
        assert len(prompt.input_ids) == processor().length([message], prefix)
        assert prompt.num_image_tokens == sum(view.cut.tokens for view in sight.views) == 12 + 8 * 12 + 3 * 24 * 18
    assert [view.medium for view in sight.views] == [0, *[1] * 8, *[2] * 3]
    again = processor().image_processor([view.cut for view in sight.views[:1]])[0]
    assert (again == processor().images([picture])[0]).all()


@pytest.mark.parametrize("allowed", [150, 400, 1000, 2000])
def test_clips_and_documents_stay_within_what_is_allowed(film, booklet, allowed):
    sight = see(film, booklet, media_tokens=allowed)
    prompt = processor().length([sight.message("What?")])
    assert prompt - processor().length([{"role": "user", "content": "What?"}]) <= allowed
    assert len(sight.looked) == 2
    assert any("fit" in note for looked in sight.looked for note in looked.notes) == (allowed < 1500)  # all of it takes 1,488


def test_by_default_a_quarter_of_the_context_is_for_clips_and_documents_and_a_quarter_stays_free():
    assert room(16_384, text=100, pictures=0) == 4096
    assert room(16_384, text=100, pictures=10_000) == 12_288 - 10_100
    assert room(16_384, text=100, pictures=500, media_tokens=2000) == 1500
    assert room(16_384, text=100, pictures=0, media_tokens=100_000) == 12_188
    assert (frugality_for(16_384), legibility_for(16_384)) == (Frugality(), SMALL)
    assert (frugality_for(131_072).most_side, legibility_for(131_072)) == (896, LARGE)


def test_pictures_take_what_they_take_and_a_clip_beside_them_what_is_left(film):
    picture = Image.new("RGB", (1400, 560))  # 50x20 tokens
    sight = see(picture, film, context=1600)
    assert sight.views[0].size == (1400, 560)
    assert sight.tokens == 1200 - 1005 - processor().length([{"role": "user", "content": "What?"}])
    with pytest.raises(InputError, match="no tokens are left for the file: pass fewer or smaller pictures"):
        see(picture, film, context=1300)


def test_shares_are_fair():
    assert fair_shares(100, [10, 80, 80]) == [10, 45, 45]
    assert fair_shares(100, [80, 10, 5]) == [80, 10, 5]
    assert fair_shares(9, [5, 5]) == [4, 5]
    assert fair_shares(-5, [5]) == [0]
    assert fair_shares(5, []) == []
    with pytest.raises(InputError, match="at least one token"):
        fair_shares(5, [0])


@given(st.integers(0, 1000), st.lists(st.integers(1, 300), max_size=8))
def test_nobody_gets_more_than_wanted_and_nothing_is_wasted(budget, wants):
    shares = fair_shares(budget, wants)
    assert all(0 <= share <= want for share, want in zip(shares, wants, strict=True))
    assert sum(shares) == min(budget, sum(wants))
    unmet = [share for share, want in zip(shares, wants, strict=True) if share < want]
    assert not unmet or max(shares) - min(unmet) <= 1


# Choices that are wrong ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"clip": "5"}, "'5' is no clip; it must read START-END"),
        ({"clip": 7}, "clip is 7; it must be a text such as '00:10-00:40'"),
        ({"pages": 3}, "pages is '3'; it must be a text such as '3-7,9', or page numbers"),
        ({"pages": []}, "pages is '\\[\\]'"),
        ({"frames": 0}, "frames is 0; it must be a whole number from 1 to 256"),
        ({"frames": True}, "frames is True"),
        ({"fps": 0}, "fps is 0; it must be a number of frames a second above 0"),
        ({"fps": float("nan")}, "fps is nan"),
        ({"fps": 1, "frames": 3}, "frames and fps say the same in two ways"),
        ({"policy": "best"}, "policy is 'best'; it must be one of 'even', 'scene', 'adaptive'"),
        ({"policy": ["scene"]}, "policy is"),
        ({"media_tokens": 0}, "media_tokens is 0; it must be a whole number from 1"),
    ],
)
def test_a_choice_that_means_nothing_is_refused(choice, message):
    with pytest.raises(InputError, match=message):
        Choice(**choice)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"clip": "1-2"}, "clip applies to none of the files: it is for videos, and there is none"),
        ({"frames": 2}, "frames applies to none of the files: it is for videos and animations"),
        ({"fps": 2.0}, "fps applies to none of the files"),
        ({"policy": "scene"}, "policy applies to none of the files: it is for videos, and there is none"),
        ({"pages": "4"}, "the file: pages is '4': there is no page 4; the document has 3"),
        ({"pages": "x"}, "the file: pages is 'x': 'x' is no page and no range"),
        ({"media_tokens": 20}, "the file: a page does not fit|the file: .*allow more"),
    ],
)
def test_a_choice_that_does_not_fit_the_files_is_refused(booklet, choice, message):
    with pytest.raises(InputError, match=message):
        see(booklet, **choice)


def test_more_of_the_same(film):
    with pytest.raises(InputError, match="pages applies to none of the files: it is for PDFs and TIFFs of several pages"):
        see(film, pages="1")
    with pytest.raises(InputError, match=r"the file: the clip begins at 9 seconds and the video is only 4\.0 seconds long"):
        see(film, clip="9-")
    with pytest.raises(InputError, match="the file: 10 tokens hold not one frame of this video"):
        see(film, media_tokens=10)
    with pytest.raises(InputError, match="media_tokens applies to none of the files"):
        see(Image.new("RGB", (9, 9)), media_tokens=20)


# Files -----------------------------------------------------------------------------------------------------------------


def test_frames_come_one_at_a_time_and_leaving_them_ends_the_child(film):
    medium = open_medium(film)
    frames = medium.frames([0.0, 0.5, 1.0])
    assert number_of(np.asarray(next(frames).image)) == 0
    frames.close()
    assert number_of(np.asarray(next(medium.frames([2.0])).image)) == 20  # the worker is free again, the file still open
    medium.close()


def test_only_one_frame_is_held_at_a_time(film, monkeypatch):
    images, frames, alive = processor().image_processor, [], []

    def cut(image):
        alive.append(sum(frame() is not None for frame in frames))
        frames.append(weakref.ref(image))
        return type(images).cut(images, image)

    monkeypatch.setattr(images, "cut", cut)
    see(film)
    assert len(alive) == 8
    assert max(alive) <= 1  # the one before, until the next has taken its place


def test_files_are_closed_when_something_goes_wrong(film, booklet):
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(InputError):
            see(film, booklet, pages="99")
        with pytest.raises(MediaError):
            see(film, "nowhere.png")
    assert len(os.listdir("/proc/self/fd")) <= before + 8  # of the child's pipes


# What an answer says ------------------------------------------------------------------------------------------------------


def test_an_answer_is_looked_up_in_the_pages_that_were_seen(booklet):
    sight = see(booklet, pages="2-3")
    (found,) = find(sight, "What is the fee?", "222 dollars").citations
    assert (found.page, found.verified, found.document) == (2, True, "")
    assert 0.1 < found.boxes[0][0] < found.boxes[0][2] <= 1
    (missing,) = find(sight, "What is the fee?", "The fee is 111.").citations
    assert not missing.verified
    (value,) = find(sight, "", '{"fee": 333, "paid": true}').citations
    assert (value.page, value.text) == (3, "333")


def test_of_two_documents_the_one_that_has_it_is_named(booklet, tmp_path):
    for name, data in (("a.pdf", booklet), ("b.pdf", pdf(page(text("Harbour Street 17"))))):
        (tmp_path / name).write_bytes(data)
    sight = see(tmp_path / "a.pdf", tmp_path / "b.pdf")
    (found,) = find(sight, "Where?", "Harbour Street").citations
    assert (found.document, found.page, found.verified) == (str(tmp_path / "b.pdf"), 1, True)


def test_boxes_are_in_pixels_of_the_file_and_shares_of_a_page():
    picture = Image.new("RGB", (200, 100))
    found = find(see(picture), "Where?", "[0.25, 0.5, 0.5, 1.0]")
    assert [(b.left, b.top, b.right, b.bottom) for b in found.boxes] == [(50, 50, 100, 100)]
    sight = see(pdf(page(text("Here", x=100, y=150))))
    found = find(sight, "Where?", "(0.25, 0.5)")
    assert [(p.x, p.y) for p in found.points] == [(0.25, 0.5)]
    assert found.citations == ()
    film = see(clip([0, 1], size=(640, 384)), frames=1)
    assert [(p.x, p.y) for p in find(film, "Where?", "(0.5, 0.25)").points] == [(320, 96)]


def test_what_is_found_is_drawn_where_it_is():
    white = Image.new("RGB", (200, 100), "white")
    sight = see(white, pdf(page(text("Harbour Street", x=100, y=150))))
    found = find(sight, "Where?", "[0.25, 0.5, 0.5, 0.9]")
    ((view, picture),) = drawn(sight, found)
    assert (view.medium, picture.size) == (0, (200, 100))
    columns = np.nonzero(np.asarray(picture).min(-1) < 100)[1]
    assert 40 <= columns.min() < 50 < 100 < columns.max() <= 112
    ((view, picture),) = drawn(sight, find(sight, "Where?", "Harbour Street"))
    assert (view.page, picture.size) == (1, view.size)
    changed = np.abs(np.asarray(picture).astype(int) - sight.views[1].cut.pixels()).max(-1) > 100
    columns = np.nonzero(changed)[1]
    # The words begin at 100 of 400 points from the left.
    assert 0.2 < columns.min() / picture.width < 0.26
    assert list(drawn(sight, find(sight, "Where?", "I cannot tell."))) == []


def test_a_sight_can_be_made_without_a_model(booklet):
    with look("Q?", [open_medium(booklet)], processor(), context=CONTEXT, used=50) as sight:
        assert isinstance(sight.message("Q?").parts[1], ImagePart)
