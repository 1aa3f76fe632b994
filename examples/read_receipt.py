"""The shortest useful program: what is the total?

python examples/read_receipt.py [PICTURE]
"""

import sys
from pathlib import Path

from kimi_vl import KimiVL

picture = sys.argv[1] if len(sys.argv) > 1 else Path(__file__).with_name("receipt.png")
llm = KimiVL.load()
for piece in llm.stream("What is the total?", media=[picture], thinking="on"):
    print(piece.text, end="", flush=True)
print()
