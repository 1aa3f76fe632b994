"""Writes sha256.json into a checkpoint folder, by default nano's, when its files have changed: python tools/nano_manifest.py [FOLDER]."""

import hashlib
import json
import sys
from pathlib import Path

NANO = Path(__file__).resolve().parents[1] / "src" / "kimi_vl" / "checkpoint" / "nano"


def main() -> None:
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else NANO
    files = [path for path in sorted(folder.iterdir()) if path.name not in ("sha256.json", "README.md")]
    digests = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    (folder / "sha256.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")
    print(f"{len(digests)} files")


if __name__ == "__main__":
    main()
