"""Drives a server by litellm, in both protocols, and prints what it said as one JSON document. Arguments: origin, model, a picture."""

import base64
import json
import sys
from pathlib import Path

import litellm

origin, model, picture = sys.argv[1:]
url = "data:image/png;base64," + base64.b64encode(Path(picture).read_bytes()).decode()
content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is the invoice number?"}]
openai = {"model": f"openai/{model}", "api_base": f"{origin}/v1", "api_key": "unused"}
anthropic = {"model": f"anthropic/{model}", "api_base": origin, "api_key": "unused", "max_tokens": 40}
parameters = {"type": "object", "properties": {"at": {"enum": ["sky"]}}, "required": ["at"]}
tools = [{"type": "function", "function": {"name": "look", "parameters": parameters}}]

said = {}
for name, way in (("openai", openai), ("anthropic", anthropic)):
    ask = {**way, "messages": [{"role": "user", "content": content}]}
    whole = litellm.completion(**ask)
    pieces = [chunk.choices[0].delta.content or "" for chunk in litellm.completion(**ask, stream=True)]
    look = {**way, "messages": [{"role": "user", "content": "Look at the sky."}], "tools": tools, "tool_choice": "required"}
    [call] = litellm.completion(**{**look, "max_tokens": 60}, parallel_tool_calls=False).choices[0].message.tool_calls
    said[name] = [whole.choices[0].message.content, "".join(pieces), call.function.name, json.loads(call.function.arguments)]
    try:
        litellm.completion(**{**ask, "model": f"{name}/other"})
    except litellm.NotFoundError as error:
        said[name].append(error.status_code)
sys.stdout.write(json.dumps(said) + "\n")
