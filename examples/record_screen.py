"""Record a page of the browser as a video and ask when something happens in it.

    pip install playwright && playwright install chromium
    python examples/record_screen.py [--out FOLDER]

The browser itself records what it draws (MediaRecorder, a WebM of varying frame rate, as of any screen recorder in a page); no network is
used. What happens when is told by the page's own clock, so the answer is checked: it must be within half a second, the distance of
frames; otherwise the exit code is 1. `--out` keeps the recording. `--browser` names an installed Chromium.
"""

import argparse
import base64
import re
import shutil
import sys
from pathlib import Path

from kimi_vl import KimiVL

MESSAGE, AFTER_MS, LENGTH_MS = "Upload finished", 3000, 5000
QUESTION = f'When does the message "{MESSAGE}" appear?'
RECORD = """async ([message, after, length]) => {
  const canvas = Object.assign(document.createElement('canvas'), {width: 280, height: 224});
  document.body.append(canvas);
  const pen = canvas.getContext('2d');
  const chunks = [], recorder = new MediaRecorder(canvas.captureStream(25), {mimeType: 'video/webm;codecs=vp8', videoBitsPerSecond: 2e6});
  recorder.ondataavailable = event => chunks.push(event.data);
  const ended = new Promise(done => recorder.onstop = done);
  const began = performance.now();
  let shown = null;
  const draw = () => {
    const now = performance.now() - began;
    pen.fillStyle = '#fff'; pen.fillRect(0, 0, 280, 224);
    pen.fillStyle = '#2a62c8'; pen.fillRect(20, 60, 240 * Math.min(1, now / after), 20);
    pen.fillStyle = '#222'; pen.font = '18px sans-serif'; pen.fillText('Uploading report', 20, 40);
    if (now >= after) { shown ??= now; pen.fillText(message, 20, 120); }
    if (now < length) requestAnimationFrame(draw); else recorder.stop();
  };
  recorder.start(); draw();
  await ended;
  const bytes = new Uint8Array(await new Blob(chunks).arrayBuffer());
  return [shown / 1000, btoa(Array.from(bytes, byte => String.fromCharCode(byte)).join(''))];
}"""


def record(browser_path: str | None) -> tuple[float, bytes]:
    """When the message was drawn, in seconds from the beginning of the recording, and the recording."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=browser_path, args=["--no-sandbox"])
        seconds, data = browser.new_page().evaluate(RECORD, [MESSAGE, AFTER_MS, LENGTH_MS])
        browser.close()
    return float(seconds), base64.b64decode(data)


def main() -> int:
    parser = argparse.ArgumentParser(description="Record a page and ask when something happens in it.")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--browser", default=shutil.which("chromium"))
    arguments = parser.parse_args()
    happened, video = record(arguments.browser)
    if arguments.out:
        arguments.out.mkdir(parents=True, exist_ok=True)
        (arguments.out / "recording.webm").write_bytes(video)
    answer = KimiVL.load().ask(QUESTION, media=[video], temperature=0.0)
    found = re.fullmatch(r"(\d+):(\d\d\.\d)", answer.text)
    said = int(found[1]) * 60 + float(found[2]) if found else None
    good = said is not None and abs(said - happened) <= 0.5
    sys.stdout.write(f"drawn at {happened:.2f} s; {QUESTION} {answer.text}: {'right' if good else 'wrong'}\n")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
