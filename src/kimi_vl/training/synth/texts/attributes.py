"""What facts in long texts are about: attributes with their kinds of values, relations, and who or what has them.

An attribute is two words, a qualifier and a noun: of 150,000 paragraphs hardly any has a given pair, so that the facts are all the text
says about it. Split "test" draws from the short lists `CODES`, `COSTS`, `RELATIONS` and `PLACES` alone, half of the times from what
they hold out; nothing of that is composed here.
"""

from collections.abc import Callable
from typing import NamedTuple

from kimi_vl.training.synth.content import Choice, Content, plural


class Attribute(NamedTuple):
    """What a fact is about, said of one and of several, and how its value is drawn; amounts, which have no `draw`, are in cents."""

    one: str
    many: str
    draw: Callable[[Content], str] | None = None


CODES = Choice(
    (
        Attribute("access code", "access codes", lambda c: c.number(5)),
        Attribute("gate code", "gate codes", lambda c: c.number(c.rng.randint(4, 6))),
        Attribute("alarm code", "alarm codes", lambda c: c.number(4)),
        Attribute("locker number", "locker numbers", lambda c: c.number(3)),
        Attribute("badge number", "badge numbers", lambda c: c.number(6)),
        Attribute("safe combination", "safe combinations", lambda c: f"{c.number(2)}-{c.number(2)}-{c.number(2)}"),
        Attribute("file number", "file numbers", lambda c: c.code()),
        Attribute("ticket code", "ticket codes", lambda c: c.letters(2) + c.number(4)),
        Attribute("desk extension", "desk extensions", lambda c: c.number(4)),
        Attribute("booking reference", "booking references", lambda c: c.letters(6)),
        Attribute("parking space", "parking spaces", lambda c: c.letters(1) + c.number(2)),
        Attribute("secret word", "secret words", lambda c: c.one(c.pack.words(c.split)).lower()),
        Attribute("closing date", "closing dates", lambda c: c.date()),
        Attribute("contact address", "contact addresses", lambda c: c.email()),
        Attribute("service number", "service numbers", lambda c: c.phone()),
    ),
    (
        Attribute("vault number", "vault numbers", lambda c: c.number(5)),
        Attribute("entry phrase", "entry phrases", lambda c: " ".join([c.one(c.pack.words(c.split)).lower() for _ in range(2)])),
        Attribute("radio channel", "radio channels", lambda c: c.number(2) + c.letters(1)),
    ),
)
COSTS = Choice(
    (
        Attribute("monthly rent", "monthly rents"),
        Attribute("cleaning fee", "cleaning fees"),
        Attribute("repair cost", "repair costs"),
        Attribute("yearly budget", "yearly budgets"),
        Attribute("open balance", "open balances"),
        Attribute("entrance fee", "entrance fees"),
    ),
    (Attribute("mooring fee", "mooring fees"), Attribute("heating bill", "heating bills")),
)
RELATIONS = Choice(("deputy", "sponsor", "successor", "neighbour", "supplier", "landlord"), ("guardian", "twin town"))
MORE_RELATIONS = tuple(
    "assistant|caretaker|tenant|client|agent|rival|mentor|publisher|insurer|architect|advisor|courier|predecessor|auditor|partner firm|"
    "main customer|emergency contact|head office|contractor|tutor|lender|next of kin|understudy|distributor".split("|")
)
PLACES = Choice(
    tuple(
        "the harbour|the library|the north gate|the old mill|the archive|the boat house|the bakery|the museum|the west wing|the garage|"
        "the workshop|the town hall|the cellar|the reading room|the observatory|the greenhouse|the main office|the laboratory|the stables|"
        "the theatre|the station|the brewery|the school|the lighthouse|the warehouse|the chapel|the swimming pool|the print shop".split("|")
    ),
    ("the shipyard", "the clinic", "the vineyard", "the studio", "the post office", "the east tower"),
)

COLOURS = "red|green|blue|yellow|black|white|grey|brown|orange|pink|purple|beige|silver|golden|turquoise|violet|crimson|ivory".split("|")
SHADES = ("", "", "", "dark ", "light ", "pale ", "bright ")
ANIMALS = (
    "badger|otter|heron|falcon|hedgehog|squirrel|tortoise|lynx|walrus|penguin|beaver|raven|stork|salmon|octopus|camel|llama|gecko|donkey|"
    "swan|ferret|parrot|bison|moose|seal|owl|lizard|hamster|sparrow|dolphin"
).split("|")
TONGUES = "Danish|Finnish|Greek|Latin|Polish|Turkish|Welsh|Arabic|Korean|Spanish|Swedish|Hungarian|Dutch|Czech|Basque|Icelandic".split("|")
MATERIALS = "oak|steel|granite|copper|leather|linen|bronze|marble|cotton|glass|bamboo|slate|pine|wool|clay|rubber|silk|tin".split("|")


def _word(content: Content) -> str:
    return content.one(content.pack.words(content.split)).lower()


def _person(content: Content) -> str:
    """Without initials, whose points look like the end of a sentence."""
    for _ in range(8):
        if "." not in (name := content.person()):
            return name
    return content.proper()


def _measure(low: int, high: int, *units: str, fine: bool = True) -> Callable[[Content], str]:
    def draw(content: Content) -> str:
        value = content.rng.randint(low, high)
        tenths = f".{content.rng.randint(1, 9)}" if fine and content.chance(0.4) else ""
        return f"{value}{tenths} {content.one(units)}"

    return draw


def _password(content: Content) -> str:
    kind = content.rng.randrange(4)
    if kind == 0:
        return _word(content).capitalize() + content.number(2)
    if kind == 1:
        return f"{_word(content)}-{_word(content)}"
    return f"{_word(content)}{content.number(3)}" if kind == 2 else content.letters(2).lower() + content.number(3) + content.letters(2)


def _clock(content: Content) -> str:
    h, m = content.rng.randrange(24), content.rng.randrange(0, 60, 5)
    return content.one((f"{h:02d}:{m:02d}", f"{h:02d}:{m:02d}", f"{h % 12 or 12}:{m:02d} {'AP'[h > 11]}M"))


# Qualifiers, nouns, what a value looks like; every qualifier goes with every noun.
GROUPS: tuple[tuple[str, str, Callable[[Content], str]], ...] = (
    (
        "door|garage|garden|member|guest|order|voucher|lift|cabinet|printer|bicycle|luggage|discount|release|pickup|return|course|visitor|"
        "storage|office|cellar|customs",
        "code|pin",
        lambda c: c.number(c.rng.randint(3, 6)) if c.chance(0.6) else c.code(),
    ),
    (
        "room|seat|box|shelf|table|bus|house|key|cabin|tent|rack|drawer|track|berth|bay|team|lane|chair|queue|bench",
        "number",
        lambda c: c.number(c.rng.randint(2, 4)) if c.chance(0.7) else c.letters(1) + c.number(c.rng.randint(2, 3)),
    ),
    (
        "serial|part|licence|parcel|invoice|contract|patent|passport|policy|customer|flight|order|account|model|member|case|permit|"
        "tracking|"
        "batch|receipt|engine|frame|chassis|stock|library",
        "number|id",
        lambda c: c.code(),
    ),
    ("phone|fax|office|emergency|home|night|mobile|pager|front desk|support", "line|telephone", lambda c: c.phone()),
    (
        "opening|exam|moving|wedding|payment|release|renewal|birth|inspection|start|expiry|harvest|delivery|election|trial|launch|refund",
        "date|day",
        lambda c: c.date(),
    ),
    ("opening|arrival|departure|meeting|boarding|lunch|breakfast|collection|starting|tea|visiting|rehearsal", "time|hour", _clock),
    (
        "door|shirt|logo|roof|label|wall|paint|flag|carpet|cover|ribbon|curtain|uniform|team|tile|fence|boat|car",
        "colour|shade",
        lambda c: c.one(SHADES) + c.one(COLOURS),
    ),
    ("parcel|net|shipping|cargo|engine|luggage|total|gross|empty|loading", "weight|mass", _measure(2, 980, "kg", "kg", "lb", "g", "t")),
    ("bridge|cable|rope|runway|tunnel|fence|trail|stage|hose|corridor", "length|width", _measure(2, 900, "m", "m", "ft", "cm", "yards")),
    ("ceiling|summit|tower|shelf|door|mast|wave|wall", "height", _measure(2, 900, "m", "ft", "cm")),
    ("travel|hiking|delivery|braking|daily|walking|rail", "distance", _measure(2, 990, "km", "km", "miles", "m")),
    ("oven|water|storage|room|freezer|engine|soil|washing|serving", "temperature", _measure(2, 240, "C", "F", "degrees")),
    (
        "battery|boiling|waiting|journey|warranty|training|drying|opening",
        "duration|span",
        _measure(2, 90, "minutes", "hours", "days", fine=False),
    ),
    ("motor|pump|lamp|solar|heater|charging", "power|wattage", _measure(5, 900, "W", "kW", "hp")),
    ("top|wind|cruising|printing|download", "speed", _measure(5, 400, "km/h", "mph", "m/s", "knots")),
    ("tank|bottle|cargo|trunk|barrel", "volume|capacity", _measure(2, 950, "litres", "l", "gallons", "ml")),
    (
        "interest|growth|discount|tax|failure|success|occupancy|turnout",
        "rate|percentage",
        lambda c: f"{c.rng.randint(1, 96)}.{c.number(1)}%",
    ),
    (
        "contact|night|head|tour|first|project|fire|chief|team|site|duty",
        "person|watchman|engineer|guide|leader|clerk|nurse|cook|steward",
        _person,
    ),
    ("meeting|birth|storage|landing|hiding|camping|parking|picnic", "place|town|village", lambda c: c.town()),
    ("delivery|home|postal|street|shop|return|holiday", "address|location", lambda c: c.street().replace(".", "")),
    ("mail|reply|private|support|billing|press", "mailbox|inbox", lambda c: c.email()),
    ("home|project|download|booking|news|fan", "site|page|link", lambda c: c.site()),
    ("house|team|farm|heraldic|favourite|lucky|family|stage", "animal|pet|mascot", lambda c: c.one(ANIMALS)),
    ("favourite|best selling|lost|first|birthday|missing|hidden|borrowed", "product|item|gift|prize", lambda c: c.product()),
    (
        "departure|arrival|bus|night train|express",
        "platform|terminal|stop",
        lambda c: c.number(1) + c.one(("", "", c.number(1), c.letters(1))),
    ),
    ("boarding|exit|transfer|delivery|goods", "gate|dock", lambda c: c.letters(1) + c.number(2)),
    (
        "shoe|ring|hat|glove|shirt|bolt|tyre",
        "size",
        lambda c: c.one((c.number(2), f"{c.rng.randint(3, 48)}.5", f"{c.number(2)}{c.letters(1)}")),
    ),
    ("login|printer|server|archive|guest|network|mail|backup|computer|market", "password|passcode", _password),
    ("code|magic|favourite|winning|test|spoken|safety", "word", _word),
    ("code|stage|user|family|brand|ship|horse|project|pen", "name|title", lambda c: c.proper()),
    ("working|spoken|first|court|lesson|menu", "language", lambda c: c.one(TONGUES)),
    ("floor|roof|bridge|table|cover|frame|handle|main", "material", lambda c: c.one(MATERIALS)),
    ("visitor|page|seat|word|tree|window|sheep|error|brick|bottle", "count|tally", lambda c: str(c.rng.randint(11, 9999))),
    ("test|exam|match|final|safety|jury|game", "score|result", lambda c: f"{c.rng.randint(1, 99)}:{c.rng.randint(1, 99)}"),
    ("map|grid|star|archive", "position|reference", lambda c: f"{c.letters(1)}{c.number(1)}-{c.number(3)}"),
)
COST_GROUPS = (
    "monthly|weekly|daily|cleaning|repair|parking|delivery|storage|booking|printing|travel|training|security|insurance|rental|service|"
    "catering|postage|transport|membership|installation|inspection|shipping|advertising|removal|guided tour",
    "fee|cost|charge|price|budget|allowance|rate",
)


def _composed(qualifiers: str, nouns: str, draw: Callable[[Content], str] | None = None) -> list[Attribute]:
    pairs = [f"{qualifier} {noun}" for qualifier in qualifiers.split("|") for noun in nouns.split("|")]
    return [Attribute(one, plural(one), draw) for one in pairs if one.split(" ")[0] != one.split(" ")[-1]]


_PLAIN = {a.one for choice in (CODES, COSTS) for a in (*choice.seen, *choice.held_out)}
_QUANTITIES = [[a for a in _composed(*group) if a.one not in _PLAIN] for group in GROUPS]
MORE_COSTS = tuple([a for a in _composed(*COST_GROUPS) if a.one not in _PLAIN])
# A pair that two groups make keeps the values of the first.
MORE_CODES = tuple({a.one: a for group in reversed(_QUANTITIES) for a in group if a.one not in {c.one for c in MORE_COSTS}}.values())
_BY_GROUP = [tuple([a for a in MORE_CODES if a.draw is group[0].draw]) for group in _QUANTITIES if group]
KINDS = tuple([group for group in _BY_GROUP if group])

# Values of attributes that are invented. What a value looks like says nothing there about what it is called.
SHAPES: tuple[Callable[[Content], str], ...] = (
    lambda c: c.number(c.rng.randint(1, 7)),
    lambda c: c.number(c.rng.randint(1, 3)) + c.letters(c.rng.randint(1, 2)),
    lambda c: c.letters(c.rng.randint(1, 3)) + c.number(c.rng.randint(1, 4)),
    lambda c: c.letters(c.rng.randint(2, 6)),
    lambda c: c.one("-/.: ").join([c.number(c.rng.randint(1, 4)) for _ in range(c.rng.randint(2, 3))]),
    lambda c: c.code(),
    lambda c: " ".join([_word(c) for _ in range(c.rng.randint(1, 4))]),
    lambda c: " ".join([_word(c) for _ in range(c.rng.randint(2, 3))]),
    lambda c: f"{_word(c)} {c.number(c.rng.randint(1, 3))}",
    lambda c: f"{c.number(c.rng.randint(1, 4))} {plural(_word(c))}",
    lambda c: c.product(),
    lambda c: c.proper(),
    _person,
    _password,
    _clock,
    lambda c: c.date(),
)
INVENTED, INVENTED_RELATIONS, INVENTED_NAMES = 0.45, 0.35, 0.2  # shares among those that are not of the short lists
_HELD_OUT = {a.one for choice in (CODES, COSTS) for a in choice.held_out}

ADJECTIVES = (
    "red|old|new|small|upper|second|third|northern|inner|wooden|former|big|private|central|quiet|round|lower|blue|green|spare".split("|")
)
THINGS = (
    "van|bridge|tent|barn|ferry|kitchen|garden|boat|tram|lift|tower|piano|bus|hall|court|truck|balcony|attic|cottage|canteen|fountain|"
    "canal|camera|car park|guest house|hangar|playground|pavilion|printer|generator|sauna|ballroom|cinema|depot|pier|ambulance|telescope"
).split("|")
ROOMS = "room|team|flat|unit|ward|hut|lab|line|group|camp|wagon|class|stand|hangar|court|tent".split("|")
CAUSES = "file|account|family|hotel|farm|team|case|fund|bridge|trail|hut|estate|prize".split("|")
SITES = "Hall|House|Park|School|Lodge|Castle|Island|Club|Point|Tower|Lake|Hill".split("|")


def draw_name(content: Content) -> str:
    """Of a person, a company, a place or a project; outside split "test" also of a product, a thing, a room, a town or anything."""
    if content.split != "test" and content.chance(0.45):
        return _more_names(content)
    kind = content.rng.randrange(5)
    if kind < 2:
        return content.person()
    if kind == 2:
        return content.company()
    if kind == 3:
        word = content.one(content.pack.words(content.split)).capitalize()
        return f"Project {word.removesuffix(chr(39) + 's')}"
    return str(PLACES.pick(content.rng, content.split))


def _more_names(content: Content) -> str:
    one = content.one
    if content.chance(INVENTED_NAMES):
        name = f"the {content.term()} {content.term()}" if content.chance(0.5) else f"the {content.term()}"
        return name if name not in PLACES.held_out else content.town()
    kind = content.rng.randrange(9)
    if kind < 2:
        return f"the {one(ADJECTIVES)} {one(THINGS)}"
    if kind == 2:
        return content.product()
    if kind == 3:
        return f"{one(ROOMS)} {content.number(2) if content.chance(0.5) else content.letters(1) + content.number(1)}"
    if kind == 4:
        return content.town()
    if kind == 5:
        return f"the {content.proper()} {one(CAUSES)}"
    if kind == 6:
        return f"{content.proper()} {one(SITES)}"
    if kind == 7:
        return f"{one(('flight', 'train', 'order', 'invoice', 'shipment', 'bus'))} {content.letters(2)}{content.number(3)}"
    return _person(content).split(" ")[0]


def draw_attribute(content: Content, costs: float = 0.35) -> Attribute:
    """An amount of money in `costs` of all draws; outside split "test" composed or invented four times out of five."""
    cost = content.chance(costs)
    if content.split != "test" and content.chance(0.8):
        if content.chance(INVENTED):
            return _invented(content, cost)
        return content.one(MORE_COSTS) if cost else content.one(content.one(KINDS))
    found = (COSTS if cost else CODES).pick(content.rng, content.split)
    assert isinstance(found, Attribute)
    return found


def _invented(content: Content, cost: bool) -> Attribute:
    """Any two words with any kind of value: while only listed nouns were known, other attributes were missed four times as often."""
    for _ in range(8):
        listed = content.one(MORE_COSTS if cost else MORE_CODES).one.split(" ")[-1]
        noun = listed if content.chance(0.3) else content.term()
        qualifier = content.term()
        if qualifier != noun and (one := f"{qualifier} {noun}") not in _HELD_OUT:
            return Attribute(one, plural(one), None if cost else content.one(SHAPES))
    return content.one(MORE_CODES)


def draw_relation(content: Content) -> str:
    if content.split != "test" and content.chance(0.7):
        relation = content.term() if content.chance(INVENTED_RELATIONS) else content.one(MORE_RELATIONS)
        return relation if relation not in RELATIONS.held_out else content.one(MORE_RELATIONS)
    return str(RELATIONS.pick(content.rng, content.split))
