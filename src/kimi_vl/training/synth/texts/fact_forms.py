"""How texts state facts: clauses, rows, notes and speech, composed of an opening, a core and an ending.

Cores are divided by bars, square brackets hold alternatives, as in `wordings`. Split "test" does not use them: it keeps to `SENTENCES` and
`LINKS`, half of the times to what these hold out, and no composed form contains such a form.
"""

from kimi_vl.training.synth.content import DAYS, MONTHS, Choice, Content
from kimi_vl.training.synth.wordings.wordings import expand

SENTENCES = Choice(
    (
        "The {attribute} of {name} is {value}.",
        "The {attribute} of {name} is {value}.",
        "{name} has the {attribute} {value}.",
        "Note: the {attribute} of {name} is {value}.",
        "For {name}, the {attribute} is {value}.",
        "The {attribute} of {name} was set to {value}.",
        "Remember that the {attribute} of {name} is {value}.",
    ),
    ("{value} is the {attribute} of {name}.", "As {attribute} of {name} we use {value}."),
)
LINKS = Choice(
    ("The {relation} of {name} is {other}.", "Since spring, the {relation} of {name} is {other}.", "{other} is the {relation} of {name}."),
    ("As {relation} of {name} we have {other}.",),
)


def _cores(patterns: str) -> tuple[str, ...]:
    """All expansions but those that contain a form that is held out."""
    expanded = [form for pattern in patterns.split("|") for form in expand(pattern)]
    held_out = [form.rstrip(".").casefold() for choice in (SENTENCES, LINKS) for form in choice.held_out]
    return tuple(dict.fromkeys([form for form in expanded if not any(core in form.casefold() for core in held_out)]))


CLAUSES = _cores(  # may follow "note that"; an ending and a full stop may follow them
    "the {attribute} [of/for/at/belonging to] {name} [is/remains/is now/is still/will be/has been set to/was changed to/reads] {value}|"
    "{name} [has/got/keeps/received/was given/was assigned/is listed with/is registered under/works with/holds/comes with] the {attribute} "
    "{value}|"
    "{name}'s {attribute} [is/was/remains/is now/reads/will be] {value}|"
    "[they/people/the clerks/most of us] [noted/wrote down/chose/keep/gave out/agreed on] {value} as the {attribute} [of/for] {name}|"
    "{value} [serves as/was chosen as/was noted as/is recorded as/counts as/is given as/was accepted as] the {attribute} [of/for] {name}|"
    "[under/for/concerning] the {attribute} of {name}, [the list gives/the book has/the register shows/you will find/the card says] "
    "{value}|"
    "for {name}, the {attribute} [reads/remains/is still/was entered as/was put down as] {value}|"
    "the {attribute} [that belongs to/which goes with/we keep for/reserved for/that was given to] {name} [is/reads] {value}|"
    "the {attribute} that {name} [uses/has/was given/goes by/needs] is {value}|"
    "{name}, [whose {attribute} is/with the {attribute}/under the {attribute}/known by the {attribute}] {value}, [is on the list/was "
    "checked "
    "again/came first/needs no help/is well known]|"
    "{name} ({attribute} {value}) [was visited again/is on the list/came up twice/has a long history]|"
    "{name}, {attribute} {value}, [was mentioned as well/is next/has been added/is on the other list]|"
    "{name} ({attribute}: {value}) [was added/is included/comes next]|"
    "[anyone asking for/anybody looking for/whoever needs/people who want] the {attribute} of {name} [should note/may take/must "
    "remember/will "
    "need] {value}|"
    "[if somebody asks for/when you need/should you want] the {attribute} of {name}, [say/take/give/write] {value}|"
    "it is {value} that [was chosen as/serves as/was recorded as/stands as] the {attribute} of {name}|"
    "what {name} has as its {attribute} is {value}|what they call the {attribute} of {name} is {value}|"
    "{name} is [known/listed/registered/filed/entered] [under/with] the {attribute} {value}|"
    "the {attribute} {value} [belongs to/was given to/is held by/goes with/is reserved for/was issued to/stands for] {name}|"
    "{value}, the {attribute} [of/for] {name}, [was written on the door/hangs on the wall/is easy to remember/was confirmed twice]|"
    "{value} ([the {attribute} of/which is the {attribute} of/as the {attribute} for] {name}) was checked twice|"
    "[I/we] have {value} [down/here/written] as the {attribute} [of/for] {name}|"
    "[the clerk/the guard/the manager/a friend] gave {name} the {attribute} {value}|"
    "there is [only one/just one] {attribute} for {name}, namely {value}|"
    "among other things, {name} has {value} as its {attribute}|"
    "both lists give {value} as {name}'s {attribute}|"
    "{value} [was/became/has been/remains/must be/will be/stayed/should be] the {attribute} [of/for] {name}|"
    "as the {attribute} of {name}, [take/they gave/the list has/everybody knows] {value}|"
    "as {attribute} [for/at/with/to] {name} [they/people/most/you/I] [have/take/keep/chose/set/know] {value}|"
    "as {name}'s {attribute} [we/they/you] [use/keep/set/have] {value}|"
    "[we/they/you/people] [use/take/have/set/keep] {value} as {attribute} [for/at/with] {name}|"
    "as its {attribute}, {name} [has/uses/took/keeps] {value}|"
    "{value} is [our/their/the only/the new/the usual/a possible] {attribute} [of/for/at] {name}|"
    "{value} is the {attribute} [at/given to/found for] {name}|"
    "[they/we/all of them] [use/took/know/write] {value} for {name}'s {attribute}|"
    "{value} [is/was/remains] {name}'s {attribute}|"
    "with {value}, {name} has [a/its] {attribute} that is easy to keep"
)
CORRECTED = _cores(  # a value of the same kind that is not the one asked for
    "the {attribute} of {name} is not {wrong} but {value}|the {attribute} of {name} is {value}, not {wrong}|"
    "the {attribute} of {name} was changed from {wrong} to {value}|{name} has the {attribute} {value} instead of {wrong}|"
    "the {attribute} of {name} used to be {wrong} and is now {value}|"
    "{name} once had another {attribute}, {wrong}, but now it is {value}|instead of {wrong}, {name} now has the {attribute} {value}"
)
ROWS = _cores(  # stand by themselves; "!" is one of several signs, and the name is before the value
    "{name}: {attribute} {value}|{name} - {attribute}: {value}|{attribute}: {value} ({name})|{attribute} [of/for] {name}: {value}|"
    "{attribute} ({name}): {value}|{attribute}, {name}: {value}|{name}, {attribute}: {value}|{name} ! {attribute} ! {value}|"
    "{attribute} ! {name} ! {value}|{name} ! {value} ! {attribute}|{name}; {attribute}; {value}|"
    "{name} > {attribute} > {value}|{attribute} [of/for] {name} = {value}|{name} = {attribute} {value}|{attribute} -> {name} -> {value}|"
    "{name} ({attribute}) {value}|{value} = {attribute} of {name}|{value}: {attribute} [of/for] {name}|{name} / {attribute}: {value}|"
    "{name} has {attribute}: {value}|{attribute} [of/for] {name} - {value}|{value} - {attribute} [of/for] {name}|Name: {name}, "
    "{attribute}: {value}|entry: {name}; {attribute}: {value}"
)
NOTES = _cores(  # of several sentences, with signs of their own
    "What is the {attribute} [of/for] {name}? [It is {value}./{value}./The answer is {value}./That would be {value}.]|"
    "Which {attribute} does {name} have? [{value}./It has {value}.]|Q: {attribute} of {name}? A: {value}.|Q: What is {name}'s {attribute}? "
    "A: {value}|"
    "{name} has [a new/its own/an unusual/a second] {attribute}. It is {value}.|{name} has [another/its own] {attribute}: {value}.|"
    "Somebody asked for the {attribute} of {name}. [The answer was/It was/They were told] {value}.|"
    "We talked about {name}. The {attribute} is {value}.|There is [one/some] {attribute} for {name}: {value}.|"
    "{name} is next. Its {attribute}: {value}.|{name} was there too. The {attribute} is {value}.|"
    "Take {value}. That is [what {name} has as its {attribute}/the {attribute} for {name}].|"
    "[Write down/Keep/Note/Remember] {value}. It [belongs to {name} as its {attribute}/is needed as the {attribute} of {name}].|"
    "I looked up {name}. Under {attribute} it says {value}.|Do you know {name}? The {attribute} is {value}.|"
    "The {attribute} of {name}? [{value}, I think./{value}, of course./It must be {value}.]|"
    "(The {attribute} [of/for] {name} is {value}.)|({attribute} of {name}: {value})|<{name}: {attribute} {value}>"
)
SPEAKERS = (
    'The clerk said: "{}."|The porter told us: "{}."|"{}," said the guard.|"{}," the secretary wrote.|A letter says: "{}."|"{}," she said.|'
    '"{}," he added.|The sign reads: \'{}.\'|A note on the desk: "{}."|The answer was: "{}."|They called and said: "{}."'
).split("|")
LEADS = (
    "||||||note that |Remember that |please note that |by the way, |as agreed, |according to the list, |from {day} on, |it is known that |"
    "the register shows that |somebody wrote that |in short, |for the record, |since {month}, |do not forget that |it was decided that |"
    "we were told that |one thing is certain: |after {k} days of waiting, |on {day}, it was announced that |NB: |PS: |update: |reminder: |"
    "I can confirm that |among {k} other things we learned that |page {k} says that |as far as I know, |in {month}, we heard that |- |* |"
    "> |"
    "{k}. |item {k}: |it turned out that |the new plan says that |note {k}: |to be exact, |officially, |so far, |for {k} years now, "
).split("|")
TAILS = (
    "|||||||| until further notice|, as always|, and nothing else|, valid for {k} days|; {k} visitors came on {day}|"
    ", as {k} of us can confirm|"
    ", for now|, according to note {k}| (see page {k})| (checked on {day})|, and {k} people know it|, since {month}|"
    ", which was confirmed in "
    "{month}|; nobody objected|; this took {k} minutes| from {day} on|, while {k} others have none"
).split("|")
MARKS = ("", "", "", "", "- ", "* ", "> ", "# ", "{k}. ", "{k}) ", "Entry {k}: ", "Row {k}: ")
LINK_CLAUSES = _cores(
    "the {relation} [of/for] {name} [is/remains/is now/is still/will be] {other}|{name}'s {relation} [is/remains/is now] {other}|"
    "{other} [acts as/serves as/was named as/is known as/works as] the {relation} of {name}|"
    "{name} has {other} as [its/the new] {relation}|{name} [chose/named/wants/keeps] {other} as [its/the] {relation}|"
    "the {relation} that {name} [has/chose] is {other}|as its {relation}, {name} [has/chose/named] {other}|"
    "{name}, whose {relation} is {other}, [is well known/was there too]|{other}, the {relation} of {name}, [is well known/was there too]|"
    "for {name}, the {relation} is {other}|it is {other} [who is/that serves as] the {relation} of {name}|"
    "[ask/call/write to] {other}, who is the {relation} of {name}|"
    "as {relation} [for/to/at] {name} [they/you/people] [have/chose/named/know] {other}|"
    "as {name}'s {relation} [we/they] [have/named] {other}|"
    "[we/they/people] have {other} as {relation} [for/to] {name}|as its {relation}, {name} took {other}"
)


def compose_fact(content: Content, *, wrong: bool) -> str:
    """A form with the braces attribute, name and value, and wrong where that is allowed and drawn."""
    rng, draw = content.rng, content.rng.random()
    if draw < 0.16:
        return _filled(content, f"{content.one(MARKS)}{content.one(ROWS)}").replace(" ! ", content.one((" | ", " | ", " - ", "; ")))
    if draw < 0.32:
        return content.one(NOTES)
    clause = content.one(CORRECTED) if wrong and draw < 0.42 else content.one(CLAUSES)
    if draw > 0.92:
        return content.one(SPEAKERS).replace("{}", _capital(clause))
    tail = content.one(TAILS) if rng.random() < 0.6 else ""
    return _filled(content, f"{content.one(LEADS)}{clause}{tail}.")


def compose_link(content: Content) -> str:
    """A form with the braces relation, name and other."""
    return _filled(content, f"{content.one(LEADS)}{content.one(LINK_CLAUSES)}.")


def _capital(form: str) -> str:
    return form[0].upper() + form[1:]


def _filled(content: Content, form: str) -> str:
    """The small numbers and days that have nothing to do with the fact."""
    if "{k}" in form:
        form = form.replace("{k}", str(content.rng.randint(2, 60)))
    if "{day}" in form:
        form = form.replace("{day}", content.one(DAYS))
    return form.replace("{month}", content.one(MONTHS)) if "{month}" in form else form
