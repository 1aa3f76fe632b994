"""Clerks write shop receipts by a grammar: header, items, totals, payment and footer, each of many forms."""

from kimi_vl.training.synth.canvas import Canvas
from kimi_vl.training.synth.content import Content
from kimi_vl.training.synth.documents.ornaments import barcode, logo
from kimi_vl.training.synth.documents.receipt_heads import write_head
from kimi_vl.training.synth.documents.receipt_items import write_items
from kimi_vl.training.synth.documents.receipt_totals import write_foot, write_payment, write_totals
from kimi_vl.training.synth.documents.receipts import Receipt, choose_fonts, choose_money
from kimi_vl.training.synth.documents.rows import choose_setting, print_rows, total_height
from kimi_vl.training.synth.documents.scribes import Scribe
from kimi_vl.training.synth.scene import Overfull

HIGHEST = 616


class Clerk(Scribe):
    """Writes one receipt; what another paper has otherwise is a method of its own."""

    def write(self) -> Receipt:
        """Everything from the header to the footer. Raises Overfull."""
        self.header()
        self.divide()
        self.item_rows()
        self.divide()
        self.totals()
        self.footer()
        return self.paper

    def header(self) -> None:
        write_head(self)

    def item_rows(self) -> None:
        write_items(self)

    def totals(self) -> None:
        write_totals(self)
        if self.content.chance(0.75):
            self.payment()

    def payment(self) -> None:
        write_payment(self)

    def footer(self) -> None:
        write_foot(self)


def draw_receipt(content: Content) -> tuple[Canvas, int, float, Receipt]:
    """A receipt, 280 to 560 pixels wide and at most 616 high: canvas, height and x-height in pixels, facts. Raises Overfull."""
    rng = content.rng
    fonts = choose_fonts(content, 13, 20)
    slip = Clerk(content, choose_money(content, fonts["plain"])).write()
    width = rng.choice((448, 448, 420, 392, 364, 336, 308, 280, 504, 560, rng.randint(280, 560)))
    paper, ink = content.colours(0.8)
    setting = choose_setting(content, slip.rows, fonts, width, ink, slip.stretch)
    needed = total_height(slip.rows, setting)
    mark = rng.randint(20, 44) if content.chance(0.1) else 0
    bars = rng.randint(20, 50) if content.chance(0.1) else 0
    needed += mark + 4 + bars
    if needed + 12 > HIGHEST:
        raise Overfull(f"{len(slip.rows)} rows need {needed} pixels")
    top = rng.randint(6, min(36, HIGHEST - needed - 6))
    canvas = Canvas(width, HIGHEST, paper)
    if mark:
        logo(content, canvas, rng.choice((width // 2, width // 2, setting.left + mark)), top, mark, ink)
    bottom = print_rows(canvas, slip.rows, setting, top + mark + (4 if mark else 0))
    if bars:
        barcode(content, canvas, (width // 5, bottom + 2, width - width // 5, bottom + bars), ink)
        bottom += bars
    height = content.snapped(max(196, bottom + rng.randint(4, 26)), HIGHEST)
    if content.chance(0.08):
        canvas.frame(2, 2, width - 2, height - 2, ink, rng.randint(1, 2))
    return canvas, height, setting.fonts["plain"].x_height, slip
