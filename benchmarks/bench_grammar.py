"""What it costs to keep an answer to a grammar, at nano's vocabulary and at one of the official size.

    OMP_NUM_THREADS=1 python benchmarks/bench_grammar.py --output benchmarks/results/grammar.json

The official rank file is not needed: nano's tokens, the CJK characters and pairs of nano's tokens make up 163,840 ids. A document is
written token by token, as a model would that says exactly it: `allowed` is asked for the mask, then `take` is told the token. Prints
JSON: seconds to set the tokenizer up and to compile, microseconds per token, and the draw with a mask beside one without. All times are
CPU times of the one thread, so that what else runs on the machine does not count.
"""

import argparse
import json
import os
import platform
import statistics
import time
from collections.abc import Callable
from importlib.resources import files
from itertools import product
from pathlib import Path

import llguidance
import numpy as np
import torch

from kimi_vl.engine import Sampler, SamplingParams
from kimi_vl.processor import Tokenizer
from kimi_vl.processor.grammar import DocumentConstraint, Grammar

OFFICIAL_RANKS, OFFICIAL_SIZE = 163_584, 163_840

BOXES = {
    "type": "array",
    "maxItems": 50,
    "items": {
        "type": "object",
        "properties": {
            "label": {"type": "string", "maxLength": 60},
            "kind": {"enum": ["text", "table", "figure"]},
            "box": {"type": "array", "items": {"type": "number", "minimum": 0, "maximum": 1}, "minItems": 4, "maxItems": 4},
        },
        "required": ["label", "kind", "box"],
        "additionalProperties": False,
    },
}
FOUND = [
    {"label": f'Zeile {k}, 第{k}行: "größer"', "kind": ["text", "table", "figure"][k % 3], "box": [0.1, 0.25, k / 50, 1]} for k in range(30)
]
NOTE = "The ferry leaves at 7:15 from pier 3, and the clerk said that the total is 42.50; nobody believed a word of it. "

# Grammar, the document that is written, and how the prompt ends.
CASES: dict[str, tuple[Grammar, str, str]] = {
    "boxes by a schema": (Grammar.json_schema(BOXES), json.dumps(FOUND, ensure_ascii=False), "off"),
    "any JSON object": (Grammar.json_object(), json.dumps({"found": FOUND, "note": NOTE}, ensure_ascii=False), "off"),
    "long strings": (Grammar.json_schema({"type": "array", "items": {"type": "string"}}), json.dumps([NOTE] * 8), "off"),
    "regex": (Grammar.regex(r"(\d{4}-\d\d-\d\d [a-z ]+[.]\n?)+"), "2026-11-27 the ferry leaves at seven.2026-11-28 it does not.\n", "off"),
    "while thinking": (Grammar.json_schema(BOXES), NOTE * 4, "on"),
}


def official_size(nano: Tokenizer) -> Tokenizer:
    """A tokenizer with as many tokens as the official one."""
    ordinary = [nano.decode_bytes([token]) for token in range(min(nano.special_ids.values()))]
    ranks = {text: rank for rank, text in enumerate(ordinary)}
    for code in range(0x4E00, 0xA000):
        ranks.setdefault(chr(code).encode(), len(ranks))
    for left, right in product(ordinary[256:], repeat=2):
        if len(ranks) == OFFICIAL_RANKS:
            break
        ranks.setdefault(left + right, len(ranks))
    names = [*nano.special_ids, *(f"<|reserved_token_{k}|>" for k in range(OFFICIAL_SIZE))][: OFFICIAL_SIZE - OFFICIAL_RANKS]
    return Tokenizer(ranks, {name: OFFICIAL_RANKS + k for k, name in enumerate(names)})


def timed(work: Callable[[], object]) -> float:
    started = time.thread_time()
    work()
    return time.thread_time() - started


def write(rule: DocumentConstraint, tokens: list[int]) -> dict[str, float]:
    """Microseconds of asking and of telling."""
    asked, told = [], []
    for token in tokens:
        asked.append(timed(rule.allowed) * 1e6)
        told.append(timed(lambda token=token: rule.take(token)) * 1e6)
    return {
        "tokens": len(tokens),
        "mask_mean_us": round(statistics.mean(asked), 1),
        "mask_median_us": round(statistics.median(asked), 1),
        "mask_p99_us": round(float(np.quantile(asked, 0.99)), 1),
        "mask_max_us": round(max(asked), 1),
        "take_mean_us": round(statistics.mean(told), 1),
    }


def draws(rule: DocumentConstraint, size: int, temperature: float) -> dict[str, float]:
    """Median microseconds of a draw without a constraint, and with one whose mask is already there."""
    logits_W = torch.randn(size, generator=torch.Generator().manual_seed(0))
    mask_W = rule.allowed()

    class Fixed:
        def allowed(self) -> torch.Tensor:
            return mask_W

        def take(self, token: int) -> None: ...

    params = SamplingParams(temperature=temperature, seed=0)
    samplers = {"free_us": Sampler(params), "masked_us": Sampler(params, constraint=Fixed())}
    return {
        name: round(1e6 * statistics.median(timed(lambda s=sampler: s.draw(logits_W)) for _ in range(50)), 1)
        for name, sampler in samplers.items()
    }


def measure(tokenizer: Tokenizer) -> dict[str, object]:
    size = tokenizer.vocab_size
    report: dict[str, object] = {"ids": size}
    first, _, _ = CASES["regex"]
    report["tokenizer_set_up_s"] = round(timed(lambda: first.constraint(tokenizer, vocab_size=size)), 3)
    cases: dict[str, object] = {}
    for name, (grammar, document, thinking) in CASES.items():
        compiling = [timed(lambda g=grammar: g.constraint(tokenizer, vocab_size=size)) * 1e3 for _ in range(5)]
        rule = grammar.constraint(tokenizer, thinking, vocab_size=size)
        cases[name] = {"compile_ms": round(statistics.median(compiling), 2), **write(rule, tokenizer.encode(document))}
    report["cases"] = cases
    rule = CASES["boxes by a schema"][0].constraint(tokenizer, vocab_size=size)
    report["draw"] = {f"temperature {t:g}": draws(rule, size, t) for t in (0.0, 1.0)}
    return report


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--output", type=Path)
    args = parser.parse_args()
    folder = Path(str(files("kimi_vl.checkpoint"))) / "nano"
    nano = Tokenizer.from_files(folder / "tiktoken.model", folder / "tokenizer_config.json")
    report = {
        "versions": {"llguidance": llguidance.__version__, "torch": torch.__version__, "python": platform.python_version()},
        "machine": {
            "cpu": next((x.split(":")[1].strip() for x in Path("/proc/cpuinfo").read_text().splitlines() if "model name" in x), "?"),
            "cores": len(os.sched_getaffinity(0)),
            "threads": torch.get_num_threads(),
            "load_at_start": round(os.getloadavg()[0], 2),
        },
        "border_ms": round(1e3 * statistics.median(timed(lambda: Grammar.json_schema(BOXES)) for _ in range(5)), 2),
        "nano": measure(nano),
        "official size": measure(official_size(nano)),
    }
    text = json.dumps(report, indent=1)
    print(text)
    if args.output:
        args.output.write_text(text + "\n")


if __name__ == "__main__":
    main()
