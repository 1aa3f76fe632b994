"""Whether drafts by prompt lookup pay: answers with and without them, at their best, at their worst, and of nano about real documents.

    python benchmarks/bench_lookup.py --output lookup.json
    python benchmarks/bench_lookup.py --nano --device cpu

One GPU, random weights of the true sizes, bf16, greedy. At best all of a draft is right: a bias makes an answer say one token over and
over, with drafts and without. At worst nothing is: what is proposed are tokens that the bias forbids. From the two follows how many tokens
a step must give for drafts to pay: milliseconds of a step with a draft, over those of a token without. Text that repeats nothing has no
drafts, and only pays for looking them up. `--nano`: the embedded network reads pictures of `examples/`, where nothing repeats, and then the
same again behind what it has read.
"""

import argparse
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

import kimi_vl.engine.engine as engines
from kimi_vl.bench.engine import official_config, random_model
from kimi_vl.engine import Engine, Limits, SamplingParams
from kimi_vl.engine.lookup import Lookup
from kimi_vl.engine.plan import planned_limits
from kimi_vl.llm import KimiVL
from kimi_vl.media import load_frames

EXAMPLES = Path(__file__).parents[1] / "examples"
PICTURES = ("receipt.png", "letter.png", "page.png")
SAID, PROMPT, ANSWER = 1000, 1024, 129  # the token that a bias wants, tokens of a prompt and of an answer
DRAFTS, NANO_DRAFTS, BATCHES = (0, 1, 3, 7), (0, 3, 7), (1, 2, 4, 8)


class Wrong:
    """Proposes what never comes."""

    def proposal(self, token_ids: Sequence[int], most: int) -> Sequence[int]:
        return [SAID + 1] * most


def answered(engine: Engine, prompts: Sequence[Any], params: SamplingParams, end_ids: Sequence[int]) -> dict[str, Any]:
    """Seconds from the first tokens of all to the last, and what was said."""
    requests = [engine.submit(ids, params, end_ids=end_ids, images=images)[0] for ids, images in prompts]
    steps, launch, began = 0, engine.runner.launch, 0.0
    while not engine.is_idle:
        for event in engine.step():
            if event.error is not None:
                raise event.error
        if not began and all(request.answer_ids for request in requests):
            began, before = time.perf_counter(), sum(len(request.answer_ids) for request in requests)

            def counted(*step: Any) -> Any:
                nonlocal steps
                steps += 1
                return launch(*step)

            engine.runner.launch = counted
    engine.runner.launch = launch
    tokens = sum(len(request.answer_ids) for request in requests) - before
    return {"s": time.perf_counter() - began, "tokens": tokens, "steps": steps, "said": [request.answer_ids for request in requests]}


def random_weights(device: torch.device) -> list[dict[str, Any]]:
    """Milliseconds of steps and tokens, at best and at worst, for batches and lengths of drafts."""
    config = official_config()
    model = random_model(config, device, torch.bfloat16)
    free = int(torch.cuda.mem_get_info(device)[0] * 0.5)
    planned = planned_limits(config, free_bytes=free, max_running=64, step_tokens=16_384)
    generator = torch.Generator().manual_seed(0)
    rows = []
    for most in DRAFTS:
        limits = Limits(
            num_pages=1024, page_size=planned.page_size, max_running=64, step_tokens=16_384, shares_prefixes=False, draft_tokens=most
        )
        for proposes in (Lookup, Wrong) if most else (Lookup,):
            engines.Lookup = proposes  # type: ignore[misc]
            engine = Engine(model, limits)
            for batch in BATCHES:
                prompts = [(torch.randint(10, 160_000, (PROMPT,), generator=generator).tolist(), None) for _ in range(batch)]
                params = SamplingParams(max_tokens=ANSWER, logit_bias=((SAID, 100.0), (SAID + 1, -100.0)))
                best = min(
                    (answered(engine, prompts, params, ()) for _ in range(3)), key=lambda found: found["s"]
                )  # the first records graphs
                each = {"ms_a_step": best["s"] / best["steps"] * 1e3, "ms_a_token": best["s"] / (best["tokens"] / batch) * 1e3}
                rows.append({"batch": batch, "draft_tokens": most, "right": proposes is Lookup, **each, "steps": best["steps"]})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            del engine
    return rows


def nano(device: str) -> list[dict[str, Any]]:
    """Every picture read, and then once more in the same conversation, without drafts and with them."""
    llm = KimiVL.load(device=device)
    end_ids, rows = sorted(llm.processor.tokenizer.end_ids), []
    engines_of = {
        most: Engine(llm.model, Limits(num_pages=80, page_size=64, max_running=8, step_tokens=4096, draft_tokens=most), rows=True)
        for most in NANO_DRAFTS
    }
    for name in PICTURES:
        [(_, picture)] = load_frames(EXAMPLES / name)
        messages: list[dict[str, Any]] = []
        for again in (False, True):
            pictures = [] if again else [{"type": "image", "image": picture}]
            messages.append({"role": "user", "content": [*pictures, {"type": "text", "text": "Read the text."}]})
            prompt = llm.processor.prompt(messages)
            asked, said = [(prompt.input_ids, (prompt.pixel_values, prompt.image_grid_hws))], []
            for most, engine in engines_of.items():
                found = min((answered(engine, asked, SamplingParams(max_tokens=600), end_ids) for _ in range(2)), key=lambda one: one["s"])
                said.append(found.pop("said"))
                rows.append({"picture": name, "again": again, "draft_tokens": most, **found, "same": said[-1] == said[0]})
                print(json.dumps(rows[-1]), file=sys.stderr, flush=True)
            text = llm.processor.tokenizer.decode([token for token in said[0][0] if token not in end_ids])
            messages.append({"role": "assistant", "content": text})
    return rows


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--nano", action="store_true", help="the embedded network and real documents")
    parser.add_argument("--device", default="cuda", help="cuda, or with --nano cpu")
    parser.add_argument("--output", type=Path, help="JSON file")
    options = parser.parse_args(arguments)
    if options.device != "cpu" and not torch.cuda.is_available():
        sys.exit("there is no GPU here; --nano --device cpu runs anywhere")
    machine = "cpu" if options.device == "cpu" else torch.cuda.get_device_name()
    measured = nano(options.device) if options.nano else random_weights(torch.device(options.device))
    text = json.dumps({"machine": machine, "torch": torch.__version__, "measured": measured}, indent=1)
    print(text)
    if options.output:
        options.output.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
