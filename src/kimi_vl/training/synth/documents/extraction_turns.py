"""Line items as JSON. The format is one and the same for receipts, invoices and price lists:

    [
    {"name": "Milk", "price": "2.49"},
    {"name": "Bread", "price": "6.20"}
    ]

a JSON array with one object a row and all values strings as printed; `price` is what the whole line costs. When the question
asks for quantities, `"quantity"` stands between name and price, "1" where the line prints none.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from kimi_vl.training.synth.documents.receipts import Receipt
from kimi_vl.training.synth.questions import Interview
from kimi_vl.training.synth.scene import Turn

MOST = 8  # items that are written out; about 250 tokens
EXTRACTION_WORDINGS = {
    "items_json": tuple(
        (
            "List the items as JSON.|Extract the items as JSON.|Give me the line items as JSON.|Return the items in JSON format.|"
            "Write the items as a JSON array.|Output all items with their prices as JSON.|Turn the items into JSON.|"
            "JSON of the items, please.|"
            "Parse the line items into JSON.|Which items are listed? Answer in JSON.|Extract names and prices as JSON.|"
            "Convert the list of items to JSON.|Please return a JSON list of the items and their prices.|Items as JSON?|"
            "Extract the line items.|Give me every item with its name and price as JSON.|"
            "Produce JSON with the name and price of each item.|"
            "Extract the articles and what they cost as JSON."
        ).split("|")
    ),
    "items_json_quantity": tuple(
        (
            "List the items with quantities as JSON.|Extract the items with their quantities as JSON.|"
            "Give me name, quantity and price of each item as JSON.|Return the items in JSON format with quantities.|"
            "Write the items as a JSON array with name, quantity and price.|Turn the items into JSON, with quantities.|"
            "Output the line items with quantity and price as JSON.|Parse the items into JSON, including the quantity.|"
            "JSON of the items with quantity, please.|Extract names, quantities and prices as JSON.|"
            "Which items are listed, and how many of each? Answer in JSON.|Convert the items to JSON with their quantities.|"
            "Please return a JSON list of items, quantities and prices.|Produce JSON with the name, quantity and price of each item.|"
            "Extract every line item with its quantity as JSON.|Items with quantity as JSON?"
        ).split("|")
    ),
}


class Good(NamedTuple):
    """A line item as printed; `quantity` is "" where the line has none."""

    name: str
    price: str
    quantity: str = ""


def as_json(goods: Sequence[Good], *, quantities: bool) -> str:
    """The items in the format above."""
    keys = ("name", "quantity", "price") if quantities else ("name", "price")
    rows = [{key: getattr(good, key) or "1" for key in keys} for good in goods]
    return "[\n" + ",\n".join([json.dumps(row, ensure_ascii=False) for row in rows]) + "\n]"


def goods_of(receipt: Receipt) -> list[Good]:
    """The line items of a receipt."""
    return [Good(item.name, item.amount_text, item.quantity_text) for item in receipt.items]


def items_turn(interview: Interview, goods: Sequence[Good]) -> Turn | None:
    """All line items as JSON, with quantities only where some are printed; None for more than 8 items or for none."""
    if not 1 <= len(goods) <= MOST:
        return None
    rng = interview.rng
    quantities = any(g.quantity for g in goods) and rng.random() < 0.5
    question = rng.choice(EXTRACTION_WORDINGS["items_json_quantity" if quantities else "items_json"])
    draw = rng.random()
    if draw < 0.12:
        question = question.rstrip("?.").lower()
    elif draw < 0.25:
        question = question.rstrip("?.")
    mode = interview.mode()
    thinking = None
    if mode == "on":
        thinking = f"There {'is one item' if len(goods) == 1 else f'are {len(goods)} items'}."
    return Turn(question, as_json(goods, quantities=quantities), thinking, mode, "item")
