"""Invoices: the grammar of receipts with a title, dates, a customer and a table of positions."""

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.clerks import Clerk
from kimi_vl.training.synth.documents.receipt_heads import shop_name, write_address, write_phone
from kimi_vl.training.synth.documents.receipt_items import WIDE_ORDERS, column_heads, draw_names, write_item
from kimi_vl.training.synth.documents.receipts import Receipt, choose_fonts, choose_money
from kimi_vl.training.synth.documents.rows import Row, choose_setting, print_rows, total_height
from kimi_vl.training.synth.scene import Overfull

TITLE = Choice(
    (
        "Invoice",
        "INVOICE",
        "Tax invoice",
        "Bill",
        "Quotation",
        "Order confirmation",
        "Sales invoice",
        "TAX INVOICE",
        "Purchase order",
        "Estimate",
        "Order",
    ),
    ("Statement", "Pro forma invoice"),
)
NUMBER = Choice(
    (
        "Invoice no. {}",
        "Invoice #{}",
        "Invoice number: {}",
        "No. {}",
        "Number: {}",
        "Ref. {}",
        "Invoice No: {}",
        "Inv. no. {}",
        "Invoice: {}",
        "Invoice ID: {}",
        "Invoice # {}",
        "Bill no. {}",
        "Document no. {}",
    ),
    ("Document {}", "Our ref: {}"),
)
ISSUED = Choice(
    (
        "Date: {}",
        "Date {}",
        "Invoice date: {}",
        "Issued: {}",
        "Date of issue {}",
        "Issue date: {}",
        "Issued on {}",
        "Date issued: {}",
        "DATE: {}",
        "Bill date {}",
        "Document date: {}",
    ),
    ("Dated {}", "Created on {}"),
)
DUE = Choice(
    (
        "Due: {}",
        "Due date: {}",
        "Payment due {}",
        "Pay by {}",
        "Due {}",
        "Due on {}",
        "Please pay by {}",
        "Due by: {}",
        "Payment date: {}",
        "To be paid by {}",
    ),
    ("Payable until {}", "Deadline: {}"),
)
CUSTOMER = Choice(
    (
        "Bill to: {}",
        "Customer: {}",
        "To: {}",
        "Billed to {}",
        "Client: {}",
        "Sold to: {}",
        "Invoice to: {}",
        "Buyer: {}",
        "Customer name: {}",
        "Charged to {}",
    ),
    ("For: {}", "Recipient: {}"),
)
HEADS = Choice(
    (("Qty", "Description", "Price", "Amount"), ("Qty", "Item", "Unit", "Total"), ("No.", "Article", "Each", "Sum")),
    (("Pcs", "Position", "Rate", "Value"),),
)
TERMS = Choice(
    ("Thank you for your business.", "Payment within 30 days.", "Please pay within 14 days.", "Goods remain our property until paid."),
    ("Late payments bear interest.", "Quote the number with your payment."),
)


class InvoiceClerk(Clerk):
    """Writes an invoice with the facts of a receipt, plus title, due date and customer."""

    def header(self) -> None:
        content, note = self.content, self.paper.note
        title = self.label(TITLE)
        shop = self.cased(shop_name(self))
        if content.chance(0.5):
            note("title", title, Row((title,), self.align, "big"))
            note("shop", shop, Row((shop,), content.one((self.align, "left")), content.one(("bold", "plain"))))
        else:
            note("shop", shop, Row((shop,), self.align, content.one(("big", "bold"))))
            note("title", title, Row((title,), content.one((self.align, "left")), content.one(("bold", "big"))))
        if content.chance(0.7):
            write_address(self)
        if content.chance(0.4):
            write_phone(self)
        self.paper.rows.append(Row(kind="gap"))
        self._particulars()

    def _particulars(self) -> None:
        content = self.content
        drawn = [("number", NUMBER, content.code()), ("date", ISSUED, content.date())]
        if content.chance(0.6):
            drawn.append(("due", DUE, content.date()))
        if content.chance(0.7):
            drawn.append(("customer", CUSTOMER, self.cased(content.one((content.person, content.company))())))
        self.rng.shuffle(drawn)
        for key, choice, value in drawn:
            self.paper.note(key, value, Row((self.label(choice).format(value),), "left"))

    def item_rows(self) -> None:
        order = "qnet"
        if self.content.chance(0.5):
            head = HEADS.pick(self.rng, self.split)
            assert isinstance(head, tuple)
        else:
            order = str(WIDE_ORDERS.pick(self.rng, self.split))
            head = tuple(column_heads(self, order))
        self.paper.stretch = order.index("n")
        self.paper.rows += [Row(tuple(self.cased(h) for h in head), "cells", "bold"), Row(kind="rule")]
        for name in draw_names(self, self.rng.randint(1, 8)):
            quantity = self.rng.choice((1, 1, 2, 3, 4, 5, 8, 10, 12))
            write_item(self, f"columns {order}", name, quantity, self.content.cents() * self.rng.choice((1, 1, 5)))

    def payment(self) -> None:
        pass

    def footer(self) -> None:
        if self.content.chance(0.6):
            self.paper.rows += [Row(kind="gap"), Row((self.label(TERMS),), "left")]


def draw_invoice(content: Content, width: int, highest: int) -> tuple[Canvas, int, float, Receipt]:
    """An invoice `width` pixels wide and at most `highest` high."""
    rng = content.rng
    fonts = choose_fonts(content, 12, 17)
    bill = InvoiceClerk(content, choose_money(content, fonts["plain"])).write()
    paper, ink = content.colours(0.85)
    setting = choose_setting(content, bill.rows, fonts, width, ink, bill.stretch)
    needed = total_height(bill.rows, setting)
    if needed + 16 > highest:
        raise Overfull(f"{len(bill.rows)} rows need {needed} pixels")
    canvas = Canvas(width, highest, paper)
    bottom = print_rows(canvas, bill.rows, setting, rng.randint(8, min(40, highest - needed - 8)))
    return canvas, min(highest, bottom + rng.randint(6, 40)), setting.fonts["plain"].x_height, bill
