"""Web pages of the test set only: kinds of sites, layouts and themes that no training page has (benchmarks/make_web_set.py draws them)."""

from kimi_vl.training.synth.content import DAYS
from kimi_vl.training.synth.sources.web import Grammar, Site, Theme, esc, item


def masthead(site: Site, links: int = 3) -> str:
    """A broad head with the name above the links, centred."""
    name = site.fresh(lambda: site.content.company())
    listed = " ".join(
        site.link(label, f"open {label}") for label in site.pick("Start|Catalogue|Opening hours|Tickets|Members|Archive|Map|Imprint", links)
    )
    return (
        f"<div class='fill' style='padding:14px;text-align:center'><b style='font-size:1.3em'>{esc(name)}</b>"
        f"<div class='flow' style='justify-content:center'>{listed}</div></div>"
    )


def jobs(site: Site) -> str:
    rows = []
    for job in site.pick(
        "Baker|Welder|Nurse|Accountant|Gardener|Teacher|Plumber|Translator|Architect|Librarian|Pharmacist|Carpenter", site.rng.randint(3, 4)
    ):
        pay = site.fact("salary", f"{site.rng.randint(18, 90)},000", job)
        place, hours = (
            site.fact("place", site.content.town(), job),
            site.fact("hours per week", str(site.rng.choice((10, 20, 30, 38, 40))), job),
        )
        apply_ = site.button(f"Apply as {job.lower()}", f"apply as {job.lower()}", main=False)
        rows.append(
            f"<div style='border-left:6px solid;padding:2px 12px;margin:12px 0'><h2>{job}</h2>"
            f"Salary: {pay} | Place: {place} | Hours: {hours}<p>{apply_}</p></div>"
        )
    filter_ = (
        f"<p class='flow'>{site.select('Region', ('Everywhere', 'North', 'South', 'Coast'))}"
        f"{site.check('Remote only', site.content.chance(0.5))}{site.check('Part time', site.content.chance(0.5))}</p>"
    )
    return f"{masthead(site)}<main>{site.title(site.one('Open positions|Vacancies|We are hiring'))}{filter_}{''.join(rows)}</main>"


def recipe(site: Site) -> str:
    items = site.several(site.content.product, site.rng.randint(4, 6))
    amounts = [
        site.content.one(
            (
                f"{site.rng.randint(1, 9) * 50} g",
                f"{site.rng.randint(1, 6)} pieces",
                f"{site.rng.randint(1, 4)} cups",
                f"{site.rng.randint(1, 3)} spoons",
            )
        )
        for _ in items
    ]
    listed = "".join(f"<li>{site.fact('amount', amount, thing)} {esc(thing)}</li>" for thing, amount in zip(items, amounts, strict=True))
    steps = "".join(f"<li {item('paragraph', str(k))}>{esc(site.sentence(site.rng.randint(8, 16)))}</li>" for k in range(1, 4))
    facts = {
        "cooking time": f"{site.rng.randint(10, 120)} minutes",
        "difficulty": site.content.one(("easy", "medium", "hard")),
        "servings": str(site.rng.randint(1, 12)),
    }
    chips = "".join(f"<span class='tag'>{label.capitalize()}: {site.fact(label, value)}</span>" for label, value in facts.items())
    return (
        f"<main>{site.title(site.words(2, 3))}<div class='flow'>{chips}</div>"
        f"<div class='grid' style='grid-template-columns:2fr 3fr'><div>{site.heading('Ingredients')}<ul>{listed}</ul>"
        f"</div><div>{site.heading('Steps')}<ol style='list-style:disc'>{steps}</ol></div></div><p class='flow'>"
        f"{site.button('Print recipe', 'print the recipe')}{site.button('Rate it', 'rate the recipe', main=False)}</p>"
        f"</main>"
    )


def forum(site: Site) -> str:
    posts = []
    for name in site.several(site.content.person, site.rng.randint(2, 3)):
        side = (
            f"<div style='width:150px'><b>{esc(name)}</b><br><small>"
            f"Posts: {site.fact('number of posts', str(site.rng.randint(1, 9000)), name)}</small><br><small>"
            f"Joined: {site.fact('year of joining', str(site.rng.randint(2001, 2026)), name)}</small></div>"
        )
        posts.append(
            f"<div class='card flow' style='flex-wrap:nowrap;align-items:flex-start;margin-bottom:10px'>"
            f"{side}<div style='flex:1'>{esc(site.sentence(site.rng.randint(14, 30)))}</div></div>"
        )
    reply = (
        f"<div class='row'><span>Your answer</span><textarea rows='3' {item('field', 'Your answer')}></textarea></div>"
        f"{site.button('Post answer', 'post the answer')} {site.check('Notify me', site.content.chance(0.5))}"
    )
    return f"{masthead(site)}<main>{site.title(site.words(3, 5) + '?')}{''.join(posts)}{reply}</main>"


def statement(site: Site) -> str:
    content, balance, rows = site.content, site.rng.randint(50_000, 400_000), []
    start = balance
    for _ in range(site.rng.randint(4, 7)):
        cents = site.rng.choice((-1, -1, 1)) * content.cents()
        balance += cents
        who = site.fresh(content.company)
        rows.append((content.date(), who, f"{cents / 100:+.2f}", f"{balance / 100:,.2f}"))
    top = (
        f"<div class='flow'><span>Account {site.fact('account number', content.number(10))}</span><span class='push'>"
        f"Opening balance {site.fact('opening balance', f'{start / 100:,.2f}')}</span></div>"
    )
    actions = (
        f"<p class='flow'>{site.button('New transfer', 'make a transfer')}"
        f"{site.button('Export list', 'export the list', main=False)}{site.icon('printer', 'print the statement')}</p>"
    )
    end = f"<p><b>Closing balance {site.fact('closing balance', f'{balance / 100:,.2f}')}</b></p>"
    return (
        f"<main>{site.title(site.one('Account statement|Transactions|Bank statement'))}{top}{actions}"
        f"{site.table(('Date', 'Payee', 'Amount', 'Balance'), rows, key=1)}{end}</main>"
    )


def booking(site: Site) -> str:
    date = f"{site.rng.randint(2020, 2029)}-{site.rng.randint(1, 12):02d}-{site.rng.randint(1, 28):02d}"
    people = site.labelled("Guests", site.select("Guests", ("1 guest", "2 guests", "3 guests", "4 guests")))
    room = (
        f"<fieldset style='margin:10px 0'><legend>Room</legend>"
        f"{site.radios('Room', ('Single room', 'Double room', 'Suite', 'Dormitory'))}</fieldset>"
    )
    extras = "".join(
        site.check(label, site.content.chance(0.5))
        for label in site.pick("Breakfast|Parking|Late check-out|Extra bed|Airport shuttle|Sea view", 4)
    )
    price = (
        f"<p style='font-size:1.3em'>"
        f"Total for the stay: {site.fact('total for the stay', f'{site.rng.randint(60, 900)}.00 EUR', tag='b')}</p>"
    )
    name = site.labelled("Last name", site.field("Last name", site.content.proper()))
    left = f"<div>{site.labelled('Check-in', site.field('Check-in', date, '', 'date', '170px'))}{people}{name}</div>"
    return (
        f"{masthead(site, 2)}<main>{site.title(site.one('Book your stay|Reserve a room|Your booking'))}<div class='grid' "
        f"style='grid-template-columns:1fr 1fr'>{left}<div>{room}{extras}</div></div>"
        f"{price}{site.button('Reserve', 'reserve the room')} {site.button('Start again', 'start again', main=False)}"
        f"</main>"
    )


def product(site: Site) -> str:
    content, money = site.content, site.content.money()
    name = site.fresh(content.product)
    facts = {
        "weight": f"{site.rng.randint(1, 40) * 50} g",
        "article number": content.code(),
        "delivery time": f"{site.rng.randint(1, 14)} days",
        "stock": f"{site.rng.randint(0, 300)} left",
        "guarantee": f"{site.rng.randint(1, 5)} years",
        "material": content.one(("steel", "oak", "glass", "cotton", "plastic")),
    }
    rows = "".join(
        f"<tr><td>{label.capitalize()}</td><td>{site.fact(label, value)}</td></tr>"
        for label, value in site.rng.sample(list(facts.items()), 5)
    )
    others = "".join(
        f"<li>{site.link(thing)} {site.price(thing, money.full(content.cents()))}</li>" for thing in site.several(content.product, 3)
    )
    buy = (
        f"<p style='font-size:1.5em'>{site.price(name, money.full(content.cents()))}</p>"
        f"{site.labelled('Amount', site.select('Amount', ('1', '2', '3', '5', '10')))}"
        f"{site.button('Put into basket', 'put it into the basket')} {site.icon('heart', 'remember the article')}"
    )
    return (
        f"<main><div class='grid' style='grid-template-columns:1fr 1fr'><div class='picture' style='min-height:180px'>"
        f"</div><div>{site.title(name)}{buy}</div></div><table>{rows}</table>{site.heading('Others bought')}<ul>"
        f"{others}</ul></main>"
    )


def programme(site: Site) -> str:
    rows, hour = [], site.rng.randint(8, 11)
    for talk in site.several(lambda: site.content.words(2).capitalize(), site.rng.randint(4, 6)):
        rows.append(
            (f"{hour:02d}:{site.rng.choice(('00', '15', '30', '45'))}", talk, site.content.person(), f"Hall {site.content.letters(1)}")
        )
        hour += 1
    days = f"<div class='flow'>{site.tabs(site.rng.sample(DAYS, 3))}</div>"
    return (
        f"{masthead(site)}<main>{site.title('Programme')}{days}"
        f"{site.table(('Start', 'Talk', 'Speaker', 'Hall'), rows, key=1)}<p class='flow'>"
        f"{site.button('Buy a ticket', 'buy a ticket')}{site.check('Show only my talks', site.content.chance(0.5))}</p>"
        f"</main>"
    )


def servers(site: Site) -> str:
    rows = "".join(
        (
            f"<div class='between' style='border-bottom:1px dotted'><b>{name}</b><span>"
            f"{site.fact('state', site.content.one(('up', 'down', 'slow', 'restarting')), name)}</span><span>"
            f"{site.fact('load', f'{site.rng.randint(0, 100)}%', name)}</span><span>"
            f"{site.fact('uptime', f'{site.rng.randint(1, 400)} days', name)}</span></div>"
        )
        for name in site.several(
            lambda: f"{site.content.word().lower().replace(chr(39), '')}-{site.rng.randint(1, 99):02d}", site.rng.randint(4, 7)
        )
    )
    options = site.switch("Automatic restart", site.content.chance(0.5)) + site.switch("Mail on failure", site.content.chance(0.5))
    return (
        f"<main>{site.title(site.one('System status|Machines|Hosts'))}<p class='flow'>"
        f"{site.button('Restart all', 'restart all machines')}"
        f"{site.button('Stop all', 'stop all machines', main=False, off=True)}{site.icon('refresh', 'refresh the list')}"
        f"{site.icon('settings', 'open the settings')}</p><div class='between'><small>Name</small><small>State</small>"
        f"<small>Load</small><small>Uptime</small></div>"
        f"{rows}{options}{site.slider('Refresh rate', site.rng.randint(0, 20) * 5)}</main>"
    )


def library(site: Site) -> str:
    books = []
    for title in site.several(lambda: site.content.words(site.rng.randint(2, 3)).capitalize(), site.rng.randint(3, 4)):
        facts = (
            f"{site.fact('author', site.content.person(), title)}, "
            f"{site.fact('year', str(site.rng.randint(1850, 2026)), title)}. Shelf "
            f"{site.fact('shelf', site.content.letters(2) + ' ' + site.content.number(3), title)}"
        )
        books.append(
            f"<dt {item('heading', title)}><b>{esc(title)}</b></dt><dd style='margin-bottom:10px'>{facts}<br>"
            f"{site.button('Reserve ' + title.split()[0], f'reserve {title}', main=False)}</dd>"
        )
    sought = site.content.word() if site.content.chance(0.4) else ""
    find = (
        f"<div class='flow'>{site.field('Title or author', sought, 'Title or author', 'text', '220px')}"
        f"{site.button('Look up', 'look something up')}</div>"
    )
    return (
        f"{masthead(site)}<main>{site.title(site.one('Library catalogue|Catalogue search|Our books'))}{find}<dl>"
        f"{''.join(books)}</dl></main>"
    )


def bill(site: Site) -> str:
    content = site.content
    prices = {thing: content.cents() for thing in site.several(content.product, site.rng.randint(3, 6))}
    lines = "".join(
        f"<tr><td>{esc(thing)}</td><td style='text-align:right'>{site.price(thing, f'{cents / 100:.2f}', 'span')}</td></tr>"
        for thing, cents in prices.items()
    )
    total = sum(prices.values())
    given = -(-total // 1000) * 1000
    ends = {"sum": total, "cash": given, "change": given - total}
    lines += "".join(
        f"<tr><td><b>{label.capitalize()}</b></td><td style='text-align:right'>{site.fact(label, f'{cents / 100:.2f}', tag='b')}</td></tr>"
        for label, cents in ends.items()
    )
    top = (
        f"<p style='text-align:center'>{site.fact('street', content.street())}<br>"
        f"Bill {site.fact('bill number', content.number(6))}<br>{site.fact('date', content.date())} "
        f"{site.fact('time', content.time())}</p>"
    )
    return (
        f"<main><div style='width:330px;margin:auto;border:2px dashed;padding:14px'><div style='text-align:center'>"
        f"{site.title(content.company(), 'h2')}</div>{top}<table>{lines}</table><p style='text-align:center'>"
        f"Served by {site.fact('waiter', content.person())}</p></div><p class='flow' style='justify-content:center'>"
        f"{site.button('Send by mail', 'have the bill sent')}{site.button('Complain', 'complain', main=False)}</p></main>"
    )


GRAMMARS: dict[str, Grammar] = {
    grammar.__name__: grammar for grammar in (jobs, recipe, forum, statement, booking, product, programme, servers, library, bill)
}
THEMES = (
    Theme("#fdf6e3", "#eee8d5", "#073642", "#657b83", "#268bd2", "#ffffff", "#93a1a1", "none", 3, 9),
    Theme("#000000", "#0a0a0a", "#ffffff", "#cfcfcf", "#ffd400", "#000000", "#ffffff", "line", 0, 11),
    Theme("#e8f1f5", "#d3e3ea", "#12303d", "#47626f", "#00695c", "#ffffff", "#86a9b8", "line", 26, 13),
    Theme("#2b2140", "#3a2e55", "#f3ecff", "#bcaedb", "#ff9e64", "#2b1400", "#5f4f86", "shade", 7, 10),
    Theme("#f2efe9", "#f2efe9", "#2a2522", "#6f6862", "#7a1f2b", "#fff7f0", "#b9b0a5", "none", 1, 15),
)
