"""Interviews about long texts, pages and mere typing: questions of their own, and nothing around them that speaks of a picture."""

from kimi_vl.training.synth.pack import SPLITS
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.texts.asking_forms import BEFORE, BRIEF, composed
from kimi_vl.training.synth.wordings.dialogues import DIALOGUE_WORDINGS
from kimi_vl.training.synth.wordings.texts import LONG_WORDINGS
from kimi_vl.training.synth.wordings.wordings import DIVIDED, expand, split_of

ASKED = {
    key: tuple([wording for pattern in patterns.split("|") for wording in expand(pattern)])
    for key, patterns in (LONG_WORDINGS | DIALOGUE_WORDINGS).items()
}
HEARD = {  # by split, key
    split: {
        key: tuple([w for w in wordings if len(wordings) < DIVIDED or split_of(w) == split]) or wordings for key, wordings in ASKED.items()
    }
    for split in SPLITS
}

COMPOSED = composed([w for key, wordings in ASKED.items() for w in wordings if w not in HEARD["train"][key]])
WIDE = 0.7  # of the questions that can be composed are
AROUND = 0.12  # of the composed questions have a demand for brevity behind them, half as many a word before


class Inquiry(Interview):
    """An interview that asks with the wordings of `ASKED` and, outside split "test", with composed ones.

    In splits "val" and "test" every second question has a wording that is never heard in training.
    """

    def ask(self, key: str, /, **slots: str) -> str:
        if key not in ASKED and key not in COMPOSED:
            return super().ask(key, **slots)
        if self.split != "test" and key in COMPOSED and (key not in ASKED or self.rng.random() < WIDE):
            return self._around(self._typed(self.rng.choice(COMPOSED[key]).format(**slots)))
        split = self.split if self.split == "train" or self.rng.random() < 0.5 else "train"
        return self._typed(self.rng.choice(HEARD[split][key]).format(**slots))

    def _typed(self, question: str) -> str:
        """Now and then carelessly."""
        draw = self.rng.random()
        if draw < 0.15:
            return question.rstrip("?.").lower()
        if draw < 0.22:
            return question[0].lower() + question[1:]
        return question.rstrip("?.") if draw < 0.27 else question

    def _around(self, question: str) -> str:
        draw = self.rng.random()
        if draw < AROUND:
            return joined(question, self.rng.choice(BRIEF))
        return f"{self.rng.choice(BEFORE)} {question}" if draw < 1.5 * AROUND else question


def joined(question: str, more: str) -> str:
    """Two sentences, with a stop between them whatever the first was typed like."""
    return f"{question}{'' if question[-1] in '?.!:' else '.'} {more}"
