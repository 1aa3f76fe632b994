"""Train nano's tokenizer: byte-level BPE with 4,992 base tokens and the official special tokens after them.

    python -m kimi_vl.training.tokenizer .data/pack OUT_DIR

Writes `tiktoken.model` (a base64 token and its rank a line) and `tokenizer_config.json`, so that nano is read by the
loader of the official tokenizer. No merge joins two digits: every digit is a token, and prices align with what is seen.
"""

import argparse
import base64
import json
import random
from collections.abc import Iterable, Iterator
from pathlib import Path

from tokenizers import Regex, Tokenizer, models, pre_tokenizers, trainers

from kimi_vl.processor import tokenizer as processor
from kimi_vl.processor.tokenizer import PATTERN
from kimi_vl.training.synth.pack import DataPack
from kimi_vl.training.synth.wordings.wordings import EVIDENCE, FOREIGN, WORDINGS

BASE_TOKENS = 4992
SPECIAL_TOKENS = 128
# MODEL_SPEC §5.4: distance of the official id from the number of base tokens. [UNK] and [PAD] close nano's table.
NAMED_SPECIALS = {
    0: "[BOS]",
    1: "[EOS]",
    2: "<|im_end|>",
    3: "<|im_user|>",
    4: "<|im_assistant|>",
    10: "<|im_system|>",
    17: "<|im_middle|>",
    18: "<|media_start|>",
    19: "<|media_content|>",
    20: "<|media_end|>",
    21: "<|media_pad|>",
    126: "[UNK]",
    127: "[PAD]",
}


def train(texts: Iterable[str], base_tokens: int = BASE_TOKENS) -> Tokenizer:
    """Learn `base_tokens` byte-level tokens: the 256 bytes and merges. The same texts give the same tokens.

    Raises: ValueError if the texts are too few for that many merges.
    """
    tokenizer = Tokenizer(models.BPE())
    # The official pattern cuts digits in threes; cut singly, they never meet in a merge.
    tokenizer.pre_tokenizer = _pre_tokenizer(PATTERN.replace(r"\p{N}{1,3}", r"\p{N}"))
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=base_tokens, initial_alphabet=alphabet, special_tokens=[], show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    if tokenizer.get_vocab_size() != base_tokens:
        raise ValueError(f"the texts give only {tokenizer.get_vocab_size()} tokens, {base_tokens} are wanted; train on more text")
    tokenizer.pre_tokenizer = _pre_tokenizer(PATTERN)
    return tokenizer


def _pre_tokenizer(pattern: str) -> pre_tokenizers.PreTokenizer:
    split = pre_tokenizers.Split(Regex(pattern), behavior="isolated")
    return pre_tokenizers.Sequence([split, pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def ranks(tokenizer: Tokenizer) -> dict[bytes, int]:
    """Raw bytes of every base token and its rank: the bytes 0 to 255 first, then the merges in the order they were learnt."""
    tokens = sorted(tokenizer.get_vocab().items(), key=lambda entry: entry[1])
    merged = [token for token, _ in tokens if len(token) > 1]
    return {token: rank for rank, token in enumerate([*(bytes([byte]) for byte in range(256)), *map(_raw, merged)])}


def _raw(token: str) -> bytes:
    return bytes(_TO_BYTE[char] for char in token)


def _byte_chars() -> dict[int, str]:
    """The printable stand-in that byte-level BPE uses for each byte (GPT-2's table)."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return {byte: chr(byte) for byte in printable} | {byte: chr(256 + n) for n, byte in enumerate(others)}


_TO_BYTE = {char: byte for byte, char in _byte_chars().items()}


def save(token_ranks: dict[bytes, int], folder: Path) -> None:
    """Write tiktoken.model and tokenizer_config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    lines = (f"{base64.b64encode(token).decode()} {rank}\n" for token, rank in sorted(token_ranks.items(), key=lambda entry: entry[1]))
    (folder / "tiktoken.model").write_text("".join(lines), encoding="ascii", newline="\n")
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False, "special": True}
    config = {
        "added_tokens_decoder": {str(len(token_ranks) + n): {"content": name, **flags} for n, name in NAMED_SPECIALS.items()},
        "additional_special_tokens": [name for name in NAMED_SPECIALS.values() if name.startswith("<|")],
        "bos_token": "[BOS]",
        "clean_up_tokenization_spaces": False,
        "eos_token": "[EOS]",
        "model_max_length": 16384,
        "pad_token": "[PAD]",
        "tokenizer_class": "TikTokenTokenizer",
        "unk_token": "[UNK]",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8", newline="\n")


_LABELS = """TOTAL|SUBTOTAL|Subtotal|Total|TOTAL DUE|Amount due|Balance|BALANCE DUE|CASH|Cash|CARD|VISA|MASTERCARD|DEBIT|
CHANGE|Change|TAX|VAT|Tax|VAT 19%|Net|Gross|Discount|DISCOUNT|Tip|Service|Rounding|Invoice|INVOICE|Invoice No.|
Invoice number|Receipt|RECEIPT|Order|Order No.|Date|DATE|Time|Due date|Customer|Bill to|Ship to|Cashier|Table|
Terminal|Register|Qty|Quantity|Unit price|Price|Amount|Item|Description|Name|Address|Phone|Tel.|Email|Account|
IBAN|Reference|Page|Signature|THANK YOU|Thank you|Thank you for your visit|Please come again|Monday|Tuesday|Wednesday|
Thursday|Friday|Saturday|Sunday|January|February|March|April|May|June|July|August|September|October|November|
December|Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Oct|Nov|Dec|Yes|No|Cancel|Save|Search|Settings|Login|Password|
User name|Submit|File|Edit|View|Help|OK|Apply|Close|Next|Back"""
_ANSWERS = (
    "I cannot tell from this document.",
    "The document does not say.",
    "That is not in the document.",
    "There are {n} lines.",
    "There are {n} items.",
    "The total is {price}.",
    "The date is {date}.",
    "It was issued on {date}.",
    "The most expensive item is {product}.",
    "The sum is {price}.",
    "So the answer is {price}.",
    "So the total is {price}, and the document says {price}.",
    "The invoice number is {n}{n}.",
    "No, the total should be {price}.",
    "Yes, the total is right.",
    "The button is at the top left.",
    "It is below the title.",
    "The {product} is red, the circle is blue and the square is green.",
)


def corpus(pack: DataPack) -> Iterator[str]:
    """What nano reads and writes: half of the pack's train prose, its words, and lines of documents with their answers."""
    draw = random.Random("tokenizer")
    yield from pack.prose("train")[::2]
    # The rare tail would only teach fragments of itself; the most frequent quarter is a reader's vocabulary.
    words = pack.words("train")[: len(pack.words("train")) // 4]
    yield from (" ".join(draw.choices(words, k=12)) for _ in range(8_000))
    labels = _LABELS.replace("\n", "").split("|")
    questions = [question for group in WORDINGS.values() for question in group]
    for _ in range(40_000):
        yield _receipt_line(draw, _item(draw, pack, words), draw.choice(labels))
    for _ in range(8_000):
        items = [_item(draw, pack, words) for _ in range(4)]
        yield f"{draw.choice(pack.names('train'))}\n{items[0]}, {items[1].upper()}"
        yield f"{draw.choice(questions)}\n{draw.choice((*FOREIGN, *questions))}"
        yield _answer(draw, items[0])
        yield _markup(draw, items, labels)
        yield _trace(draw, items)
        # Alone, so that no merge ties a mark to the letter or full stop beside it.
        yield from ("◁think▷", "◁/think▷")


def _item(draw: random.Random, pack: DataPack, words: list[str]) -> str:
    """What a line is about: an article of the pack, or (else its few hundred nouns would each become a token) any words."""
    if draw.random() < 0.3:
        return draw.choice(pack.products("train"))
    return " ".join(word.capitalize() for word in draw.choices(words, k=draw.randint(1, 3)))


def _price(draw: random.Random) -> str:
    return f"{draw.choice(('', '', '$', '€', '£', 'EUR '))}{int(draw.lognormvariate(2, 1.3))}.{draw.randint(0, 99):02d}"


def _date(draw: random.Random) -> str:
    day, month, year = draw.randint(1, 28), draw.randint(1, 12), draw.randint(1998, 2032)
    forms = (f"{year}-{month:02d}-{day:02d}", f"{day:02d}.{month:02d}.{year}", f"{month:02d}/{day:02d}/{year}", f"{day} March {year}")
    return draw.choice(forms)


def _receipt_line(draw: random.Random, product: str, label: str) -> str:
    forms = (
        lambda: f"{product} {_price(draw)}\n",
        lambda: f"{draw.randint(1, 12)} x {product} {_price(draw)}\n",
        lambda: f"{product.upper()} {draw.randint(1, 9)} {_price(draw)} {_price(draw)}\n",
        lambda: f"{label}: {_price(draw)}\n",
        lambda: f"{label} {_price(draw)}\n{label.upper()}\n",
        lambda: f"{_date(draw)} {draw.randint(0, 23):02d}:{draw.randint(0, 59):02d}\n{label}: {draw.randint(1000, 99999)}",
    )
    return draw.choice(forms)()


def _answer(draw: random.Random, product: str) -> str:
    answer = draw.choice(_ANSWERS).format(n=draw.randint(0, 40), price=_price(draw), date=_date(draw), product=product)
    return draw.choice((answer, answer, draw.choice(EVIDENCE).format(row=f"{product} {_price(draw)}") + " " + answer))


def _markup(draw: random.Random, products: list[str], labels: list[str]) -> str:
    """JSON, Markdown tables, boxes and clicks, as they are answered."""
    items = [{"name": draw.choice(products), "quantity": draw.randint(1, 9), "price": _price(draw)} for _ in range(draw.randint(1, 3))]
    box = [draw.randint(0, 999) for _ in range(4)]
    forms = (
        lambda: json.dumps({"items": items, "total": _price(draw), "date": _date(draw), "currency": "EUR"}, ensure_ascii=False),
        lambda: json.dumps({draw.choice(labels).lower(): draw.choice(products)}, ensure_ascii=False, separators=(",", ":")),
        lambda: f"| {draw.choice(labels)} | {draw.choice(labels)} |\n| --- | --- |\n| {draw.choice(products)} | {_price(draw)} |\n",
        lambda: f"pyautogui.click(x=0.{box[0]:03d}, y=0.{box[1]:03d})",
        lambda: f"[{', '.join(map(str, box))}] ({box[0]}, {box[1]}) <box>{box[0]},{box[1]}</box> 0.{box[2]:03d}",
        lambda: f"00:{box[0] % 60:02d} 0:{box[1] % 60:02d} {box[2] / 10} seconds, page {box[3] % 12} of 12\n- {draw.choice(products)}\n",
    )
    return draw.choice(forms)()


def _trace(draw: random.Random, products: list[str]) -> str:
    """What is thought: quotes, running sums, a check."""
    terms = [draw.randint(50, 3000) for _ in range(draw.randint(2, 4))]
    lines, total = [", ".join(f"{draw.choice(products)} {term / 100:.2f}" for term in terms)], terms[0]
    for term in terms[1:]:
        lines.append(f"{total / 100:.2f} + {term / 100:.2f} = {(total + term) / 100:.2f}")
        total += term
    return f"I add the prices of the items. {chr(10).join(lines)}\nThat is the sum. Check: {total / 100:.2f}."


def disagreements(trained: Tokenizer, shipped: processor.Tokenizer, texts: Iterable[str]) -> list[str]:
    """The texts that the product's tokenizer cuts otherwise than the one that was trained, or does not give back."""
    names = {number: token for token, number in trained.get_vocab().items()}
    found = []
    for text in texts:
        ids = shipped.encode(text)
        pieces = [_raw(names[number]) for number in trained.encode(text).ids]
        if [shipped.decode_bytes([number]) for number in ids] != pieces or shipped.decode(ids) != text:
            found.append(text)
    return found


def main() -> None:
    """Command line: train, write, check that the product's tokenizer agrees, and say how well it compresses."""
    parser = argparse.ArgumentParser(description="Train nano's tokenizer on a data pack.")
    parser.add_argument("pack", type=Path)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    pack = DataPack.load(arguments.pack)
    trained = train(corpus(pack))
    save(ranks(trained), arguments.folder)
    report(pack, trained, load(arguments.folder))


def load(folder: Path) -> processor.Tokenizer:
    """What `save` wrote, as the product reads it."""
    return processor.Tokenizer.from_files(
        folder / "tiktoken.model", folder / "tokenizer_config.json", vocab_size=BASE_TOKENS + SPECIAL_TOKENS
    )


def report(pack: DataPack, trained: Tokenizer, shipped: processor.Tokenizer) -> None:
    """Print bytes per token on the pack's test texts, and how many of 2,000 of them the two libraries cut differently."""
    texts = {"prose": pack.prose("test"), "products": pack.products("test"), "names": pack.names("test"), "words": pack.words("test")}
    for name, lines in texts.items():
        lines = lines[:2_000]
        tokens = sum(len(shipped.encode(line)) for line in lines)
        print(f"{name}: {sum(len(line.encode()) for line in lines) / tokens:.2f} bytes/token")
    sample = texts["prose"][:1_000] + texts["names"][:500] + texts["products"][:500]
    print(f"{len(sample)} texts, cut differently or not given back: {disagreements(trained, shipped, sample)}")


if __name__ == "__main__":
    main()
