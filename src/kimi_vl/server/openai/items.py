"""What may stand in a request to `/v1/responses`: items, where chat has messages; and the chat request that it is, in other words.

Everything else of a question, from limits to grammars, is chat's. What chat complains about is told by its place among the items.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, TypeAdapter, ValidationError, model_validator

from kimi_vl.server.errors import ApiError, invalid
from kimi_vl.server.openai.requests import (
    Address,
    AnyMessage,
    AssistantMessage,
    ChatRequest,
    ChosenFunction,
    ChosenTool,
    FilePart,
    FileSource,
    Function,
    FunctionCall,
    ImagePart,
    JsonSchema,
    Looking,
    Name,
    ObjectFormat,
    Part,
    Sampled,
    SchemaFormat,
    StreamOptions,
    SystemMessage,
    TextFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolMessage,
    Url,
    UserMessage,
)
from kimi_vl.server.strict import Strict, said

Id = Annotated[str, Field(min_length=1, max_length=100)]
Status = Literal["in_progress", "completed", "incomplete"]
FILE = ("file_id", "file_data", "file_url")


class InputText(Strict):
    type: Literal["input_text"]
    text: str


class InputImage(Strict):
    type: Literal["input_image"]
    image_url: Url | None = None
    file_id: Id | None = None
    detail: Literal["auto", "low", "high", "original"] | None = None  # as chat's

    @model_validator(mode="after")
    def _one_of_both(self) -> InputImage:
        if (self.image_url is None) == (self.file_id is None):
            raise ValueError("a picture has either image_url or file_id")
        return self


class InputFile(Strict):
    type: Literal["input_file"]
    file_id: Id | None = None
    file_data: Annotated[str, Field(min_length=1)] | None = None
    file_url: Url | None = None
    filename: Annotated[str, Field(max_length=300)] | None = None
    detail: Literal["auto", "low", "high"] | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> InputFile:
        if sum(getattr(self, name) is not None for name in FILE) != 1:
            raise ValueError(f"a file has one of {', '.join(FILE)}")
        return self


class OutputText(Strict):
    type: Literal["output_text"]
    text: str
    annotations: list[Any] | None = None
    logprobs: list[Any] | None = None


class Refusal(Strict):
    type: Literal["refusal"]
    refusal: str


InputPart = Annotated[InputText | InputImage | InputFile, Discriminator("type")]
MessagePart = Annotated[InputText | InputImage | InputFile | OutputText | Refusal, Discriminator("type")]


def _form(value: Any) -> str:
    return "text" if isinstance(value, str) else "parts"


class MessageItem(Strict):
    type: Literal["message"] | None = None
    role: Literal["user", "system", "developer", "assistant"]
    content: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[MessagePart], Field(min_length=1, max_length=512), Tag("parts")],
        Discriminator(_form),
    ]
    id: Id | None = None
    status: Status | None = None
    phase: Literal["commentary", "final_answer"] | None = None

    @model_validator(mode="after")
    def _parts_of_the_role(self) -> MessageItem:
        said_by_model = (OutputText, Refusal, InputText)
        for part in [] if isinstance(self.content, str) else self.content:
            fits = {"assistant": said_by_model, "user": (InputText, InputImage, InputFile)}.get(self.role, (InputText,))
            if not isinstance(part, fits):
                raise ValueError(f"a message of role {self.role} cannot hold {part.type}")
        return self


class CallItem(Strict):
    type: Literal["function_call"]
    call_id: Id
    name: Name
    arguments: str
    id: Id | None = None
    status: Status | None = None


class ResultItem(Strict):
    type: Literal["function_call_output"]
    call_id: Id
    output: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[InputPart], Field(min_length=1, max_length=512), Tag("parts")],
        Discriminator(_form),
    ]
    id: Id | None = None
    status: Status | None = None


class SummaryText(Strict):
    type: Literal["summary_text"]
    text: str


class ReasoningText(Strict):
    type: Literal["reasoning_text"]
    text: str


class ReasoningItem(Strict):
    """What was thought before; the model's format drops it from earlier turns."""

    type: Literal["reasoning"]
    id: Id | None = None
    summary: list[SummaryText] | None = None
    content: list[ReasoningText] | None = None
    encrypted_content: str | None = None
    status: Status | None = None


def _kind(value: Any) -> str | None:
    if not isinstance(value, (dict, Strict)):
        return None
    kind = value.get("type") if isinstance(value, dict) else getattr(value, "type", None)
    return "message" if kind is None else kind if isinstance(kind, str) else None


KINDS = ("message", "function_call", "function_call_output", "reasoning")
Item = Annotated[
    Annotated[MessageItem, Tag("message")]
    | Annotated[CallItem, Tag("function_call")]
    | Annotated[ResultItem, Tag("function_call_output")]
    | Annotated[ReasoningItem, Tag("reasoning")],
    Discriminator(_kind, custom_error_type="unknown_item", custom_error_message=f"an item is one of {', '.join(KINDS)}"),
]
ITEMS: TypeAdapter[list[MessageItem | CallItem | ResultItem | ReasoningItem]] = TypeAdapter(list[Item])


class FunctionTool(Strict):
    type: Literal["function"]
    name: Name
    description: Annotated[str, Field(max_length=8192)] | None = None
    parameters: dict[str, Any] | None = None
    strict: bool | None = None


class NamedTool(Strict):
    type: Literal["function"]
    name: Name


class NamedSchema(Strict):
    type: Literal["json_schema"]
    name: Name
    schema_: Annotated[dict[str, Any], Field(alias="schema")]
    description: str | None = None
    strict: bool | None = None


class TextOptions(Strict):
    format: Annotated[TextFormat | ObjectFormat | NamedSchema, Discriminator("type")] | None = None
    verbosity: Literal["medium"] | None = None


class Reasoning(Strict):
    effort: Literal["none", "minimal", "low", "medium", "high"] | None = None
    summary: Literal["auto", "concise", "detailed"] | None = None


def _choice(value: Any) -> str:
    return "word" if isinstance(value, str) else "named"


class ResponsesRequest(Sampled):
    model: Annotated[str, Field(min_length=1)]
    input: Annotated[
        Annotated[str, Tag("text")] | Annotated[list[Item], Field(min_length=1, max_length=1024), Tag("items")],
        Discriminator(lambda value: "text" if isinstance(value, str) else "items"),
    ]
    instructions: str | None = None
    previous_response_id: Id | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    background: bool | None = None
    max_output_tokens: Annotated[int, Field(ge=1, le=1 << 24)] | None = None
    tools: Annotated[list[FunctionTool], Field(max_length=128)] | None = None
    tool_choice: (
        Annotated[Annotated[Literal["none", "auto", "required"], Tag("word")] | Annotated[NamedTool, Tag("named")], Discriminator(_choice)]
        | None
    ) = None
    parallel_tool_calls: bool | None = None
    text: TextOptions | None = None
    reasoning: Reasoning | None = None
    thinking: Literal["auto", "on", "off"] | None = None
    max_thinking_tokens: Annotated[int, Field(ge=0, le=1 << 24)] | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    # Thoughts are given as they are, so there is nothing to encrypt.
    include: list[Literal["message.output_text.logprobs", "reasoning.encrypted_content"]] | None = None
    media: Looking | None = None
    truncation: Literal["disabled"] | None = None
    metadata: Annotated[dict[str, Annotated[str, Field(max_length=512)]], Field(max_length=16)] | None = None
    # Said by clients of OpenAI, and without a meaning here.
    user: Annotated[str, Field(max_length=512)] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None
    service_tier: Literal["auto", "default"] | None = None

    @model_validator(mode="after")
    def _together(self) -> ResponsesRequest:
        if self.stream_options is not None and not self.stream:
            raise ValueError("stream_options are for stream: true")
        if self.stream_options is not None and self.stream_options.include_usage is not None:
            raise ValueError("a response always says its usage; leave out include_usage")
        if self.background and self.store is False:
            raise ValueError("a response in the background is found again by its id, so it must be stored; leave out store")
        return self

    @property
    def items(self) -> Sequence[Any]:
        """What was put in, as items."""
        return [MessageItem(type="message", role="user", content=self.input)] if isinstance(self.input, str) else self.input

    @property
    def tells_logprobs(self) -> bool:
        return self.top_logprobs is not None or "message.output_text.logprobs" in (self.include or [])


class Rewritten:
    """A request as one to chat, and what its messages were before."""

    def __init__(self, request: ResponsesRequest, earlier: Sequence[Any]) -> None:
        """`earlier` are the items of the responses before it. Raises: ApiError 400."""
        places = ["previous_response_id"] * len(earlier)
        places += ["input"] if isinstance(request.input, str) else [f"input[{k}]" for k in range(len(request.items))]
        self._messages: list[AnyMessage] = []
        self._places: list[str] = []
        if request.instructions is not None:
            self._add(SystemMessage(role="system", content=request.instructions), "instructions")
        for item, place in zip((*earlier, *request.items), places, strict=True):
            self._take(item, place)
        try:
            self.chat = ChatRequest(messages=self._messages, **_settings(request))
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False, include_input=False)[0]
            what = first["msg"].removeprefix("Value error, ").replace("reasoning_effort", "reasoning.effort")
            raise invalid("invalid_value", what, self._renamed(said(first["loc"])) or None) from None

    def renamed(self, error: ApiError) -> ApiError:
        """An error of chat in our words."""
        param = None if error.param is None else self._renamed(error.param)
        return ApiError(error.status, error.code, error.message.replace(str(error.param), str(param)), param=param, headers=error.headers)

    def _add(self, message: AnyMessage, place: str) -> None:
        self._messages.append(message)
        self._places.append(place)

    def _take(self, item: Any, place: str) -> None:
        if isinstance(item, MessageItem):
            self._add(_message(item), place)
        elif isinstance(item, ResultItem):
            self._add(ToolMessage(role="tool", content=_content(item.output), tool_call_id=item.call_id), place)
        elif isinstance(item, CallItem):
            call = ToolCall(id=item.call_id, function=FunctionCall(name=item.name, arguments=item.arguments))
            last = self._messages[-1] if self._messages else None
            if isinstance(last, AssistantMessage):  # calls and what was said before them are one turn
                self._messages[-1] = last.model_copy(update={"tool_calls": [*(last.tool_calls or []), call]})
            else:
                self._add(AssistantMessage(role="assistant", tool_calls=[call]), place)

    def _renamed(self, param: str) -> str:
        if match := re.match(r"messages\[(\d+)\]", param):
            return self._places[int(match[1])] + param[match.end() :].replace(".tool_call_id", ".call_id")
        param = re.sub(r"(tools\[\d+\])\.function", r"\1", param)
        return {"messages": "input", "response_format.json_schema.schema": "text.format.schema", "response_format": "text.format"}.get(
            param, param.replace("max_tokens", "max_output_tokens")
        )


def _settings(request: ResponsesRequest) -> Mapping[str, Any]:
    """All that a chat request says beside its messages."""
    same = set(Sampled.model_fields) | {"model", "parallel_tool_calls", "thinking", "max_thinking_tokens", "media", "top_logprobs"}
    settings = {name: value for name in same if (value := getattr(request, name)) is not None}
    if request.max_output_tokens is not None:
        settings["max_tokens"] = request.max_output_tokens
    if request.tells_logprobs:
        settings["logprobs"] = True
    if request.reasoning is not None and request.reasoning.effort is not None:
        settings["reasoning_effort"] = request.reasoning.effort
    if request.tools is not None:
        settings["tools"] = [Tool(type="function", function=Function(**tool.model_dump(exclude={"type"}))) for tool in request.tools]
    if isinstance(request.tool_choice, NamedTool):
        settings["tool_choice"] = ChosenTool(type="function", function=ChosenFunction(name=request.tool_choice.name))
    elif request.tool_choice is not None:
        settings["tool_choice"] = request.tool_choice
    form = request.text.format if request.text else None
    if isinstance(form, NamedSchema):
        schema = JsonSchema.model_validate(form.model_dump(by_alias=True, exclude={"type"}))
        settings["response_format"] = SchemaFormat(type="json_schema", json_schema=schema)
    elif form is not None:
        settings["response_format"] = form
    return settings


def _message(item: MessageItem) -> AnyMessage:
    if item.role == "user":
        return UserMessage(role="user", content=_content(item.content))
    if isinstance(item.content, str):
        text = item.content
    else:
        text = "".join(part.refusal if isinstance(part, Refusal) else part.text for part in item.content)  # type: ignore[union-attr]
    if item.role == "assistant":
        return AssistantMessage(role="assistant", content=text)
    return SystemMessage(role=item.role, content=text)


def _content(content: str | Sequence[Any]) -> str | list[Part]:
    return content if isinstance(content, str) else [_part(part) for part in content]  # type: ignore[arg-type]


def _part(part: InputText | InputImage | InputFile) -> Part:
    if isinstance(part, InputText):
        return TextPart(type="text", text=part.text)
    url = part.image_url if isinstance(part, InputImage) else part.file_url
    if url is not None:  # what it is, is told by what is in it
        return ImagePart(type="image_url", image_url=Address(url=url))
    if isinstance(part, InputImage):
        return FilePart(type="file", file=FileSource(file_id=part.file_id))
    return FilePart(type="file", file=FileSource(file_id=part.file_id, file_data=part.file_data, filename=part.filename))
