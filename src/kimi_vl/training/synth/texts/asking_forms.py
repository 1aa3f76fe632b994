"""Questions composed of pieces: how a thing is called, what is wanted of it, and what is said around. Heard in training only.

`<>` stands for what is asked about, one of several phrases; bars and square brackets are as in `wordings`. A composed question that
is, but for case and final signs, one that another split holds out is never heard.
"""

from collections.abc import Iterable

from kimi_vl.training.synth.wordings.wordings import expand

_ONE = (  # what is wanted of something that has a name
    "What is <>?|What's <>?|Tell me <>.|Find <>.|Give me <>.|Give <>.|State <>.|Name <>.|Look up <>.|I need <>.|I want to know <>.|Say <>.|"
    "[Can/Could] you [give me/look up/tell me] <>?|Please [give/find/tell me/look up/state/name] <>.|<>?|<>, please.|"
    "[Extract/Retrieve/Report/Return/Write down/Note/Read out/Output/Answer with/Locate/Get/Show] <>.|I am looking for <>.|"
    "I have forgotten <>. What is it?|What would be <>?|What exactly is <>?|What does it give as <>?|What is stated as <>?|"
    "What is written about <>?|From the text, [what is/give/find] <>?|According to the text, what is <>?|Here I need only <>.|"
    "Somewhere it gives <>. What is it?|How is <> given?|Let me know <>.|Help me find <>.|Which is <>?|Reply with <>.|"
    "[Complete/Finish] the sentence: <> is|Fill the gap: <> is ___.|<> is ...|<> = ?|Fill in: <> is [____/(...)]|<> is what?|And <>?|"
    "My question is about <>. What is it?|What have they noted as <>?|What did it say <> was?|Quick: <>?|Remind me of <>.|"
    "[Do you/Could you] spot <>? [If so, what is it?/Tell me what it is./Which is it?]|Look for <>: what is it?|"
    "[Can/Could/Did] you [see/find/notice/read] <>? [What is it?/Which is it?/Say it./Give it.]|"
    "Do you [see/have/know] <>? [What is it?/Tell me.]|"
    "Is <> [there/given/stated/in it]? [What is it?/If so, give it./Then say it./Which?]|"
    "Does it [give/say/mention/contain] <>? [If so, what is it?/What is it?/Then give it.]|"
    "[Look for/Search for/Find] <>[. What is it?/ and say what it is.]|"
    "See whether <> is there, and tell me what it is.|"
    "What should I write for <>?|Somebody asks for <>. What do I say?|I was told to look for <>. Tell me.|May I have <>?"
)
_PLAINLY = (
    "What is <>?|What's <>?|Tell me <>.|Find <>.|Give me <>.|State <>.|Look up <>.|I need <>.|"
    "Please [give/find/extract] <>.|<>?|<>, please.|[Extract/Return/Write down/Get/Show/Output/Copy] <>.|Which is <>?|"
    "Reply with <>.|Fill the gap: <> is ___.|What does it give as <>?|Only <>, please."
)
_WHOM = "What|Which one|Who|Who or what"

COMPOSED_PATTERNS = {  # key: phrases for what is asked about, what is said with them, and whole questions
    "needle_value": (
        "the {attribute} [of/for/given for/belonging to/listed for] {name}|{name}'s {attribute}|the {attribute} that {name} has",
        _ONE,
        "What does {name} have as its {attribute}?|{name} has which {attribute}?|{name} - {attribute}?|{attribute} ({name})?|"
        "{name} has the {attribute} ___.|Complete: {name} has the {attribute}|"
        "[With/Under] which {attribute} is {name} [registered/known/noted]?|"
        "[Which/What] {attribute} [was given to/goes with/is noted for/was assigned to/is listed for/is mentioned for] {name}?|"
        "What {attribute} does {name} [use/hold/have]?|As for {name}: which {attribute}?|Take {name}. What is the {attribute}?|"
        "{name} is what I care about. Which {attribute} does it have?|Think of {name}. Which {attribute}?|Fill the gap: ___ is "
        "{name}'s {attribute}.|Search: {attribute}, {name}|{attribute} / {name}|Key: {attribute} of {name}. Value?|"
        "Q: {attribute} of {name}? "
        "A:|In what is said about {name}, what is the {attribute}?|There is a line on {name}. Which {attribute} does it give?",
    ),
    "needle_owner": (
        "",
        "",
        f"[{_WHOM.replace('|', '/')}] [has/uses/got/is listed with/is known by/goes with/is registered under/holds/was given] the "
        f"{{attribute}} "
        "{value}?|"
        "[Find/Name/Tell me/Give me] [who or what has/the one with/the owner of/whatever has] the {attribute} {value}.|"
        "[The {attribute}/{attribute}] {value}: [whose is it/who has it/which one is it/for whom]?|{value} is the {attribute} of ___.|"
        "[Complete/Fill the gap]: ___ has the {attribute} {value}.|[Look up/Please say] whose {attribute} is {value}.|"
        "Which name goes with the {attribute} {value}?|I found the {attribute} {value}. Whose is it?|Beside which name is the {attribute} "
        "{value}?",
    ),
    "needle_confirm": (
        "",
        "",
        "Is {value} the {attribute} of {name}?|Is the {attribute} of {name} {value}?|Is it true that the {attribute} of {name} is {value}?|"
        "Does {name} have the {attribute} {value}?|The {attribute} of {name} is {value}. [True/Right/Correct]?|"
        "[True or false/Yes or no]: the {attribute} of {name} is {value}.|Is {name}'s {attribute} {value}?|"
        "Was {value} given as the {attribute} "
        "of {name}?|[Check/Verify/Confirm]: {name} has the {attribute} {value}.|"
        "I believe that the {attribute} of {name} is {value}. Am I right?|"
        "Somebody says that {value} is the {attribute} of {name}. Is that so?|Can you confirm that {name} has the {attribute} {value}?|"
        "Does it say that the {attribute} of {name} is {value}?|{name}: {attribute} {value}, yes or no?",
    ),
    "needle_hop": (
        "the {attribute} [of/for] the {relation} of {name}|the {attribute} of {name}'s {relation}|"
        "the {attribute} that the {relation} of {name} "
        "has",
        "What is <>?|What's <>?|Tell me <>.|Find <>.|Give me <>.|State <>.|Look up <>.|I need <>.|Please find <>.|Do you know <>?|<>?|"
        "Work out <>.|[Complete/Finish] the sentence: <> is|Fill the gap: <> is ___.|Say <>.|Return <>.|Let me know <>.",
        "Who is {name}'s {relation}, and what is the {attribute}? Say the {attribute} alone.|"
        "[Take/Find/Look up/Look for] {name}'s {relation}. [What is/Give/Tell me] the {attribute} of that[/ one]?|"
        "[Who/What] is the {relation} of {name}? I [want/need] [the/its/their] {attribute}[/ only].|"
        "[Find/Look up/Search for] the {relation} of {name}[, then give/; then say/ and give/. Which is] the {attribute}.|"
        "{name} has a {relation}, which has [a/some] {attribute}. [What is it?/Which?]|Of {name}'s {relation} I need the {attribute}.|"
        "Which {attribute} does {name}'s {relation} have?|{name} -> {relation} -> {attribute}?",
    ),
    "needle_link": (
        "the {relation} [of/for] {name}|{name}'s {relation}",
        "Who is <>?|Who or what is <>?|Tell me <>.|Find <>.|Give me <>.|Name <>.|Look up <>.|Please name <>.|<>?|Do you know <>?|"
        "Fill the gap: <> "
        "is ___.|Complete: <> is|Which one is <>?|State <>.|Say who is <>.",
        "Whom does {name} have as {relation}?|Who serves as {relation} of {name}?|{name} has which {relation}?",
    ),
    "needle_count": (
        "",
        "",
        "[How many/What number of] {attributes} [does it give/does it name/can be found/come up/are listed/are stated/occur]?|"
        "[Give/Tell me/Say/State/Find] [the number of {attributes}/how many {attributes} there are].|Number of {attributes}?|"
        "[Go through it and count/Please count] the {attributes}.|The number of {attributes} is ___.",
    ),
    "needle_list": (
        "",
        "",
        "[List/Name/Write down/Give/Collect/Find/Extract/Show/Gather] [all the/each of the/every one of the] {attributes}[/ with their "
        "owners].|"
        "[Make/Write] a list of [the/all] {attributes}.|Which {attributes} [does it give/are listed/come up/can be found]?|"
        "All {attributes}, please.",
    ),
    "needle_sum": (
        "the {attributes} of {a} and {b}|the {attribute} of {a} and that of {b}|{a}'s and {b}'s {attribute}",
        "What is the sum of <>?|Add <>.|Add up <>.|Please sum <>.|How much is the total of <>?|What do you get when you add <>?|"
        "Total of <>?|"
        "Work out the sum of <>.|Tell me the total of <>.|Put <> together: how much is it?|I pay <>. How much is that?|Sum: <>",
        "{attribute} of {a} + {attribute} of {b} = ?|If {a} and {b} both pay their {attribute}, how much is that together?",
    ),
    "needle_higher": (
        "",
        "",
        "[Which of the two/Which one/Who] has the [higher/larger/bigger] {attribute}[, /: ]{a} or {b}?|"
        "[Does/Has] {a} or {b} the higher {attribute}?|"
        "Between {a} and {b}, [which/who] has the [higher/larger/bigger] {attribute}?|"
        "Name the one with the higher {attribute}: {a} or {b}?|"
        "{a} or {b}: where is the {attribute} [higher/larger]?",
    ),
    "needle_quote": (
        "the {attribute} [of/for] {name}|{name}'s {attribute}",
        "[Quote/Copy/Repeat/Give/Read out/Cite/Find/Show/Return/Write out/Reproduce] the sentence [with/about/on/that names/that "
        "gives/stating] "
        "<>.|"
        "Which sentence [is about/gives/states/mentions] <>?|Quote word for word where it gives <>.|In which sentence is <>? Quote it.|"
        "What is the sentence about <>?|Please copy out what it says about <>.",
        "",
    ),
    "needle_given": (
        "the {attribute} [of/for] {name}|{name}'s {attribute}",
        "Does it [give/state/name/say/mention/contain] <>?|Is <> [stated/there/in the text/in it/named/known from this]?|"
        "Can <> be found here?|"
        "[Yes or no/True or false]: it gives <>.|Do they give <>?|Was <> mentioned?|Could I learn <> from this?|"
        "Is it said anywhere what <> is?",
        "",
    ),
    "page_of_needle": (
        "the {attribute} [of/for] {name}|{name}'s {attribute}",
        "[Which/What] page [is <> on/states <>/contains <>/do I need for <>/mentions <>]?|"
        "[On/At] [which/what] page [do I see/is it that I find/can I read/do they give] "
        "<>?|[Give/Say/State/Name/Tell me] the [number of the page/page number/page] [with/for/of] <>.|Where do I find <>? Give the page.|"
        "In which page is <>?|<> is on page ___.|<>: [which page/what page/on which page]?|I am looking for <>. Which page?",
        "",
    ),
    "page_of_title": (
        "",
        "",
        '[Which/What] page [bears/carries/shows/starts with/is headed/goes by] the [title/heading] "{title}"?|'
        'Page with the heading "{title}"?|'
        '[Give/Say/Tell me/Name] the page [titled/headed/called] "{title}".|"{title}": which page is that?|[Under/On] which page number is '
        '"{title}"?|Where is "{title}"? Give the page.',
    ),
    "page_of_shop": (
        "",
        "",
        "[Which/What] page [was printed by/is the receipt of/comes from/belongs to/has the name] {shop}?|"
        "[Give/Say/Tell me/Name] the page [from/of/with] "
        "{shop}.|{shop}: which page?|Where is the slip from {shop}? Give the page.",
    ),
    "page_of_item": (
        "",
        "",
        "[Which/What] page [shows/names/contains/includes/has the price of] {item}?|"
        "[Give/Say/Tell me/Name] the page [with/that lists] {item}.|"
        "{item}: which page?|On which page did I pay for {item}?",
    ),
    "page_of_word": (
        "",
        "",
        '[Which/What] page [has/shows/uses/holds/prints] the word "{word}"?|'
        '[Give/Say/Tell me/Name] the page [with/that has] the word "{word}".|'
        '"{word}": which page?|Where can I read "{word}"? Give the page.|Only one page has the word {word}. Which?',
    ),
    "page_total": (
        "",
        "",
        "[Give/Say/Tell me/Find/State] the total [of/on/from] page {n}.|Page {n}: total?|What is to be paid on page {n}?|"
        "What sum stands as the total "
        "on page {n}?|How much is page {n} in total?",
    ),
    "page_first": (
        "",
        "",
        "[Give/Copy/Quote/Tell me/Repeat] the [first/top/opening] line of page {n}.|Page {n}: first line?|"
        "With which line does page {n} [begin/open/start]?|"
        "What stands first on page {n}?|Which line is at the top of page {n}?",
    ),
    "page_last": (
        "",
        "",
        "[Give/Copy/Quote/Tell me/Repeat] the [last/bottom/final/closing] line of page {n}.|Page {n}: last line?|"
        "With which line does page {n} "
        "[end/close/stop]?|What stands last on page {n}?|Which line is at the bottom of page {n}?",
    ),
    "page_title": (
        "",
        "",
        "[Give/Say/Tell me/Copy/Find/State] the [title/heading] [of/on] page {n}.|Page {n}: heading?|How is page {n} [titled/headed]?|"
        "Which heading stands on page {n}?|Under what heading is page {n}?",
    ),
    "totals_sum": (
        "the totals [of/on/from] {pages}",
        "What is the sum of <>?|Add <>.|Add up <>.|Please sum <>.|What do <> make together?|How much are <> in all?|"
        "Tell me <> added together.|"
        "Put <> together.|Sum up <>.",
        "I pay {pages}. How much is it in all?|{pages}: how much together?",
    ),
    "highest_total": (
        "",
        "",
        "[Name/Give/Say] the page with the [largest/biggest/highest] total.|Which page is the most expensive?|Most expensive page?",
    ),
    "lowest_total": ("", "", "[Name/Give/Say] the page with the [smallest/lowest] total.|Which page is the cheapest?|Cheapest page?"),
    "page_count": (
        "",
        "",
        "[Tell me/Say/Give] the number of pages.|Number of pages?|Of how many pages is the document made?|Pages in all?",
    ),
    # Verbatim copies, heard in no other split
    "copy_next": (
        "",
        "",
        '[What/Which word] [comes/stands/follows] [directly/right/immediately] after "{quote}"?|'
        "Which word [follows/comes after/is next after] "
        '"{quote}"?|[Give/Name/Tell me/Find/Say] the word [directly after/right behind/that follows/after] "{quote}".|'
        '"{quote}" is followed by which '
        'word?|The next word after "{quote}" is ___.|Fill the gap: "{quote} ___"|What is the next word: "{quote} ..."',
    ),
    "copy_before": (
        "",
        "",
        '[What/Which word] [comes/stands] [directly/right/immediately] before "{quote}"?|Which word [precedes/comes before] "{quote}"?|'
        '[Give/Name/Tell me/Find/Say] the word [directly before/right before/in front of/before] "{quote}".|'
        '"{quote}" is preceded by which word?|'
        'Fill the gap: "___ {quote}"',
    ),
    "copy_on": (
        "",
        "",
        'How does it go on after "{quote}"? [Give/Quote/Say] [the next/another] {count} words.|'
        "[Copy/Quote/Write/Give] the {count} words [that follow/after/"
        'behind] "{quote}".|Which {count} words follow "{quote}"?|Continue the quotation with {count} words: "{quote}"|'
        "What are the next {count} words "
        'after "{quote}"?',
    ),
    "copy_sentence": (
        "",
        "",
        "[Quote/Copy/Repeat/Give/Find/Write out/Read out/Show/Cite] the sentence [with/that has/that contains/containing] the word "
        '"{word}".|Which sentence [has/'
        'contains/uses] the word "{word}"?|In which sentence is "{word}"? Quote it.|"{word}" is in one sentence. Copy it.|'
        "What is the whole "
        'sentence with "{word}"?',
    ),
    "copy_first": (
        "",
        "",
        '[With which word does/How does] the sentence with "{word}" begin? Give one word.|'
        "[What is/Give/Tell me/Name] the first word of the sentence "
        '[with/that contains/containing] "{word}".|Which word [opens/begins/starts] the sentence [with/that has] "{word}"?',
    ),
    "copy_last": (
        "",
        "",
        '[With which word does/How does] the sentence with "{word}" end? Give one word.|'
        "[What is/Give/Tell me/Name] the last word of the sentence "
        '[with/that contains/containing] "{word}".|Which word [closes/ends] the sentence [with/that has] "{word}"?',
    ),
    "copy_ordinal": (  # of the text, because there may be a sentence before it
        "",
        "",
        "[Repeat/Quote/Copy/Give me/Read out/Write out] the {ordinal} sentence of the text.|What is the {ordinal} sentence of the text?|"
        "What does the {ordinal} sentence of the text say?|Which sentence of the text comes {ordinal}? Quote it.|"
        "{ordinal} sentence of the text, please.|Which is the {ordinal} sentence in the text? Copy it.",
    ),
    # Typing
    "repeat": (
        "",
        "",
        "[Please repeat/Please copy/Reproduce/Type/Write out/Return/Output/Print/Say] [this/it/the following/the text] "
        "[exactly/unchanged/word by word/as "
        "it is/once more].|[Repeat/Copy] the [text/line/words/following].|Tell me exactly this again.|Just repeat it.|"
        "Give it back unchanged.",
    ),
    "upper": (
        "",
        "",
        "[Change/Set/Rewrite/Convert/Put] [it/this/the text/the following] [in/into/to] [capitals/upper case/capital letters/uppercase "
        "letters].|"
        "[Type/Print/Return] [it/this] in [capitals/upper case].|Capitalize every letter.|All letters as capitals, please.",
    ),
    "lower": (
        "",
        "",
        "[Change/Set/Rewrite/Put] [it/this/the text/the following] [in/into/to] [lower case/small letters/lowercase letters].|"
        "[Type/Print/Return] [it/this] in [small letters/lower case].|No capitals, please.|All letters small, please.",
    ),
    "sort_up": (
        "",
        "",
        "[Sort/Order/Arrange/Put/Write] {numbers} [by size/in rising order/from the smallest to the largest/from low to high/with the "
        "smallest "
        "first].|[Please sort/Rank] {numbers}, [lowest/smallest] first.|{numbers} in ascending order, please.|Ascending: {numbers}",
    ),
    "sort_down": (
        "",
        "",
        "[Sort/Order/Arrange/Put/Write] {numbers} [in falling order/from the largest to the smallest/from high to low/with the largest "
        "first].|[Please sort/Rank] {numbers}, [highest/largest] first.|{numbers} in descending order, please.|Descending: {numbers}",
    ),
    "sort_words": (
        "",
        "",
        "[Please sort/Order/Arrange/Write/Rank] {words} [from A to Z/by their letters/as in a dictionary/in order of the alphabet].|"
        "{words}: "
        "alphabetical order, please.|Alphabetize {words}.|Which comes first in the alphabet? Order {words}.",
    ),
    "spell": (
        "",
        "",
        "[Please spell/Take apart/Split up/Break down/Give/Show] [the letters of/the word] {word}[/, one letter at a time/ with dashes "
        "between].|{word}, letter by letter, "
        "please.|How does one spell {word}?|Write the letters of {word} one by one.|The spelling of {word}?",
    ),
    "count_letters": (
        "",
        "",
        "[Tell me/Say/Give] [how many letters {word} has/the number of letters in {word}].|How many letters make up {word}?|"
        "{word}: how many "
        "letters?|Length of {word} in letters?|How many characters are in {word}?",
    ),
    "iso_date": (
        "",
        "",
        "[Rewrite/Write/Give/Express/Format/Return/Normalize] {date} [in the form/in the format/using/as] YYYY-MM-DD.|"
        "{date} in YYYY-MM-DD?|How is {date} "
        "written as YYYY-MM-DD?|ISO form of {date}?|Year, month and day of {date} as YYYY-MM-DD, please.",
    ),
    "extract_email": (
        "the [e-mail/email/mail] address|the address for mail",
        _PLAINLY,
        "",
    ),
    "extract_date": (
        "the [date/day] that is [given/named]|the date in [it/this text]|the calendar date",
        _PLAINLY,
        "",
    ),
    "extract_amount": (
        "the [amount/sum] of money|the [amount/sum/figure] that is given|the amount in dollars",
        _PLAINLY,
        "",
    ),
    "extract_phone": (
        "the [phone/telephone] number|the number to [call/dial/ring]",
        _PLAINLY,
        "",
    ),
    "extract_person": (
        "the [person's name/name of the person]|the [person/name] that is mentioned",
        _PLAINLY,
        "",
    ),
    "sum_of": (
        "{numbers}",
        "[Find/Tell me/Give me/Compute/State] the [sum/total] of <>.|[Sum up/Please add/Add together/Total] <>.|"
        "What does adding <> give?|<>: what is "
        "the [sum/total]?|Together, <> make how much?|What is <> [added up/all together/in total]?|"
        "I spent <>. [What is that in all/How much together]?|"
        "The amounts are <>. [Sum/Total/Add them]?|If I add <>, what do I get?|There are bills of <>. What must I pay?",
        "",
    ),
    "minus": (
        "",
        "",
        "[Find/Tell me/Give me/State] [the difference of {a} and {b}/{a} less {b}/{a} minus {b}].|{a} take away {b}?|Reduce {a} by {b}.|"
        "If {a} goes down by "
        "{b}, what is left?|Out of {a}, {b} are gone. What remains?|By how much is {b} less than {a}?|How far is it from {b} to {a}?|"
        "[Deduct/Remove] {b} "
        "from {a}.|Starting with {a}, take off {b}.",
    ),
    "times": (
        "",
        "",
        "[Find/Tell me/Give me/State] [{count} times {price}/the price of {count} at {price} each/the product of {count} and {price}].|"
        "{count} pieces "
        "for {price} each: what is the total?|Each is {price}, I take {count}. How much?|{count} of them at {price} make how much?|"
        "What must I pay for {count} pieces at {price}?|{count} people pay {price} each. How much is that?",
    ),
    "change_due": (
        "",
        "",
        "[Find/Tell me/Give me/State] [the change from {note} for {total}/what is left of {note} after paying {total}].|"
        "For {total} I hand over {note}. "
        "[What comes back/What is my change/How much do I get]?|Paid {note}, price {total}: change?|"
        "{note} for {total}: what do I get back?|"
        "Something costs {total}. I pay with {note}. How much is the change?",
    ),
}


def _phrased(phrases: str, said: str, whole: str) -> Iterable[str]:
    calls = [call for pattern in phrases.split("|") for call in expand(pattern)]
    for pattern in said.split("|") if said else ():
        for form in expand(pattern):
            for call in calls:
                question = form.replace("<>", call)
                yield question[0].upper() + question[1:]
    for pattern in whole.split("|") if whole else ():
        yield from expand(pattern)


def composed(held_out: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """By key, the questions that are none of those in `held_out`, whatever the case and the final sign."""
    never = {plain(question) for question in held_out}
    return {
        key: tuple(dict.fromkeys([question for question in _phrased(*pieces) if plain(question) not in never]))
        for key, pieces in COMPOSED_PATTERNS.items()
    }


def plain(question: str) -> str:
    """What two questions that differ in typing alone have in common."""
    return question.rstrip("?.!: _").casefold()


BRIEF = tuple(  # said behind a question
    (
        "Answer briefly.|Be brief.|Only the answer, please.|No explanation.|Answer with nothing else.|"
        "Short answer, please.|Reply with the answer alone.|Thanks.|Thank you.|It is urgent.|I need it for a form.|Please be exact."
    ).split("|")
)
BEFORE = tuple(  # said before a question
    (
        "Please answer:|A question:|Question:|One more thing:|Next:|Now tell me:|I have a question.|Hello.|Hi,|Please help:|Task:|"
        "Short question:"
    ).split("|")
)
MORE_CITES = tuple(  # as `wordings.texts.CITE`
    (
        "On which page is it?|Page number too, please.|And say on which page.|Give the page number.|Put the page behind it.|"
        "I also need the page.|Mention the page.|Which page is that on?|Quote the page as well.|Say where: the page.|And the page?"
    ).split("|")
)
MORE_PAGED = tuple(  # as `wordings.texts.PAGED`
    (
        "{question} I mean page {n}.|Only page {n}: {question}|Take page {n}. {question}|Now page {n}. {question}|p. {n}: {question}|"
        "This is about page {n}. {question}|Turn to page {n}. {question}|Read page {n}. {question}|{question} Use page {n}.|"
        "From page {n}: {question}|Using page {n} only: {question}|See page {n}. {question}|Page {n}. {question}|{question} [page {n}]|"
        "Question about page {n}: {question}|Go to page {n}. {question}|According to page {n}: {question}"
    ).split("|")
)
