"""An agent that fills in a form by looking at it: screenshot, question, point, click, until the page says that it is done.

    pip install playwright && playwright install chromium
    python examples/click_through.py [--out FOLDER] [--model FOLDER OR HUB ID]

The form is `click_through.html` beside this file; no network is used. The plan (what to click, what to type) is given; where to click is
the model's to see, in a screenshot, as a person would. Progress is checked mechanically, in the page itself, which the model never reads:
a click that does not do what it should is tried again with another wording, and after that the run ends with exit code 1.
`--out` keeps each screenshot with the point that the model gave. `--browser` names an installed Chromium.
"""

import argparse
import shutil
import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from PIL import Image

from kimi_vl import KimiVL
from kimi_vl.processor.drawing import draw_places
from kimi_vl.processor.grounding import Point, find_grounding

PAGE = Path(__file__).resolve().with_name("click_through.html")
SIZE = {"width": 640, "height": 448}


@dataclass(frozen=True)
class Step:
    """What to click, said in two ways; what to type then; and JavaScript that is true once it is done."""

    questions: tuple[str, str]
    done: str
    types: str = ""


PLAN = (
    Step(("Where can I enter the Name?", "Click the Name field."), "document.activeElement.id === 'name'", "Ada Marsh"),
    Step(("Where can I enter the City?", "Click the City field."), "document.activeElement.id === 'city'", "Delft"),
    Step(("Click the Next button.", "Where do I click for Next?"), "document.body.dataset.step === '1'"),
    Step(("Click the Tandem radio button.", "Select the Tandem."), "document.querySelector('input[value=Tandem]').checked"),
    Step(("Press the Next button.", "Where do I click for Next?"), "document.body.dataset.step === '2'"),
    Step(("Click the Helmet check box.", "Click Helmet."), "document.querySelector('input[value=Helmet]').checked"),
    Step(("Click the Insurance check box.", "Click Insurance."), "document.querySelector('input[value=Insurance]').checked"),
    Step(("Press the Submit button.", "Where do I click for Submit?"), "document.body.dataset.step === '3'"),
)
EXPECTED = "Ada Marsh, Delft, Tandem, Helmet, Insurance"


def look(page) -> Image.Image:
    """What the page looks like now, at one pixel of the picture for each of the page."""
    return Image.open(BytesIO(page.screenshot())).convert("RGB")


def where(llm: KimiVL, picture: Image.Image, question: str) -> tuple[Point | None, str]:
    """The one point of the model's answer, in pixels of the screenshot, and the answer."""
    answer = llm.ask(question, media=[picture], temperature=0.0).text
    seen = llm.processor.image_processor.resized_size(*picture.size)
    found = find_grounding(answer, [picture.size], seen=[seen])
    acted = [action.point for action in found.actions if action.point]
    points = [*found.points, *acted, *(Point((box.left + box.right) / 2, (box.top + box.bottom) / 2) for box in found.boxes)]
    return (points[0] if len(points) == 1 else None), answer


def take(llm: KimiVL, page, step: Step, number: int, out: Path | None) -> bool:
    """Whether the step is done, after at most one click for each of its wordings."""
    for attempt, question in enumerate(step.questions):
        picture = look(page)
        point, answer = where(llm, picture, question)
        if out and point:
            draw_places(picture, [Point(point.x, point.y, question)]).save(out / f"step-{number}{'ab'[attempt]}.png")
        if point is None:
            print(f"{number}. {question}  {answer}  [no point]")
            continue
        page.mouse.click(point.x, point.y)
        done = page.evaluate(step.done)
        print(f"{number}. {question}  {answer}  [{'done' if done else 'MISSED'}]")
        if done:
            page.keyboard.type(step.types)
            return True
    return False


def run(page, llm: KimiVL, out: Path | None) -> int:
    page.goto(PAGE.as_uri())
    if not all(take(llm, page, step, number, out) for number, step in enumerate(PLAN, 1)):
        print("stopped: a step could not be done", file=sys.stderr)
        return 1
    summary = page.inner_text("#summary")
    if out:
        look(page).save(out / "done.png")
    print(f"the page says: {summary}")
    if summary != EXPECTED:
        print(f"expected: {EXPECTED}", file=sys.stderr)
        return 1
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--out", type=Path, help="folder for screenshots with the points")
    parser.add_argument("--model", help="folder or hub id; the embedded nano where it is left out")
    parser.add_argument("--browser", default=shutil.which("chromium") or shutil.which("google-chrome"), help="an installed Chromium")
    options = parser.parse_args()
    try:
        from playwright.sync_api import Error, sync_playwright
    except ModuleNotFoundError:
        print("playwright is not installed: pip install playwright && playwright install chromium", file=sys.stderr)
        return 2
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        try:
            browser = playwright.chromium.launch(executable_path=options.browser, args=["--no-sandbox"])  # the page is ours, and local
        except Error as error:
            print(
                f"no Chromium could be started ({str(error).splitlines()[0]}): playwright install chromium, or --browser PATH",
                file=sys.stderr,
            )
            return 2
        code = run(browser.new_page(viewport=SIZE), KimiVL.load(options.model), options.out)
        browser.close()
    return code


if __name__ == "__main__":
    sys.exit(main())
