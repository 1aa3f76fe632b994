"""Makes a small set of questions about the pictures in `examples/` in the form that evalscope's general VQA reads. Argument: a folder."""

import base64
import json
import sys
from pathlib import Path

EXAMPLES = Path(__file__).parents[2] / "examples"
ASKED = [
    ("invoice.png", "What is the invoice number?", "2024-0317"),
    ("receipt.png", "How much was paid?", "15.72"),
    ("receipt.png", "What is the total?", "15.72"),
]

folder = Path(sys.argv[1])
folder.mkdir(parents=True, exist_ok=True)
with (folder / "examples.jsonl").open("w") as file:
    for name, question, answer in ASKED:
        url = "data:image/png;base64," + base64.b64encode((EXAMPLES / name).read_bytes()).decode()
        content = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": question}]
        file.write(json.dumps({"messages": [{"role": "user", "content": content}], "answer": answer}) + "\n")
