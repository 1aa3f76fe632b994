"""How people ask. Every key has eight wordings or more, divided by bars; braces are filled in by `questions.Interview`.

Square brackets hold alternatives: "[What is/What's] the total?" is two wordings. Of a key with twenty wordings or more, a tenth is
asked in split "val" only and a seventh in split "test" only, every second time there, so that understanding of unheard ones is measured.
"""

import itertools
import re
import zlib

from kimi_vl.training.synth.wordings.charts import CHART_WORDINGS
from kimi_vl.training.synth.wordings.clips import VIDEO_WORDINGS
from kimi_vl.training.synth.wordings.emblems import EMBLEM_WORDINGS
from kimi_vl.training.synth.wordings.pictures import PICTURE_WORDINGS
from kimi_vl.training.synth.wordings.receipts import RECEIPT_WORDINGS
from kimi_vl.training.synth.wordings.screens import SCREEN_WORDINGS
from kimi_vl.training.synth.wordings.sheets import SHEET_WORDINGS
from kimi_vl.training.synth.wordings.web import WEB_WORDINGS

DIVIDED = 20  # wordings of a key that are enough to hold some out

EVIDENCE = tuple(('The line says "{row}".|The line says {row}.|It says: {row}|I see "{row}".|The document shows: {row}|{row}').split("|"))

FOREIGN = tuple(
    (
        "Who is the president?|What animal is this?|What is the capital of France?|Who wrote this book?|"
        "What colour is the car?|How many people are in the picture?|What is the weather today?|"
        "Who is the man in the photo?|What is the meaning of life?|Where was this photo taken?|Is the dog sleeping?|"
        "What breed is the cat?|How tall is the building?|Who won the match?|What is your name?|How old is she?|"
        "What kind of food is on the plate?|Which team is playing?|What is the boiling point of iron?|Who painted this?|"
        "Tell me a joke.|What sport is shown?|How far away is the moon?|What is the population of Japan?|Is he smiling?|"
        "What brand is the phone on the table?"
    ).split("|")
)

CONTEXTS = tuple(  # what stands before a question to a document
    (
        "I need to file this.|I am doing my expenses.|This is for my tax return.|I am checking my bookkeeping.|Quick question:|"
        "I have to enter this into a form.|My boss wants to know:|For my records:|I cannot read this well.|Help me with this.|"
        "I lost my glasses.|Please look at the picture.|Have a look at this.|I have a question about this document.|"
        "I found this in a drawer.|Look carefully.|Here is a scan.|I took a photo of this.|We need this for the office.|Hi!|Hello."
    ).split("|")
)
ENDINGS = tuple(
    "Thanks.|Thank you!|Be brief.|Just the answer.|Answer shortly.|No explanations, please.|Only the answer, please.".split("|")
)

_WORDINGS = {
    "read": (
        "What does it say?|What is written here?|What does this say?|Please read the text aloud.|OCR this.|OCR|ocr please|"
        "Write down the text in the image.|What text is in the image?|What is the text?|"
        "Read all the text in this picture.|Can you read this?|Type out what you see.|Please type this out for me.|Text?|"
        "[Read/Transcribe/Copy] [the text/this/everything/all of it/the whole text].|[Extract/Give me/Write out] [the text/all text].|"
        "Transcribe this document.|What can you read?|Turn this into text.|Convert the image to text.|Read it to me, please.|"
        "Return the text of this image.|Output all text, line by line.|Please write down every line.|I need the text of this.|"
        "Could you transcribe [this/it/the document] for me?|Transcribe, keeping the lines.|Read it from top to bottom.|"
        "What exactly is printed here?|Repeat what is written, word for word.|Give me a [full/complete] transcription.|"
        "Digitise this document.|[Write/Put] down what is printed.|Show me the text content.|Transcription, please.|Read it out.|"
        "What are the words on this?|Make this into plain text.|Copy out the document.|Spell out what is on the page.|"
        "[Transcribe/Copy out/Type out/Write down/Put down/Take down/Output/Show me/Give me/Reproduce/Record] [the full text/all the words/"
        "every line/each line/everything that is printed/what is written/the contents, line by line/the text from top to bottom].|"
        "[Can you/Could you/Please/I want you to] [transcribe/read/type out/write down] [the whole page/the image/it all]"
        "[/, please/, word for word].|I need [a transcription/the exact wording/every word/the words] of [this/the document/the image].|"
        "Full transcription[/, please].|[Complete/Whole/Entire/All the] text, please.|"
        "What does [the paper/the page/the document/the image/the picture] say?"
    ),
    "kth": (
        "Read line {k}.|What does line {k} say?|Read the {nth} line.|What is on the {nth} line?|"
        "What is written on line {k}?|Transcribe line {k}.|Line {k}, please.|What does the {nth} line say?|"
        "Give me line {k}."
    ),
    "first": (
        "Read the first line.|What does the first line say?|What is the first line?|How does it begin?|"
        "What is at the top?|Read the top line.|What is written at the very top?|Transcribe the first line.|"
        "What does it start with?"
    ),
    "last": (
        "Read the last line.|What does the last line say?|What is the last line?|How does it end?|What is at the bottom?|"
        "Read the bottom line.|What is written at the very bottom?|Transcribe the last line."
    ),
    "containing": (
        'Read the line with "{word}".|Which line contains "{word}"?|What is the line that mentions "{word}"?|'
        "Find the line with the word {word}.|Which line says {word}?|Read the line containing {word}.|"
        'Quote the line with the word "{word}".|What is said about {word}?|Show me the line with {word}.'
    ),
    "title": (
        "What is the title?|What is the heading?|Read the heading.|What does the heading say?|What is this about?|"
        "What is it called?|Read the title.|What is the headline?|What title is printed?|What's the title?|"
        "Which title does this have?"
    ),
    "count_lines": (
        "How many lines are there?|How many lines of text are there?|Count the lines.|How many rows of text do you see?|"
        "What is the number of lines?|How many text lines does it have?|How many lines does this have?|"
        "Count the lines of text."
    ),
    "passage": (
        'Read the paragraph that starts with "{start}".|What does the paragraph starting with "{start}" say?|'
        'Read the passage that begins "{start}".|Transcribe the paragraph beginning with "{start}".|'
        'Read on from "{start}".|Give me the paragraph that starts "{start}".|Copy the paragraph beginning "{start}".|'
        "What is the text of the paragraph starting with {start}?"
    ),
    "entry": (
        "What is the {label}?|What {label} is given?|What's the {label}?|Which {label} is printed?|Tell me the {label}.|"
        "Give me the {label}.|{label}?|What does it say for {label}?|What is printed as {label}?|Find the {label}."
    ),
    "sender": (
        "Who sent this letter?|Who wrote this?|Who is the sender?|Who is it from?|Whose letter is it?|"
        "What is the sender's name?|Who is the letter from?|Which sender is named?"
    ),
    "recipient": (
        "Who is the recipient?|To whom is it addressed?|Who is the letter to?|Who is this letter for?|"
        "Whom is it written to?|What is the recipient's name?|Who should receive this?|To whom was it sent?"
    ),
    "subject": (
        "What is the subject?|What is the letter about?|What is the subject line?|What is it about?|"
        "What's the subject of the letter?|Which subject is given?|What does the subject line say?|"
        "What is this letter regarding?"
    ),
    "author": (
        "Who is the author?|Who wrote this article?|Who wrote it?|What is the author's name?|By whom is it?|"
        "Which author is named?|Who is it by?|Name the author."
    ),
    "url": (
        "What is the address of the page?|What is the URL?|Which web address is shown?|What does the address bar say?|"
        "What's the link?|Which site is this?|What website is it?|Read the address bar."
    ),
    "page_number": (
        "What is the page number?|Which page is this?|What page is it?|What number is at the foot of the page?|"
        "What's the page number?|Which page number is printed?|On what page are we?|Page number?"
    ),
    "line_number": (
        'On which line is "{word}"?|Which line number has the word "{word}"?|On which line does {word} stand?|'
        'What is the number of the line with "{word}"?|In which line is the word {word}?|Which line is {word} on?|'
        "Find the line number of {word}.|What line has {word}?"
    ),
    "mentions": (
        'Does it mention "{word}"?|Does the text contain "{word}"?|Is the word {word} in the text?|'
        'Does the word {word} appear?|Can you find "{word}"?|Is {word} mentioned?|Is there a "{word}" anywhere?|'
        "Does it say {word}?|Is {word} printed here?"
    ),
}


def expand(pattern: str) -> list[str]:
    """All wordings of a pattern with alternatives in square brackets."""
    parts = [part.split("/") if k % 2 else [part] for k, part in enumerate(re.split(r"\[([^]]*)\]", pattern))]
    return ["".join(chosen) for chosen in itertools.product(*parts)]


def split_of(wording: str) -> str:
    """Where a wording may be asked; a hash of it, so that adding another moves none."""
    share = zlib.crc32(wording.encode()) % 20
    return "val" if share < 2 else "test" if share < 5 else "train"


_ALL = (
    _WORDINGS
    | RECEIPT_WORDINGS
    | SHEET_WORDINGS
    | CHART_WORDINGS
    | PICTURE_WORDINGS
    | EMBLEM_WORDINGS
    | WEB_WORDINGS
    | SCREEN_WORDINGS
    | VIDEO_WORDINGS
)
WORDINGS = {key: tuple(w for pattern in patterns.split("|") for w in expand(pattern)) for key, patterns in _ALL.items()}
HEARD = {  # by split, key
    split: {
        key: tuple(w for w in wordings if len(wordings) < DIVIDED or split_of(w) == split) or wordings for key, wordings in WORDINGS.items()
    }
    for split in ("train", "val", "test")
}
