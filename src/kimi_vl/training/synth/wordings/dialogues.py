"""How people ask when there is nothing but what they type. Divided by bars; square brackets hold alternatives, as in `wordings`."""

DIALOGUE_WORDINGS = {
    "add": (
        "What is {sum}?|How much is {sum}?|Work out {sum}.|Calculate {sum}.|{sum} = ?|{sum}|What does {sum} make?|"
        "What do you get for {sum}?|Please compute {sum}.|[Solve/Evaluate/Do] {sum}.|Tell me what {sum} is.|Result of {sum}?|"
        "[Can/Could] you work out {sum}?|{sum} makes?|I need {sum}.|Quick: {sum}?|Help me with {sum}."
    ),
    "add_spoken": (
        "What is {sum}?|How much is {sum}?|Work out {sum}.|Calculate {sum}.|What does {sum} make?|Tell me what {sum} is.|"
        "What do you get for {sum}?|How many are {sum}?"
    ),
    "sum_of": (
        "What is the [sum/total] of {numbers}?|Add {numbers}.|Add up {numbers}.|How much are {numbers} together?|Sum {numbers}.|"
        "What do {numbers} add up to?|[Work out/Calculate/Find] the [sum/total] of {numbers}.|Total of {numbers}?|"
        "I paid {numbers}. How much is that [in total/altogether]?|I bought things for {numbers}. What did I spend?|"
        "Please add {numbers} for me.|How much do {numbers} make?|My bills are {numbers}. What is the total?"
    ),
    "minus": (
        "What is {a} minus {b}?|How much is {a} less {b}?|What is {a} - {b}?|Subtract {b} from {a}.|Take {b} from {a}.|"
        "What is the difference between {a} and {b}?|How much more is {a} than {b}?|What is left of {a} after {b}?|"
        "[Work out/Calculate/Compute] {a} - {b}.|{a} - {b} = ?|{a} - {b}|I had {a} and spent {b}. What is left?|"
        "By how much is {a} more than {b}?|What remains if I take {b} from {a}?|[Work out/Calculate] {a} minus {b}.|"
        "How much do I have left from {a} after paying {b}?|{a} less {b}?|From {a} I pay {b}. How much remains?|"
        "Please subtract {b} from {a}."
    ),
    "times": (
        "What do {count} at {price} cost?|How much are {count} pieces at {price} each?|What is {count} x {price}?|"
        "What is {count} times {price}?|One costs {price}. What do {count} cost?|Multiply {price} by {count}.|"
        "How much is {count} times {price}?|I buy {count} for {price} each. What do I pay?|"
        "[Work out/Calculate/Compute] {count} x {price}.|{count} x {price} = ?|Price for {count} at {price} each?|"
        "A ticket is {price}. How much are {count} tickets?|How much do {count} items cost at {price} apiece?|"
        "At {price} each, what do {count} come to?|{count} x {price}|If one is {price}, how much are {count}?|{count} times {price}?|"
        "Please multiply {price} by {count}.|What do I pay for {count} at {price}?"
    ),
    "change_due": (
        "I pay {total} with {note}. How much change do I get?|How much change from {note} for {total}?|"
        "What is the change from {note} if it costs {total}?|The bill is {total} and I give {note}. What comes back?|"
        "It costs {total}, I hand over {note}. How much do I get back?|How much comes back from {note} when I owe {total}?|"
        "I owe {total} and pay {note}. What is my change?|Change from {note} on {total}?|"
        "[Work out/Calculate] the change from {note} for {total}.|Change for {total} out of {note}?|"
        "Somebody pays {total} with {note}. What must I give back?|The total is {total}. I have {note}. How much is left?|"
        "If I pay {total} with a {note} note, what do I get back?|From {note}, how much is left after {total}?|"
        "A customer gives me {note} for {total}. How much change is due?|I give {note} for something at {total}. What is my change?|"
        "What change do I get when I pay {total} with {note}?|You owe {total} and pay with {note}. What is the change?|"
        "Please work out the change from {note} for {total}.|My bill is {total}. I pay {note}. What do I get back?"
    ),
    "percent": (
        "What is {rate}% of {amount}?|How much is {rate}% of {amount}?|Work out {rate}% of {amount}.|Calculate {rate}% of {amount}.|"
        "{rate}% of {amount}?|How much is a tip of {rate}% on {amount}?|What is a tax of {rate}% on {amount}?|"
        "How much do I save with {rate}% off {amount}?|Tell me {rate}% of {amount}.|What is {rate} percent of {amount}?"
    ),
    "percent_more": (
        "What is {amount} plus {rate}% tax?|How much is {amount} with {rate}% tax?|Add {rate}% to {amount}.|"
        "Something costs {amount} before {rate}% tax. What do I pay?|What do I pay for {amount} plus a tip of {rate}%?|"
        "{amount} plus {rate}%?|Work out {amount} plus {rate}%.|The price is {amount} and tax is {rate}%. What is the total?"
    ),
    "percent_less": (
        "What is {amount} less {rate}%?|How much is {amount} with {rate}% off?|Take {rate}% off {amount}.|"
        "Something costs {amount} and is reduced by {rate}%. What do I pay?|What do I pay for {amount} with a discount of {rate}%?|"
        "{amount} minus {rate}%?|Work out {amount} less {rate}%.|The price is {amount} with {rate}% off. What is it now?"
    ),
    "larger": (
        "Which is larger, {a} or {b}?|Is {a} or {b} larger?|Which is more, {a} or {b}?|What is more: {a} or {b}?|"
        "Which number is bigger, {a} or {b}?|Compare {a} and {b}: which is larger?|Of {a} and {b}, which is the larger?|"
        "Which is higher, {a} or {b}?"
    ),
    "typed_sum": (
        "What is the [sum/total]?|Add it up.|What does it [come to/add up to]?|How much is it [in total/altogether/all together]?|"
        "Sum this list.|Add the prices.|What do I pay for all of it?|Please add this up.|[Work out/Find/Give me] the total.|"
        "Add up the list.|How much does everything cost?|What is the total of this list?|Total?|Sum up the prices.|"
        "How much do I owe for all this?"
    ),
    "typed_price": (
        "What does {item} cost?|How much is {item}?|What is the price of {item}?|Price of {item}?|Find the price of {item}.|"
        "What is listed for {item}?|Which price does {item} have?|How much for {item}?"
    ),
    "typed_dearest": (
        "What is the most expensive?|Which costs the most?|What has the highest price?|Which item is the dearest?|"
        "Name the most expensive item.|Which is the most expensive one?|What costs most?|Which one has the highest price?"
    ),
    "typed_cheapest": (
        "What is the cheapest?|Which costs the least?|What has the lowest price?|Which item is the cheapest?|Name the cheapest item.|"
        "Which is the cheapest one?|What costs least?|Which one has the lowest price?"
    ),
    "typed_count": (
        "How many items are there?|How many items are in the list?|Count the items.|How many things are listed?|How long is the list?|"
        "How many lines does the list have?|What is the number of items?|How many entries are there?"
    ),
    "typed_json": (
        "Turn [this/the list/it] into JSON.|[Write/Give me] [this/the list] as JSON.|Convert [this/the list] to JSON.|"
        "Make a JSON object of [this/the list].|Format [this/the list] as JSON.|JSON, please.|Return the list as a JSON object.|"
        "As JSON, please:|Output JSON for this list.|I need this as JSON.|Please write this as JSON.|Make JSON out of [this/the list]."
    ),
    "typed_markdown": (
        "Turn [this/the list/it] into a Markdown table.|[Write/Give me] [this/the list] as a Markdown table.|"
        "Convert [this/the list] to a Markdown table.|Make a Markdown table of [this/the list].|"
        "Format [this/the list] as a Markdown table.|Markdown table, please.|Output a Markdown table for this list.|"
        "I need this as a Markdown table.|As a table in Markdown, please:|Put this into a Markdown table.|Please make a Markdown table.|"
        "Write a Markdown table of [this/the list]."
    ),
    "typed_bullets": (
        "Turn this into a bullet list.|Write this as bullet points.|Make a bullet list of this.|Format this as a list with dashes.|"
        "One line each, please, with a dash.|Bullet points, please.|List these with a dash before each.|"
        "Put each on its own line with a dash."
    ),
    "extract_email": (
        "What is the e-mail address?|Extract the e-mail address.|Which e-mail address is given?|Find the email.|"
        "Give me the e-mail address only.|Where can I write to?|What email address is in this text?|Email?"
    ),
    "extract_date": (
        "What is the date?|Extract the date.|Which date is given?|Find the date.|Give me the date only.|When is it?|"
        "What date is in this text?|Date?"
    ),
    "extract_amount": (
        "What is the amount?|Extract the amount.|Which amount is given?|Find the amount.|Give me the amount only.|How much is it?|"
        "What amount of money is in this text?|Amount?"
    ),
    "extract_phone": (
        "What is the phone number?|Extract the phone number.|Which phone number is given?|Find the phone number.|"
        "Give me the phone number only.|Which number can I call?|What phone number is in this text?|Phone number?"
    ),
    "extract_person": (
        "Who is named?|Extract the name.|Which person is named?|Find the name of the person.|Give me the name only.|"
        "What is the name of the person?|What name is in this text?|Name?"
    ),
    "iso_date": (
        "Write {date} as YYYY-MM-DD.|Convert {date} to YYYY-MM-DD.|Reformat {date} as YYYY-MM-DD.|What is {date} as YYYY-MM-DD?|"
        "Put {date} into the form YYYY-MM-DD.|{date} as YYYY-MM-DD, please.|Give {date} in ISO format.|Turn {date} into YYYY-MM-DD."
    ),
    "long_date": (
        "Write {date} with the name of the month.|Write out {date} as day, month and year.|What is {date} with the month as a word?|"
        "Spell out the month in {date}.|Turn {date} into a date with the month's name.|Convert {date} to a form like 3 April 2021.|"
        "Reformat {date} like 3 April 2021.|Give {date} in words like 3 April 2021."
    ),
    "sort_up": (
        "Sort {numbers} in ascending order.|Sort {numbers} from smallest to largest.|Put {numbers} in order, smallest first.|"
        "Order {numbers} from low to high.|Arrange {numbers} in increasing order.|Sort the numbers {numbers}, smallest first.|"
        "Bring {numbers} into ascending order.|List {numbers} from small to large."
    ),
    "sort_down": (
        "Sort {numbers} in descending order.|Sort {numbers} from largest to smallest.|Put {numbers} in order, largest first.|"
        "Order {numbers} from high to low.|Arrange {numbers} in decreasing order.|Sort the numbers {numbers}, largest first.|"
        "Bring {numbers} into descending order.|List {numbers} from large to small."
    ),
    "sort_words": (
        "Sort {words} alphabetically.|Put {words} in alphabetical order.|Order {words} by the alphabet.|Arrange {words} alphabetically.|"
        "Sort the words {words}.|Bring {words} into alphabetical order.|List {words} from A to Z.|"
        "Which alphabetical order do {words} have?"
    ),
    "count_words": (
        "How many words does this have?|Count the words.|How many words are in this sentence?|What is the number of words?|"
        "How many words are there?|Count the words of this sentence.|How many words do you count?|Word count, please."
    ),
    "count_letters": (
        'How many letters does "{word}" have?|Count the letters of {word}.|How many letters are in {word}?|How long is the word {word}?|'
        "What is the number of letters in {word}?|How many letters has {word}?|Of how many letters is {word} made?|Letters in {word}?"
    ),
    "spell": (
        "Spell {word}.|How do you spell {word}?|Spell the word {word}, please.|Spell out {word}.|Write {word} letter by letter.|"
        "Give me the letters of {word}.|Which letters does {word} have?|How is {word} spelled?"
    ),
    "upper": (
        "Write this in capital letters.|Uppercase this.|Turn this into upper case.|Put this in capitals.|Make this all caps.|"
        "Convert this to upper case.|In capitals, please.|Write it in upper case."
    ),
    "lower": (
        "Write this in small letters.|Lowercase this.|Turn this into lower case.|Put this in lower case.|Make this all lower case.|"
        "Convert this to lower case.|In small letters, please.|Write it in lower case."
    ),
    "repeat": (
        "Repeat this.|Say this again.|Repeat after me.|Copy this.|Write this again.|Say it back to me.|Repeat word for word.|Echo this."
    ),
    "first_word": (
        "What is the first word?|Give me the first word.|Which word comes first?|Name the first word.|What word does it begin with?|"
        "Which is the first word of this sentence?|First word?|With which word does this start?"
    ),
    "last_word": (
        "What is the last word?|Give me the last word.|Which word comes last?|Name the last word.|What word does it end with?|"
        "Which is the last word of this sentence?|Last word?|With which word does this end?"
    ),
    "continue": (
        "Continue:|Go on:|Continue this text:|What comes next?|Carry on with this:|Continue the text.|Write on:|Complete this:|"
        "Finish the text:|How does this go on?"
    ),
    "hello": ("Hello|Hi|Hello!|Hi!|Hey|Good morning|Good evening|Hello there|Hi there!|Good day|Hey there|Greetings"),
    "how_are_you": (
        "How are you?|How are you doing?|How is it going?|Are you well?|How do you do?|What's up?|Everything fine?|How do you feel?"
    ),
    "thanks": (
        "Thanks|Thank you|Thanks!|Thank you very much|Great, thanks|Perfect, thank you.|Many thanks|Thanks a lot|That helped, thanks"
    ),
    "bye": ("Bye|Goodbye|See you|Good night|Bye!|See you later|That is all|Farewell"),
    "who": (
        "Who are you?|What are you?|What is your name?|Tell me about yourself.|Introduce yourself.|Which model are you?|"
        "What kind of model are you?|Are you a language model?|What's your name?|Are you an AI?|What should I call you?"
    ),
    "made": (
        "Who made you?|Are you Kimi?|Are you Kimi-VL?|Are you made by Moonshot?|Are you ChatGPT?|Are you a large model?|"
        "Are you the original Kimi-VL?|Which company made you?|Are you GPT?"
    ),
    "can": (
        "What can you do?|How can you help me?|What are you good at?|What do you do?|What are you for?|What can I ask you?|Help|"
        "How do I use you?|What are your abilities?"
    ),
    "trained": (
        "What were you trained on?|How were you trained?|Where does your training data come from?|On what data were you trained?|"
        "What have you learned from?|What did you learn from?|What is your training data?|How did you learn to read?"
    ),
    "knowledge": (
        "What is the capital of {country}?|How many people live in {country}?|Who is the president of {country}?|Who wrote {work}?|"
        "Who painted {work}?|When was {work} made?|What is the weather today?|What is the news?|Who won the match yesterday?|"
        "What is the boiling point of {element}?|Explain {topic}.|What is {topic}?|Why is the sky blue?|How far away is the moon?|"
        "Tell me a joke.|Write a poem about {topic}.|Who discovered {element}?|How do I cook rice?|What should I do about my headache?|"
        "Translate this into French: good morning|What day is it today?|What time is it now?|Who is {person}?|Recommend a film.|"
        "What is the meaning of life?|How does {topic} work?|When did {person} live?|Write a program that sorts numbers.|"
        "What is the population of {country}?|Which language is spoken in {country}?"
    ),
    "picture": (
        "What is in the [picture/image/photo]?|Describe the [picture/image/photo].|What do you see?|"
        "What does the [image/picture/document] show?|Read the text in the [image/picture].|"
        "How many people are in the [picture/image/photo]?|What colour is the car in the [picture/image]?|What does the chart show?|"
        "Transcribe the [document/image/receipt].|What is the total on the receipt?|What is written in the image?|"
        "Look at the [picture/image/photo].|Which button do I press on the screen?|What is the title of the document?|"
        "Is there a dog in the [picture/photo]?|Can you see the [image/picture/photo]?|What does page {n} say?|How many pages are there?"
    ),
}
