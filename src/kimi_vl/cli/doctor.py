"""`kimi-vl doctor`: what is installed, what this machine can run and how, and what is missing."""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
from importlib import metadata
from pathlib import Path
from typing import Any

from kimi_vl import __version__
from kimi_vl.cli.console import Console
from kimi_vl.errors import KimiVLError

MANIFEST = "sha256.json"  # of the embedded checkpoint, written by tools/nano_manifest.py
REQUIRED = (
    *("torch", "numpy", "pillow", "tiktoken", "huggingface_hub", "rich", "llguidance", "av", "pypdfium2"),
    *("fastapi", "uvicorn", "pydantic", "msgspec", "python-multipart", "prometheus-client", "structlog", "opentelemetry-api"),
)
OPTIONAL = {
    "heif": ("pillow-heif",),
    "otel": ("opentelemetry-sdk", "opentelemetry-exporter-otlp-proto-http"),
    "train": ("safetensors", "opencv-python-headless", "matplotlib", "fonttools", "tokenizers"),
    "test": ("pytest", "hypothesis", "jsonschema", "transformers"),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="the same as one JSON document")


def run(args: argparse.Namespace, console: Console) -> int:
    """Report; 0 when nothing is missing that answering with nano needs, else 2."""
    report = examine()
    if args.json:
        console.document(report)
    else:
        for line in lines(report):
            console.line(line)
    for problem in report["problems"]:
        console.error(problem)
    return 2 if report["problems"] else 0


def examine() -> dict[str, Any]:
    """Everything doctor knows, as plain values."""
    packages = {name: _version(name) for name in REQUIRED}
    missing = [name for name, version in packages.items() if version is None]
    report: dict[str, Any] = {
        "kimi_vl": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "packages": packages,
        "extras": {extra: {name: _version(name) for name in names} for extra, names in OPTIONAL.items()},
        "devices": [],
        "implementations": [],
        "protections": {},
        "media": {},
        "nano": None,
        "problems": [f"the package {name} is missing; run: pip install kimi-vl" for name in missing],
    }
    if not missing:
        report["devices"] = _devices()
        report["implementations"] = _implementations(report["devices"])
        report["protections"] = _protections(report["problems"])
        report["media"] = _media()
        report["nano"] = _nano(report["problems"])
    return report


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _devices() -> list[dict[str, Any]]:
    import torch

    from kimi_vl.checkpoint import available_memory

    cpu = {
        "device": "cpu",
        "name": platform.processor() or platform.machine(),
        "dtype": "float32",
        "free_bytes": available_memory("cpu"),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "threads": torch.get_num_threads(),
        "vector_instructions": torch.backends.cpu.get_cpu_capability(),
    }
    devices = [cpu]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        devices.append(
            {
                "device": f"cuda:{index}",
                "name": properties.name,
                "dtype": "bfloat16",
                "free_bytes": available_memory(f"cuda:{index}"),
                "total_bytes": properties.total_memory,
                "compute_capability": f"{properties.major}.{properties.minor}",
                "cuda": torch.version.cuda,
            }
        )
    return devices


def _implementations(devices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    import torch

    from kimi_vl.ops import explain

    found = []
    for device in devices:
        for verdict in explain(torch.device(device["device"]), getattr(torch, device["dtype"])):
            found.append(
                {
                    "device": device["device"],
                    "dtype": device["dtype"],
                    "operation": verdict.operation,
                    "implementation": verdict.name,
                    "chosen": verdict.chosen,
                    "reason": verdict.reason,
                }
            )
    return found


def _protections(problems: list[str]) -> dict[str, bool]:
    """What a process that decodes a file is kept to here, by name."""
    from kimi_vl.media import sandbox

    try:
        held = sandbox.protections()
    except KimiVLError as error:
        problems.append(str(error))
        held = []
    return {name: name in held for name in sandbox.PROTECTIONS}


def _media() -> dict[str, dict[str, str]]:
    """What files are read here: of each kind what with, and where they are not, what would help."""
    from kimi_vl.media.conversion import libreoffice, obstacle

    heif, hindered = _version("pillow-heif"), obstacle()
    return {
        "pictures": {"formats": "PNG, JPEG, WEBP, GIF, BMP, TIFF, AVIF", "with": f"Pillow {_version('pillow')}", "missing": ""},
        "pictures of telephones": {
            "formats": "HEIC",
            "with": f"pillow-heif {heif}" if heif else "",
            "missing": "" if heif else "pip install 'kimi-vl[heif]'",
        },
        "videos": {"formats": "MP4, MOV, MKV, WebM, AVI, MPEG-TS, FLV", "with": f"PyAV {_version('av')}", "missing": ""},
        "documents": {"formats": "PDF", "with": f"pypdfium2 {_version('pypdfium2')}", "missing": ""},
        "office documents": {
            "formats": "DOCX, PPTX, XLSX, ODT, ODP, ODS",
            "with": "" if hindered else f"LibreOffice, {libreoffice()}",
            "missing": hindered,
        },
    }


def _nano(problems: list[str]) -> dict[str, Any] | None:
    from kimi_vl.checkpoint import CheckpointReader, locate_checkpoint

    try:
        folder = locate_checkpoint()
        with CheckpointReader(folder) as reader:
            num_tensors = len(reader.names())
    except KimiVLError as error:
        problems.append(str(error))
        return None
    files = {path.name: {"bytes": path.stat().st_size, "sha256": _sha256(path)} for path in sorted(folder.iterdir()) if path.is_file()}
    manifest = folder / MANIFEST
    expected = json.loads(manifest.read_text(encoding="utf-8")) if manifest.is_file() else {}
    for name, digest in expected.items():
        if name not in files:
            problems.append(f"{folder / name} is missing; install kimi-vl again")
        elif files[name]["sha256"] != digest:
            problems.append(f"{folder / name} is not the file that was shipped; install kimi-vl again")
    return {"folder": str(folder), "bytes": sum(file["bytes"] for file in files.values()), "tensors": num_tensors, "files": files}


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def lines(report: dict[str, Any]) -> list[str]:
    """The report for reading."""
    result = [f"kimi-vl {report['kimi_vl']}, Python {report['python']}, {report['platform']}", "", "packages"]
    result += [f"  {name:24} {version or 'missing'}" for name, version in report["packages"].items()]
    for extra, packages in report["extras"].items():
        result += ["", f"optional: pip install 'kimi-vl[{extra}]'"]
        result += [f"  {name:24} {version or 'not installed'}" for name, version in packages.items()]
    result += ["", "devices"]
    result += [f"  {_device_line(device)}" for device in report["devices"]]
    for device in report["devices"]:
        result += ["", f"implementations on {device['device']} in {device['dtype']} (* is used)"]
        for entry in report["implementations"]:
            if entry["device"] == device["device"]:
                mark = "*" if entry["chosen"] else " "
                result.append(f"  {mark} {entry['operation']:18} {entry['implementation']:10} {entry['reason']}")
    if report["media"]:
        result += ["", "files that are read"]
        for kind, entry in report["media"].items():
            result.append(f"  {kind:24} {entry['formats']}: {entry['with'] or 'not here; ' + entry['missing']}")
    if report["protections"]:
        missing = [name for name, holds in report["protections"].items() if not holds]
        here = "missing here: " + ", ".join(missing) if missing else "all hold here"
        result += ["", f"protections of the processes that decode files: {len(report['protections']) - len(missing)}; {here}"]
    return result + _nano_lines(report["nano"])


def _device_line(device: dict[str, Any]) -> str:
    free = "unknown memory" if device["free_bytes"] is None else f"{device['free_bytes'] / 1e9:.1f} GB free"
    if device["device"] == "cpu":
        return f"cpu     {device['name']}, {device['cores']} cores, {device['threads']} threads, {device['vector_instructions']}, {free}"
    return (
        f"{device['device']:7} {device['name']}, compute capability {device['compute_capability']}, CUDA {device['cuda']}, "
        f"{free} of {device['total_bytes'] / 1e9:.1f} GB"
    )


def _nano_lines(nano: dict[str, Any] | None) -> list[str]:
    if nano is None:
        return ["", "the embedded checkpoint nano: missing"]
    head = f"the embedded checkpoint nano: {nano['tensors']:,} tensors, {nano['bytes'] / 1e6:.1f} MB in {nano['folder']}"
    files = [f"  {name:32} {file['bytes']:>12,} bytes  sha256 {file['sha256'][:16]}" for name, file in nano["files"].items()]
    return ["", head, *files]
