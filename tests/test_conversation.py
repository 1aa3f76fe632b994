"""Media anywhere in a conversation: what is seen of them, what they cost, who may name files, and where later answers stand."""

import base64
import gc
import os
from io import BytesIO

import pytest
from PIL import Image

from kimi_vl.errors import InputError, MediaError
from kimi_vl.llm import Access, content_of, look_at, see_messages
from kimi_vl.media import open_medium
from kimi_vl.media.medium import Document
from kimi_vl.processor.chat import ImagePart, TextPart
from tests.media.clips import clip
from tests.media.pdfs import page, pdf, text
from tests.tiny_checkpoint import processor, scripted_llm, tokens_of

CONTEXT = 16_384
FILM = clip([k / 10 for k in range(10)], rate=10)
LETTER = pdf(page(text("Nothing here.")), page(text("The fee is 4711 dollars.")))


def png(width, height, colour="red"):
    buffer = BytesIO()
    Image.new("RGB", (width, height), colour).save(buffer, "PNG")
    return buffer.getvalue()


def data_url(data, kind="application/octet-stream"):
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def words(value):
    return {"type": "text", "text": value}


def image(data):
    return {"type": "image_url", "image_url": {"url": data_url(data)}}


def video(data):
    return {"type": "video_url", "video_url": {"url": data_url(data)}}


def file(data, **more):
    return {"type": "file", "file": {"file_data": base64.b64encode(data).decode(), **more}}


def user(*parts):
    return {"role": "user", "content": list(parts)}


def says(value):
    return {"role": "assistant", "content": value}


def see(*messages, **options):
    return see_messages(processor(), CONTEXT, list(messages), **options)


def layout(seen):
    """Each turn as its texts and the sizes of its pictures."""
    return [[part.text if isinstance(part, TextPart) else part.source.size for part in turn.parts] for turn in seen.messages]


TALK = (
    user(image(png(90, 60)), video(FILM), words("What is this?")),
    says("A film."),
    user(file(LETTER, filename="letter.pdf"), words("What is the fee?")),
)


# What is seen ----------------------------------------------------------------------------------------------------------------


def test_each_medium_stands_where_its_part_stood():
    with see(*TALK, pages="2") as seen:
        width, height = seen.sight.views[-1].size
        assert layout(seen) == [
            [(90, 60), "[0:00.0]", (96, 64), "[0:00.5]", (96, 64), "What is this?"],
            ["A film."],
            ["[page 2]", (width, height), "What is the fee?"],
        ]
        assert [looked.name for looked in seen.sight.looked] == ["the image", "the file in the data URL", "letter.pdf"]
        assert [(cost.message, cost.part, cost.what, cost.pictures) for cost in seen.costs] == [
            (0, 0, "picture", 1),
            (0, 1, "video", 2),
            (2, 0, "PDF", 1),
        ]
        assert seen.question == "What is the fee?"


def test_the_account_adds_up_to_the_prompt():
    bare = [user(words("What is this?")), says("A film."), user(words("What is the fee?"))]
    with see(*TALK) as seen:
        prompt = processor().prompt(seen.messages)
        assert seen.prompt_tokens == len(prompt.input_ids)
        assert sum(cost.image_tokens for cost in seen.costs) == prompt.num_image_tokens
        assert sum(cost.tokens for cost in seen.costs) == seen.prompt_tokens - processor().length(bare)
        account = seen.account()
        assert [entry["tokens"] for entry in account["looked_at"]] == [cost.tokens for cost in seen.costs]
        assert account["prompt_tokens"] == seen.prompt_tokens
        assert account["image_tokens"] == sum(view["tokens"] for view in account["views"])


@pytest.mark.parametrize("thinking", ["auto", "on", "off"])
def test_one_question_about_media_is_counted_as_ask_sees_it(thinking):
    media = [open_medium(png(90, 60)), open_medium(LETTER)]
    with look_at(processor(), CONTEXT, "What is the fee?", media, thinking=thinking) as sight:
        with see(*content_of("What is the fee?", media), thinking=thinking) as seen:
            assert seen.opened == ()
            assert layout(seen) == [[p.text if isinstance(p, TextPart) else p.source.size for p in sight.message("What is the fee?").parts]]
        assert media[1].texts()  # still open


def test_which_pages_follows_the_words_beside_the_document_not_the_latest_ones():
    book = pdf(*(page(text("The penguin costs 4711." if k == 17 else f"Nothing in chapter {k}.")) for k in range(1, 41)))
    first = user(file(book), words("What does the penguin cost?"))
    with see(first, media_tokens=2000) as alone, see(first, says("4711."), user(words("Thanks. Chapter 3?")), media_tokens=2000) as later:
        assert 17 in alone.sight.looked[0].pages
        assert 1 < len(alone.sight.looked[0].pages) < 40
        assert later.sight.looked[0].pages == alone.sight.looked[0].pages
    with see(user(file(book)), user(words("What does the penguin cost?")), media_tokens=2000) as apart:
        assert 17 in apart.sight.looked[0].pages


def test_a_picture_that_was_cut_already_is_not_cut_again():
    with see(user(image(png(90, 60)), words("What?"))) as first:
        turn = first.messages[0]
        with see(turn, says("It."), user(image(png(30, 30)), words("And this?"))) as second:
            assert second.messages[0].parts[0].source is turn.parts[0].source
            assert [view.size_before for view in second.sight.views] == [(90, 60), (30, 30)]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("letter.pdf", "letter.pdf"),
        (None, "the file in the data URL"),
        ("", "the file in the data URL"),
        ("a\n\x1b[31m\u202eb", "a [31m b"),
    ],
)
def test_a_file_is_called_what_its_sender_calls_it_without_what_could_move_a_terminal(name, shown):
    for data in (base64.b64encode(LETTER).decode(), data_url(LETTER, "text/plain")):
        with see(user({"type": "file", "file": {"file_data": data, "filename": name}}, words("?"))) as seen:
            assert seen.sight.looked[0].name == shown


# What is refused -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("part", "message"),
    [
        ({"type": "video", "video": "a.mp4"}, r'messages\[0\].content\[0\] is type .video.; a part has the type "text", "image",'),
        ({"type": "video_url", "video_url": "a.mp4"}, r"video_url must be an object"),
        ({"type": "video_url", "video_url": {"url": 3}}, r"video_url.url must be a string, not int"),
        ({"type": "video_url", "video_url": {"url": "a", "fps": 2}}, r"video_url has an unknown key 'fps'"),
        ({"type": "file", "file": "a.pdf"}, r"content\[0\].file must be an object"),
        ({"type": "file", "file": {"filename": "a.pdf"}}, r"file.file_data is missing"),
        ({"type": "file", "file": {"file_id": "file-1"}}, r"file_id names an uploaded file, and none are kept here"),
        ({"type": "file", "file": {"file_data": b"x"}}, r"file_data must be a string, not bytes"),
        ({"type": "file", "file": {"file_data": "", "filename": 3}}, r"filename must be a string, not int"),
        ({"type": "file", "file": {"file_data": "", "name": "x"}}, r"file has an unknown key 'name'"),
    ],
)
def test_parts_that_say_something_else_are_named_before_anything_is_opened(part, message):
    with pytest.raises(InputError, match=message):
        see(user(part, image(b"no picture")))


@pytest.mark.parametrize(
    ("part", "message", "code"),
    [
        (file(b"hello"), r"messages\[1\].content\[0\]: the file in the data URL is a text file", "unsupported_media"),
        ({"type": "file", "file": {"file_data": "?!"}}, r"is not valid base64", "invalid_media"),
        (video(FILM[:200]), r"messages\[1\].content\[0\]: ", "invalid_video"),
        (image(LETTER), r"is a PDF, not a picture", "unsupported_media"),
        ({"type": "video_url", "video_url": {"url": "file:///etc/passwd"}}, "is a URL of another scheme", "url_not_allowed"),
        ({"type": "video_url", "video_url": {"url": "nowhere.mp4"}}, "nowhere.mp4 does not exist", "invalid_media"),
    ],
)
def test_files_that_cannot_be_read_are_named_by_their_place(part, message, code):
    with pytest.raises(MediaError, match=message) as caught:
        see(user(words("Hello")), user(part, words("What?")))
    assert caught.value.code == code


def test_media_belong_to_the_user_and_cannot_be_rendered_unseen():
    for part in (video(FILM), file(LETTER)):
        with pytest.raises(InputError, match="the assistant's messages are text only"):
            see({"role": "assistant", "content": [part]})
        with pytest.raises(InputError, match="has no tokens before it has been looked at"):
            processor().prompt([user(part)])


def test_options_that_apply_to_nothing_and_pictures_without_room_are_refused():
    with pytest.raises(InputError, match="pages applies to none of the files"):
        see(user(image(png(30, 30)), words("?")), pages="3")
    with pytest.raises(MediaError, match=r"messages\[0\].content\[1\]: .* leave room for 600 in this request"):
        see(user(image(png(40, 60)), image(png(30, 30)), words("?")), access=Access(held_bytes=3 * 3000))


@pytest.fixture
def folders(tmp_path):
    """A folder that may be read, and one that may not."""
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    for folder in (inside, outside):
        folder.mkdir()
        (folder / "a.png").write_bytes(png(30, 30))
    (inside / "link.png").symlink_to(outside / "a.png")
    (inside / "fine.png").symlink_to(inside / "a.png")
    (tmp_path / "inside2").symlink_to(outside)
    return inside, outside


def named(path, kind):
    return user({"type": "image", "image": path} if kind == "image" else {"type": kind, kind: {"url": str(path)}}, words("What?"))


@pytest.mark.parametrize("kind", ["image", "image_url", "video_url"])
def test_files_of_this_machine_are_read_where_the_caller_says(folders, kind):
    inside, outside = folders
    for path in (inside / "a.png", inside / "fine.png", inside / ".." / "inside" / "a.png"):
        for access in (None, Access(paths=[inside]), Access(paths=[str(outside), inside])):
            with see(named(path, kind), access=access) as seen:
                assert seen.sight.views[0].size_before == (30, 30)
    for path in (
        outside / "a.png",
        inside / "link.png",
        inside / ".." / "outside" / "a.png",
        inside.parent / "inside2" / "a.png",
        "\0",
        "",
    ):
        with pytest.raises(MediaError, match="lies in none of the folders that may be read") as caught:
            see(named(path, kind), access=Access(paths=[inside]))
        assert caught.value.code == "url_not_allowed"
    with pytest.raises(MediaError, match="is a path, and files of this machine are not read here; pass a data URL") as caught:
        see(named(inside / "a.png", kind), access=Access(paths=[]))
    assert caught.value.code == "url_not_allowed"
    with see(user(image(png(30, 30)), words("?")), access=Access(paths=[])) as seen:
        assert len(seen.sight.views) == 1


def test_web_addresses_go_to_the_fetcher_or_are_refused():
    class Fetches:
        def fetch(self, url, into, max_bytes):
            into.write(png(30, 30))
            return f"what lies at {url}"

    message = named("https://example.com/a.png", "video_url")
    with see(message, access=Access(fetcher=Fetches())) as seen:
        assert seen.sight.looked[0].name == "what lies at https://example.com/a.png"
    with pytest.raises(MediaError, match="nothing here fetches URLs"):
        see(message, access=Access())


def test_nothing_stays_open_where_something_is_refused():
    def held():
        gc.collect()
        return len(os.listdir("/dev/fd"))

    with see(user(video(FILM), file(LETTER), words("?"))):
        pass
    before = held()
    for _ in range(3):
        with pytest.raises(MediaError):
            see(user(video(FILM), file(LETTER), file(b"hello"), words("?")))
        with pytest.raises(InputError, match="there is no page 9"):
            see(user(video(FILM), file(LETTER), words("?")), pages="9")
    assert held() == before


# What answers say of it ------------------------------------------------------------------------------------------------------


def test_boxes_and_points_are_pixels_of_the_picture_that_was_passed():
    llm = scripted_llm(tokens_of("red circle: [0.1, 0.2, 0.5, 0.6]"))
    answer = llm.chat([user(image(png(90, 60)), words("Give the box of the red circle."))])
    assert [(box.left, box.top, box.right, box.bottom, box.image_index) for box in answer.boxes] == [pytest.approx((9, 12, 45, 36, 0))]
    later = llm.chat([user(image(png(90, 60)), words("What?")), says("A circle."), user(words("Give its box."))])
    assert later.boxes == answer.boxes
    pointed = scripted_llm(tokens_of("(0.5, 0.5)")).chat([user({"type": "image", "image": Image.new("RGB", (200, 100))}, words("Where?"))])
    assert [(point.x, point.y) for point in pointed.points] == [pytest.approx((100, 50))]


def test_a_later_question_about_a_document_has_its_citations(monkeypatch):
    closed = []
    close = Document.close
    monkeypatch.setattr(Document, "close", lambda self: (closed.append(self.name), close(self)))
    llm = scripted_llm(tokens_of("4711 dollars"), context=4000)
    turns = [user(file(LETTER), words("Who wrote it?")), says("Nobody."), user(words("What is the fee?"))]
    answer = llm.chat(turns)
    assert [(citation.page, citation.verified) for citation in answer.citations] == [(2, True)]
    assert [looked.what for looked in answer.looked_at] == ["PDF"]
    assert len(closed) == 1
    stream = llm.stream_chat(turns)
    stream.close()
    assert len(closed) == 2


def test_chat_checks_everything_before_it_opens_anything():
    llm = scripted_llm(tokens_of("fine"))
    gone = named("nowhere.png", "image")
    with pytest.raises(InputError, match="there is no option 'temprature'"):
        llm.chat([gone], temprature=1)
    with pytest.raises(InputError, match=r"paths is .*; it must be a list of folders"):
        llm.chat([gone], paths="/tmp")
    with pytest.raises(MediaError, match=r"messages\[0\].content\[0\]: nowhere.png is a path, and files"):
        llm.chat([gone], paths=[])
    with pytest.raises(MediaError, match=r"nowhere.png does not exist"):
        llm.chat([gone])


def test_a_conversation_without_media_is_as_it_was():
    llm = scripted_llm(tokens_of("fine"))
    answer = llm.chat([user(words("Hello?"))])
    assert (answer.text, answer.looked_at, answer.citations) == ("fine", (), ())
    assert not any(isinstance(part, ImagePart) for part in see(user(words("Hello?"))).messages[0].parts)
