"""What may stand in a request to `/v1/messages` and `/v1/messages/count_tokens`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from kimi_vl.server.openai.requests import Looking, Name, Stop, Url
from kimi_vl.server.strict import Strict

Id = Annotated[str, Field(min_length=1, max_length=100)]
Data = Annotated[str, Field(min_length=1)]


class CacheControl(Strict):
    """Without a meaning here: every prefix that two prompts of a tenant share is computed once."""

    type: Literal["ephemeral"]
    ttl: Literal["5m", "1h"] | None = None


class Block(Strict):
    cache_control: CacheControl | None = None


class Base64Source(Strict):
    type: Literal["base64"]
    media_type: Literal["image/jpeg", "image/png", "image/gif", "image/webp", "application/pdf"]
    data: Data


class UrlSource(Strict):
    type: Literal["url"]
    url: Url


class FileSource(Strict):
    """An upload to `/v1/files`."""

    type: Literal["file"]
    file_id: Id


class TextSource(Strict):
    type: Literal["text"]
    media_type: Literal["text/plain"]
    data: str


class TextBlock(Block):
    type: Literal["text"]
    text: str
    citations: list[Any] | None = None


class ImageBlock(Block):
    type: Literal["image"]
    source: Annotated[Base64Source | UrlSource | FileSource, Discriminator("type")]


def _form(value: Any) -> str:
    return "text" if isinstance(value, str) else "blocks"


class ContentSource(Strict):
    type: Literal["content"]
    content: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[list[Annotated[TextBlock | ImageBlock, Discriminator("type")]], Field(min_length=1, max_length=512), Tag("blocks")],
        Discriminator(_form),
    ]


class NoCitations(Strict):
    enabled: Literal[False] | None = None


class DocumentBlock(Block):
    type: Literal["document"]
    source: Annotated[Base64Source | UrlSource | FileSource | TextSource | ContentSource, Discriminator("type")]
    title: Annotated[str, Field(max_length=500)] | None = None
    context: str | None = None
    citations: NoCitations | None = None


class ThinkingBlock(Block):
    """What was thought before; the model's format drops it from earlier turns."""

    type: Literal["thinking"]
    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Block):
    type: Literal["redacted_thinking"]
    data: str


class ToolUseBlock(Block):
    type: Literal["tool_use"]
    id: Id
    name: Name
    input: dict[str, Any]
    caller: Any = None


class ToolResultBlock(Block):
    type: Literal["tool_result"]
    tool_use_id: Id
    content: (
        Annotated[
            Annotated[str, Tag("text")]
            | Annotated[
                list[Annotated[TextBlock | ImageBlock | DocumentBlock, Discriminator("type")]],
                Field(max_length=512),
                Tag("blocks"),
            ],
            Discriminator(_form),
        ]
        | None
    ) = None
    is_error: bool | None = None


AssistantBlock = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock
UserBlock = TextBlock | ImageBlock | DocumentBlock | ToolResultBlock
Texts = Annotated[Annotated[str, Tag("text")] | Annotated[list[TextBlock], Field(max_length=512), Tag("blocks")], Discriminator(_form)]


class UserMessage(Strict):
    role: Literal["user"]
    content: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[list[Annotated[UserBlock, Discriminator("type")]], Field(min_length=1, max_length=512), Tag("blocks")],
        Discriminator(_form),
    ]


class AssistantMessage(Strict):
    role: Literal["assistant"]
    content: Annotated[
        Annotated[str, Tag("text")]
        | Annotated[list[Annotated[AssistantBlock, Discriminator("type")]], Field(max_length=512), Tag("blocks")],
        Discriminator(_form),
    ]


class SystemMessage(Strict):
    role: Literal["system"]
    content: Texts


class ThinkingEnabled(Strict):
    type: Literal["enabled"]
    budget_tokens: Annotated[int, Field(ge=1, le=1 << 24)]
    display: Literal["summarized", "omitted"] | None = None  # nothing here summarises: a thought is told as it is, or not


class ThinkingAdaptive(Strict):
    type: Literal["adaptive"]
    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(Strict):
    type: Literal["disabled"]


class Tool(Block):
    type: Literal["custom"] | None = None
    name: Name
    description: Annotated[str, Field(max_length=8192)] | None = None
    input_schema: dict[str, Any]
    strict: bool | None = None
    input_examples: list[dict[str, Any]] | None = None
    eager_input_streaming: bool | None = None


class Choice(Strict):
    type: Literal["auto", "any"]
    disable_parallel_tool_use: bool | None = None


class NoChoice(Strict):
    type: Literal["none"]


class NamedChoice(Strict):
    type: Literal["tool"]
    name: Name
    disable_parallel_tool_use: bool | None = None


class SchemaFormat(Strict):
    type: Literal["json_schema"]
    schema_: Annotated[dict[str, Any], Field(alias="schema")]


class OutputConfig(Strict):
    effort: Literal["low", "medium", "high", "xhigh", "max"] | None = None
    format: SchemaFormat | None = None


class Metadata(Strict):
    user_id: Annotated[str, Field(max_length=512)] | None = None


class CountRequest(Strict):
    """What both routes take: all that a prompt is made of."""

    model: Annotated[str, Field(min_length=1)]
    messages: Annotated[
        list[Annotated[UserMessage | AssistantMessage | SystemMessage, Discriminator("role")]], Field(min_length=1, max_length=1024)
    ]
    system: Texts | None = None
    thinking: Annotated[ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled, Discriminator("type")] | None = None
    tools: Annotated[list[Tool], Field(max_length=128)] | None = None
    tool_choice: Annotated[Choice | NoChoice | NamedChoice, Discriminator("type")] | None = None
    output_config: OutputConfig | None = None
    cache_control: CacheControl | None = None
    media: Looking | None = None

    @model_validator(mode="after")
    def _can_be_answered(self) -> CountRequest:
        if self.messages[-1].role == "assistant":
            raise ValueError("the last message is the assistant's, and this model does not go on with one; let the user have the last word")
        if self.output_config and self.output_config.effort and not isinstance(self.thinking, ThinkingAdaptive):
            raise ValueError('output_config.effort is for thinking: {"type": "adaptive"}; elsewhere budget_tokens says it')
        return self


class MessagesRequest(CountRequest):
    max_tokens: Annotated[int, Field(ge=1, le=1 << 24)]
    stream: bool | None = None
    stop_sequences: Annotated[list[Stop], Field(max_length=4)] | None = None
    temperature: Annotated[float, Field(ge=0, le=1)] | None = None
    top_p: Annotated[float, Field(gt=0, le=1)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1 << 24)] | None = None
    # Said by clients of Anthropic, and without a meaning here.
    metadata: Metadata | None = None
    service_tier: Literal["auto", "standard_only"] | None = None

    @model_validator(mode="after")
    def _leaves_room(self) -> MessagesRequest:
        if isinstance(self.thinking, ThinkingEnabled) and self.thinking.budget_tokens >= self.max_tokens:
            raise ValueError("max_tokens must be greater than thinking.budget_tokens, which it includes")
        return self
