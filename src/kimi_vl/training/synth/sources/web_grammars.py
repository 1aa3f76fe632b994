"""What training pages are like: shops, forms, lists, tables and messages, each a grammar of one kind of site, and their themes."""

from collections.abc import Callable

from kimi_vl.training.synth.content import DAYS, MONTHS
from kimi_vl.training.synth.scene import Overfull
from kimi_vl.training.synth.sources.web import Grammar, Site, Theme, esc, item

NAVIGATION = "Home|Shop|About|Contact|Blog|Help|Pricing|Support|News|Team|Careers|Docs|Products|Services|Events|Gallery"
OPTIONS = (
    "Dark mode|Email alerts|Weekly digest|Show online status|Two-step login|Auto-play videos|Remember this device|Compact view|"
    "Sound effects|Location access|Desktop notifications|Private profile|Large text|Beta features|Spell check|Share usage data|"
    "Sync contacts|Offline access"
)
TOPICS = "General|Account|Privacy|Security|Billing|Notifications|Language|Appearance|Devices|Apps|Storage|Members"
CITIES = (
    "Berlin|Madrid|Lisbon|Oslo|Vienna|Prague|Dublin|Rome|Athens|Warsaw|Paris|Zurich|London|Helsinki|Brussels|Milan|Porto|Lyon|Kyoto|"
    "Lima|Quito|Cairo"
)


def header(site: Site, links: int = 4) -> str:
    """A name, some links, perhaps a search field and icons."""
    content = site.content
    parts = [
        (
            f"<b {item('brand', 'site')}>"
            f"{esc(site.fresh(lambda: content.proper() + content.one(('', ' Store', ' Online', 'ly', ' & Co'))))}</b>"
        )
    ]
    parts += [site.link(label, f"go to {label}") for label in site.pick(NAVIGATION, links)]
    if content.chance(0.4):
        parts.append(f"<span class='push'>{site.field('Search', '', 'Search', 'search', '110px')}</span>")
    names = content.rng.sample(("search", "user", "shopping cart", "bell", "menu", "settings", "heart"), 2)
    parts.append(
        f"<span class='flow {'' if len(parts) > links + 1 else 'push'}' style='gap:2px'>{''.join(site.icon(n) for n in names)}</span>"
    )
    return f"<div class='bar {'fill' if content.chance(0.4) else ''}'>{''.join(parts)}</div>"


def shop(site: Site) -> str:
    money, columns = site.content.money(), site.rng.choice((2, 3, 3))
    cards = []
    for thing in site.several(site.content.product, columns * site.rng.randint(1, 2)):
        extra = (
            site.fact("rating", f"{site.rng.uniform(2, 5):.1f} / 5", thing, tag="small") if columns < 3 or site.content.chance(0.4) else ""
        )
        picture = f"<div class='picture' style='height:{site.rng.choice((40, 60, 80))}px'></div>"
        name = f"<div {item('heading', thing)}>{esc(thing)}</div>"
        cards.append(
            f"<div class='card'>{picture}{name}<div class='between'>{site.price(thing, money.full(site.content.cents()))}"
            f"{extra}</div></div>"
        )
    sort = site.labelled("Sort by", site.select("Sort by", ("Price", "Newest", "Rating", "Name")))
    grid = f"<div class='grid' style='grid-template-columns:repeat({columns},1fr)'>{''.join(cards)}</div>"
    return (
        f"{header(site)}<main><div class='between'>{site.title(site.words(1, 3))}{sort}</div>{grid}<p>"
        f"{site.button(site.one('Show more|Load more|Next page'), 'see more products')}</p></main>"
    )


def login(site: Site) -> str:
    verb = site.one("Sign in|Log in|Login")
    fields = site.labelled(
        "Email", site.field("Email", site.content.email() if site.content.chance(0.6) else "", "you@example.com", "email")
    )
    fields += site.labelled("Password", site.field("Password", "x" * site.rng.choice((0, 8, 11)), "", "password"))
    extra = (
        f"<div class='between'>{site.check('Remember me', site.content.chance(0.5))}"
        f"{site.link(site.one('Forgot password?|Reset password|Lost password?'), 'reset my password')}</div>"
    )
    end = f"<p>{site.button(verb, 'sign in')} {site.button('Cancel', 'cancel', main=False) if site.content.chance(0.4) else ''}</p>"
    new = (
        f"<p class='muted'>{esc(site.one('New here?|No account yet?|First visit?'))} "
        f"{site.link(site.one('Create an account|Sign up|Register'), 'create an account')}</p>"
    )
    card = (
        f"<div class='card' style='width:{site.rng.randint(300, 400)}px;margin:{site.rng.randint(10, 40)}px auto'>"
        f"{site.title(verb + ' to ' + site.content.proper())}{fields}{extra}{end}{new}</div>"
    )
    return (header(site, 3) if site.content.chance(0.5) else "") + f"<main>{card}</main>"


def settings(site: Site) -> str:
    side = f"<div class='side' style='width:150px'>{site.tabs(site.pick(TOPICS, site.rng.randint(4, 6)), 'entry')}</div>"
    rows = [site.switch(label, site.content.chance(0.5)) for label in site.pick(OPTIONS, site.rng.randint(2, 5))]
    rows.append(site.labelled("Time zone", site.select("Time zone", ("UTC", "Berlin", "New York", "Tokyo"))))
    rows += [
        site.slider(label, site.rng.randint(0, 20) * 5) for label in site.pick("Volume|Brightness|Text size|Zoom", site.rng.randint(0, 2))
    ]
    site.rng.shuffle(rows)
    buttons = (
        f"<p>{site.button(site.one('Save changes|Save|Apply'), 'save the settings')} "
        f"{site.button(site.one('Reset|Discard|Cancel'), main=False)}</p>"
    )
    return (
        f"{header(site, 2)}<main class='flow' style='align-items:flex-start;flex-wrap:nowrap'>{side}<div style='flex:1'>"
        f"{site.title('Settings')}{''.join(rows)}{buttons}</div></main>"
    )


def article(site: Site) -> str:
    author, date = site.content.person(), site.content.date()
    by = f"<p class='muted'>By {site.fact('author', author)}, {site.fact('date', date)}</p>"
    text = "".join(site.paragraph(site.rng.randint(18, 45), k) for k in range(1, site.rng.randint(3, 5)))
    share = (
        f"<p class='flow'>{site.button('Share', 'share the article')}"
        f"{site.button(site.one('Save for later|Bookmark|Print'), main=False)}"
        f"{site.link(site.one('Read more|Next article|All articles'))}</p>"
    )
    return f"{header(site)}<main>{site.title(site.words(3, 6))}{by}{text}{share}</main>"


def dashboard(site: Site) -> str:
    tiles = []
    for label in site.pick(
        "Orders|Revenue|Visitors|New users|Refunds|Open tickets|Sessions|Downloads|Messages|Sign-ups", site.rng.randint(3, 4)
    ):
        value = site.content.one(
            (str(site.rng.randint(10, 9999)), f"{site.rng.randint(1, 99)}.{site.rng.randint(0, 9)}%", f"${site.rng.randint(100, 9999):,}")
        )
        tiles.append(f"<div class='card'><small>{esc(label)}</small><div style='font-size:1.5em'>{site.fact(label, value)}</div></div>")
    names = site.several(site.content.person, site.rng.randint(3, 5))
    rows = [
        (name, str(site.rng.randint(1, 400)), f"${site.rng.randint(20, 5000)}", site.content.one(("up", "down", "flat"))) for name in names
    ]
    grid = f"<div class='grid' style='grid-template-columns:repeat({len(tiles)},1fr)'>{''.join(tiles)}</div>"
    return (
        f"{header(site, 3)}<main>{site.title(site.one('Dashboard|Overview|Statistics'))}{grid}"
        f"{site.heading(site.words(1, 2))}{site.table(('Name', 'Sales', 'Income', 'Trend'), rows)}</main>"
    )


def inbox(site: Site) -> str:
    rows = []
    for sender in site.several(site.content.person, site.rng.randint(4, 7)):
        subject, when = (
            site.words(2, 4),
            site.content.one((site.content.time(), f"{site.rng.choice(MONTHS)[:3]} {site.rng.randint(1, 28)}")),
        )
        mark = f"<input type='checkbox' {'checked' if site.content.chance(0.2) else ''}>"
        cells = f"<td>{mark}</td><td><b>{esc(sender)}</b></td><td>{site.fact('subject', subject, 'the mail from ' + sender)}</td>"
        rows.append(f"<tr {item('row', sender)}>{cells}<td class='n'>{site.fact('time', when, 'the mail from ' + sender)}</td></tr>")
    actions = "".join(site.icon(name) for name in site.rng.sample(("trash", "archive", "mail", "tag", "refresh", "more"), 4))
    side = f"<div class='side' style='width:120px'>{site.tabs(site.pick('Inbox|Sent|Drafts|Spam|Archive|Starred', 4), 'entry')}</div>"
    top = (
        f"<div class='bar'>{site.button(site.one('Compose|New mail|Write'), 'write a mail')}{actions}<span class='push'>"
        f"{site.field('Search mail', '', 'Search mail', 'search', '140px')}</span></div>"
    )
    return f"{top}<main class='flow' style='flex-wrap:nowrap;align-items:flex-start'>{side}<table>{''.join(rows)}</table></main>"


def calendar(site: Site) -> str:
    month, start = site.rng.choice(MONTHS), site.rng.randrange(7)
    events = {site.rng.randint(1, 28): site.fresh(site.content.word) for _ in range(site.rng.randint(2, 5))}
    cells = ["<td></td>"] * start
    for day in range(1, 31):
        event = f"<br>{site.fact('event', events[day], f'day {day}', tag='small')}" if day in events else ""
        cells.append(f"<td style='vertical-align:top' {item('day', str(day))}>{day}{event}</td>")
    rows = "".join(f"<tr>{''.join(cells[k : k + 7])}</tr>" for k in range(0, len(cells), 7))
    head = "".join(f"<th>{day[:3]}</th>" for day in DAYS)
    title = f"{month} {site.rng.randint(2018, 2029)}"
    arrows = (
        f"<span class='flow'>{site.button('Today', 'go to today', main=False)}"
        f"{site.icon('arrow left', 'go to the previous month')}{site.icon('arrow right', 'go to the next month')}</span>"
    )
    new = site.button(site.one("New event|Add event|Create"), "add an event")
    return (
        f"<main><div class='between'>{site.title(title)}{arrows}{new}</div><table style='table-layout:fixed'><tr>"
        f"{head}</tr>{rows}</table></main>"
    )


def invoice(site: Site) -> str:
    content, money = site.content, site.content.money()
    lines = []
    for thing in site.several(content.product, site.rng.randint(2, 5)):
        count, cents = site.rng.randint(1, 6), content.cents()
        lines.append((thing, count, cents))
    total = sum(count * cents for _, count, cents in lines)
    rows = [(thing, str(count), money.bare(cents), money.bare(count * cents)) for thing, count, cents in lines]
    facts = [
        (site.one("Invoice no.|Invoice number|Number"), content.code()),
        (site.one("Date|Invoice date|Issued"), content.date()),
        (site.one("Due|Due date|Payable until"), content.date()),
    ]
    listed = "".join(f"<div class='between'><small>{esc(label)}</small>{site.fact(label, value)}</div>" for label, value in facts)
    billed = (
        f"<div><small>{esc(site.one('Bill to|Customer|To'))}</small><br>{site.fact('customer', content.person())}<br>"
        f"{esc(content.street())}<br>{esc(content.place())}</div>"
    )
    top = f"<div class='grid' style='grid-template-columns:1fr 1fr'>{billed}<div>{listed}</div></div>"
    end = f"<div class='between'><b>{esc(site.one('Total|Amount due|Total due'))}</b><b>{site.fact('total', money.full(total))}</b></div>"
    buttons = f"<p class='flow'>{site.button('Pay now', 'pay the invoice')}{site.button(site.one('Download PDF|Print'), main=False)}</p>"
    return (
        f"<main><div class='between'>{site.title('Invoice')}<b>{esc(content.company())}</b></div>"
        f"{top}{site.table(('Item', 'Qty', 'Price', 'Amount'), rows)}{end}{buttons}</main>"
    )


def receipt(site: Site) -> str:
    content, money = site.content, site.content.money()
    prices = {thing: content.cents() for thing in site.several(content.product, site.rng.randint(2, 6))}
    lines = "".join(
        f"<div class='between'><span>{esc(thing)}</span>{site.price(thing, money.full(cents), 'span')}</div>"
        for thing, cents in prices.items()
    )
    facts = {
        "order number": content.code(),
        "date": content.date(),
        "payment": content.one(("Visa", "PayPal", "Cash", "Mastercard", "Bank transfer")),
    }
    rows = "".join(
        f"<div class='between'><small>{esc(label.capitalize())}</small>{site.fact(label, value)}</div>" for label, value in facts.items()
    )
    end = (
        f"<div class='between' style='border-top:1px solid'><b>Total</b>"
        f"{site.fact('total', money.full(sum(prices.values())), tag='b')}</div>"
    )
    card = (
        f"<div class='card' style='width:{site.rng.randint(320, 440)}px;margin:12px auto'>"
        f"{site.title(site.one('Thank you!|Order confirmed|Your receipt|Payment received'))}{rows}<hr>{lines}{end}<p>"
        f"{site.button(site.one('Track order|Print receipt|Continue shopping'))}</p></div>"
    )
    return (header(site, 3) if content.chance(0.5) else "") + f"<main>{card}</main>"


def chat(site: Site) -> str:
    other = site.content.person()
    bubbles = []
    for _ in range(site.rng.randint(3, 6)):
        mine = site.content.chance(0.5)
        style = "margin-left:auto" if mine else "margin-right:auto"
        bubbles.append(
            f"<div class='card {'fill' if mine else ''}' style='width:fit-content;max-width:75%;margin-bottom:8px;{style}'>"
            f"{esc(site.sentence(site.rng.randint(3, 14)))}</div>"
        )
    draft = site.content.words(2) if site.content.chance(0.3) else ""
    bar = (
        f"<div class='bar'>{site.field('Message', draft, 'Type a message', 'text', '70%')}"
        f"{site.button('Send', 'send the message')}{site.icon('paperclip', 'attach a file')}</div>"
    )
    people = "".join(f"<a href='#' class='tab' {item('entry', name)}>{esc(name)}</a>" for name in site.several(site.content.person, 4))
    top = (
        f"<div class='bar'>{site.title(other, 'h2')}<span class='push muted'>"
        f"{site.fact('status', site.content.one(('online', 'last seen ' + site.content.time(), 'typing...')))}</span>"
        f"{site.icon('phone', 'call')}</div>"
    )
    return (
        f"<div class='flow' style='flex-wrap:nowrap;align-items:stretch;gap:0'><div class='side' style='width:150px'>"
        f"{people}</div><div style='flex:1'>{top}<main>{''.join(bubbles)}</main>{bar}</div></div>"
    )


def files(site: Site) -> str:
    names = site.several(
        lambda: site.content.word().lower().replace("'", "") + site.content.one((".pdf", ".png", ".txt", ".csv", ".zip", ".docx")),
        site.rng.randint(4, 8),
    )
    rows = [
        (name, f"{site.rng.randint(1, 999)} {site.content.one(('KB', 'MB'))}", site.content.date(), site.content.person()) for name in names
    ]
    columns = ("Name", "Size", "Modified", "Owner")[: site.rng.randint(3, 4)]
    side = (
        f"<div class='side' style='width:130px'>"
        f"{site.tabs(site.pick('Documents|Pictures|Music|Downloads|Desktop|Shared|Recent', 5), 'entry')}</div>"
    )
    icons = "".join(site.icon(name) for name in site.rng.sample(("trash", "download", "upload", "share", "list", "search", "copy"), 4))
    top = f"<div class='bar'>{site.button(site.one('New folder|Upload|New'))}{icons}</div>"
    return (
        f"{top}<main class='flow' style='flex-wrap:nowrap;align-items:flex-start'>{side}<div style='flex:1'>"
        f"{site.table(columns, [row[: len(columns)] for row in rows])}</div></main>"
    )


def checkout(site: Site) -> str:
    content, money = site.content, site.content.money()
    fields = [
        ("Full name", content.person()),
        ("Street", content.street()),
        ("City", content.town()),
        ("Post code", content.number(5)),
        ("Phone", content.phone()),
    ]
    form = "".join(
        site.labelled(label, site.field(label, value if content.chance(0.7) else ""))
        for label, value in site.rng.sample(fields, site.rng.randint(3, 5))
    )
    ways = site.radios("Payment", site.rng.sample(("Credit card", "PayPal", "Bank transfer", "Cash on delivery", "Gift card"), 3))
    prices = {thing: content.cents() for thing in site.several(content.product, site.rng.randint(1, 3))}
    cart = "".join(
        f"<div class='between'><span>{esc(thing)}</span>{site.price(thing, money.full(cents))}</div>" for thing, cents in prices.items()
    )
    cart += f"<hr><div class='between'><b>Total</b>{site.fact('total', money.full(sum(prices.values())), tag='b')}</div>"
    end = f"<p>{site.button(site.one('Place order|Buy now|Pay now'), 'place the order')}</p>"
    return (
        f"<main>{site.title('Checkout')}<div class='grid' style='grid-template-columns:3fr 2fr'><div>{form}</div>"
        f"<div class='card'>{site.heading('Your cart')}{cart}{site.heading('Payment')}{ways}{end}</div></div></main>"
    )


def results(site: Site) -> str:
    query = site.content.words(2).lower()
    hits = []
    for title in site.several(lambda: site.content.words(3).capitalize(), site.rng.randint(3, 5)):
        link = f"<a href='#' style='font-size:1.15em' {item('link', title)}>{esc(title)}</a>"
        hits.append(
            f"<div style='margin-bottom:12px'>{link}<br>{site.fact('address', site.content.site(), title, tag='small')}<p>"
            f"{esc(site.sentence(14))}</p></div>"
        )
    bar = (
        f"<div class='bar'><b>{esc(site.content.proper())}</b>{site.field('Search', query, 'Search', 'search', '45%')}"
        f"{site.button('Search', 'search')}</div>"
    )
    tabs = f"<div class='flow'>{site.tabs(('All', 'Images', 'News', 'Videos'))}</div>"
    count = f"<p class='muted'>About {site.fact('number of results', f'{site.rng.randint(1000, 900000):,}')} results</p>"
    return f"{bar}<main>{tabs}{count}{''.join(hits)}</main>"


def weather(site: Site) -> str:
    city, unit = site.one(CITIES), site.content.one(("°C", "°F"))
    first = site.rng.randrange(7)
    cards = []
    for k in range(site.rng.randint(3, 5)):
        day = DAYS[(first + k) % 7]
        sky = site.content.one(("Sunny", "Cloudy", "Rain", "Snow", "Windy", "Fog", "Storm"))
        high = site.fact("temperature", f"{site.rng.randint(-5, 34)}{unit}".replace("°", ""), day)
        cards.append(f"<div class='card'><b>{day}</b><br>{site.fact('weather', sky, day)}<br>{high}</div>")
    facts = {
        "humidity": f"{site.rng.randint(20, 99)}%",
        "wind": f"{site.rng.randint(1, 60)} km/h",
        "pressure": f"{site.rng.randint(980, 1040)} hPa",
        "sunrise": f"0{site.rng.randint(4, 8)}:{site.rng.randint(10, 59)}",
    }
    rows = "".join(
        f"<div class='between'><span>{label.capitalize()}</span>{site.fact(label, value)}</div>" for label, value in facts.items()
    )
    grid = f"<div class='grid' style='grid-template-columns:repeat({len(cards)},1fr)'>{''.join(cards)}</div>"
    find = (
        f"<div class='flow'>{site.field('City', '', 'Enter a city', 'text', '180px')}"
        f"{site.button(site.one('Search|Go|Find'), 'look for a city')}</div>"
    )
    return f"<main>{site.title('Weather in ' + city)}{find}<div class='card' style='margin:10px 0'>{rows}</div>{grid}</main>"


def news(site: Site) -> str:
    stories = []
    for title in site.several(lambda: site.content.words(site.rng.randint(3, 6)).capitalize(), site.rng.randint(3, 4)):
        meta = (
            f"<small>{site.fact('author', site.content.person(), title)} · {site.fact('date', site.content.date(), title)}</small>".replace(
                "·", "|"
            )
        )
        stories.append(
            f"<div class='card'><a href='#' {item('link', title)}><b>{esc(title)}</b></a><p>{esc(site.sentence(12))}</p>{meta}</div>"
        )
    columns = site.rng.choice((1, 2))
    return (
        f"{header(site)}<main>{site.title(site.one('Latest news|Top stories|Headlines|Today'))}<div class='grid' "
        f"style='grid-template-columns:repeat({columns},1fr)'>{''.join(stories)}</div></main>"
    )


def questions(site: Site) -> str:
    asked = "".join(
        (
            f"<div class='card' style='margin-bottom:8px'><b {item('heading', question)}>{esc(question)}</b><p>"
            f"{esc(site.sentence(site.rng.randint(8, 22)))}</p></div>"
        )
        for question in site.several(
            lambda: f"{site.content.one(('How do I', 'Can I', 'Where is my', 'What is a'))} {site.content.words(2).lower()}?",
            site.rng.randint(3, 5),
        )
    )
    contact = (
        f"<p>{site.button(site.one('Contact us|Ask a question|Get help'), 'ask a question')} or call "
        f"{site.fact('phone number', site.content.phone())}</p>"
    )
    return f"{header(site)}<main>{site.title(site.one('Frequently asked questions|FAQ|Help centre'))}{asked}{contact}</main>"


def profile(site: Site) -> str:
    content, name = site.content, site.content.person()
    facts = {
        "email": content.email(),
        "phone": content.phone(),
        "city": content.town(),
        "company": content.company(),
        "birthday": content.date(),
        "member since": str(site.rng.randint(1999, 2025)),
    }
    rows = "".join(
        f"<div class='between'><span class='muted'>{label.capitalize()}</span>{site.fact(label, facts[label])}</div>"
        for label in site.rng.sample(list(facts), 5)
    )
    counts = "".join(
        f"<div class='card'>{site.fact(label, str(site.rng.randint(0, 2000)), tag='b')}<br><small>{label}</small></div>"
        for label in site.pick("Followers|Posts|Likes|Photos|Friends", 3)
    )
    buttons = (
        f"<p class='flow'>{site.button(site.one('Follow|Add friend|Connect'))}"
        f"{site.button('Message', 'send a message', main=False)}{site.icon('settings', 'open the settings')}</p>"
    )
    return (
        f"{header(site, 3)}<main><div class='flow'><div class='picture' style='width:72px;height:72px;border-radius:50%'>"
        f"</div>{site.title(name)}</div>{buttons}<div class='grid' style='grid-template-columns:repeat(3,1fr)'>"
        f"{counts}</div>{rows}</main>"
    )


def filtered(site: Site) -> str:
    columns = ("Name", *site.rng.sample(("Role", "City", "Age", "Salary", "Team", "Start"), 3))
    makers: dict[str, Callable[[], str]] = {
        "Role": lambda: site.content.one(("Manager", "Engineer", "Driver", "Clerk", "Nurse", "Cook", "Editor")),
        "City": lambda: site.content.one(CITIES.split("|")),
        "Age": lambda: str(site.rng.randint(18, 70)),
        "Salary": lambda: f"${site.rng.randint(20, 120)},{site.rng.randint(100, 999)}",
        "Team": lambda: site.content.one(("Red", "Blue", "Green", "North", "South")),
        "Start": lambda: str(site.rng.randint(1995, 2026)),
    }
    rows = [(name, *(makers[column]() for column in columns[1:])) for name in site.several(site.content.person, site.rng.randint(4, 8))]
    bar = (
        f"<div class='flow'>{site.field('Filter', '', 'Filter', 'text', '150px')}"
        f"{site.select('Department', ('All departments', 'Sales', 'Finance', 'Research'))}"
        f"{site.check(site.one('Active only|Show archived|Only mine'), site.content.chance(0.5))}"
        f"{site.button(site.one('Apply|Filter now|Export'))}</div>"
    )
    return (
        f"<main>{site.title(site.one('Employees|Staff|Members|People'))}{bar}{site.table(columns, rows)}<p class='flow'>"
        f"{site.button('Previous', main=False, off=site.content.chance(0.5))}"
        f"{site.button('Next', 'go to the next page', main=False)}</p></main>"
    )


def plans(site: Site) -> str:
    cards = []
    for name in site.pick("Free|Basic|Starter|Plus|Pro|Team|Business|Premium", 3):
        price = site.price(f"the {name} plan", f"${site.rng.randint(0, 99)}")
        space = site.fact("storage", f"{site.rng.choice((1, 5, 10, 50, 100, 500))} GB", f"the {name} plan")
        users = site.fact("number of users", str(site.rng.randint(1, 50)), f"the {name} plan")
        choose = site.button(
            f"{site.content.one(('Choose', 'Get', 'Try'))} {name}", f"choose the {name} plan", main=site.content.chance(0.5)
        )
        cards.append(
            f"<div class='card'><h2>{name}</h2><div style='font-size:1.4em'>{price}</div><p>Storage: {space}</p><p>"
            f"Users: {users}</p>{choose}</div>"
        )
    monthly = f"<p class='flow'>{site.radios('billing', ('Monthly', 'Yearly'))}</p>"
    return (
        f"{header(site)}<main>{site.title(site.one('Choose your plan|Plans and prices|Pricing plans'))}"
        f"{monthly}<div class='grid' style='grid-template-columns:repeat(3,1fr)'>{''.join(cards)}</div></main>"
    )


def legend(site: Site) -> str:
    spots = [(label, site.rng.randint(8, 88), site.rng.randint(8, 85)) for label in site.pick(CITIES, site.rng.randint(3, 6))]
    pins = "".join(
        f"<span class='tag fill' style='position:absolute;left:{x}%;top:{y}%;transform:translate(-50%,-50%)'>{k}</span>"
        for k, (_, x, y) in enumerate(spots, 1)
    )
    if any(abs(a[1] - b[1]) < 9 and abs(a[2] - b[2]) < 14 for k, a in enumerate(spots) for b in spots[:k]):
        raise Overfull("two pins are on one spot")
    listed = "".join(
        f"<div {item('row', label)}><b>{site.fact('number', str(k), label)}</b> {esc(label)}</div>"
        for k, (label, _, _) in enumerate(spots, 1)
    )
    layers = "".join(
        site.check(label, site.content.chance(0.5)) for label in site.pick("Roads|Rivers|Borders|Traffic|Terrain|Parks|Railways", 3)
    )
    zoom = f"<span class='flow'>{site.icon('plus', 'zoom in')}{site.icon('minus', 'zoom out')}{site.icon('layers', 'choose layers')}</span>"
    map_ = f"<div class='picture' style='position:relative;height:{site.rng.randint(220, 340)}px;opacity:.95'>{pins}</div>"
    return (
        f"<main>{site.title('Map of ' + site.content.town())}<div class='grid' style='grid-template-columns:2fr 1fr'>"
        f"{map_}<div>{site.heading('Legend')}{listed}{site.heading('Layers')}{layers}{zoom}</div></div></main>"
    )


def form(site: Site) -> str:
    content = site.content
    date = f"{site.rng.randint(2020, 2029)}-{site.rng.randint(1, 12):02d}-{site.rng.randint(1, 28):02d}"
    rows = [
        site.labelled("First name", site.field("First name", content.proper() if content.chance(0.6) else "")),
        site.labelled("Company", site.field("Company", content.company() if content.chance(0.5) else "", "Optional")),
        site.labelled("Country", site.select("Country", ("Germany", "France", "Spain", "Italy", "Japan"))),
        site.labelled("Arrival", site.field("Arrival", date, "", "date", "160px")),
        f"<div class='row'><span>Size</span><div class='flow'>{site.radios('Size', ('Small', 'Medium', 'Large'))}</div></div>",
        f"<div>{''.join(site.check(label, content.chance(0.5), off=content.chance(0.1)) for label in site.pick(OPTIONS, 3))}</div>",
        site.slider(site.one("Budget|Priority|Distance"), site.rng.randint(0, 20) * 5),
    ]
    chosen = site.rng.sample(rows, site.rng.randint(4, 7))
    half = content.chance(0.5)
    body = (
        f"<div class='grid' style='grid-template-columns:{'1fr 1fr' if half else '1fr'}'>"
        f"{''.join(f'<div>{row}</div>' for row in chosen)}</div>"
    )
    buttons = (
        f"<p class='flow'>{site.button(site.one('Submit|Send|Continue|Register'), 'submit the form')}"
        f"{site.button(site.one('Clear|Back|Cancel'), main=False)}</p>"
    )
    return f"<main>{site.title(site.one('Registration|Booking request|Application|Contact form|Survey'))}{body}{buttons}</main>"


def dialog(site: Site) -> str:
    question = site.content.one(("Delete this file?", "Leave without saving?", "Discard the draft?", "Sign out now?", "Remove this item?"))
    yes, no = site.content.one((("Delete", "Keep"), ("Yes", "No"), ("Confirm", "Cancel"), ("OK", "Cancel")))
    buttons = f"<p class='flow'>{site.button(yes, 'confirm')}{site.button(no, 'cancel', main=False)}</p>"
    check = site.check("Do not ask again", site.content.chance(0.4)) if site.content.chance(0.6) else ""
    card = (
        f"<div class='card' style='width:{site.rng.randint(300, 420)}px;box-shadow:0 4px 24px #0006'><div class='between'>"
        f"{site.title(question, 'h2')}{site.icon('close', 'close the dialog')}</div>"
        f"{site.paragraph(site.rng.randint(8, 22), 1)}{check}{buttons}</div>"
    )
    shades = "".join(f"<div class='card' style='height:{site.rng.randint(40, 120)}px;margin:14px;opacity:.6'></div>" for _ in range(5))
    return f"<div style='min-height:640px'>{shades}</div><div class='veil' style='background:#0005'>{card}</div>"


def ticket(site: Site) -> str:
    content = site.content
    start, end = site.pick(CITIES, 2)
    facts = {
        "passenger": content.person(),
        "seat": f"{site.rng.randint(1, 60)}{content.letters(1)}",
        "gate": f"{content.letters(1)}{site.rng.randint(1, 40)}",
        "date": content.date(),
        "departure": content.time(),
        "booking code": content.letters(6),
        "class": content.one(("Economy", "First", "Second", "Business")),
    }
    cells = "".join(
        f"<div><small>{label.capitalize()}</small><br>{site.fact(label, facts[label], tag='b')}</div>"
        for label in site.rng.sample(list(facts), site.rng.randint(5, 7))
    )
    card = (
        f"<div class='card'>{site.title(f'{start} - {end}')}<div class='grid' style='grid-template-columns:repeat(3,1fr)'>"
        f"{cells}</div><hr><div class='flow'>{site.button(site.one('Check in|Show barcode|Add to wallet'))}"
        f"{site.button(site.one('Cancel trip|Change seat|Print ticket'), main=False)}</div></div>"
    )
    return f"{header(site, 3)}<main>{card}{site.paragraph(site.rng.randint(10, 25), 1)}</main>"


def timetable(site: Site) -> str:
    places = site.pick(CITIES, site.rng.randint(4, 7))
    rows = [
        (
            place,
            f"{site.rng.randrange(24):02d}:{site.rng.randrange(60):02d}",
            content_line(site),
            str(site.rng.randint(1, 20)),
            site.content.one(("on time", "on time", "+5 min", "+20 min", "cancelled")),
        )
        for place in places
    ]
    columns = ("Destination", "Time", "Line", "Platform", "Status")
    tabs = (
        f"<div class='flow'>{site.tabs(('Departures', 'Arrivals'))}<span class='push'>"
        f"{site.icon('refresh', 'refresh the page')}</span></div>"
    )
    return (
        f"<main>{site.title(site.content.town() + ' ' + site.content.one(('Station', 'Airport', 'Central')))}{tabs}"
        f"{site.table(columns, rows)}</main>"
    )


def content_line(site: Site) -> str:
    return f"{site.content.one(('RE', 'IC', 'S', 'B', 'T'))} {site.rng.randint(1, 999)}"


GRAMMARS: dict[str, Grammar] = {
    grammar.__name__: grammar
    for grammar in (
        *(shop, login, settings, article, dashboard, inbox, calendar, invoice, receipt, chat, files, checkout, results),
        *(weather, news, questions, profile, filtered, plans, legend, form, dialog, ticket, timetable),
    )
}
THEMES = (
    Theme("#ffffff", "#ffffff", "#222222", "#6b6b6b", "#1a66d6", "#ffffff", "#cccccc", "line", 4, 10),
    Theme("#f5f6f8", "#ffffff", "#1f2430", "#69707d", "#5b3fd6", "#ffffff", "#dde0e6", "shade", 10, 14),
    Theme("#ffffff", "#f3f4f6", "#111111", "#666666", "#0b7a55", "#ffffff", "#d4d4d8", "none", 8, 12),
    Theme("#fffaf2", "#ffffff", "#3b2f22", "#7d6c58", "#b4470f", "#ffffff", "#e4d6c2", "line", 6, 12),
    Theme("#1c1e24", "#282b33", "#e8e9ed", "#a3a7b2", "#6aa5ff", "#10131a", "#434753", "line", 6, 12),
    Theme("#0f172a", "#1e293b", "#e2e8f0", "#94a3b8", "#2dd4bf", "#06201d", "#334155", "none", 12, 14),
    Theme("#eef3ee", "#ffffff", "#1d2b20", "#5e6e62", "#2f7d32", "#ffffff", "#c5d3c6", "shade", 2, 8),
    Theme("#ffffff", "#ffffff", "#000000", "#555555", "#c2185b", "#ffffff", "#000000", "line", 0, 10),
    Theme("#e9ecf2", "#f7f9fc", "#202a44", "#5f6b85", "#d6322d", "#ffffff", "#c3cad9", "line", 16, 12),
    Theme("#fdf7fb", "#ffffff", "#33202b", "#7e6573", "#a8327d", "#ffffff", "#ecd5e2", "shade", 20, 14),
)
