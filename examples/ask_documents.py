"""Ask nano about every document of this folder and compare with the true answers.

python examples/ask_documents.py [FOLDER OR HUB ID OF ANOTHER MODEL]
"""

import sys
from pathlib import Path

from kimi_vl import KimiVL
from kimi_vl.evaluation.reading import is_right, load_documents

llm = KimiVL.load(sys.argv[1] if len(sys.argv) > 1 else None)
for document in load_documents(Path(__file__).resolve().parent):
    print(f"\n{document.path.name}")
    for question in document.questions:
        answer = llm.ask(question.question, media=[document.path], temperature=0.0)
        verdict = "right" if is_right(question, answer.text) else f"WRONG, it is {question.answer or 'not in the document'}"
        if answer.thinking:
            print(f"    ({' / '.join(answer.thinking.split(chr(10)))})")
        print(f"  {question.question}  {answer.text}  [{verdict}]")
