"""How people ask. Every key has eight wordings or more, divided by bars; braces are filled in by `questions.Interview`."""

EVIDENCE = tuple(('The line says "{row}".|The line says {row}.|It says: {row}|I see "{row}".|The document shows: {row}|{row}').split("|"))

FOREIGN = tuple(
    (
        "Who is the president?|What animal is this?|What is the capital of France?|Who wrote this book?|"
        "What colour is the car?|How many people are in the picture?|What is the weather today?|"
        "Who is the man in the photo?|What is the meaning of life?|Where was this photo taken?|Is the dog sleeping?|"
        "What breed is the cat?|How tall is the building?|Who won the match?|What is your name?|How old is she?|"
        "What kind of food is on the plate?|Which team is playing?|What is the boiling point of iron?|Who painted this?|"
        "Tell me a joke.|What sport is shown?|How far away is the moon?|What is the population of Japan?|Is he smiling?|"
        "What brand is the phone on the table?"
    ).split("|")
)

_WORDINGS = {
    "read": (
        "Read the text.|What does it say?|Transcribe this document.|What is written here?|Read this.|"
        "Transcribe the text.|What does this say?|Read everything.|Please read the text aloud.|"
        "Write down the text in the image.|What text is in the image?|OCR this.|Extract the text.|Give me the text.|"
        "Copy the text.|Please transcribe the image.|Read all the text in this picture.|What is the text?|"
        "Can you read this?|Type out what you see."
    ),
    "kth": (
        "Read line {k}.|What does line {k} say?|Read the {nth} line.|What is on the {nth} line?|"
        "What is written on line {k}?|Transcribe line {k}.|Line {k}, please.|What does the {nth} line say?|"
        "Give me line {k}."
    ),
    "first": (
        "Read the first line.|What does the first line say?|What is the first line?|How does it begin?|"
        "What is at the top?|Read the top line.|What is written at the very top?|Transcribe the first line.|"
        "What does it start with?"
    ),
    "last": (
        "Read the last line.|What does the last line say?|What is the last line?|How does it end?|What is at the bottom?|"
        "Read the bottom line.|What is written at the very bottom?|Transcribe the last line."
    ),
    "containing": (
        'Read the line with "{word}".|Which line contains "{word}"?|What is the line that mentions "{word}"?|'
        "Find the line with the word {word}.|Which line says {word}?|Read the line containing {word}.|"
        'Quote the line with the word "{word}".|What is said about {word}?|Show me the line with {word}.'
    ),
    "title": (
        "What is the title?|What is the heading?|Read the heading.|What does the heading say?|What is this about?|"
        "What is it called?|Read the title.|What is the headline?|What title is printed?|What's the title?|"
        "Which title does this have?"
    ),
    "count_lines": (
        "How many lines are there?|How many lines of text are there?|Count the lines.|How many rows of text do you see?|"
        "What is the number of lines?|How many text lines does it have?|How many lines does this have?|"
        "Count the lines of text."
    ),
    "total": (
        "What is the total?|How much is the total?|What is the total amount?|How much was it in total?|"
        "How much do I have to pay?|What do I owe?|What's the total?|How much did it cost in total?|Total?|"
        "What is the amount due?|What was the final amount?|How much did everything cost?|What is the grand total?"
    ),
    "date": (
        "What is the date?|What date is it?|When was this issued?|What is the date on this document?|"
        "Which date is printed?|What's the date?|When was it?|On which day was this printed?|Date?|What day was it?"
    ),
    "time": (
        "What is the time?|At what time was it?|What time is printed?|What time was it?|What's the time on it?|"
        "Which time is shown?|At what time was this printed?|Time?|What is the time of the purchase?"
    ),
    "shop": (
        "What is the name of the shop?|Which shop is this from?|Where was this bought?|What is the shop called?|"
        "Who issued this?|What store is it?|Which store is this receipt from?|What's the name of the business?|"
        "Who is the seller?|What company is this from?|What is the merchant's name?"
    ),
    "number": (
        "What is the receipt number?|What is the number of this document?|Which receipt number is printed?|"
        "What's the receipt no.?|Give me the receipt number.|What is the document number?|"
        "What number does the receipt have?|Which number identifies it?|What is the reference number?"
    ),
    "phone": (
        "What is the phone number?|What number can I call?|What's the telephone number?|How can I call them?|"
        "Which phone number is printed?|What is the tel. number?|Give me the phone number.|What is their phone number?|"
        "Phone?"
    ),
    "address": (
        "What is the address?|Where is the shop?|Which street is it in?|What's the street address?|"
        "What street is printed?|Give me the address.|Where are they located?|Which address is given?|"
        "In which street is it?"
    ),
    "cashier": (
        "Who was the cashier?|What is the name of the cashier?|Who served the customer?|Who was at the till?|"
        "Which cashier is named?|What's the cashier's name?|Who was the server?|Who rang this up?"
    ),
    "subtotal": (
        "What is the subtotal?|How much is the subtotal?|What's the sub total?|What is the amount before tax?|"
        "How much was it before tax?|Which subtotal is printed?|Give me the subtotal.|Subtotal?|"
        "What does it come to before tax?"
    ),
    "tax": (
        "How much is the tax?|What is the tax?|How much tax was paid?|What's the tax amount?|How much tax is included?|"
        "What is the VAT?|How much VAT is there?|Tax?|What is the amount of tax?"
    ),
    "discount": (
        "How much is the discount?|What is the discount?|How much was taken off?|What's the discount amount?|"
        "Which discount was given?|How big is the discount?|What discount did I get?|Discount?|How much did I save?"
    ),
    "payment": (
        "How was it paid?|What is the payment method?|How did the customer pay?|Was it paid by card or in cash?|"
        "What's the method of payment?|Which payment method was used?|How was this paid for?|Payment method?"
    ),
    "tendered": (
        "How much cash was given?|How much did the customer hand over?|How much money was given?|"
        "What amount was tendered?|How much was paid in cash?|What did the customer give?|"
        "How much cash did they pay with?|What is the cash amount?"
    ),
    "change": (
        "How much change was given?|What is the change?|How much change is there?|What's the change?|How much came back?|"
        "How much money was returned?|Change?|What is the amount of change?|How much change did I get?"
    ),
    "price": (
        "How much is {item}?|What does {item} cost?|What is the price of {item}?|How much did {item} cost?|"
        "What's the price of {item}?|Price of {item}?|How much for {item}?|What did I pay for {item}?|"
        "What was charged for {item}?|Tell me the price of {item}.|What is the amount for {item}?"
    ),
    "quantity": (
        "How many {item} were bought?|What is the quantity of {item}?|How many {item} are on it?|How many {item}?|"
        "How many of {item} were bought?|What quantity of {item} is listed?|How often was {item} bought?|"
        "How many times {item}?|How many pieces of {item} are there?"
    ),
    "unit": (
        "What is the unit price of {item}?|How much is one {item}?|What does a single {item} cost?|"
        "What is the price of one {item}?|How much per {item}?|What does {item} cost each?|"
        "What's the price per piece of {item}?|How much is {item} each?"
    ),
    "article": (
        "Which item costs {price}?|What costs {price}?|What was bought for {price}?|Which article has the price {price}?|"
        "What is the item for {price}?|What cost {price}?|Which product is {price}?|What did I buy for {price}?"
    ),
    "nth_item": (
        "What is the {nth} item?|Which item is {nth} on the list?|What's the {nth} article?|Name the {nth} item.|"
        "What is the {nth} product?|Which article comes {nth}?|What was the {nth} thing bought?|What is listed {nth}?"
    ),
    "count_items": (
        "How many items are there?|How many items are listed?|How many different items were bought?|Count the items.|"
        "How many articles are on it?|How many products are listed?|What is the number of items?|"
        "How many item lines are there?|How many things were bought?"
    ),
    "cheapest": (
        "What is the cheapest item?|Which item is the cheapest?|What costs the least?|Which item has the lowest price?|"
        "What's the cheapest thing?|Which article costs least?|Name the cheapest item.|What is the least expensive item?"
    ),
    "dearest": (
        "What is the most expensive item?|Which item is the most expensive?|What costs the most?|"
        "Which item has the highest price?|What's the most expensive thing?|Which article costs most?|"
        "Name the most expensive item.|What is the dearest item?"
    ),
    "sum_two": (
        "What do {a} and {b} cost together?|How much are {a} and {b} together?|What is the price of {a} plus {b}?|"
        "How much is {a} and {b}?|What do {a} and {b} add up to?|Add the prices of {a} and {b}.|"
        "How much do {a} and {b} cost in total?|What did I pay for {a} and {b} together?"
    ),
    "sum_all": (
        "What is the sum of all items?|Add up all the items.|How much do all items cost together?|"
        "What do the items add up to?|What is the sum of the prices?|Add all the prices.|Work out the sum of the items.|"
        "Calculate the sum of all prices.|What do you get if you add up the items?"
    ),
    "difference": (
        "How much more is {a} than {b}?|How much more expensive is {a} than {b}?|"
        "What is the price difference between {a} and {b}?|By how much does {a} cost more than {b}?|"
        "How much cheaper is {b} than {a}?|What is the difference between {a} and {b}?|How much less is {b} than {a}?|"
        "How much more does {a} cost than {b}?"
    ),
    "change_from": (
        "How much change from {note}?|What is the change if I pay {note}?|If I pay with {note}, how much do I get back?|"
        "I give {note}. How much comes back?|How much change do I get from {note}?|What change do I get for {note}?|"
        "How much is left of {note} after paying?|What remains from {note}?"
    ),
    "total_right": (
        "Is the total right?|Is the total correct?|Does the total add up?|Check the total.|Did they add it up correctly?|"
        "Is the sum right?|Can you verify the total?|Is the total what it should be?|"
        "Has the total been calculated correctly?"
    ),
    "passage": (
        'Read the paragraph that starts with "{start}".|What does the paragraph starting with "{start}" say?|'
        'Read the passage that begins "{start}".|Transcribe the paragraph beginning with "{start}".|'
        'Read on from "{start}".|Give me the paragraph that starts "{start}".|Copy the paragraph beginning "{start}".|'
        "What is the text of the paragraph starting with {start}?"
    ),
    "entry": (
        "What is the {label}?|What {label} is given?|What's the {label}?|Which {label} is printed?|Tell me the {label}.|"
        "Give me the {label}.|{label}?|What does it say for {label}?|What is printed as {label}?|Find the {label}."
    ),
    "cell": (
        "What is the {column} of {row}?|What is the {column} for {row}?|What's the {column} of {row}?|"
        "Which {column} does {row} have?|Look up the {column} of {row}.|What {column} is listed for {row}?|"
        "Tell me the {column} of {row}.|{column} of {row}?|In the table, what is the {column} of {row}?"
    ),
    "count_rows": (
        "How many rows does the table have?|How many entries are in the table?|Count the rows of the table.|"
        "How many rows are listed?|How many lines does the table have below its head?|"
        "How many entries does the table list?|What is the number of rows?|How many records are there?"
    ),
    "highest": (
        "Which {subject} has the highest {column}?|What {subject} has the most {column}?|"
        "Which {subject} has the largest {column}?|Who or what has the highest {column}?|"
        "Which one has the greatest {column}?|Which row has the highest {column}?|"
        "Name the {subject} with the highest {column}.|Where is {column} highest?"
    ),
    "lowest": (
        "Which {subject} has the lowest {column}?|What {subject} has the least {column}?|"
        "Which {subject} has the smallest {column}?|Who or what has the lowest {column}?|"
        "Which one has the smallest {column}?|Which row has the lowest {column}?|"
        "Name the {subject} with the lowest {column}.|Where is {column} lowest?"
    ),
    "column_sum": (
        "What is the sum of the {column} column?|Add up the {column} column.|What does the {column} column add up to?|"
        "What is the total of {column}?|Sum the {column} values.|How much is {column} in total?|"
        "Calculate the sum of all {column} values.|What do you get if you add all {column} values?"
    ),
    "sender": (
        "Who sent this letter?|Who wrote this?|Who is the sender?|Who is it from?|Whose letter is it?|"
        "What is the sender's name?|Who is the letter from?|Which sender is named?"
    ),
    "recipient": (
        "Who is the recipient?|To whom is it addressed?|Who is the letter to?|Who is this letter for?|"
        "Whom is it written to?|What is the recipient's name?|Who should receive this?|To whom was it sent?"
    ),
    "subject": (
        "What is the subject?|What is the letter about?|What is the subject line?|What is it about?|"
        "What's the subject of the letter?|Which subject is given?|What does the subject line say?|"
        "What is this letter regarding?"
    ),
    "author": (
        "Who is the author?|Who wrote this article?|Who wrote it?|What is the author's name?|By whom is it?|"
        "Which author is named?|Who is it by?|Name the author."
    ),
    "url": (
        "What is the address of the page?|What is the URL?|Which web address is shown?|What does the address bar say?|"
        "What's the link?|Which site is this?|What website is it?|Read the address bar."
    ),
    "page_number": (
        "What is the page number?|Which page is this?|What page is it?|What number is at the foot of the page?|"
        "What's the page number?|Which page number is printed?|On what page are we?|Page number?"
    ),
    "due": (
        "When is it due?|What is the due date?|By when must it be paid?|What is the deadline for payment?|"
        "When do I have to pay?|What's the due date?|Until when can I pay?|When must this be paid?"
    ),
    "customer": (
        "Who is the customer?|Who is billed?|To whom is it addressed?|Who is the invoice for?|Who has to pay?|"
        "What is the name of the customer?|Who was it billed to?|Which customer is named?"
    ),
    "list_items": (
        "List all items.|What was bought?|List the items.|Which items are on the receipt?|Name all the articles.|"
        "What items are listed?|Which products were bought?|What did I buy?|Give me the list of items."
    ),
    "list_prices": (
        "List all items with their prices.|List the items and prices.|What was bought and for how much?|"
        "Give me every item with its price.|Name all articles and what they cost.|"
        "Which items are listed and what do they cost?|Write down each item and its price.|Show the items with prices."
    ),
    "line_number": (
        'On which line is "{word}"?|Which line number has the word "{word}"?|On which line does {word} stand?|'
        'What is the number of the line with "{word}"?|In which line is the word {word}?|Which line is {word} on?|'
        "Find the line number of {word}.|What line has {word}?"
    ),
    "mentions": (
        'Does it mention "{word}"?|Does the text contain "{word}"?|Is the word {word} in the text?|'
        'Does the word {word} appear?|Can you find "{word}"?|Is {word} mentioned?|Is there a "{word}" anywhere?|'
        "Does it say {word}?|Is {word} printed here?"
    ),
}
WORDINGS = {key: tuple(wordings.split("|")) for key, wordings in _WORDINGS.items()}
