"""Web pages for the data pack: written as HTML by the grammars of `web_grammars`, drawn by a browser, and what stands where.

Elements that can be asked about carry an attribute `data-item` with a JSON object: a `role`, a `label` and more. The browser adds
their boxes, texts and states, and the place of every visible word.
"""

import base64
import html
import json
import random
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import cv2
import numpy as np

from kimi_vl.training.synth.content import Content, luminance
from kimi_vl.training.synth.pack import DataPack, Face
from kimi_vl.training.synth.pictures.icons import Tile, tiles
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.sources.browser import screenshot
from kimi_vl.training.synth.sources.web_styles import arrangement, palette

WIDTHS = (560, 588, 616, 672, 728, 784, 868)
HEIGHTS = (448, 504, 560, 616, 672)
MIN_X_HEIGHT = 6.8  # pixels; what a browser draws smaller is not asked about, so no page has it
VARIED = 0.8  # share of pages with colours, and as many with an arrangement, that are drawn and not their grammar's
MAX_WORDS = 260  # a page with more would be an exercise in transcription alone


class Theme(NamedTuple):
    """Colours, corners and spacing of a page, as CSS values; `frame` is "line", "shade" or "none" around cards."""

    paper: str
    card: str
    ink: str
    muted: str
    accent: str
    on_accent: str
    line: str
    frame: str
    radius: int
    pad: int


class Site:
    """What a grammar writes with: content, a theme and ready-made elements. All labels on a page differ."""

    def __init__(self, content: Content, theme: Theme) -> None:
        self.content, self.rng, self.theme = content, content.rng, theme
        self.used: set[str] = set()
        hands = [icons for icons in content.pack.icons(content.split) if icons.kind == "signs"]
        whole = [icons for icons in hands if len(icons.names) == max(len(hand.names) for hand in hands)]  # some sets lack names
        self.signs: dict[str, Tile] = tiles(content.one(whole))
        self.ids = 0

    # Choosing ----------------------------------------------------------------------------------------------------------

    def fresh(self, make: Callable[[], str]) -> str:
        """Something that is not on the page yet. Raises Overfull."""
        for _ in range(30):
            text = make()
            if text.casefold() not in self.used:
                self.used.add(text.casefold())
                return text
        raise Overfull("nothing new is left to say")

    def several(self, make: Callable[[], str], count: int) -> list[str]:
        return [self.fresh(make) for _ in range(count)]

    def pick(self, pieces: str, count: int) -> list[str]:
        """`count` different pieces out of a list divided by strokes. Raises Overfull."""
        free = [piece for piece in pieces.split("|") if piece.casefold() not in self.used]
        if len(free) < count:
            raise Overfull("too few pieces are left")
        chosen = self.rng.sample(free, count)
        self.used |= {piece.casefold() for piece in chosen}
        return chosen

    def one(self, pieces: str) -> str:
        return self.pick(pieces, 1)[0]

    def words(self, low: int, high: int) -> str:
        return self.fresh(lambda: self.content.words(self.rng.randint(low, high)).capitalize())

    def sentence(self, words: int) -> str:
        return self.content.fragment(words)

    # Elements ----------------------------------------------------------------------------------------------------------

    def button(self, label: str, goal: str = "", *, main: bool = True, off: bool = False) -> str:
        attribute = item("button", label, goal=goal)
        return f"<button class='{'main' if main else 'plain'}' {'disabled' if off else ''} {attribute}>{esc(label)}</button>"

    def link(self, label: str, goal: str = "", role: str = "link") -> str:
        return f"<a href='#' {item(role, label, goal=goal)}>{esc(label)}</a>"

    def icon(self, name: str, goal: str = "") -> str:
        """A button with a sign of the pack and no words."""
        _, data = cv2.imencode(".png", self.signs[name].pixels)
        image = f"data:image/png;base64,{base64.b64encode(data.tobytes()).decode()}"
        return f"<button class='plain icon' {item('icon', name, goal=goal)}><i style='-webkit-mask-image:url({image})'></i></button>"

    def field(self, label: str, value: str = "", hint: str = "", kind: str = "text", wide: str = "100%") -> str:
        """A text field without its label."""
        attributes = f"type='{kind}' value='{esc(value)}' placeholder='{esc(hint)}' style='width:{wide}'"
        return f"<input {attributes} {item('field', label)}>"

    def labelled(self, label: str, control: str) -> str:
        return f"<label class='row'><span>{esc(label)}</span>{control}</label>"

    def check(self, label: str, on: bool, *, off: bool = False) -> str:
        state = f"{'checked' if on else ''} {'disabled' if off else ''}"
        return f"<label class='tick' {item('check box', label)}><input type='checkbox' {state}> {esc(label)}</label>"

    def switch(self, label: str, on: bool) -> str:
        """A check box that is drawn as a switch, at the end of its row."""
        box = f"<input type='checkbox' class='switch' {'checked' if on else ''} {item('switch', label)}>"
        return f"<div class='between'><span>{esc(label)}</span>{box}</div>"

    def radios(self, heading: str, options: Sequence[str]) -> str:
        self.ids += 1
        chosen = self.rng.randrange(len(options))
        return "".join(
            f"<label class='tick' {item('radio button', option, group=heading)}>"
            f"<input type='radio' name='r{self.ids}' {'checked' if k == chosen else ''}> {esc(option)}</label>"
            for k, option in enumerate(options)
        )

    def select(self, label: str, options: Sequence[str]) -> str:
        chosen = self.rng.randrange(len(options))
        listed = "".join(f"<option {'selected' if k == chosen else ''}>{esc(option)}</option>" for k, option in enumerate(options))
        return f"<select {item('drop-down', label)}>{listed}</select>"

    def slider(self, label: str, percent: int) -> str:
        bar = f"<input type='range' min='0' max='100' value='{percent}' {item('slider', label, value=f'{percent}%')}>"
        return f"<div class='between'><span>{esc(label)}</span><span>{bar} {percent}%</span></div>"

    def fact(self, label: str, text: str, thing: str = "", task: str = "field", tag: str = "span") -> str:
        """A text that answers "what is the `label` (of `thing`)?"."""
        return f"<{tag} {item('fact', label, thing=thing, task=task)}>{esc(text)}</{tag}>"

    def price(self, thing: str, text: str, tag: str = "b") -> str:
        return self.fact("price", text, thing, "price", tag)

    def title(self, text: str, tag: str = "h1") -> str:
        return f"<{tag} {item('title', text)}>{esc(text)}</{tag}>"

    def heading(self, text: str) -> str:
        return f"<h2>{esc(text)}</h2>"

    def paragraph(self, words: int, number: int = 0) -> str:
        """Running text; with a `number` it can be asked for."""
        attribute = item("paragraph", str(number)) if number else ""
        return f"<p {attribute}>{esc(self.sentence(words))}</p>"

    def tabs(self, labels: Sequence[str], role: str = "tab") -> str:
        chosen = self.rng.randrange(len(labels))
        return "".join(
            f"<a href='#' class='{'tab on' if k == chosen else 'tab'}' {item(role, label, on=k == chosen)}>{esc(label)}</a>"
            for k, label in enumerate(labels)
        )

    def table(self, columns: Sequence[str], rows: Sequence[Sequence[str]], *, key: int = 0, task: str = "cell") -> str:
        """Cells can be asked for by the row's entry in column `key` and the column's heading."""
        head = "".join(f"<th>{esc(column)}</th>" for column in columns)
        body = "".join(
            "<tr>"
            + "".join(
                f"<td>{esc(cell)}</td>" if k == key else f"<td>{self.fact(columns[k], cell, row[key], task)}</td>"
                for k, cell in enumerate(row)
            )
            + "</tr>"
            for row in rows
        )
        return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def esc(text: str) -> str:
    return html.escape(text, quote=True)


def item(role: str, label: str, **more: Any) -> str:
    """The attribute by which an element is known; what is empty is left out."""
    known = {"role": role, "label": label} | {key: value for key, value in more.items() if value not in ("", None)}
    return f"data-item='{esc(json.dumps(known))}'"


# Drawing -----------------------------------------------------------------------------------------------------------------

Grammar = Callable[[Site], str]


def page_html(body: str, theme: Theme, faces: tuple[Face, Face], size: int, width: int, more: str = "") -> str:
    """A whole document: a grammar's body in a theme and two faces; `more` is CSS behind the page's own."""
    fonts = "".join(
        f"@font-face{{font-family:f{k};src:url(data:font/{face.path.suffix[1:]};base64,{base64.b64encode(face.path.read_bytes()).decode()})}}"
        for k, face in enumerate(faces)
        if face.path
    )
    t = theme
    frame = {"line": f"border:1px solid {t.line}", "shade": "box-shadow:0 1px 4px #0004", "none": "border:0"}[t.frame]
    scheme = "dark" if luminance(_rgb(t.paper)) < 128 else "light"
    style = f"""
{fonts}*{{box-sizing:border-box}}html{{color-scheme:{scheme};accent-color:{t.accent}}}
body{{margin:0;width:{width}px;background:{t.paper};color:{t.ink};font:{size}px/1.4 f0,sans-serif}}
input,select,button,textarea{{font:inherit;color:inherit}}a{{color:{t.accent};text-decoration:none}}p{{margin:.4em 0}}
h1,h2,th{{font-family:f1,f0,sans-serif;line-height:1.2;margin:.3em 0 .5em}}h1{{font-size:1.6em}}h2{{font-size:1.2em}}
small,.muted{{color:{t.muted};font-size:max(14px,.9em)}}
.bar{{display:flex;align-items:center;gap:{t.pad}px;padding:{t.pad}px {t.pad * 2}px;border-bottom:1px solid {t.line};background:{t.card}}}
.fill{{background:{t.accent};color:{t.on_accent}}}.fill a,.fill .plain{{color:{t.on_accent}}}main{{padding:{t.pad}px {t.pad * 2}px}}
.card{{background:{t.card};{frame};border-radius:{t.radius}px;padding:{t.pad}px {t.pad + 4}px}}.card.fill{{background:{t.accent}}}
.grid{{display:grid;gap:{t.pad}px}}.row{{display:flex;flex-direction:column;gap:2px;margin-bottom:{t.pad // 2 + 2}px}}
.between{{display:flex;justify-content:space-between;align-items:center;gap:12px;padding:{t.pad // 3}px 0}}
.tick{{display:flex;align-items:center;gap:6px;padding:{t.pad // 4}px 0;width:fit-content}}
.flow{{display:flex;flex-wrap:wrap;gap:{t.pad}px;align-items:center}}.push{{margin-left:auto}}
button{{border-radius:{t.radius}px;padding:{t.pad // 2}px {t.pad + 4}px;border:1px solid {t.line};background:{t.card};white-space:nowrap}}
.main{{background:{t.accent};color:{t.on_accent};border-color:{t.accent}}}button:disabled{{opacity:.45}}
.icon{{padding:{t.pad // 2}px;line-height:0;border-color:transparent;background:transparent}}
.icon i{{display:inline-block;width:24px;height:24px;background:currentColor;-webkit-mask-size:100%}}
input:not([type=checkbox],[type=radio],[type=range]),select,textarea{{background:{t.card};border:1px solid {t.line};
border-radius:{min(t.radius, 10)}px;padding:{t.pad // 2}px 8px}}input[type=checkbox],input[type=radio]{{width:16px;height:16px;margin:0}}
.switch{{appearance:none;width:38px!important;height:20px!important;border-radius:10px;background:{t.muted};position:relative}}
.switch::after{{content:'';position:absolute;left:3px;top:3px;width:14px;height:14px;border-radius:7px;background:#fff}}
.switch:checked{{background:{t.accent}}}.switch:checked::after{{left:21px}}
.tab{{padding:{t.pad // 2}px {t.pad}px;border-bottom:3px solid transparent;color:inherit}}
.tab.on{{border-color:{t.accent};color:{t.accent}}}.side{{display:flex;flex-direction:column}}
.side .tab{{border-bottom:0;border-left:3px solid transparent;border-radius:0}}.side .tab.on{{border-color:{t.accent}}}
table{{border-collapse:collapse;width:100%}}td,th{{padding:{max(3, t.pad // 2)}px 8px;text-align:left;border-bottom:1px solid {t.line}}}
td.n,th.n{{text-align:right}}.tag{{border:1px solid {t.line};border-radius:99px;padding:1px 9px}}
.picture{{background:linear-gradient(135deg,{t.line},{t.accent});border-radius:{t.radius}px}}
.veil{{position:fixed;inset:0;background:{t.paper};display:flex;align-items:center;justify-content:center}}
{more}"""
    return f"<!DOCTYPE html><html lang='en'><meta charset='utf-8'><style>{style}</style><body>{body}</body></html>"


def _rgb(colour: str) -> tuple[int, int, int]:
    return (int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16))


def readable_face(content: Content, kinds: tuple[str, ...]) -> Face:
    """A face with a file, drawn by the browser as well as by Pillow."""
    for _ in range(50):
        face = content.face(kinds)
        if face.path and not face.italic:
            return face
    raise ValueError(f"split {content.split!r} has no upright face of {', '.join(kinds)}")


def draw(
    page: Any, seed: str, pack: DataPack, split: str, grammar: tuple[str, Grammar], themes: Sequence[Theme], *, varied: bool
) -> tuple[np.ndarray, dict[str, Any]]:
    """One page: picture uint8 [H, W, 3], and what stands where. Raises Overfull where a draw is no good."""
    rng = random.Random(seed)
    content = Content(rng, pack, split)
    theme = content.one(themes)
    if varied and rng.random() < VARIED:
        theme = theme._replace(
            **palette(rng), frame=content.one(("line", "shade", "none")), radius=rng.randint(0, 20), pad=rng.randint(6, 18)
        )
    more = arrangement(rng) if varied and rng.random() < VARIED else ""
    width, height = rng.choice(WIDTHS), rng.choice(HEIGHTS)
    faces = (
        readable_face(content, ("sans", "sans", "sans", "serif", "slab")),
        readable_face(content, ("sans", "serif", "slab", "condensed")),
    )
    page.set_viewport_size({"width": width, "height": height})
    document = page_html(grammar[1](Site(content, theme)), theme, faces, rng.choice((15, 15, 16, 16, 17, 18)), width, more)
    page.set_content(document, wait_until="load")
    page.evaluate("document.fonts.ready")
    found = page.evaluate(_LOOK)
    height = _cut(found, height)
    words = [word for word in found["words"] if word[5] <= height]
    if min(word[6] for word in words) < MIN_X_HEIGHT:
        raise Overfull("some of the text is too small")
    if not 6 <= len(words) <= MAX_WORDS or any(word[1] < 0 or word[2] > width for word in words):
        raise Overfull("too much or too little text")
    items = [
        known | {"box": box}
        for known, box in found["items"]
        if box[3] <= height and box[2] <= width and box[2] > box[0] and box[3] > box[1]
    ]
    picture = np.ascontiguousarray(screenshot(page)[:height])
    facts = {
        "grammar": grammar[0],
        "width": width,
        "height": height,
        "x_height": round(min(word[6] for word in words), 1),
        "words": [word[:4] for word in words],
        "items": items,
    }
    return picture, facts


def draw_fitting(
    page: Any, seed: str, pack: DataPack, split: str, grammar: tuple[str, Grammar], themes: Sequence[Theme], *, varied: bool = False
) -> tuple[np.ndarray, dict[str, Any]]:
    """The first draw that is good. `varied`: most pages get colours and an arrangement of their own, whatever their grammar says."""
    for attempt in range(40):
        try:
            return draw(page, f"{seed}/{attempt}", pack, split, grammar, themes, varied=varied)
        except Overfull:
            continue
    raise RuntimeError(f"40 draws of the page {grammar[0]} from {seed} were no good; its grammar needs less text, or more")


def _cut(found: dict[str, Any], height: int) -> int:
    """Where the picture ends: below the last row of words that is whole, never through an element."""
    edges = [(word[4], word[5]) for word in found["words"]] + [
        (box[1], box[3]) for known, box in found["items"] if known["role"] != "paragraph"
    ]
    end = int(min(height, found["height"]))
    for _ in range(len(edges)):
        crossing = [top for top, bottom in edges if top < end < bottom]
        if not crossing:
            break
        end = int(min(crossing)) - 1
    if end < 336:
        raise Overfull("the page is too low")
    return end


# Returns words [text, x0, x1, y of the x-height's middle, top, bottom, x-height] in reading order of the document, elements with
# their boxes, and the document's height. A word is visible where the point in its middle belongs to its element.
_LOOK = r"""() => {
  const round = v => Math.round(v * 10) / 10, pen = document.createElement('canvas').getContext('2d'), words = [], metrics = {};
  const fontOf = style => {
    const font = `${style.fontStyle} ${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
    if (!metrics[font]) {
      pen.font = font;
      const m = pen.measureText('x');
      metrics[font] = {font, up: m.fontBoundingBoxAscent, down: m.fontBoundingBoxDescent, x: m.actualBoundingBoxAscent};
    }
    return metrics[font];
  };
  const dateOf = input => input.value ? input.value.replace(/(\d+)-(\d+)-(\d+)/, '$2/$3/$1') : 'mm/dd/yyyy';  // as it is shown
  const seen = (element, x, y) => {
    const top = document.elementFromPoint(x, y);
    return !top || top === element || element.contains(top) || top.contains(element);
  };
  const put = (text, rect, style, element) => {
    const f = fontOf(style), middle = (rect.top + rect.bottom) / 2;
    const baseline = middle + (f.up - f.down) / 2;
    if (rect.width > 0 && seen(element, (rect.left + rect.right) / 2, middle))
      words.push([text, round(rect.left), round(rect.right), round(baseline - f.x / 2), rect.top, rect.bottom, f.x]);
  };
  const typed = (element, text, left) => {
    const style = getComputedStyle(element), f = fontOf(style), box = element.getBoundingClientRect();
    pen.font = f.font;
    let x = box.left + left + parseFloat(style.borderLeftWidth) + parseFloat(style.paddingLeft);
    const middle = (box.top + box.bottom) / 2, half = (f.up + f.down) / 2;
    for (const word of text.split(/\s+/).filter(Boolean)) {
      const wide = pen.measureText(word).width;
      if (x + wide < box.right)
        put(word, {left: x, right: x + wide, width: wide, top: middle - half, bottom: middle + half}, style, element);
      x += wide + pen.measureText(' ').width;
    }
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT | NodeFilter.SHOW_ELEMENT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.nodeType === 1) {
      if (node.tagName === 'SELECT') typed(node, node.selectedOptions[0].text, 4);
      if (node.tagName === 'INPUT' && ['text', 'email', 'search'].includes(node.type)) typed(node, node.value || node.placeholder, 0);
      if (node.tagName === 'INPUT' && node.type === 'date') typed(node, dateOf(node), 0);
      continue;
    }
    const element = node.parentElement;
    if (['OPTION', 'STYLE', 'SCRIPT', 'SELECT'].includes(element.tagName)) continue;
    const style = getComputedStyle(element), range = document.createRange();
    for (const match of node.data.matchAll(/\S+/g)) {
      range.setStart(node, match.index); range.setEnd(node, match.index + match[0].length);
      if (range.getClientRects().length === 1) { put(match[0], range.getBoundingClientRect(), style, element); continue; }
      let from = match.index, last = null;  // broken after a hyphen: one piece a line
      for (let k = match.index; k <= match.index + match[0].length; k++) {
        range.setStart(node, k); range.setEnd(node, Math.min(node.length, k + 1));
        const rect = k < match.index + match[0].length ? range.getBoundingClientRect() : null;
        if (last !== null && (!rect || rect.top > last + 2)) {
          range.setStart(node, from); range.setEnd(node, k);
          put(node.data.slice(from, k), range.getBoundingClientRect(), style, element);
          from = k;
        }
        last = rect ? rect.top : last;
      }
    }
  }
  const items = [...document.querySelectorAll('[data-item]')].map(element => {
    const known = JSON.parse(element.dataset.item), box = element.getBoundingClientRect();
    const input = element.matches('input') ? element : element.querySelector('input[type=checkbox],input[type=radio]');
    const tag = element.tagName;
    if (!seen(element, (box.left + box.right) / 2, (box.top + box.bottom) / 2)) return null;
    if (input && ['checkbox', 'radio'].includes(input.type)) { known.on = input.checked; known.enabled = !input.disabled; }
    else if (tag === 'SELECT') known.value = element.selectedOptions[0].text;
    else if (tag === 'INPUT' && element.type !== 'range') {
      known.value = element.type === 'date' ? dateOf(element) : element.value;
      known.hint = element.placeholder;
    }
    else if (!known.value) known.text = element.innerText.split(/\s+/).filter(Boolean).join(' ');
    if (tag === 'BUTTON') known.enabled = !element.disabled;
    return [known, [box.left, box.top, box.right, box.bottom].map(round)];
  }).filter(Boolean);
  return {words, items, height: Math.max(document.body.getBoundingClientRect().bottom, 0)};
}"""
