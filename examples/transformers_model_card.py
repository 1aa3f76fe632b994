"""The model card's example, as it is, on transformers 5 without code from the folder: one import makes the difference.

python examples/transformers_model_card.py [FOLDER OR HUB ID [PICTURE]]
"""

import sys
from pathlib import Path

from PIL import Image
from transformers import AutoModelForCausalLM, AutoProcessor

import kimi_vl.hf  # noqa: F401
from kimi_vl.checkpoint import locate_checkpoint

model_path = sys.argv[1] if len(sys.argv) > 1 else locate_checkpoint("nano")
model = AutoModelForCausalLM.from_pretrained(model_path, torch_dtype="auto", device_map="auto", trust_remote_code=False)
processor = AutoProcessor.from_pretrained(model_path, trust_remote_code=False)

image_path = sys.argv[2] if len(sys.argv) > 2 else str(Path(__file__).with_name("receipt.png"))
image = Image.open(image_path)
question = "What do the rye bread and the cheddar cost together?"
messages = [{"role": "user", "content": [{"type": "image", "image": image_path}, {"type": "text", "text": question}]}]
text = processor.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
inputs = processor(images=image, text=text, return_tensors="pt", padding=True, truncation=True).to(model.device)
generated_ids = model.generate(**inputs, max_new_tokens=512)
generated_ids_trimmed = [out_ids[len(in_ids) :] for in_ids, out_ids in zip(inputs.input_ids, generated_ids, strict=True)]
response = processor.batch_decode(generated_ids_trimmed, skip_special_tokens=True, clean_up_tokenization_spaces=False)[0]
print(response)
