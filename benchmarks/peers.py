"""RapidOCR behind JSON lines, run by the Python of its own environment: paths in, text in reading order and seconds out.

    .venv-peers/bin/python benchmarks/peers.py THREADS

First a line {"tool", "versions"}, then for each input line {"path", "line"} one line {"text", "seconds", "cpu_seconds"}. `line` says that
the picture is a single line of text, which is then recognised as it is, without looking for text first: that suits it better.
"""

import json
import math
import sys
import time
from importlib.metadata import version

import numpy as np


def rows(boxes: np.ndarray, texts: list[str]) -> str:
    """Join detected pieces into rows, top to bottom, each from left to right. boxes: [n, 4, 2] corners, clockwise from top left.

    RapidOCR returns pieces, not rows. A photograph tilted by 3 degrees moves the end of a row by a whole row, so the pieces are
    turned back by the tilt of their upper edges (median, weighted by width) before their middles are compared.
    """
    edges = boxes[:, 1] - boxes[:, 0]
    order = np.argsort(np.arctan2(edges[:, 1], edges[:, 0]))
    widths = np.linalg.norm(edges, axis=1)[order].cumsum()
    edge = edges[order[np.searchsorted(widths, widths[-1] / 2)]]
    tilt = math.atan2(edge[1], edge[0])
    centres = boxes.mean(axis=1) @ np.array([[math.cos(tilt), -math.sin(tilt)], [math.sin(tilt), math.cos(tilt)]])
    heights = np.linalg.norm(boxes[:, 3] - boxes[:, 0], axis=1)
    lines: list[list[int]] = []
    for i in np.argsort(centres[:, 1]):
        if lines and centres[i, 1] - np.mean(centres[lines[-1], 1]) < 0.5 * min(heights[i], np.mean(heights[lines[-1]])):
            lines[-1].append(i)
        else:
            lines.append([i])
    return "\n".join(" ".join(texts[i] for i in sorted(line, key=lambda i: centres[i, 0])) for line in lines)


def main() -> None:
    from rapidocr import RapidOCR  # here, so that `rows` can be used and tested where the library is not installed

    replies, sys.stdout = sys.stdout, sys.stderr  # the library reports on stdout, which is ours for replies
    engine = RapidOCR(params={"EngineConfig.onnxruntime.intra_op_num_threads": int(sys.argv[1]), "Global.log_level": "error"})
    versions = {name: version(name) for name in ("rapidocr", "onnxruntime")}
    print(json.dumps({"tool": "RapidOCR", "versions": versions}), file=replies, flush=True)
    for request in sys.stdin:
        wall, cpu = time.perf_counter(), time.process_time()
        asked = json.loads(request)
        result = engine(asked["path"], use_det=not asked["line"], use_cls=not asked["line"])  # said each time: it remembers
        texts = list(result.txts or ())
        placed = getattr(result, "boxes", None)  # absent where the whole picture was taken for one line
        text = rows(np.asarray(placed, float), texts) if placed is not None and len(texts) > 1 else " ".join(texts)
        reply = {"text": text, "seconds": time.perf_counter() - wall, "cpu_seconds": time.process_time() - cpu}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
