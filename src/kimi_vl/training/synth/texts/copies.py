"""Verbatim copies out of a long text: the word behind a quotation, the sentence with a word, the words that follow."""

import re

from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.questions import Maker
from kimi_vl.training.synth.scene import Turn
from kimi_vl.training.synth.texts.inquiries import Inquiry

ORDINALS = ("first", "second", "third")
LONGEST = 160  # characters of a sentence that is to be copied
_PLAIN = re.compile(r"[A-Za-z]{2,}")
_END = re.compile(r"(?<=[a-z]{2}[.!?]) (?=[A-Z])")  # "Dr. Smith" and "No. 4" end nothing: see `_doubtful`
_doubtful = re.compile(r"\b(?:Mr|Mrs|Ms|Dr|St|Jr|Sr|No|vs|Prof|Gen|Col|Capt|Rev|Mt|Inc|Ltd|Co|Fig|etc)\.|[^\w\s,.;:!?'()$-]|\.\.").search


class CopyTurns:
    """Draws turns that are answered with the text's own words. Each maker returns None when what it drew is not unique or not plain."""

    def __init__(self, content: Content, interview: Inquiry) -> None:
        self.content, self.rng, self.interview = content, content.rng, interview
        self.words = interview.text.split()
        self.flat = f" {' '.join(self.words)} "
        self.paragraphs = [" ".join(part.split()) for part in interview.text.split("\n") if part.strip()]

    def makers(self) -> list[tuple[Maker, int]]:
        return [(self.next_word, 5), (self.word_before, 2), (self.go_on, 3), (self.sentence, 4), (self.end_word, 3), (self.ordinal, 1)]

    def _unique(self, text: str) -> bool:
        """Whether these whole words stand in the text once, whatever the case."""
        return self.flat.casefold().count(f" {text.casefold()} ") == 1

    def _turn(self, key: str, answer: str, thought: str, /, **slots: str) -> Turn:
        return self.interview.glance(key, answer, thought, "text", **slots)

    def _passage(self, quoted: int, wanted: int) -> tuple[list[str], list[str]] | None:
        """Neighbouring words: some that are quoted, unique together, and those that follow."""
        if len(self.words) < quoted + wanted:
            return None
        k = self.rng.randrange(len(self.words) - quoted - wanted + 1)
        first, rest = self.words[k : k + quoted], self.words[k + quoted : k + quoted + wanted]
        quote = " ".join(first)
        return (first, rest) if '"' not in quote and self._unique(quote) else None

    def next_word(self) -> Turn | None:
        found = self._passage(self.rng.choice((2, 3, 3, 4, 5)), 1)
        if found is None or not all(map(_PLAIN.fullmatch, [found[0][-1], found[1][0]])):
            return None
        quote = " ".join(found[0])
        return self._turn("copy_next", found[1][0], f"It says: {quote} {found[1][0]}", quote=quote)

    def word_before(self) -> Turn | None:
        rng = self.rng
        size = rng.choice((2, 3, 4))
        if len(self.words) <= size:
            return None
        k = rng.randrange(1, len(self.words) - size + 1)
        word, quote = self.words[k - 1], " ".join(self.words[k : k + size])
        if '"' in quote or not _PLAIN.fullmatch(word) or not self._unique(quote):
            return None
        return self._turn("copy_before", word, f"It says: {word} {quote}", quote=quote)

    def go_on(self) -> Turn | None:
        count = self.rng.choice((2, 3, 3, 4, 5, 6))
        found = self._passage(self.rng.choice((3, 4, 5)), count)
        if found is None or not all(re.fullmatch(r"[\w',-]+", word) for word in found[1]):
            return None
        quote, answer = " ".join(found[0]), " ".join(found[1])
        return self._turn("copy_on", answer, f"It says: {quote} {answer}", quote=quote, count=str(count))

    def _sentence(self) -> tuple[str, str] | None:
        """A sentence inside a paragraph and a word that the whole text has nowhere else."""
        paragraph = self.rng.choice(self.paragraphs)
        if _doubtful(paragraph):
            return None
        sentence = self.rng.choice(_END.split(paragraph))
        if not 12 <= len(sentence) <= LONGEST or not sentence[0].isupper() or sentence[-1] not in ".!?":
            return None
        words = [word.strip(".,;:!?()'") for word in sentence.split(" ")]
        words = [word for word in words if len(word) > 3 and word.isalpha() and self.flat.casefold().count(word.casefold()) == 1]
        return (sentence, self.rng.choice(words)) if words else None

    def sentence(self) -> Turn | None:
        found = self._sentence()
        return found and self._turn("copy_sentence", found[0], f"There is one sentence with {found[1]}.", word=found[1])

    def end_word(self) -> Turn | None:
        """The first or the last word of the sentence with another."""
        found = self._sentence()
        if found is None:
            return None
        sentence, word = found
        first = self.rng.random() < 0.5
        answer = sentence.split(" ")[0 if first else -1].strip(".,;:!?()'")
        if answer == word or not answer.isalpha():
            return None
        return self._turn("copy_first" if first else "copy_last", answer, f"The sentence is: {sentence}", word=word)

    def ordinal(self) -> Turn | None:
        """One of the first three sentences."""
        opening = self.paragraphs[0]
        sentences = _END.split(opening)
        k = self.rng.randrange(len(ORDINALS))
        if _doubtful(opening) or k >= len(sentences) or not all(s[0].isupper() and s[-1] in ".!?" for s in sentences[: k + 1]):
            return None
        if any(re.search(r"[.!?] ", sentence) for sentence in sentences[: k + 1]) or len(sentences[k]) > LONGEST:
            return None
        return self._turn("copy_ordinal", sentences[k], f"I count to the {ORDINALS[k]}.", ordinal=ORDINALS[k])
