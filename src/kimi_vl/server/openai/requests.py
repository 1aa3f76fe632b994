"""What may stand in a request to `/v1/chat/completions` and `/v1/completions`. Where a field is null, it is as if it were not there."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, field_validator, model_validator

from kimi_vl.server.strict import Strict

MAX_SEED = 2**64 - 1
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Url = Annotated[str, Field(min_length=1)]


class TextPart(Strict):
    type: Literal["text"]
    text: str


class Address(Strict):
    url: Url
    detail: Literal["auto", "low", "high"] | None = None  # pictures are seen at the size they have, as far as they fit


class ImagePart(Strict):
    type: Literal["image_url"]
    image_url: Address


class VideoPart(Strict):
    type: Literal["video_url"]
    video_url: Address


class FileSource(Strict):
    file_id: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    file_data: Annotated[str, Field(min_length=1)] | None = None
    filename: Annotated[str, Field(max_length=300)] | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> FileSource:
        if (self.file_id is None) == (self.file_data is None):
            raise ValueError("a file has either file_id or file_data")
        return self


class FilePart(Strict):
    type: Literal["file"]
    file: FileSource


Part = Annotated[TextPart | ImagePart | VideoPart | FilePart, Discriminator("type")]
MediaPart = ImagePart | VideoPart | FilePart


def _form(value: Any) -> str:
    return "text" if isinstance(value, str) else "parts"


Text = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[TextPart], Field(min_length=1, max_length=512), Tag("parts")],
    Discriminator(_form),
]
Content = Annotated[
    Annotated[str, Tag("text")] | Annotated[list[Part], Field(min_length=1, max_length=512), Tag("parts")],
    Discriminator(_form),
]


class SystemMessage(Strict):
    role: Literal["system", "developer"]
    content: Text
    name: Name | None = None


class UserMessage(Strict):
    role: Literal["user"]
    content: Content
    name: Name | None = None


class FunctionCall(Strict):
    name: Name
    arguments: str


class ToolCall(Strict):
    id: Annotated[str, Field(min_length=1, max_length=100)]
    type: Literal["function"] = "function"
    function: FunctionCall


class AssistantMessage(Strict):
    """`reasoning_content` and `reasoning` are what was thought before; the model's format drops it from earlier turns."""

    role: Literal["assistant"]
    content: Text | None = None
    name: Name | None = None
    reasoning_content: str | None = None
    reasoning: str | None = None
    tool_calls: Annotated[list[ToolCall], Field(max_length=128)] | None = None
    refusal: str | None = None
    annotations: list[Any] | None = None
    audio: None = None
    function_call: None = None

    @model_validator(mode="after")
    def _says_something(self) -> AssistantMessage:
        if self.content is None and not self.tool_calls:
            raise ValueError("content may only be null beside tool_calls")
        return self


class ToolMessage(Strict):
    role: Literal["tool"]
    content: Content
    tool_call_id: Annotated[str, Field(min_length=1, max_length=100)]
    name: Name | None = None


AnyMessage = Annotated[SystemMessage | UserMessage | AssistantMessage | ToolMessage, Discriminator("role")]


class Function(Strict):
    name: Name
    description: Annotated[str, Field(max_length=8192)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class Tool(Strict):
    type: Literal["function"]
    function: Function


class ChosenFunction(Strict):
    name: Name


class ChosenTool(Strict):
    type: Literal["function"]
    function: ChosenFunction


def _choice(value: Any) -> str:
    return "word" if isinstance(value, str) else "named"


ToolChoice = Annotated[
    Annotated[Literal["none", "auto", "required"], Tag("word")] | Annotated[ChosenTool, Tag("named")], Discriminator(_choice)
]


class JsonSchema(Strict):
    name: Name
    description: str | None = None
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    strict: bool | None = None


class TextFormat(Strict):
    type: Literal["text"]


class ObjectFormat(Strict):
    type: Literal["json_object"]


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[TextFormat | ObjectFormat | SchemaFormat, Discriminator("type")]


class StreamOptions(Strict):
    include_usage: bool | None = None
    include_obfuscation: Literal[False] | None = None


class Looking(Strict):
    """What is looked at of videos, animations and documents; as the options of `kimi-vl ask`."""

    clip: Annotated[str, Field(max_length=60)] | None = None
    pages: Annotated[str, Field(max_length=1000)] | None = None
    frames: Annotated[int, Field(ge=1, le=256)] | None = None
    fps: Annotated[float, Field(gt=0, le=240)] | None = None
    policy: Literal["even", "scene", "adaptive"] | None = None
    media_tokens: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    transcript: bool | None = None
    skip_repeats: bool | None = None


Stop = Annotated[str, Field(min_length=1, max_length=256)]
Messages = Annotated[list[AnyMessage], Field(min_length=1, max_length=1024)]


class Sampled(Strict):
    """How an answer is drawn, in the words that all routes have for it."""

    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1 << 24)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    seed: Annotated[int, Field(ge=0, le=MAX_SEED)] | None = None
    stop: (
        Annotated[Annotated[Stop, Tag("text")] | Annotated[list[Stop], Field(max_length=4), Tag("parts")], Discriminator(_form)] | None
    ) = None
    presence_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    frequency_penalty: Annotated[float, Field(ge=-2, le=2)] | None = None
    repetition_penalty: Annotated[float, Field(gt=0, le=2)] | None = None
    logit_bias: Annotated[dict[str, Annotated[float, Field(ge=-100, le=100)]], Field(max_length=1024)] | None = None

    @field_validator("logit_bias")
    @classmethod
    def _token_ids(cls, value: dict[str, float] | None) -> dict[str, float] | None:
        for key in value or {}:
            if not (key.isascii() and key.isdecimal() and len(key) <= 8):
                raise ValueError('the keys are token ids, such as "123"')
        return value


class ChatRequest(Sampled):
    model: Annotated[str, Field(min_length=1)]
    messages: Messages
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=8)] | None = None
    max_tokens: Annotated[int, Field(ge=1, le=1 << 24)] | None = None
    max_completion_tokens: Annotated[int, Field(ge=1, le=1 << 24)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: ResponseFormat | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    reasoning_effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    thinking: Literal["auto", "on", "off"] | None = None
    max_thinking_tokens: Annotated[int, Field(ge=0, le=1 << 24)] | None = None
    media: Looking | None = None
    # Said by clients of OpenAI, and without a meaning here.
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None

    @field_validator("tools")
    @classmethod
    def _distinct(cls, value: list[Tool] | None) -> list[Tool] | None:
        names = [tool.function.name for tool in value or []]
        if len(set(names)) < len(names):
            raise ValueError("two tools have the same name")
        return value

    @model_validator(mode="after")
    def _together(self) -> ChatRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are for stream: true")
        if self.top_logprobs is not None and not self.logprobs:
            raise ValueError("top_logprobs are for logprobs: true")
        if self.max_tokens is not None and self.max_completion_tokens is not None and self.max_tokens != self.max_completion_tokens:
            raise ValueError("max_tokens and max_completion_tokens say the same in two ways; give one of them")
        if self.reasoning_effort is not None and self.thinking is not None:
            raise ValueError("reasoning_effort and thinking say the same in two ways; give one of them")
        names = {tool.function.name for tool in self.tools or []}
        if isinstance(self.tool_choice, ChosenTool) and self.tool_choice.function.name not in names:
            raise ValueError("tool_choice names a tool that there is not")
        if self.tool_choice == "required" and not names:
            raise ValueError("tool_choice is required, and there are no tools")
        return self


TokenIds = Annotated[list[Annotated[int, Field(ge=0, le=1 << 24)]], Field(min_length=1, max_length=1 << 20)]


def _prompt(value: Any) -> str:
    first = value[0] if isinstance(value, list) and value else ""
    many = "texts" if isinstance(first, str) else "many_ids" if isinstance(first, list) else "ids"
    return many if isinstance(value, list) else "text"


Prompt = Annotated[
    Annotated[str, Tag("text")]
    | Annotated[list[str], Field(min_length=1, max_length=64), Tag("texts")]
    | Annotated[TokenIds, Tag("ids")]
    | Annotated[list[TokenIds], Field(max_length=64), Tag("many_ids")],
    Discriminator(_prompt),
]


class CompletionRequest(Sampled):
    model: Annotated[str, Field(min_length=1)]
    prompt: Prompt
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Annotated[int, Field(ge=1, le=8)] | None = None
    max_tokens: Annotated[int, Field(ge=0, le=1 << 24)] | None = None
    logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    echo: bool | None = None
    suffix: Any = None
    user: Annotated[str, Field(max_length=512)] | None = None

    @field_validator("suffix")
    @classmethod
    def _no_suffix(cls, value: Any) -> None:
        if value is not None:
            raise ValueError("this model was not made to fill a gap; leave suffix out")

    @model_validator(mode="after")
    def _together(self) -> CompletionRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are for stream: true")
        return self


class TokenizeRequest(Strict):
    model: Annotated[str, Field(min_length=1)] | None = None
    messages: Messages | None = None
    prompt: str | None = None
    return_tokens: bool | None = None
    thinking: Literal["auto", "on", "off"] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: ToolChoice | None = None
    parallel_tool_calls: bool | None = None
    media: Looking | None = None

    @model_validator(mode="after")
    def _one_of_both(self) -> TokenizeRequest:
        if (self.messages is None) == (self.prompt is None):
            raise ValueError("there must be either messages or a prompt")
        return self
