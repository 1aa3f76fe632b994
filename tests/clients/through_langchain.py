"""Drives a server by langchain-openai, and prints what it said as one JSON document. Arguments: origin, model, a picture."""

import base64
import json
import sys
from pathlib import Path
from typing import Literal

from langchain_core.messages import HumanMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

origin, model, picture = sys.argv[1:]
url = "data:image/png;base64," + base64.b64encode(Path(picture).read_bytes()).decode()
question = HumanMessage([{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is the invoice number?"}])
chat = ChatOpenAI(model=model, base_url=f"{origin}/v1", api_key="unused", max_retries=0, max_tokens=60)


@tool
def look(at: Literal["sky"]) -> str:
    """Look at something."""
    return f"{at} is blue"


whole = chat.invoke([question])
said = {
    "whole": whole.content,
    "streamed": "".join(str(chunk.content) for chunk in chat.stream([question])),
    "batch": [message.content for message in chat.batch([[question], [question]])],
    "tokens": whole.usage_metadata["input_tokens"],
}
asked = [HumanMessage("Look at the sky.")]
calling = chat.bind_tools([look], tool_choice="look", strict=True).invoke(asked)
said["call"] = calling.tool_calls[0]["name"]
result = look.invoke(calling.tool_calls[0])
said["round"] = chat.invoke([*asked, calling, result]).response_metadata["finish_reason"]
number = {"number": {"type": "string", "maxLength": 12}}
schema = {"title": "Number", "type": "object", "properties": number, "required": ["number"], "additionalProperties": False}
said["object"] = list(chat.with_structured_output(schema, method="json_schema").invoke([question]))
sys.stdout.write(json.dumps(said) + "\n")
