"""How people ask about long texts and documents of several pages. Divided by bars; square brackets hold alternatives, as in `wordings`."""

LONG_WORDINGS = {
    "needle_value": (
        "[What is/What's] the {attribute} of {name}?|Which {attribute} does {name} have?|{attribute} of {name}?|{name}: {attribute}?|"
        "[Find/Tell me/Look up/Give me/I need/Search for] the {attribute} of {name}.|What {attribute} is given for {name}?|"
        "What does the text say is the {attribute} of {name}?|Do you find the {attribute} of {name}? What is it?|"
        "Under which {attribute} is {name} listed?|Please look for the {attribute} of {name}.|Which {attribute} belongs to {name}?|"
        "Can you tell me the {attribute} of {name}?|For {name}, what is the {attribute}?|What is given as the {attribute} of {name}?"
    ),
    "needle_owner": (
        "Who or what has the {attribute} {value}?|Whose {attribute} is {value}?|To whom does the {attribute} {value} belong?|"
        "{value} is whose {attribute}?|For whom or what is {value} the {attribute}?|Which one has the {attribute} {value}?|"
        "Find out whose {attribute} is {value}.|To whom or what belongs the {attribute} {value}?"
    ),
    "needle_hop": (
        "[What is/What's] the {attribute} of the {relation} of {name}?|Which {attribute} does the {relation} of {name} have?|"
        "[Find/Tell me/Look up/Give me/I need] the {attribute} of the {relation} of {name}.|"
        "What {attribute} has the {relation} of {name}?|"
        "Who is the {relation} of {name}, and with which {attribute}? Give the {attribute} alone.|"
        "I need the {attribute} of whoever is the {relation} of {name}.|For the {relation} of {name}, what is the {attribute}?|"
        "Which {attribute} belongs to the {relation} of {name}?|{name} has a {relation}. What is the {attribute} of that one?|"
        "Find the {relation} of {name} and say which {attribute} it has.|Look for the {relation} of {name}. What is its {attribute}?|"
        "[Can/Could] you tell me the {attribute} of the {relation} of {name}?|"
        "[Search for/Please find] the {attribute} of the {relation} of {name}.|{attribute} of the {relation} of {name}?"
    ),
    "needle_link": (
        "Who or what is the {relation} of {name}?|What is the {relation} of {name}?|Name the {relation} of {name}.|"
        "Which one is the {relation} of {name}?|Tell me the {relation} of {name}.|Find the {relation} of {name}.|{relation} of {name}?|"
        "Who is named as the {relation} of {name}?"
    ),
    "needle_count": (
        "How many {attributes} are given?|How many {attributes} are there?|Count the {attributes}.|How many {attributes} are mentioned?|"
        "What is the number of {attributes} given?|How many {attributes} can you find?|For how many is the {attribute} given?|"
        "How many different {attributes} are named?"
    ),
    "needle_list": (
        "List all {attributes}.|Which {attributes} are given?|Name all {attributes}.|Give me all the {attributes}.|"
        "Write down every {attribute}.|What {attributes} are mentioned?|List every {attribute} with its owner.|Find all {attributes}."
    ),
    "needle_sum": (
        "What is the {attribute} of {a} plus that of {b}?|[Add/Add up/Sum] the {attributes} of {a} and {b}.|"
        "How much are the {attributes} of {a} and {b} together?|What is the [sum/total] of the {attributes} of {a} and {b}?|"
        "What do the {attributes} of {a} and {b} [add up to/come to]?|Work out the {attributes} of {a} and {b} together.|"
        "How much is it if you add the {attribute} of {a} to that of {b}?|The {attributes} of {a} and {b}: how much together?|"
        "[Calculate/Find] the [sum/total] of the {attributes} of {a} and {b}.|{attributes} of {a} and {b} in total?|"
        "Take the {attributes} of {a} and {b} and add them.|What is the {attribute} of {a} and {b} combined?|"
        "Find out how much the {attributes} of {a} and {b} are together.|Please add the {attributes} of {a} and {b}."
    ),
    "needle_higher": (
        "Which has the higher {attribute}, {a} or {b}?|Whose {attribute} is higher, that of {a} or of {b}?|"
        "Is the {attribute} of {a} or of {b} higher?|Of {a} and {b}, which has the higher {attribute}?|"
        "Compare {a} and {b}: which has the larger {attribute}?|Who has the larger {attribute}: {a} or {b}?|"
        "Where is the {attribute} higher, with {a} or {b}?|Which {attribute} is larger, that of {a} or {b}? Name the owner."
    ),
    "needle_quote": (
        "Quote the sentence that gives the {attribute} of {name}.|Which sentence names the {attribute} of {name}?|"
        "Copy the sentence about the {attribute} of {name}.|What does it say about the {attribute} of {name}?|"
        "Find the sentence with the {attribute} of {name}.|Quote what is said about the {attribute} of {name}.|"
        "Where is the {attribute} of {name} given? Quote it.|Read the sentence on the {attribute} of {name}."
    ),
    "needle_given": (
        "Is the {attribute} of {name} given?|Does it say what the {attribute} of {name} is?|Can you find the {attribute} of {name}?|"
        "Does the text give the {attribute} of {name}?|Is the {attribute} of {name} mentioned?|"
        "Do you know the {attribute} of {name} from this?|Is there a {attribute} of {name}?|"
        "Is anything said about the {attribute} of {name}?"
    ),
    "page_of_needle": (
        "[On which page/On what page] is the {attribute} of {name}?|Which page [gives/has/names/shows] the {attribute} of {name}?|"
        "Where is the {attribute} of {name}? Say the page.|On [which/what] page do I find the {attribute} of {name}?|"
        "What page is the {attribute} of {name} on?|[Find/Tell me/Name] the page with the {attribute} of {name}.|"
        "On which page is the {attribute} of {name} mentioned?|Which page do I open for the {attribute} of {name}?|"
        "Which page tells me the {attribute} of {name}?|Page of the {attribute} of {name}?|"
        "[Please find/Look for/Search for] the page with the {attribute} of {name}."
    ),
    "page_of_title": (
        'On which page is the title "{title}"?|Which page is titled "{title}"?|Which page has the heading "{title}"?|'
        "On what page is {title}?|Which page is called {title}?|Find the page with the heading {title}.|"
        'What page has "{title}" as its title?|On which page does "{title}" begin?'
    ),
    "page_of_shop": (
        "On which page is the bill from {shop}?|Which page is from {shop}?|On what page is {shop}?|"
        "Which page shows what was bought at {shop}?|Find the page of {shop}.|What page is the slip of {shop} on?|"
        "Which page names {shop}?|On which page do you see {shop}?"
    ),
    "page_of_item": (
        "On which page is {item}?|Which page lists {item}?|On what page was {item} bought?|Which page has {item} on it?|"
        "Find the page with {item}.|What page is {item} on?|On which page do you find {item}?|Where is {item}? Say the page."
    ),
    "page_of_word": (
        'On which page is the word "{word}"?|Which page mentions "{word}"?|On what page does {word} occur?|Which page contains "{word}"?|'
        "Find the page with the word {word}.|What page has the word {word}?|Where does {word} stand? Say the page.|"
        "On which page do you find {word}?"
    ),
    "page_of_kind": (
        "On which page is the {kind}?|Which page is a {kind}?|On what page do I find the {kind}?|Which page shows a {kind}?|"
        "What page is the {kind} on?|Find the page with the {kind}.|Where is the {kind}? Say the page.|Which of the pages is a {kind}?"
    ),
    "highest_total": (
        "Which page has the highest total?|On which page is the total highest?|Which page costs the most?|"
        "On what page is the largest total?|Which page has the largest total?|Where is the total highest? Say the page.|"
        "Find the page with the highest total.|What page has the biggest total?"
    ),
    "lowest_total": (
        "Which page has the lowest total?|On which page is the total lowest?|Which page costs the least?|"
        "On what page is the smallest total?|Which page has the smallest total?|Where is the total lowest? Say the page.|"
        "Find the page with the lowest total.|What page has the least total?"
    ),
    "totals_sum": (
        "What do the totals of {pages} [add up to/come to]?|[Add/Add up/Sum] the totals of {pages}.|"
        "How much are the totals of {pages} together?|What is the [sum/total] of the totals of {pages}?|"
        "How much is it in total on {pages} together?|Work out the totals of {pages} together.|What did {pages} cost together?|"
        "[Calculate/Find] the sum of the totals on {pages}.|What is the grand total of {pages}?|"
        "Take the totals from {pages} and add them.|How much did I spend on {pages} altogether?|Totals of {pages} together?|"
        "What do I pay for {pages} [in total/altogether]?|Please add the totals of {pages}.|Find out how much {pages} cost together."
    ),
    "page_total": (
        "What is the total on page {n}?|How much is the total of page {n}?|Which total does page {n} have?|What's the total on page {n}?|"
        "Read the total on page {n}.|What does page {n} come to?|Total of page {n}?|How much does it cost on page {n}?"
    ),
    "page_count": (
        "How many pages are there?|How many pages does the document have?|Count the pages.|How many pages do you see?|"
        "What is the number of pages?|How long is the document, in pages?|How many pages is it?|How many pages did I send?"
    ),
    "kind_count_pages": (
        "How many pages are {kind}s?|How many {kind}s are there?|Count the {kind}s.|How many of the pages are {kind}s?|"
        "How many {kind}s do you see?|What is the number of {kind}s?|How many {kind}s does the document hold?|"
        "On how many pages is a {kind}?"
    ),
    "page_title": (
        "What is the title of page {n}?|What is the heading on page {n}?|Read the heading of page {n}.|Which title does page {n} have?|"
        "What is page {n} called?|What's the title on page {n}?|Title of page {n}?|Give me the heading of page {n}."
    ),
    "page_first": (
        "Read the first line of page {n}.|What does the first line of page {n} say?|What is the first line on page {n}?|"
        "How does page {n} begin?|What is at the top of page {n}?|Read the top line of page {n}.|What is written at the top of page {n}?|"
        "First line of page {n}, please."
    ),
    "page_last": (
        "Read the last line of page {n}.|What does the last line of page {n} say?|What is the last line on page {n}?|"
        "How does page {n} end?|What is at the bottom of page {n}?|Read the bottom line of page {n}.|"
        "What is written at the bottom of page {n}?|Last line of page {n}, please."
    ),
}

PAGED = tuple(  # a question about one of several pages
    (
        "On page {n}: {question}|Page {n}: {question}|{question} (page {n})|Look at page {n}. {question}|For page {n}: {question}|"
        "[page {n}] {question}|About page {n}: {question}|Going by page {n} alone: {question}"
    ).split("|")
)
CITE = tuple(  # said behind a question whose answer must name its page
    (
        "Say the page.|Give the page too.|Name the page as well.|Add the page.|Cite the page.|With the page, please.|"
        "Tell me the page too.|State the page."
    ).split("|")
)
