"""Messages to token ids: the chat format of MODEL_SPEC §5.3, written out rather than rendered from a template.

Control tokens are placed by id and every piece of text is encoded on its own as ordinary text, so nothing inside a message,
however it is spelled or cut into parts, can open a turn or stand for an image. Knows nothing of pixels.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from kimi_vl.errors import InputError
from kimi_vl.processor.image import Cut
from kimi_vl.processor.thinking import THINK_CLOSE
from kimi_vl.processor.tokenizer import IM_END, MAX_TEXT_BYTES, Tokenizer

ROLES = ("system", "user", "assistant")
DEFAULT_SYSTEM = "You are a helpful assistant"  # no full stop (§5.3)

MAX_MESSAGES = 1024
MAX_PARTS = 512
MAX_NAME = 200  # characters of a file's name
MAX_IMAGES = 256  # of one prompt, as in the published serving recipe (§5.6)

ImageSource = str | Path | bytes | Image.Image | Cut


@dataclass(frozen=True, slots=True)
class TextPart:
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class ImagePart:
    source: ImageSource


@dataclass(frozen=True, slots=True, eq=False)
class MediumPart:
    """A video, a document, or any other file, which is pictures once it has been looked at (`llm/conversation.py`): a path, an address, a
    data URL, bytes, or an open medium. `name` is what to call it, where its sender says so.
    """

    source: Any
    name: str | None


@dataclass(frozen=True, slots=True)
class Message:
    """One turn; text parts that stood side by side have been joined."""

    role: str
    parts: tuple[TextPart | ImagePart | MediumPart, ...]


def normalise(messages: Sequence[Mapping[str, Any] | Message]) -> list[Message]:
    """Check OpenAI-style messages and bring them into one form. `Message` objects pass through.

    A message has a role (system, user or assistant) and a content: a string, or a list of parts {"type": "text", "text": ...},
    {"type": "image", "image": path, bytes or PIL image}, {"type": "image_url", "image_url": {"url": path, web address or data URL}},
    {"type": "video_url", "video_url": {"url": ...}} and {"type": "file", "file": {"file_data": data URL or base64, "filename": ...}}.
    The assistant's content holds text only. Nothing is opened or decoded here.

    Raises: InputError naming messages[i].content[j] for anything else, unknown keys included: an option that is silently
    ignored is a wrong answer.
    """
    if not isinstance(messages, (list, tuple)) or not messages:
        raise InputError('messages must be a list with at least one message, e.g. [{"role": "user", "content": "Hello"}]')
    if len(messages) > MAX_MESSAGES:
        raise InputError(f"messages has {len(messages):,} entries; at most {MAX_MESSAGES:,} are taken")
    normal = [m if isinstance(m, Message) else _message(m, f"messages[{i}]") for i, m in enumerate(messages)]
    num_images = len(image_sources(normal))
    if num_images > MAX_IMAGES:
        raise InputError(f"messages hold {num_images} images; at most {MAX_IMAGES} are taken")
    num_chars = sum(len(part.text) for m in normal for part in m.parts if isinstance(part, TextPart))
    if num_chars > MAX_TEXT_BYTES:
        raise InputError(f"messages hold {num_chars:,} characters of text; at most {MAX_TEXT_BYTES:,} are taken")
    return normal


def image_sources(messages: Sequence[Message]) -> list[ImageSource]:
    """The images of all messages, in the order of their placeholders."""
    return [part.source for message in messages for part in message.parts if isinstance(part, ImagePart)]


def cuts_of(messages: Sequence[Message]) -> list[Cut]:
    """The pictures of messages that have been looked at, which are all cut. Raises: InputError for one that is not."""
    sources = image_sources(messages)
    cuts = [source for source in sources if isinstance(source, Cut)]
    if len(cuts) < len(sources):
        raise InputError("a picture has not been cut yet; messages are looked at first (llm.conversation.see_messages)")
    return cuts


def render(
    messages: Sequence[Mapping[str, Any] | Message], tokenizer: Tokenizer, image_token_counts: Sequence[int], *, prefix: str = ""
) -> list[int]:
    """Token ids of a prompt, ready for the assistant's answer (§5.3).

    The k-th image takes image_token_counts[k] placeholder ids. A conversation that does not begin with a system message gets the
    default one. Earlier assistant turns keep only what follows their last closing thinking mark (§5.5). `prefix` is ordinary text
    at the start of the answer, e.g. "◁think▷".

    Raises: InputError for messages that `normalise` refuses and where images and counts differ in number.
    """
    turns = normalise(messages)
    num_images = len(image_sources(turns))
    if num_images != len(image_token_counts) or any(count < 1 for count in image_token_counts):
        raise InputError(f"messages hold {num_images} images and image_token_counts is {list(image_token_counts)}: one count ≥ 1 per image")
    if turns[0].role != "system":
        turns.insert(0, Message("system", (TextPart(DEFAULT_SYSTEM),)))
    counts = iter(image_token_counts)
    ids: list[int] = []
    for message in turns:
        ids += _header(message.role, tokenizer)
        for part in message.parts:
            if isinstance(part, MediumPart):
                raise InputError("a video or file has no tokens before it has been looked at (llm.conversation.see_messages)")
            ids += tokenizer.encode(part.text) if isinstance(part, TextPart) else _image(next(counts), tokenizer)
        ids.append(tokenizer.special(IM_END))
    return ids + _header("assistant", tokenizer) + tokenizer.encode(prefix)


def rendered_length(parts: Iterable[TextPart | ImagePart], tokenizer: Tokenizer) -> int:
    """Tokens of some parts of a message, whose pictures have been cut, by themselves."""
    ids: list[int] = []
    for part in _joined(parts):
        if isinstance(part, TextPart):
            ids += tokenizer.encode(part.text)
        elif isinstance(part.source, Cut):
            ids += _image(part.source.tokens, tokenizer)
    return len(ids)


def _header(role: str, tokenizer: Tokenizer) -> list[int]:
    return [tokenizer.special(f"<|im_{role}|>"), *tokenizer.encode(role), tokenizer.special("<|im_middle|>")]


def _image(num_tokens: int, tokenizer: Tokenizer) -> list[int]:
    start, content, pad, end = (tokenizer.special(f"<|media_{name}|>") for name in ("start", "content", "pad", "end"))
    return [start, *tokenizer.encode("image"), content, *([pad] * num_tokens), end]


def _message(message: Any, where: str) -> Message:
    if not isinstance(message, Mapping):
        raise InputError(f"{where} must be an object with role and content, not {type(message).__name__}")
    _check_keys(message, ("role", "content"), where)
    role, content = message["role"], message["content"]
    if role not in ROLES:
        raise InputError(f"{where}.role is {str(role)[:40]!r}; it must be one of {', '.join(ROLES)}")
    if isinstance(content, str):
        parts: list[TextPart | ImagePart | MediumPart] = [TextPart(content)]
    elif isinstance(content, (list, tuple)) and 0 < len(content) <= MAX_PARTS:
        parts = [_part(part, f"{where}.content[{j}]") for j, part in enumerate(content)]
    else:
        found = f"a list of {len(content)} parts" if isinstance(content, (list, tuple)) else type(content).__name__
        raise InputError(f"{where}.content is {found}; it must be a string or a list of 1 to {MAX_PARTS} parts")
    if role == "assistant":
        if not all(isinstance(part, TextPart) for part in parts):
            raise InputError(f"{where}.content holds an image; the assistant's messages are text only, images belong to the user")
        parts = [_without_thinking(part) for part in _joined(parts)]
    return Message(role, tuple(_joined(parts)))


def _part(part: Any, where: str) -> TextPart | ImagePart | MediumPart:
    kind = part.get("type") if isinstance(part, Mapping) else None
    if kind not in ("text", "image", "image_url", "video_url", "file"):
        found = f"type {str(kind)[:40]!r}" if isinstance(part, Mapping) else type(part).__name__
        raise InputError(f'{where} is {found}; a part has the type "text", "image", "image_url", "video_url" or "file"')
    _check_keys(part, ("type", kind), where)
    value = part[kind]
    if kind == "text":
        if not isinstance(value, str):
            raise InputError(f"{where}.text must be a string, not {type(value).__name__}")
        return TextPart(value)
    if kind == "file":
        return _file(value, f"{where}.file")
    if kind in ("image_url", "video_url"):
        if not isinstance(value, Mapping):
            raise InputError(f'{where}.{kind} must be an object {{"url": ...}}, not {type(value).__name__}')
        _check_keys(value, ("url",), f"{where}.{kind}")
        value = value["url"]
        if not isinstance(value, str):
            raise InputError(f"{where}.{kind}.url must be a string, not {type(value).__name__}")
        if kind == "video_url":
            return MediumPart(value, None)
    if not isinstance(value, (str, Path, bytes, Image.Image, Cut)):
        raise InputError(f"{where}.image must be a path, bytes or a PIL image, not {type(value).__name__}")
    return ImagePart(value)


def _file(value: Any, where: str) -> MediumPart:
    """A file that came in the message itself."""
    if not isinstance(value, Mapping):
        raise InputError(f'{where} must be an object {{"file_data": ..., "filename": ...}}, not {type(value).__name__}')
    if "file_id" in value:
        raise InputError(f"{where}.file_id names an uploaded file, and none are kept here; pass its content as file_data")
    _check_keys({"filename": "", **value}, ("file_data", "filename"), where)
    data, name = value["file_data"], value.get("filename")
    for key, given in (("file_data", data), ("filename", "" if name is None else name)):
        if not isinstance(given, str):
            raise InputError(f"{where}.{key} must be a string, not {type(given).__name__}")
    shown = " ".join("".join(c if c.isprintable() else " " for c in name or "").split())[:MAX_NAME]
    return MediumPart(data if data[:5].lower() == "data:" else f"data:;base64,{data}", shown or None)


def _check_keys(mapping: Mapping[str, Any], keys: Sequence[str], where: str) -> None:
    for key in mapping:
        if key not in keys:
            raise InputError(f"{where} has an unknown key {str(key)[:40]!r}; it takes {' and '.join(keys)}")
    for key in keys:
        if key not in mapping:
            raise InputError(f"{where}.{key} is missing")


def _joined(parts: Iterable[TextPart | ImagePart | MediumPart]) -> list[TextPart | ImagePart | MediumPart]:
    """Join neighbouring texts, so that they are tokenised as the one text the official template would make of them."""
    joined: list[TextPart | ImagePart | MediumPart] = []
    for part in parts:
        if isinstance(part, TextPart) and joined and isinstance(joined[-1], TextPart):
            joined[-1] = TextPart(joined[-1].text + part.text)
        else:
            joined.append(part)
    return joined


def _without_thinking(part: TextPart | ImagePart | MediumPart) -> TextPart | ImagePart | MediumPart:
    if isinstance(part, TextPart) and THINK_CLOSE in part.text:
        return TextPart(part.text.rpartition(THINK_CLOSE)[2].strip())
    return part
