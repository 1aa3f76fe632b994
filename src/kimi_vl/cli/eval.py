"""`kimi-vl eval nano`: how well a checkpoint reads, answers, points and refuses, in five tiers, with 95 % intervals."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kimi_vl.cli.console import Console, to_json
from kimi_vl.errors import InputError

if TYPE_CHECKING:
    from kimi_vl.engine.batch import Sampled
    from kimi_vl.evaluation.backends import Backend
    from kimi_vl.evaluation.drawn import Drawer
    from kimi_vl.evaluation.runner import Answered
    from kimi_vl.evaluation.suite import Item, Task, Tier
    from kimi_vl.llm import KimiVL
    from kimi_vl.processor.processor import Prompt

ROOT = Path(__file__).resolve().parents[3]  # of a clone; an installed package has no sets there
ROWS, LONGEST = 256, 12_288  # prompts that a GPU answers at once, and tokens of the longest of them with its answer
BUILD = "python -m kimi_vl.training.synth.sources.build .data/pack"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("suite", choices=("nano",), help="what to measure: the abilities that nano has")
    what = parser.add_argument_group("what is measured")
    what.add_argument("--tiers", default="", metavar="T1,T2", help="default: every tier that can be had here")
    what.add_argument("--tasks", default="", metavar="line,gui point", help="default: all; --list shows them")
    what.add_argument("--limit", type=int, default=0, metavar="N", help="at most N questions per tier and task")
    what.add_argument("--pack", metavar="FOLDER", help=f"the data pack that T0, T1 and T2 are drawn from; make one with: {BUILD}")
    what.add_argument("--list", action="store_true", help="show tiers and tasks with their targets, and end")
    what.add_argument("--pin", action="store_true", help="draw everything, write down its digests as the pinned questions, and end")
    who = parser.add_argument_group("who answers")
    who.add_argument("--checkpoint", metavar="FOLDER", help="default: the embedded nano")
    who.add_argument("--device", default="auto", help="cpu, cuda or cuda:N; default: cuda where there is one")
    who.add_argument("--dtype", default="auto", help="float32 or bfloat16; default: what suits weights and device")
    who.add_argument("--quantize", metavar="SCHEME", help="int8, fp8 or int4: the decoder's weights in eight bits, or its experts in four")
    who.add_argument("--threads", type=int, default=0, metavar="N", help="CPU threads of the model; default: all")
    who.add_argument("--workers", type=int, metavar="N", help="processes that draw; default: none on a CPU, one per core beside a GPU")
    who.add_argument("--peers", action="store_true", help="tesseract and RapidOCR on the same pictures as well")
    where = parser.add_argument_group("results")
    where.add_argument("--output", type=Path, metavar="FILE", help="the scores as one JSON document")
    where.add_argument("--journal", type=Path, metavar="FILE", help="every answer as it comes; what it holds is not asked again")
    where.add_argument("--compare", type=Path, metavar="FILE", help="show the differences from another run's --output")


def run(args: argparse.Namespace, console: Console) -> int:
    """Measure and report. Raises: KimiVLError."""
    from kimi_vl.evaluation.suite import choose_tasks, choose_tiers

    tiers, tasks = choose_tiers(args.tiers), choose_tasks(args.tasks)
    if args.list:
        return show_suite(console)
    other = check(args)
    with ExitStack() as stack:
        drawer = open_drawer(args, stack)
        if args.pin:
            return pin(drawer, console)
        left_out = unavailable(tiers, drawer is not None)
        peers = open_peers(args, console, stack)
        document = measure(args, console, tiers, tasks, drawer, peers) | {"left_out": left_out}
    report(document, other, console)
    for tier, reason in left_out.items():
        console.note(f"{tier} left out: {reason}")
    if args.output:
        args.output.parent.mkdir(parents=True, exist_ok=True)
        args.output.write_text(to_json(document) + "\n", encoding="utf-8")
    return 0


def check(args: argparse.Namespace) -> Any:
    """Refuse what cannot be, before anything slow happens; the document to compare with, if any. Raises: InputError."""
    for name in ("limit", "threads", "workers"):
        if (getattr(args, name) or 0) < 0:
            raise InputError(f"--{name} is {getattr(args, name)}; it counts something, so it is 0 or more")
    if args.pin and not args.pack:
        raise InputError(f"--pin needs --pack FOLDER, the data pack to draw from; make one with: {BUILD}")
    for path in (args.output, args.journal):
        if path and path.is_dir():
            raise InputError(f"{path} is a folder; pass the name of a file")
    if args.compare is None:
        return None
    try:
        other = json.loads(args.compare.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise InputError(f"--compare {args.compare} does not exist; pass a file that --output wrote") from None
    except ValueError as error:
        raise InputError(f"--compare {args.compare} is no JSON document: {error}") from None
    from kimi_vl.evaluation.report import compare

    compare({"tiers": {}}, other)
    return other


def unavailable(tiers: tuple[Tier, ...], has_pack: bool) -> dict[str, str]:
    """Which of the tiers cannot be had here, and how to get them. Raises: InputError when none can."""
    from kimi_vl.evaluation.pinned import SETS, find_sets

    left_out, found = {}, {SETS[name] for name in find_sets(ROOT)}
    for tier in tiers:
        if tier.split is not None and not has_pack:
            left_out[tier.name] = f"it is drawn from a data pack; make one with `{BUILD}` and pass --pack .data/pack"
        elif tier.split is None and ({"T4": "T3"}.get(tier.name, tier.name)) not in found:
            left_out[tier.name] = "its pictures are in the repository; run this in a clone"
    if len(left_out) == len(tiers):
        raise InputError("nothing can be measured here: " + "; ".join(f"{tier} left out, {reason}" for tier, reason in left_out.items()))
    return left_out


def open_drawer(args: argparse.Namespace, stack: ExitStack) -> Drawer | None:
    """Raises: InputError for a pack that is missing, or where the renderer's own packages are."""
    if not args.pack:
        return None
    try:
        from kimi_vl.evaluation.drawn import Drawer
    except ModuleNotFoundError as error:
        raise InputError(f"drawing pictures needs {error.name}; install it with: pip install 'kimi-vl[train]'") from None
    workers = args.workers
    if workers is None:
        from kimi_vl.llm import resolve_device

        beside_gpu = resolve_device(args.device).type == "cuda"
        workers = min(16, len(os.sched_getaffinity(0))) if beside_gpu and hasattr(os, "sched_getaffinity") else 0
    return stack.enter_context(Drawer(args.pack, workers))


def all_items(tiers: tuple[Tier, ...], tasks: tuple[Task, ...], drawer: Drawer | None, limit: int) -> Iterator[Item]:
    """Every question of the tiers that can be had here."""
    from kimi_vl.evaluation.pinned import SETS, find_sets, pinned_items

    for tier in tiers:
        if tier.split is not None and drawer is not None:
            from kimi_vl.evaluation.drawn import draw_items

            yield from draw_items(drawer, tier, tasks, limit)
    wanted = {tier.name for tier in tiers}
    folders = [(folder, SETS[name]) for name, folder in find_sets(ROOT).items() if wanted & {SETS[name], "T4"}]
    yield from (item for item in pinned_items(folders, tasks, limit) if item.tier in wanted)


def pin(drawer: Drawer | None, console: Console) -> int:
    """Draw every question of T0 to T2 and write down what was drawn."""
    from kimi_vl.evaluation.report import PINS, write_pins
    from kimi_vl.evaluation.runner import digests
    from kimi_vl.evaluation.suite import TASKS, TIERS

    assert drawer is not None
    started = time.monotonic()
    found = digests(all_items(tuple(t for t in TIERS if t.split), TASKS, drawer, 0), lambda item, n: tell(console, item, n))
    console.status("")
    write_pins(drawer.pack.digest, found)
    console.line(f"{len(found)} sets of questions pinned in {PINS} after {time.monotonic() - started:.0f} s")
    return 0


def measure(
    args: argparse.Namespace,
    console: Console,
    tiers: tuple[Tier, ...],
    tasks: tuple[Task, ...],
    drawer: Drawer | None,
    peers: dict[str, Any],
) -> dict[str, Any]:
    """Run the model, and its peers where asked for, over all questions: everything as plain values."""
    import torch

    from kimi_vl.checkpoint import locate_checkpoint
    from kimi_vl.evaluation import report
    from kimi_vl.llm import KimiVL

    started = time.monotonic()
    if args.threads:
        torch.set_num_threads(args.threads)
    folder = locate_checkpoint(args.checkpoint)
    llm = KimiVL.load(args.checkpoint, device=args.device, dtype=args.dtype, quantize=args.quantize)
    sha256, device = weights_sha256(folder), str(llm.model.device)
    pack = drawer.pack.digest if drawer else None
    pins = report.read_pins(pack) if pack else {}
    dtype = args.quantize or str(llm.model.dtype).removeprefix("torch.")

    def rows(backend: Backend, tool: str) -> report.Rows:
        return report.rows(ask(args, console, all_items(tiers, tasks, drawer, args.limit), backend, tool), pins)

    document: dict[str, Any] = {
        "format": report.FORMAT,
        "suite": args.suite,
        "tool": llm.name,
        "checkpoint": sha256,
        "dtype": dtype,
        "pack": pack,
        "limit": args.limit,
        "versions": report.versions(),
        "machine": report.machine(device),
        "tiers": rows(choose_backend(llm, device), f"{sha256} {dtype} {device.split(':')[0]}"),
    }
    document["peers"] = {name: rows(peer, f"{name} {peer.version}") for name, peer in peers.items()}
    console.status("")
    return document | {"seconds": round(time.monotonic() - started, 1)}


def ask(args: argparse.Namespace, console: Console, items: Iterator[Item], backend: Backend, tool: str) -> Answered:
    from kimi_vl.evaluation.runner import Journal, run

    journal = Journal(args.journal, tool) if args.journal else None
    return run(items, backend, journal, lambda item, n: tell(console, item, n))


def tell(console: Console, item: Item, n: int) -> None:
    console.status(f"{item.tier} {item.task}: {n}")


def choose_backend(llm: KimiVL, device: str) -> Backend:
    """One prompt at a time on a CPU, many at once on a GPU."""
    from kimi_vl.engine.batch import BatchEngine, BatchPrompt
    from kimi_vl.evaluation.backends import Batched, OneByOne

    if device == "cpu":
        return OneByOne(llm)
    longest = min(LONGEST, llm.model.config.text_config.max_position_embeddings)
    engine = BatchEngine(llm.model, rows=ROWS, capacity=longest, end_ids=llm.processor.tokenizer.end_ids)

    def generate(prompts: Sequence[Prompt], max_tokens: int) -> list[Sampled]:
        grids = [None if p.image_grid_hws is None else [(h, w) for h, w in p.image_grid_hws.tolist()] for p in prompts]
        batch = [BatchPrompt(p.input_ids, p.pixel_values, grid) for p, grid in zip(prompts, grids, strict=True)]
        return [sampled for (sampled,) in engine.generate(batch, temperature=0.0, max_tokens=max_tokens)]

    return Batched(llm.processor, generate, longest=longest, chunk=2 * ROWS)


def open_peers(args: argparse.Namespace, console: Console, stack: ExitStack) -> dict[str, Any]:
    """The other programs, ready to read; one that is not installed is named and left out. Raises: InputError when none is."""
    if not args.peers:
        return {}
    from kimi_vl.evaluation.peers import RapidOCR, Tesseract

    threads = args.threads or os.cpu_count() or 1
    found, missing = {}, []
    for name, start in (("tesseract", lambda: Tesseract(threads)), ("RapidOCR", lambda: RapidOCR(ROOT, threads))):
        try:
            found[name] = start()
            stack.callback(found[name].close)
        except InputError as error:
            missing.append(f"{name} left out: {error}")
    if not found:
        raise InputError("--peers has nobody to run; " + "; ".join(missing))
    for reason in missing:
        console.note(reason)
    return found


def weights_sha256(folder: Path) -> str:
    """Over the contents of all weight files, in the order of their names."""
    sha = hashlib.sha256()
    for path in sorted(folder.glob("*.safetensors")):
        sha.update(path.read_bytes())
    return sha.hexdigest()


def report(document: dict[str, Any], other: Any, console: Console) -> None:
    from kimi_vl.evaluation.report import aligned, compare, table

    for line in aligned(table(document)):
        console.line(line)
    if other is not None:
        console.line()
        for line in aligned(compare(document, other)):
            console.line(line)
    console.note(f"{document['seconds']:.0f} s on {document['machine']['gpu'] or document['machine']['cpu']}, {document['dtype']}")


def show_suite(console: Console) -> int:
    """Tiers and tasks, with their targets."""
    from kimi_vl.evaluation.report import aligned, show
    from kimi_vl.evaluation.suite import TASKS, TIERS

    for tier in TIERS:
        console.line(f"{tier.name:9} {tier.about}" + (f"; up to {tier.size} questions per task" if tier.size else ""))
    console.line()
    lines: list[tuple[str, ...]] = [("task", "what is asked", "target", "on T3")]
    for task in TASKS:
        values = (task.target, task.foreign if task.foreign is not None else task.target)
        lines.append((task.name, task.about, *("" if value is None else show(value, task.score) for value in values)))
    for line in aligned(lines):
        console.line(line)
    return 0
