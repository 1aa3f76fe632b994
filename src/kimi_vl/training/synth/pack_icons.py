"""Icons for the data pack: emoji, signs of line icons, and flags, each kind in sets of different hands.

Sets come from npm's `@iconify-json/*` packages (one JSON of SVG bodies each) and are drawn once, by the browser of
`pack_browser`, as atlases of 64-pixel tiles. Every set of a kind has the same names and belongs to one split, so a score on
`test` says whether a cat is known that somebody else drew.
"""

import json
import tarfile
from pathlib import Path
from typing import NamedTuple

SIDE = 64  # pixels of a tile
COLUMNS = 16  # tiles in a row of an atlas

# name=slug, where the slug is not the name with hyphens; slugs with / are tried in turn, for sets call signs differently
THINGS = """
cat, dog, rabbit, fox, bear, panda, koala, tiger, lion, cow, pig, frog, monkey, chicken, penguin, bird, duck, owl, wolf, horse, unicorn,
bee=honeybee, butterfly, snail, ladybug=lady-beetle, ant, spider, turtle, snake, octopus, crab, fish, dolphin, whale=spouting-whale,
shark, crocodile, elephant, camel=two-hump-camel, giraffe, sheep=ewe, goat, deer, bat, hedgehog, squirrel=chipmunk, parrot, swan,
flamingo, peacock, kangaroo, zebra, gorilla, scorpion, lobster, shrimp, dinosaur=sauropod, dragon, apple=red-apple, pear,
orange=tangerine, lemon, banana, watermelon, grapes, strawberry, cherries, peach, pineapple, coconut, tomato, eggplant, carrot,
corn=ear-of-corn, mushroom, bread, cheese=cheese-wedge, pizza, hamburger, fries=french-fries, hot dog, sandwich, taco, egg, cookie,
cake=birthday-cake, ice cream, doughnut, chocolate=chocolate-bar, candy, honey pot, coffee=hot-beverage, beer=beer-mug, wine glass,
milk=glass-of-milk, avocado, broccoli, potato, garlic, onion, chili pepper=hot-pepper, croissant, pretzel, popcorn, sushi, lollipop,
cupcake, teapot, tree=deciduous-tree, cactus, palm tree, rose, sunflower, tulip, maple leaf, clover=four-leaf-clover, house,
car=automobile, bus, truck=delivery-truck, tractor, bicycle, motorcycle, train=locomotive, airplane, helicopter, rocket, ship, sailboat,
anchor, traffic light=vertical-traffic-light, tent, castle, church, hospital, school, factory, fountain, ambulance, fire engine,
scooter=kick-scooter, watch, phone=mobile-phone, laptop, computer=desktop-computer, keyboard, printer, camera, television, radio,
microphone, headphones=headphone, telephone, battery, plug=electric-plug, light bulb, flashlight, candle, open book, newspaper,
envelope, package, pencil, pen, paintbrush, crayon, scissors, paperclip, pushpin, ruler=straight-ruler, lock=locked, key, hammer, axe,
wrench, screwdriver, gear, magnet, ladder, microscope, telescope, syringe, pill, bed, chair, couch=couch-and-lamp, door, toilet,
bathtub, broom, basket, bell, trophy, soccer ball, basketball, football=american-football, tennis ball=tennis, baseball, guitar, violin,
drum, trumpet, piano=musical-keyboard, saxophone, dice=game-die, puzzle piece, teddy bear, kite, balloon, gift=wrapped-gift, crown,
glasses, hat=top-hat, shirt=t-shirt, jeans, dress, socks, shoe=running-shoe, boot=womans-boot, handbag, backpack, umbrella, ring,
diamond=gem-stone, money bag, credit card, coin, shopping cart, calendar, alarm clock, hourglass=hourglass-done, compass,
globe=globe-showing-europe-africa, world map, volcano, fire, drop=droplet, rainbow, snowflake, snowman=snowman-without-snow, cloud,
lightning=high-voltage, sun, moon=crescent-moon, star, heart=red-heart, skull, ghost, robot, alien, eye, ear, brain, bone, tooth,
magnifying glass=magnifying-glass-tilted-left, trash can=wastebasket, folder=file-folder, clipboard, bar chart, warning sign=warning,
check mark=check-mark-button, cross mark, question mark=red-question-mark, exclamation mark=red-exclamation-mark, stop sign, recycling
symbol, smiling face=grinning-face, crying face, angry face, sleeping face, face with sunglasses=smiling-face-with-sunglasses, thumbs
up, thumbs down, flexed arm=flexed-biceps, waving hand, baby, bow and arrow, dart board=bullseye, boxing glove, skateboard, canoe,
satellite, flying saucer, shield, sword=dagger, bomb, thermometer, safety pin, yarn, lipstick, toothbrush, fork and knife, spoon,
chopsticks, feather, spider web, paw prints
"""
SIGNS = """
home=home/house, search=search/magnifying-glass/magnify, settings=settings/gear/cog, trash=trash/delete, user=user/account,
mail=mail/envelope/email, lock, unlock=lock-open/lock-open-outline, key, camera, printer, download=download/download-simple,
upload=upload/upload-simple, heart, star, bell, calendar, clock=clock/clock-outline, phone, cloud, sun=sun/white-balance-sunny,
moon=moon/moon-waning-crescent, umbrella, book, bookmark, folder, file, image=image/photo, music=music/music-notes,
video=video-camera/video, microphone=microphone/mic, play, pause, skip forward=skip-forward/player-skip-forward,
volume=volume-2/volume/speaker-high/volume-high, mute=volume-x/volume-3/speaker-x/volume-off, wifi=wifi/wifi-high, bluetooth,
battery=battery/battery-2/battery-medium/battery-full/battery-50, plug=plug/power-plug, light bulb=lightbulb/bulb, flag, gift, tag,
shopping cart=shopping-cart/cart, shopping bag=shopping-bag/bag/handbag/shopping, credit card, wallet, bar
chart=chart-bar/chart-column/bar-chart-3, pie chart=chart-pie/pie-chart/chart-pie-outline, list=list-bullets/list/format-list-bulleted,
menu=menu-2/menu/list, filter=filter/funnel, plus, minus, check=check/check-bold, close=x/close, arrow left, arrow right, arrow up,
arrow down, refresh=refresh-cw/refresh/arrows-clockwise, undo=undo/arrow-back-up/arrow-u-up-left,
redo=redo/arrow-forward-up/arrow-u-up-right, copy=copy/content-copy, cut=scissors/content-cut, edit=edit/pencil, eraser, ruler,
save=save/device-floppy/floppy-disk/content-save, share=share-2/share/share-network/share-variant, link, paperclip,
send=send/paper-plane-tilt, message=message-square/message/chat, globe=globe/world/web, map=map/map-trifold, map pin=map-pin/map-marker,
compass, car, bus, train, airplane=plane/airplane, bicycle=bike/bicycle, truck, ship=ship/boat/ferry, rocket, anchor, coffee, pizza,
cherry=cherry/cherries/orange/fruit-cherries, carrot, cake, fish, cat, dog, bug, leaf, flower,
snowflake, drop=droplet/drop/water, fire=flame/fire, lightning=zap/lightning-bolt/bolt/lightning, wind=wind/weather-windy,
rain=cloud-rain/weather-pouring, mountain=mountain/mountains/image-filter-hdr, tent, bed, chair=armchair/armchair/chair,
bath=bath/bathtub, door=door-open/door, television=television-classic/tv/device-tv/television,
monitor=monitor/device-desktop, laptop=laptop/device-laptop,
tablet=tablet/device-tablet/device-tablet, keyboard, computer mouse=mouse/mouse-simple, headphones,
speaker=speaker/device-speaker/speaker-hifi, gamepad=gamepad-2/device-gamepad/game-controller/gamepad-variant, database,
server=server/hard-drives, code=code/code-tags, terminal=terminal/console, puzzle piece=puzzle/puzzle-piece, shield, eye, thumbs
up=thumbs-up/thumb-up, thumbs down=thumbs-down/thumb-down, smiling face=smile/mood-smile/smiley/emoticon-happy-outline, trophy, crown,
diamond=gem/sketch-logo/diamond/diamond-stone, target, magnet, hammer, wrench=wrench/tool, syringe=syringe/vaccine/needle,
pill=pill/pill, thermometer, skull, ghost, robot=bot/robot, alarm clock=alarm-clock/alarm, hourglass, calculator, clipboard,
newspaper=newspaper/news, briefcase, building, factory=factory/building-factory-2, church=church/building-church,
bank=landmark/building-bank/bank, store=store/building-store/storefront, fingerprint=fingerprint/fingerprint-pattern, barcode, ticket,
piano=piano/piano/piano-keys, bone, egg, ice cream=ice-cream-cone/ice-cream,
beer=beer/beer-stein, wine glass=glass-wine/wine/glass-full, cookie,
warning=triangle-alert/alert-triangle/warning/alert-outline, info=info/info-circle/information, question
mark=circle-help/circle-question-mark/help-circle/help/question, power, log out=log-out/logout/sign-out, zoom
in=zoom-in/magnifying-glass-plus/magnify-plus, zoom out=zoom-out/magnifying-glass-minus/magnify-minus, crop,
layers=layers/stack/stack-2, palette, translate=languages/language/translate, ear=ear/ear-hearing, glasses=glasses/eyeglass/eyeglasses,
shirt=shirt/t-shirt/tshirt-crew, watch=watch/device-watch, backpack=backpack/backpack/bag-personal,
suitcase=luggage/suitcase/bag-suitcase, fuel pump=gas-station/fuel/gas-pump,
wheelchair=wheelchair-accessibility/wheelchair/accessibility, feather, infinity,
percent=percent/percentage, atom, flask=flask-conical/flask, microscope, inbox=inbox/tray,
archive, pin=pin/pinned/push-pin, more=ellipsis/dots/dots-three/dots-horizontal, parking=circle-parking/parking/letter-circle-p,
sofa=sofa/couch, lamp
"""
COUNTRIES = """
Germany=de, France=fr, Italy=it, Spain=es, Portugal=pt, United Kingdom=gb, Netherlands=nl, Belgium=be, Switzerland=ch,
Austria=at, Poland=pl, Czechia=cz, Hungary=hu, Romania=ro, Greece=gr, Turkey=tr, Ukraine=ua, Sweden=se, Norway=no, Denmark=dk,
Finland=fi, Iceland=is, Estonia=ee, Croatia=hr, United States=us, Canada=ca, Mexico=mx, Brazil=br, Chile=cl, Colombia=co,
Peru=pe, Cuba=cu, Jamaica=jm, Uruguay=uy, Panama=pa, China=cn, Japan=jp, South Korea=kr, India=in, Pakistan=pk, Bangladesh=bd, Nepal=np,
Thailand=th, Vietnam=vn, Malaysia=my, Singapore=sg, Philippines=ph, Israel=il, Saudi Arabia=sa, Qatar=qa, Kazakhstan=kz, Egypt=eg,
Morocco=ma, Algeria=dz, Nigeria=ng, Kenya=ke, Ethiopia=et, South Africa=za, Ghana=gh, Australia=au, New Zealand=nz
"""


class Source(NamedTuple):
    """One set: the `@iconify-json` package, what it draws, its split, and how its slugs are spelled ({} stands for ours)."""

    package: str
    kind: str
    split: str
    spelling: str = "{}"


SOURCES = (
    Source("openmoji", "things", "train"),
    Source("noto", "things", "train"),
    Source("fluent-emoji-flat", "things", "val"),
    Source("twemoji", "things", "test"),
    Source("lucide", "signs", "train"),
    Source("mdi", "signs", "train"),
    Source("tabler", "signs", "val"),
    Source("ph", "signs", "test"),
    Source("openmoji", "flags", "train", "flag-{name}"),
    Source("flag", "flags", "train", "{}-4x3"),
    Source("circle-flags", "flags", "val"),
    Source("twemoji", "flags", "test", "flag-{name}"),
)
PACKAGES = tuple(sorted({source.package for source in SOURCES}))
TABLES = {"things": THINGS, "signs": SIGNS, "flags": COUNTRIES}


def entries(kind: str) -> dict[str, list[str]]:
    """Names of a kind, in the table's order, with the slugs they may have."""
    found = {}
    for entry in " ".join(TABLES[kind].split()).split(", "):
        name, _, slugs = entry.partition("=")
        found[name] = (slugs or name.replace(" ", "-")).split("/")
    return found


class Drawings:
    """The SVGs of an `@iconify-json` package."""

    def __init__(self, archive: Path) -> None:
        with tarfile.open(archive) as opened:
            read = {name: opened.extractfile(f"package/{name}.json") for name in ("icons", "package", "info")}
            contents = {name: json.loads(file.read()) for name, file in read.items() if file}
        self._icons, self.package, self.info = contents["icons"], contents["package"], contents["info"]

    def source(self) -> dict[str, str]:
        """Name, version and licence for the pack's index."""
        name, licence = self.package["name"], self.info["license"]["spdx"]
        return {"name": name, "registry": "npm", "version": self.package["version"], "licence": licence}

    def svg(self, slugs: list[str]) -> str:
        """The drawing under the first slug that the set has. Raises KeyError where it has none."""
        icons, aliases = self._icons["icons"], self._icons.get("aliases", {})
        for slug in slugs:
            icon = icons.get(slug) or icons.get(aliases.get(slug, {}).get("parent"))
            if icon:
                wide, high = (icon.get(side, self._icons.get(side, 16)) for side in ("width", "height"))
                return f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {wide} {high}">{icon["body"]}</svg>'
        raise KeyError(f"{self.package['name']} has none of {', '.join(slugs)}; the tables of pack_icons need a new slug")


def atlas_page(source: Source, drawings: Drawings) -> tuple[str, list[str]]:
    """An HTML page of all tiles of a set, 16 a row, on nothing; and their names."""
    table = entries(source.kind)
    tiles = []
    for name, slugs in table.items():
        spelled = [source.spelling.format(slug, name=name.lower().replace(" ", "-")) for slug in slugs]
        # Each picture is a document of its own: gradients of two drawings may have the same id.
        tiles.append(f"<img src='data:image/svg+xml;utf8,{_escaped(drawings.svg(spelled))}'>")
    style = f"body{{margin:0;width:{SIDE * COLUMNS}px;font-size:0}}img{{width:{SIDE}px;height:{SIDE}px}}"
    return f"<!DOCTYPE html><style>{style}</style>{''.join(tiles)}", list(table)


def _escaped(svg: str) -> str:
    """For an address between single quotes."""
    return svg.replace("%", "%25").replace("#", "%23").replace("'", "%27").replace("<", "%3C").replace(">", "%3E")
