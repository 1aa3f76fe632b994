"""A window under construction: its frame, and the rows of controls that fill its body from the top down."""

from collections.abc import Callable

from kimi_vl.training.synth.canvas import Colour
from kimi_vl.training.synth.content import Choice, Content
from kimi_vl.training.synth.documents.forms import draw_entries
from kimi_vl.training.synth.documents.lines import fitted
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.screens.themes import VIVID, bevel, ink_on, mixed, panel
from kimi_vl.training.synth.screens.widgets import Screen

WIDTHS = (364, 392, 420, 448, 448, 476, 504, 532, 560, 560, 588, 616, 644, 672, 672)
HEIGHTS = (280, 308, 336, 364, 392, 420, 420, 448, 448, 476, 504, 532, 560, 616, 672)
BUTTONS = Choice(
    tuple(
        "OK|Cancel|Apply|Save|Close|Open|Print|Next|Back|Finish|Yes|No|Help|Reset|Send|Continue|Browse|Retry|Skip|Install|Update|Share|"
        "Copy|Paste|Export|Import|Search|Preview|Download|Upload|Refresh|Create|Submit|Save as|Add new|Remove|Learn more|Buy now".split("|")
    ),
    tuple("Dismiss|Proceed|Accept|Decline|Discard|Publish|Archive|Restore|Try again|Not now|Move up|Select all".split("|")),
)
OPTIONS = Choice(
    tuple(
        "Dark mode|Notifications|Wi-Fi|Bluetooth|Auto save|Show hidden files|Remember me|Location|Sounds|Airplane mode|Spell check|"
        "Automatic updates|Send reports|Show toolbar|Word wrap|Read only|Line numbers|Keep me signed in|Use proxy|Full screen|"
        "Start at login|Vibration|Subtitles|Shuffle|Repeat|Gift wrap|Newsletter|High contrast|Large text|Backup|Snap to grid".split("|")
    ),
    tuple("Night light|Battery saver|Do not disturb|Mirror display|Sync contacts|Loop|Two-step login|Autoplay|Captions".split("|")),
)
CHOICES = Choice(
    (
        ("Language", ("English", "German", "French", "Spanish", "Polish")),
        ("Size", ("Small", "Medium", "Large")),
        ("Quality", ("Low", "Normal", "High", "Best")),
        ("Theme", ("Light", "Dark", "System")),
        ("Payment", ("Card", "Cash", "Transfer", "Voucher")),
        ("Delivery", ("Standard", "Express", "Pick up")),
        ("Format", ("PDF", "PNG", "CSV", "HTML")),
        ("Priority", ("Low", "Normal", "Urgent")),
        ("Units", ("Metric", "Imperial")),
        ("Orientation", ("Portrait", "Landscape")),
        ("Repeat", ("Never", "Daily", "Weekly", "Monthly")),
        ("Sort by", ("Name", "Date", "Size", "Type")),
    ),
    (
        ("Resolution", ("720p", "1080p", "4K")),
        ("Alignment", ("Left", "Centre", "Right")),
        ("Currency", ("Euro", "Dollar", "Pound", "Yen")),
        ("Speed", ("Slow", "Medium", "Fast")),
    ),
)
LEVELS = Choice(("Volume", "Brightness", "Zoom", "Contrast", "Opacity", "Balance", "Bass", "Scale"), ("Treble", "Sharpness", "Warmth"))
TASKS = Choice(("Download", "Copying", "Storage", "Battery", "Upload", "Installing", "Loading"), ("Memory", "Backup", "Scan"))
MENUS = Choice(("File", "Edit", "View", "Insert", "Format", "Tools", "Window", "Help", "Go", "Search"), ("Project", "Layer", "History"))
MENU_ITEMS = Choice(
    tuple(
        "New|Open|Save|Save as|Print|Close|Undo|Redo|Cut|Copy|Paste|Find|Replace|Zoom in|Zoom out|Rename|Delete|Properties|Quit".split("|")
    ),
    ("Duplicate", "Revert", "Page setup", "Go to line"),
)
TABS = Choice(
    tuple("General|Advanced|Privacy|Display|Sound|Network|Users|About|Details|Security|Home|Account|Updates".split("|")),
    ("Shortcuts", "Plugins", "Storage", "Overview", "Access"),
)
APPS = Choice(
    tuple(
        "Mail|Maps|Music|Photos|Camera|Clock|Notes|Calendar|Files|Weather|Phone|Store|Games|Radio|Books|Health|Wallet|Browser".split("|")
    ),
    ("Recorder", "Compass", "Translate", "Fitness", "Gallery", "Podcasts"),
)
ALIGNMENTS = Choice(("right", "right", "left"), ("middle",))
CHROME = Choice(("right", "right", "left"), ("bare",))  # where a title bar has its buttons


class Window(Screen):
    """One window with a cursor that moves down its body."""

    def __init__(self, content: Content) -> None:
        super().__init__(content, content.one(WIDTHS), content.one(HEIGHTS))
        self.left, self.right, self.y, self.bottom = 0, self.canvas.width, 0, self.canvas.height
        self.title = self.status = self.message = ""
        self.desktop: Colour | None = None
        self.least = 0  # where a side bar ends
        if content.chance(0.3):
            self._desktop()
        self.left_edge, self.right_edge = self.left, self.right

    def _desktop(self) -> None:
        """The window lies on a desktop."""
        colour = (self.rng.randrange(256), self.rng.randrange(256), self.rng.randrange(256))
        self.desktop = colour
        self.canvas.fill(0, 0, self.canvas.width, self.canvas.height, colour)
        self.left, self.y = self.rng.randint(6, 30), self.rng.randint(6, 30)
        self.right, self.bottom = self.canvas.width - self.rng.randint(6, 30), self.canvas.height - self.rng.randint(6, 30)
        panel(self.canvas, (self.left - 1, self.y - 1, self.right + 1, self.bottom + 1), self.theme.page, self.theme.line, 0)

    def option(self) -> str:
        """What a check box or a switch is about."""
        if self.content.chance(0.65):
            return self.fresh(OPTIONS)
        label = self.content.words(self.rng.randint(1, 2)).capitalize()
        if label.casefold() in self.used:
            raise Overfull("a label occurs twice")
        self.used.add(label.casefold())
        return label

    def room(self, rows: float = 1.0) -> bool:
        return self.y + rows * (self.high + 6) < self.bottom

    # The window's frame ------------------------------------------------------------------------------------------------

    def title_bar(self) -> None:
        content, theme = self.content, self.theme
        self.title = content.one((content.words(2).capitalize(), content.proper(), self.fresh(TABS), f"{content.word().lower()}.txt"))
        bar = self.accent if content.chance(0.2) else theme.bar
        ink = ink_on(bar) if bar == self.accent else theme.bar_ink
        self.canvas.fill(self.left, self.y, self.right, self.y + self.high, bar)
        style = str(CHROME.pick(self.rng, content.split))
        width = self.font.width(self.title)
        x = self.left + 10 if style != "left" else (self.left + self.right - width) // 2
        self.text(x, self.y, self.title, ink=ink, paper=bar)
        if style == "right":
            self.icon(self.right - self.high - 2, self.y, "close", paper=bar, ink=ink)
        elif style == "left":
            colours: tuple[Colour, ...] = ((237, 106, 94), (245, 191, 79), (98, 197, 84))
            for k, colour in enumerate(colours):
                y = self.y + self.high // 2 - 6
                panel(self.canvas, (self.left + 8 + 18 * k, y, self.left + 20 + 18 * k, y + 12), colour, colour, 6)
        self.y += self.high

    def menu_strip(self) -> None:
        labels = [self.fresh(MENUS) for _ in range(self.rng.randint(3, 5))]
        self.canvas.fill(self.left, self.y, self.right, self.y + self.high, self.theme.page)
        self.menu_bar(self.left, self.y, labels, self.theme.page)
        self.y += self.high

    def tool_bar(self) -> None:
        shade = mixed(self.theme.page, self.theme.ink, 0.05)
        self.canvas.fill(self.left, self.y, self.right, self.y + self.high + 6, shade)
        x = self.left + 6
        taken = {w.label for w in self.widgets if w.kind == "icon"}
        for name in self.icon_names(self.rng.randint(3, 7)):
            if name not in taken and x + self.high < self.right - 6:
                x = self.icon(x, self.y + 3, name) + self.rng.choice((4, 4, 8, 16))
        self.y += self.high + 8

    def status_bar(self) -> None:
        content = self.content
        self.status = content.one(
            ("Ready", f"{self.rng.randint(2, 99)} items", f"Saved {content.time()}", f"Line {self.rng.randint(1, 900)}", content.words(2))
        )
        self.bottom -= self.high

    def foot(self) -> None:
        """The status bar is printed last, for it is read last."""
        if self.status:
            shade = mixed(self.theme.page, self.theme.ink, 0.07)
            self.canvas.fill(self.left_edge, self.bottom, self.right_edge, self.bottom + self.high, shade)
            self.text(self.left_edge + 8, self.bottom, self.status, paper=shade)

    def cut(self) -> int:
        """End a window without a status bar below its last row; returns the height of the screen."""
        end = max(self.y, self.least) + self.rng.randint(8, 40)
        if self.status or end >= self.bottom or self.content.chance(0.15):
            return self.canvas.height
        if self.desktop is None:
            return max(224, end)
        self.canvas.fill(self.left_edge - 1, end, self.right_edge + 1, end + 1, self.theme.line)
        self.canvas.fill(0, end + 1, self.canvas.width, self.canvas.height, self.desktop)
        return max(224, min(self.canvas.height, end + self.rng.randint(8, 60)))

    def side_bar(self) -> None:
        """Entries in a column on the left, one of them open; the body is what remains."""
        width = min(170, (self.right - self.left) // 3)
        shade = mixed(self.theme.page, self.theme.ink, 0.06)
        self.canvas.fill(self.left, self.y, self.left + width, self.bottom, shade)
        count = self.rng.randint(3, 6)
        chosen, y = self.rng.randrange(count), self.y + 6
        for k in range(count):
            label = self.fresh(TABS)
            paper = self.accent if k == chosen else shade
            box = (self.left + 4, y, self.left + width - 4, y + self.high)
            panel(self.canvas, box, paper, paper, min(6, self.theme.radius))
            if self.text(self.left + 12, y, label, ink=ink_on(paper), paper=paper) > box[2] - 2 or box[3] > self.bottom:
                raise Overfull("a side bar is too narrow")
            self.add("entry", label, box, on=k == chosen)
            y += self.high + 2
        self.left, self.least = self.left + width, y

    def apps(self) -> None:
        """A grid of tiles with an icon and a name below."""
        columns = self.rng.randint(3, 5)
        wide, tile = (self.right - self.left) // columns, self.rng.choice((36, 44, 52))
        names = self.icon_names(columns * self.rng.randint(1, 3))
        for k, name in enumerate(names):
            x, y = self.left + wide * (k % columns), self.y
            label = self.fresh(APPS) if self.content.chance(0.5) else self.content.word().capitalize()
            width = self.font.width(label)
            if width > wide - 6 or y + tile + self.high > self.bottom or label in [w.label for w in self.widgets]:
                raise Overfull("an app does not fit")
            middle = x + wide // 2
            colour = self.content.one((self.accent, *VIVID))
            panel(self.canvas, (middle - tile // 2, y, middle + tile // 2, y + tile), colour, colour, tile // 4)
            inset = tile // 5
            box = (middle - tile // 2 + inset, y + inset, middle + tile // 2 - inset, y + tile - inset)
            self.draw_sign(name, box, ink_on(colour), "thick")
            self.text(middle - width // 2, y + tile, label, same_row=k % columns > 0)
            half = max(width, tile) // 2 + 1
            self.add("app", label, (middle - half, y, middle + half, y + tile + self.high), name)
            if k % columns == columns - 1:
                self.y += tile + self.high + self.rng.randint(6, 7)

    def inset(self) -> None:
        """Margins of the body."""
        margin = self.rng.randint(10, 24)
        self.left, self.right, self.y = self.left + margin, self.right - margin, self.y + self.rng.randint(6, 18)

    # Rows of the body --------------------------------------------------------------------------------------------------

    def down(self, rows: float = 1.0) -> None:
        self.y += int(rows * self.high + self.rng.randint(3, 9))

    def heading(self) -> None:
        text = self.content.words(self.rng.randint(1, 3)).capitalize()
        self.canvas.write(self.left, self.y + self.bold.ascent, fitted(text, self.bold, self.right - self.left), self.bold, self.theme.ink)
        self.y += self.bold.ascent + self.bold.descent + self.rng.randint(4, 10)

    def note(self) -> None:
        """A message of one to three lines."""
        rows = []
        for _ in range(self.rng.randint(1, 3)):
            rows.append(fitted(self.content.fragment(12), self.font, self.right - self.left))
            self.text(self.left, self.y, rows[-1])
            self.y += int(self.line * 1.3)
        self.message = "\n".join(rows)
        self.y += self.pad

    def fields(self, count: int) -> None:
        drawn = [(label, value) for label, value in draw_entries(self.content, count) if label.casefold() not in self.used]
        above = self.content.chance(0.4)
        column = self.left if above else self.left + max([self.font.width(label) for label, _ in drawn], default=0) + 14
        for label, value in drawn:
            if not self.room(2.2 if above else 1.2):
                return
            self.used.add(label.casefold())
            self.text(self.left, self.y, label)
            self.y += self.line + self.pad + 3 if above else 0
            width = self.right - column if self.content.chance(0.6) else max(120, (self.right - column) * 2 // 3)
            if width < 90:
                raise Overfull("no room for a field")
            shown = "" if self.content.chance(0.25) else fitted(value, self.font, 10**6)
            box = (column, self.y, column + width, self.y + self.high)
            hint = fitted(self.hint(label), self.font, width - 14) if self.content.chance(0.5) else ""
            self.field(label, shown, box, lit=self.content.chance(0.15), same_row=not above, hint=hint)
            self.down()

    def hint(self, label: str) -> str:
        """What an empty field says: mostly not its label, which is printed already."""
        return self.content.one(("Enter text", "optional", "Type here...", "required", f"Your {label.split(' ')[-1].lower()}", "-"))

    def drop_downs(self) -> None:
        label, options = self.choice()
        end = self.text(self.left, self.y, label)
        value = self.content.one(options)
        left = max(end + 12, self.content.one((self.left, (self.left + self.right) // 2)))
        self.drop_down(label, value, (left, self.y, min(self.right, left + self.rng.randint(120, 200)), self.y + self.high))
        self.down()

    def choice(self) -> tuple[str, tuple[str, ...]]:
        picked = CHOICES.pick(self.rng, self.content.split)
        assert isinstance(picked, tuple)
        label, options = picked
        if {label.casefold(), *(option.casefold() for option in options)} & self.used:
            raise Overfull("a choice occurs twice")
        self.used |= {label.casefold(), *(option.casefold() for option in options)}
        return label, options

    def radios(self) -> None:
        """A heading and its radio buttons, below each other or side by side."""
        label, options = self.choice()
        if not self.room(len(options) + 1):
            return
        self.text(self.left, self.y, label)
        self.down(0.9)
        chosen, beside, x = self.rng.randrange(len(options)), self.content.chance(0.4), self.left + 8
        for k, option in enumerate(options):
            end = self.check_box(x, self.y, option, k == chosen, group=label, same_row=beside and k > 0)
            if end > self.right:
                raise Overfull("radio buttons leave the window")
            if beside:
                x = end + 18
            else:
                self.down(0.9)
        if beside:
            self.down()

    def checks(self, count: int) -> None:
        for _ in range(count):
            if self.room(1.2):
                enabled, after = self.content.chance(0.88), self.content.chance(0.15)
                if self.check_box(self.left, self.y, self.option(), self.content.chance(0.5), enabled=enabled, after=after) > self.right:
                    raise Overfull("a label leaves the window")
                self.down(0.95)

    def switches(self, count: int) -> None:
        for _ in range(count):
            if self.room(1.2):
                self.switch(self.left, self.right, self.y, self.option(), self.content.chance(0.5))
                self.down()

    def levels(self) -> None:
        progress = self.content.chance(0.35)
        label = self.fresh(TASKS if progress else LEVELS)
        self.slider(self.left, self.right, self.y, label, self.rng.randrange(0, 101), progress=progress)
        self.down()

    def rows(self, count: int) -> None:
        """A list with one row chosen, perhaps with details on the right."""
        content, money = self.content, self.content.money()
        detailed, chosen = content.chance(0.5), self.rng.randrange(count)
        details: Callable[[], str] = content.one((content.date, content.time, lambda: money.full(content.cents())))
        top = self.y
        for k in range(count):
            if not self.room():
                break
            label = fitted(content.one((content.product, content.person, content.word, content.town))(), self.font, 10**6)
            if label.casefold() in self.used:
                continue
            self.used.add(label.casefold())
            box = (self.left, self.y, self.right, self.y + self.high)
            paper = self.accent if k == chosen else self.theme.field
            ink = ink_on(paper)
            self.canvas.fill(*box, paper)
            end = self.text(self.left + 8, self.y, label, ink=ink, paper=paper)
            detail = details() if detailed else ""
            if detail:
                x = self.right - 8 - self.font.width(detail)
                if x < end + 10:
                    raise Overfull("a row is too long")
                self.text(x, self.y, detail, ink=ink, paper=paper, same_row=True)
            self.add("row", label, box, detail, on=k == chosen)
            self.y += self.high
        self.canvas.frame(self.left, top, self.right, self.y, self.theme.line)
        self.down(0.2)

    def buttons(self, count: int, first: tuple[str, ...] = ()) -> None:
        """A row of buttons at the end of the body: `first` and `count` others."""
        labels = [*first, *(self.fresh(BUTTONS) for _ in range(count))]
        count = len(labels)
        gap = self.rng.randint(8, 14)
        total = sum(self.button_width(label) + gap for label in labels) - gap
        if total > self.right - self.left:
            raise Overfull("too many buttons")
        align = str(ALIGNMENTS.pick(self.rng, self.content.split))
        x = {"left": self.left, "right": self.right - total, "middle": (self.left + self.right - total) // 2}[align]
        primary = self.rng.choice((0, count - 1, -1))
        for k, label in enumerate(labels):
            x = self.button(x, self.y, label, primary=k == primary, enabled=self.content.chance(0.85), same_row=k > 0) + gap
        self.down()

    def pop_up(self, left: int, top: int) -> None:
        """An open menu over the body: items, some with keys on the right."""
        items = [self.fresh(MENU_ITEMS) for _ in range(self.rng.randint(3, 7))]
        keyed = self.content.chance(0.5)
        wide = max(self.font.width(item) for item in items) + (120 if keyed else 50)
        box = (left, top, left + wide, top + len(items) * self.high + 6)
        if box[2] > self.right_edge or box[3] > self.bottom:
            raise Overfull("a menu leaves the window")
        paper = self.theme.field
        if self.theme.edge == "bevel":
            bevel(self.canvas, box, paper, raised=True)
        else:
            panel(self.canvas, box, paper, self.theme.line, min(4, self.theme.radius))
        lit = self.rng.randrange(len(items))
        for k, item in enumerate(items):
            y = top + 3 + k * self.high
            fill = self.accent if k == lit else paper
            self.canvas.fill(left + 2, y, left + wide - 2, y + self.high, fill)
            enabled = k == lit or self.content.chance(0.85)
            ink = ink_on(fill) if enabled else mixed(fill, self.theme.ink, 0.45)
            self.text(left + 14, y, item, ink=ink, paper=fill)
            if keyed and self.content.chance(0.6):
                key = f"Ctrl+{self.content.letters(1)}"
                self.text(left + wide - 10 - self.font.width(key), y, key, ink=ink, paper=fill, same_row=True)
            self.add("menu item", item, (left, y, left + wide, y + self.high), on=k == lit, enabled=enabled)
        self.y = box[3]
