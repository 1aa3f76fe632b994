"""Drawn colours and arrangements of web pages."""

import random
import re

from kimi_vl.training.synth.content import luminance
from kimi_vl.training.synth.sources.web_styles import READABLE, SIDES, arrangement, palette


def brightness(colour: str) -> float:
    assert re.fullmatch("#[0-9a-f]{6}", colour)
    return luminance(tuple(int(colour[at : at + 2], 16) for at in (1, 3, 5)))


def test_text_can_be_read_in_every_palette():
    for seed in range(400):
        colours = {name: brightness(colour) for name, colour in palette(random.Random(seed)).items()}
        for ground in ("paper", "card"):
            assert abs(colours["ink"] - colours[ground]) > READABLE, (seed, colours)
            assert abs(colours["muted"] - colours[ground]) > READABLE / 2, (seed, colours)
            assert abs(colours["accent"] - colours[ground]) >= READABLE / 2 - 1, (seed, colours)
        assert abs(colours["on_accent"] - colours["accent"]) > READABLE / 2, (seed, colours)


def test_palettes_are_light_and_dark():
    dark = sum(brightness(palette(random.Random(seed))["paper"]) < 128 for seed in range(400))
    assert 80 < dark < 160


def test_arrangements_are_many_and_whole():
    drawn = [arrangement(random.Random(seed)) for seed in range(300)]
    assert len(set(drawn)) == 300
    for css in drawn:
        assert css.count("{") == css.count("}") > 0
        assert "None" not in css
    assert {side for side in SIDES if any(f".bar{{flex-wrap:wrap;justify-content:{side}" in css for css in drawn)} == set(SIDES)


def test_the_same_seed_gives_the_same_page():
    assert arrangement(random.Random(5)) == arrangement(random.Random(5))
    assert palette(random.Random(5)) == palette(random.Random(5))
