"""How people ask about web pages."""

WEB_WORDINGS = {
    "web_price": (
        "What does {thing} cost?|How much is {thing}?|What is the price of {thing}?|How much does {thing} cost?|"
        "What is the cost of {thing}?|"
        "Which price is shown for {thing}?|Price of {thing}?|What do I pay for {thing}?|Tell me the price of {thing}."
    ),
    "web_fact": (
        "What is the {label}?|Which {label} does the page show?|Tell me the {label}.|What {label} is given?|"
        "What does the page say about the {label}?|"
        "Read the {label}.|Find the {label}.|Which {label} is shown here?|What's the {label}?"
    ),
    "web_fact_of": (
        "What is the {label} of {thing}?|Which {label} is shown for {thing}?|Tell me the {label} of {thing}.|"
        "What {label} does {thing} have?|"
        "{thing}: what is the {label}?|Which {label} is given for {thing}?|Find the {label} of {thing}.|Look up the {label} of {thing}.|"
        "What's the {label} for {thing}?"
    ),
    "web_which_costs": (
        "What costs {value}?|Which item costs {value}?|What can I get for {value}?|What is priced at {value}?|Which one costs {value}?|"
        "What has the price {value}?|For what do I pay {value}?|Name the item that costs {value}."
    ),
    "web_which": (
        "Which one has the {label} {value}?|Whose {label} is {value}?|For which entry is the {label} {value}?|"
        "Which entry has {value} as its {label}?|"
        "What has the {label} {value}?|{value} is the {label} of what?|Find the entry with the {label} {value}.|"
        "The {label} {value} belongs to what?"
    ),
    "web_goal": (
        "Where do I click to {goal}?|I want to {goal}. Where do I click?|Which point do I click to {goal}?|Click to {goal}.|"
        "How do I {goal}? Answer with a point.|Show me where to click to {goal}.|Where would I click to {goal}?|"
        "I'd like to {goal}. Point at it.|"
        "Please {goal}."
    ),
    "web_text_at": (
        "What is written at {where}?|Read the text at {where}.|Which text is at {where}?|What does it say at {where}?|"
        "Read what is at {where}.|"
        "What text do you see at {where}?|Transcribe the text at {where}.|What words are at {where}?"
    ),
    "web_row": (
        "Read the row of {thing}.|What does the row of {thing} say?|Transcribe the row that starts with {thing}.|"
        "Read the line of {thing}.|"
        "Read the whole line for {thing}.|What is in the row of {thing}?|Give me the row of {thing}.|"
        "Copy the line that begins with {thing}."
    ),
    "web_paragraph": (
        "Read the {nth} paragraph.|What does the {nth} paragraph say?|Transcribe the {nth} paragraph.|"
        "Give me the text of the {nth} paragraph.|"
        "What is written in the {nth} paragraph?|Copy the {nth} paragraph.|What's in the {nth} paragraph?|Read out the {nth} paragraph."
    ),
    "web_title": (
        "What is the title of the page?|What is the headline?|What is this page called?|Read the title.|What does the headline say?|"
        "Which title does the page have?|What's the main heading?|What is the heading at the top?|Read the headline of the page."
    ),
}
