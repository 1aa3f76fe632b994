"""`kimi-vl plan`: what a checkpoint takes, which machines hold it, and how fast it is there."""

from __future__ import annotations

import argparse
import re
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.bench import memory_size
from kimi_vl.cli.console import Console
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.planner import Machine, Mistake, Outlook, Verdict

GB = 1e9


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--model", metavar="NAME", help="instruct, thinking, 2506, nano, a folder, or a hub id; default: 2506")
    group = parser.add_argument_group("precision")
    group.add_argument(
        "--precision", metavar="NAME", help="bf16, fp8, int8, int4, int4-g32, Q4_K_M, Q8_0, ...; default: bf16, of nano fp32"
    )
    group.add_argument(
        "--part", action="append", default=[], metavar="PART=NAME", help="another one for a part, such as vision=fp8; can be given often"
    )
    group.add_argument("--cache", default="bf16", metavar="NAME", help="bf16 or fp8, of the latent cache; default: bf16")
    group = parser.add_argument_group("work")
    group.add_argument(
        "--context", type=count_of_tokens, metavar="N", help="tokens of prompt, media and answer, such as 128K; default: all"
    )
    group.add_argument("--answer", type=count_of_tokens, metavar="N", help="of these, the answer; default: 256")
    group.add_argument("--batch", type=int, default=1, metavar="N", help="answers at once, each as long; default: 1")
    group.add_argument(
        "--image", action="append", default=[], metavar="WxH", help="each looks at a picture, 1792x1792; 4*1024x768: at four"
    )
    group.add_argument("--pages", type=int, default=0, metavar="N", help="each looks at a PDF of N pages of A4")
    group.add_argument("--video", type=float, default=0.0, metavar="SECONDS", help="each looks at a clip")
    group = parser.add_argument_group("machines")
    group.add_argument("--on", action="append", default=[], metavar="NAME", help="a GPU, Mac or CPU of the list, or a size such as 24GB")
    group.add_argument("--this-machine", action="store_true", help="what is here, with the memory that is free now")
    parser.add_argument("--why", action="store_true", help="where calculators for other models go wrong with this one")
    parser.add_argument("--json", action="store_true", help="the same as one JSON document")


def count_of_tokens(text: str) -> int:
    """'128K' -> 131072, '4096' -> 4096."""
    found = re.fullmatch(r"(-?\d{1,9})([kK]?)", text)
    if found is None:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of tokens; write it like 4096 or 128K")
    return int(found[1]) * (1024 if found[2] else 1)


def run(args: argparse.Namespace, console: Console) -> int:
    from kimi_vl.planner import Precision, Workload, facts_of, mistakes, parse_images, plan, this_machine

    facts = facts_of(args.model)
    precision = Precision(args.precision or ("fp32" if facts.config.quantization else "bf16"), tuple(_part(text) for text in args.part))
    images = parse_images(args.image)
    workload = Workload(context=args.context, batch=args.batch, answer=args.answer, images=images, pages=args.pages, video_s=args.video)
    named = [_machine(name) for name in args.on] + (this_machine() if args.this_machine else [])
    found = plan(facts, precision=precision, cache=args.cache, workload=workload, on=tuple(named) or None)
    wrong = mistakes(facts.config, found.parameters, found.context) if args.why else []
    if args.json:
        console.document(document(found, wrong))
    else:
        for line in [*lines(found), *(_wrong(mistake) for mistake in wrong)]:
            console.line(line)
    return 0


def _part(text: str) -> tuple[str, str]:
    part, equals, kept = text.partition("=")
    if not equals:
        raise InputError(f"--part is {text[:40]!r}; write a part and its precision, such as vision=fp8")
    return part, kept


def _machine(name: str) -> Machine:
    from kimi_vl.planner import Machine, find_machine

    try:
        size = memory_size(name)
    except argparse.ArgumentTypeError:
        return find_machine(name)
    if size < 1:
        raise InputError(f"--on is {name[:40]!r}, a machine without memory; write its memory, such as 24GB")
    return Machine(name=name, kind="cuda", memory=size, source="as asked: a GPU of this size")


def document(found: Outlook, wrong: list[Mistake]) -> dict[str, Any]:
    """Everything, as plain values; seconds and bytes."""
    values = asdict(found)
    for entry, verdict in zip(values["verdicts"], found.verdicts, strict=True):
        entry["fits"] = verdict.fits
        entry["machine"]["usable"] = verdict.machine.usable
        if verdict.memory is not None:
            entry["memory"]["total"] = verdict.memory.total
    values["memory"]["total"] = found.memory.total
    values["precision"] = str(found.precision)
    values["cheapest"] = found.cheapest and found.cheapest.name
    values["smallest"] = found.smallest and found.smallest.name
    return values | {"mistakes": [asdict(mistake) | {"factor": mistake.factor} for mistake in wrong]}


def lines(found: Outlook) -> list[str]:
    """The same for reading."""
    several = f"{found.batch} answers at once, each" if found.batch > 1 else "one answer"
    seeing = f", {found.seen.tokens:,} of them {found.seen.pictures} pictures" if found.seen.pictures else ""
    head = f"{found.model} in {found.precision}, cache in {found.cache}: {several} of {found.context:,} tokens{seeing}"
    result = [head, *(f"  {note}" for note in found.seen.notes), "", *_parameters(found), ""]
    memory = found.memory
    rest = {"weights": sum(memory.weights.values()), "cache": memory.cache, "a step": memory.workspace, "recorded steps": memory.graphs}
    parts = " + ".join(f"{name} {value / GB:.2f}" for name, value in rest.items())
    result += [f"memory of a GPU, at least: {parts} = {memory.total / GB:.2f} GB"]
    result += [f"  cache: {found.cache_per_token:,} bytes a token; a step of {memory.step_tokens:,} tokens; more where there is room"]
    if memory.vision:
        result += [f"  pictures take {memory.vision / GB:.2f} GB while they are looked at, in place of the step"]
    result += ["", *_table(found.verdicts), *(f"  {v.machine.name}: {v.why}" for v in found.verdicts if v.why and len(found.verdicts) < 4)]
    if bases := dict.fromkeys(v.speed.basis for v in found.verdicts if v.speed and v.speed.step_s):
        result.append(f"speed: {'; '.join(bases)}")
    if not found.precision.is_own and found.precision.name != "fp32":
        result.append(f"this package does not run {found.precision}: sizes are those of the files, steps those of its own engine")
    if found.cheapest is not None:
        result += [f"cheapest that fits, by the price at launch: {found.cheapest.name}, ${found.cheapest.launch_usd:,}"]
    elif found.smallest is None and len(found.verdicts) > 3:
        result += ["none of the GPUs that this package's kernels run on holds it; quantise weights or cache, or shorten the context"]
    return result


def _parameters(found: Outlook) -> list[str]:
    from kimi_vl.planner import PARTS

    rows = [f"{'parameters':12} {'all':>15} {'of a token':>14} {'GB':>7}"]
    for part, what in PARTS.items():
        bytes_of = found.memory.weights[part] / GB
        rows.append(f"  {part:10} {found.parameters[part]:15,} {found.activated[part]:14,} {bytes_of:7.2f}  {what}")
    seeing = sum(found.activated[part] for part in ("vision", "projector"))
    used = sum(found.activated.values()) - seeing
    whole = sum(found.memory.weights.values()) / GB
    rows.append(f"  {'all':10} {sum(found.parameters.values()):15,} {used:14,} {whole:7.2f}  and {seeing:,} while it looks at a picture")
    if found.batch > 1:
        rows.append(f"  a step of {found.batch} answers reads {found.experts_read:.1f} experts of a layer, as is to be expected")
    return rows


def _table(verdicts: tuple[Verdict, ...]) -> list[str]:
    width = max(len("machine"), *(len(verdict.machine.name) for verdict in verdicts))
    head = f"{'machine':{width}} {'GB':>6} {'takes':>6} {'longest':>8} {'first token':>11} {'a token':>8} {'tokens/s':>8}  "
    return [head, *(_row(verdict, width) for verdict in verdicts)]


def _row(verdict: Verdict, width: int) -> str:
    machine, speed = verdict.machine, verdict.speed
    takes = "-" if verdict.memory is None else f"{verdict.memory.total / GB:.1f}"
    cells = f"{machine.name:{width}} {machine.memory / GB:6.1f} {takes:>6} {verdict.longest:8,}"
    if speed is None:
        return f"{cells}  does not fit"
    first, step = _seconds(speed.first_token_s), _seconds(speed.step_s)
    rate = "-" if speed.tokens_per_s is None else f"{speed.tokens_per_s:,.{0 if speed.tokens_per_s >= 10 else 1}f}"
    return f"{cells} {first:>11} {step:>8} {rate:>8}  {speed.limited_by}"


def _seconds(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.1f} s" if value >= 1 else f"{1e3 * value:.{0 if value >= 0.1 else 1}f} ms"


def _wrong(mistake: Mistake) -> str:
    return (
        f"wrong: {mistake.what}: {mistake.wrong:,.2f} instead of {mistake.right:,.4g} {mistake.unit}, {mistake.factor:,.1f} times as much"
    )
