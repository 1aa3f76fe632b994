"""How people ask. Every key has eight wordings or more, divided by bars; braces are filled in by `questions.Interview`."""

from kimi_vl.training.synth.picture_wordings import PICTURE_WORDINGS
from kimi_vl.training.synth.screen_wordings import SCREEN_WORDINGS

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
    "row_with": (
        "Which {subject} has the {column} {value}?|Which row has {value} as {column}?|What {subject} has {column} {value}?|"
        "Which {subject} has {value} in the {column} column?|In which row is the {column} {value}?|"
        "For which {subject} is the {column} {value}?|Find the {subject} with {column} {value}.|"
        "Who or what has the {column} {value}?|Whose {column} is {value}?"
    ),
    "table_row": (
        "Read the row of {row}.|What does the row of {row} say?|Read the row for {row}.|Read the table row with {row}.|"
        "Give me the whole row of {row}.|What is in the row of {row}?|Copy the row of {row}.|Show the full row for {row}.|"
        "Transcribe the row of {row}."
    ),
    "nth_row": (
        "Read the {nth} row of the table.|What is in the {nth} row of the table?|What does the {nth} row below the head say?|"
        "Read the {nth} entry of the table.|Give me the {nth} row below the head.|Copy the {nth} row of the table.|"
        "Transcribe the {nth} table row.|Which values are in the {nth} row below the head?"
    ),
    "list_column": (
        "List the {column} column.|List all values of the {column} column.|Read the {column} column.|"
        "What is in the {column} column?|Which values does the {column} column have?|Give me the {column} column.|"
        "Write down the {column} column from top to bottom.|Copy the {column} column."
    ),
    "column_names": (
        "What are the column names?|Which columns does the table have?|Name the columns.|What are the headers?|"
        "Read the column headers.|What are the columns called?|List the column names.|What are the headings of the columns?|"
        "Which headers does the table have?"
    ),
    "count_columns": (
        "How many columns does the table have?|How many columns are there?|Count the columns.|"
        "What is the number of columns?|How many columns do you see?|How many columns are in the table?|"
        "Count the columns of the table.|Of how many columns is the table made?"
    ),
    "printed_total": (
        "What does the table give as the total of {column}?|What is in the last row for {column}?|"
        "What total is printed for {column}?|Which total is given in the {column} column?|"
        "What is the bottom value of the {column} column?|Read the total of the {column} column.|"
        "What does the bottom row say for {column}?|What is printed as total {column}?"
    ),
    "to_markdown": (
        "Convert the table to Markdown.|Write the table as Markdown.|Transcribe the table as Markdown.|"
        "Give me the table in Markdown.|Turn the table into Markdown.|Markdown, please.|Extract the table as Markdown.|"
        "Output the table in Markdown format.|Reproduce the table as a Markdown table.|Please convert this table into Markdown."
    ),
    "cells_sum": (
        "What is the {column} of {a} and {b} together?|What is the sum of the {column} of {a} and {b}?|"
        "Add the {column} of {a} and {b}.|How much is the {column} of {a} plus that of {b}?|"
        "What do {a} and {b} have together as {column}?|What is the combined {column} of {a} and {b}?|"
        "What is the total {column} of {a} and {b}?|Sum the {column} of {a} and {b}."
    ),
    "cells_difference": (
        "What is the difference in {column} between {a} and {b}?|By how much is the {column} of {a} larger than that of {b}?|"
        "How much higher is the {column} of {a} than that of {b}?|How much lower is the {column} of {b} than that of {a}?|"
        "What is the {column} of {a} minus that of {b}?|How far apart are {a} and {b} in {column}?|"
        "How much more {column} does {a} have than {b}?|Subtract the {column} of {b} from that of {a}."
    ),
    "row_sum": (
        "What is the sum of the row of {row}?|Add up the row of {row}.|What does {row} add up to?|"
        "What is the total for {row} over all columns?|What does the row of {row} add up to?|"
        "How much is {row} over all columns?|Sum all values of {row}.|Calculate the sum of the values of {row}."
    ),
    "row_highest": (
        "In which column is {row} highest?|Which column has the highest value of {row}?|Where is {row} at its highest?|"
        "In which column does {row} have the largest value?|Which column is the largest for {row}?|"
        "When or where is {row} highest?|What is the best column of {row}?|Which column has the maximum of {row}?"
    ),
    "row_lowest": (
        "In which column is {row} lowest?|Which column has the lowest value of {row}?|Where is {row} at its lowest?|"
        "In which column does {row} have the smallest value?|Which column is the smallest for {row}?|"
        "When or where is {row} lowest?|What is the worst column of {row}?|Which column has the minimum of {row}?"
    ),
    "which_larger": (
        "Which has the higher {column}, {a} or {b}?|Which has the larger {column}: {a} or {b}?|"
        "Is the {column} larger for {a} or for {b}?|Which one has more {column}, {a} or {b}?|"
        "Is the {column} of {a} or of {b} higher?|Of {a} and {b}, which has the higher {column}?|"
        "Where is the {column} greater, {a} or {b}?|Compare {a} and {b}: which has the larger {column}?"
    ),
    "count_equal": (
        "How many rows have {value} as {column}?|In how many rows is the {column} {value}?|"
        "How many entries have the {column} {value}?|Count the rows where {column} is {value}.|"
        "How many times does {value} occur in the {column} column?|For how many is the {column} {value}?|"
        "How many have {column} {value}?|How often is the {column} {value}?"
    ),
    "count_above": (
        "How many rows have a {column} above {value}?|How many have a {column} of more than {value}?|"
        "Count the rows with a {column} greater than {value}.|In how many rows is the {column} higher than {value}?|"
        "How many entries have a {column} over {value}?|How many rows have a {column} larger than {value}?|"
        "For how many is the {column} above {value}?|How many exceed {value} in {column}?"
    ),
    "count_below": (
        "How many rows have a {column} below {value}?|How many have a {column} of less than {value}?|"
        "Count the rows with a {column} smaller than {value}.|In how many rows is the {column} lower than {value}?|"
        "How many entries have a {column} under {value}?|How many rows have a {column} less than {value}?|"
        "For how many is the {column} below {value}?|How many are under {value} in {column}?"
    ),
    "which_equal": (
        "Which rows have {value} as {column}?|For which is the {column} {value}?|List those with {column} {value}.|"
        "Which entries have the {column} {value}?|Name all with {column} {value}.|Which ones have {value} in the {column} column?|"
        "Show the rows where {column} is {value}.|List everything whose {column} is {value}."
    ),
    "which_above": (
        "Which have a {column} above {value}?|List those with a {column} of more than {value}.|"
        "Which rows have a {column} greater than {value}?|Name all with a {column} over {value}.|"
        "Which entries have a {column} higher than {value}?|For which is the {column} above {value}?|"
        "Show the rows with a {column} larger than {value}.|Which ones exceed {value} in {column}?"
    ),
    "which_below": (
        "Which have a {column} below {value}?|List those with a {column} of less than {value}.|"
        "Which rows have a {column} smaller than {value}?|Name all with a {column} under {value}.|"
        "Which entries have a {column} lower than {value}?|For which is the {column} below {value}?|"
        "Show the rows with a {column} less than {value}.|Which ones are under {value} in {column}?"
    ),
    "chart_value": (
        "What is the value of {item}?|What is the value for {item}?|How much is {item}?|What value does {item} have?|"
        "Read the value of {item}.|What does the chart show for {item}?|What number does {item} reach?|"
        "How high is {item}?|Which value belongs to {item}?|Value of {item}?|How large is {item} in the chart?"
    ),
    "chart_cell": (
        "What is the value of {series} for {item}?|How much is {series} for {item}?|What is {series} at {item}?|"
        "What value does {series} have at {item}?|Read the value of {series} for {item}.|"
        "What does the chart show for {series} at {item}?|How high is {series} for {item}?|{series} for {item}?|"
        "What is the {series} value of {item}?"
    ),
    "chart_share": (
        "What is the share of {item}?|What percentage is {item}?|How many percent is {item}?|How large is the slice of {item}?|"
        "What share does {item} have?|What part of the whole is {item}?|What percentage does {item} have?|"
        "How big is the {item} slice?|Share of {item}?|What is the percentage of {item}?"
    ),
    "chart_which": (
        "Which {subject} has the value {value}?|What has the value {value}?|Which one is at {value}?|"
        "For which {subject} is the value {value}?|Which {subject} reaches {value}?|Where is the value {value}?|"
        "Which {subject} shows {value}?|Name the {subject} with the value {value}."
    ),
    "x_label": (
        "What is the label of the x axis?|What is the x-axis label?|What does the horizontal axis show?|"
        "How is the x axis labelled?|What is on the x axis?|Read the label of the x axis.|What's the x axis called?|"
        "What is the name of the horizontal axis?|Which label does the x-axis have?"
    ),
    "y_label": (
        "What is the label of the y axis?|What is the y-axis label?|What does the vertical axis show?|"
        "How is the y axis labelled?|What is on the y axis?|Read the label of the y axis.|What's the y axis called?|"
        "What is the name of the vertical axis?|Which label does the y-axis have?"
    ),
    "list_series": (
        "What does the legend say?|Which series are shown?|Read the legend.|Name the series.|What are the series called?|"
        "Which entries does the legend have?|List the series in the legend.|What is in the legend?|What are the legend entries?"
    ),
    "list_slices": (
        "What are the slices?|Which parts are shown?|Name the slices.|List the parts of the chart.|Which categories are there?|"
        "What is the whole divided into?|List the categories.|Which slices does it have?"
    ),
    "count_series": (
        "How many series are there?|How many series does the chart show?|Count the series.|What is the number of series?|"
        "How many data series are plotted?|How many entries does the legend have?|How many different series do you see?|"
        "How many series are in the legend?"
    ),
    "count_parts": (
        "How many {parts} are there?|How many {parts} does the chart have?|Count the {parts}.|What is the number of {parts}?|"
        "How many {parts} do you see?|How many {parts} are shown?|How many {parts} are in the chart?|"
        "Count the {parts} in the chart."
    ),
    "chart_kind": (
        "What kind of chart is this?|Which type of chart is it?|What type of chart is shown?|What sort of chart is this?|"
        "What chart type is it?|What kind of diagram is this?|Is this a bar chart, a line chart or something else?|"
        "Name the type of chart.|What's the chart type?"
    ),
    "chart_table": (
        "Convert the chart to a table.|Write the chart as a table.|Give me the data of the chart as a table.|"
        "Turn the chart into a Markdown table.|List the chart's data as a table.|Extract the data of the chart.|"
        "Convert the chart to Markdown.|What data does the chart show? Answer with a table."
    ),
    "chart_highest": (
        "Which {subject} has the highest value?|Which {subject} is the largest?|What is the highest in the chart?|"
        "Which one is the highest?|Which {subject} has the largest value?|Where is the maximum?|Which is the biggest?|"
        "Name the {subject} with the highest value.|Which {subject} is on top?"
    ),
    "chart_lowest": (
        "Which {subject} has the lowest value?|Which {subject} is the smallest?|What is the lowest in the chart?|"
        "Which one is the lowest?|Which {subject} has the smallest value?|Where is the minimum?|Which is the least?|"
        "Name the {subject} with the lowest value.|Which {subject} is at the bottom?"
    ),
    "chart_highest_of": (
        "Which {subject} has the highest {series}?|Where is {series} highest?|For which {subject} is {series} largest?|"
        "In which {subject} does {series} reach its maximum?|When or where is {series} at its highest?|"
        "Which {subject} has the largest value of {series}?|Where does {series} peak?|"
        "Name the {subject} with the highest value of {series}."
    ),
    "chart_lowest_of": (
        "Which {subject} has the lowest {series}?|Where is {series} lowest?|For which {subject} is {series} smallest?|"
        "In which {subject} does {series} reach its minimum?|When or where is {series} at its lowest?|"
        "Which {subject} has the smallest value of {series}?|Where is {series} least?|"
        "Name the {subject} with the lowest value of {series}."
    ),
    "series_highest": (
        "Which series is highest at {item}?|Which series has the largest value for {item}?|What leads at {item}?|"
        "Which series is on top for {item}?|For {item}, which series is highest?|Which one is largest at {item}?|"
        "Who or what is highest at {item}?|Which series has the highest value at {item}?"
    ),
    "series_lowest": (
        "Which series is lowest at {item}?|Which series has the smallest value for {item}?|What is last at {item}?|"
        "Which series is at the bottom for {item}?|For {item}, which series is lowest?|Which one is smallest at {item}?|"
        "Who or what is lowest at {item}?|Which series has the lowest value at {item}?"
    ),
    "chart_larger": (
        "Which is larger, {a} or {b}?|Which is higher, {a} or {b}?|Is {a} or {b} larger?|Which one is bigger: {a} or {b}?|"
        "Does {a} or {b} have the higher value?|Compare {a} and {b}: which is larger?|Of {a} and {b}, which is higher?|"
        "Which has more, {a} or {b}?"
    ),
    "chart_difference": (
        "What is the difference between {a} and {b}?|How much more is {a} than {b}?|By how much is {a} higher than {b}?|"
        "How much larger is {a} than {b}?|How far apart are {a} and {b}?|How much less is {b} than {a}?|"
        "What is {a} minus {b}?|How much lower is {b} than {a}?"
    ),
    "series_difference": (
        "What is the difference between {a} and {b} for {series}?|How much more is {series} at {a} than at {b}?|"
        "By how much is {series} higher at {a} than at {b}?|How much larger is {series} at {a} than at {b}?|"
        "How far apart are {a} and {b} in {series}?|How much less is {series} at {b} than at {a}?|"
        "For {series}, what is {a} minus {b}?|How much lower is {series} at {b} than at {a}?"
    ),
    "chart_sum": (
        "What is the sum of all values?|Add up all values.|What do all values add up to?|What is the total of the chart?|"
        "What is the sum of the values in the chart?|How much is everything together?|Calculate the sum of all values.|"
        "What do you get if you add all values?"
    ),
    "chart_sum_two": (
        "What is the sum of {a} and {b}?|How much are {a} and {b} together?|Add {a} and {b}.|What do {a} and {b} add up to?|"
        "What is {a} plus {b}?|How much do {a} and {b} make together?|What is the total of {a} and {b}?|"
        "What are {a} and {b} combined?"
    ),
    "category_sum": (
        "What is the total for {item}?|What is the sum over all series for {item}?|Add up all series at {item}.|"
        "How much is {item} in total?|What do the series add up to at {item}?|What is the sum of all series for {item}?|"
        "How much do all series make at {item}?|What is the whole of {item}?"
    ),
    "chart_trend": (
        "What is the trend?|Is it rising or falling?|Does it rise or fall?|Which way does it go?|Are the values rising or falling?|"
        "How do the values develop?|Is the trend rising or falling?|Do the values go up or down?|In which direction is it going?"
    ),
    "series_trend": (
        "What is the trend of {series}?|Is {series} rising or falling?|Does {series} rise or fall?|Which way does {series} go?|"
        "Are the values of {series} rising or falling?|How does {series} develop?|Is the trend of {series} rising or falling?|"
        "Does {series} go up or down?"
    ),
    "chart_step": (
        "Does it rise or fall from {a} to {b}?|What happens from {a} to {b}?|Does the value go up or down from {a} to {b}?|"
        "Is there a rise or a fall between {a} and {b}?|How does it change from {a} to {b}?|"
        "Between {a} and {b}, does it rise or fall?|Did it rise from {a} to {b}, or fall?|Which way does it go from {a} to {b}?"
    ),
    "series_step": (
        "Does {series} rise or fall from {a} to {b}?|What happens to {series} from {a} to {b}?|"
        "Does {series} go up or down from {a} to {b}?|Is there a rise or a fall of {series} between {a} and {b}?|"
        "How does {series} change from {a} to {b}?|Between {a} and {b}, does {series} rise or fall?|"
        "Did {series} rise from {a} to {b}, or fall?|Which way does {series} go from {a} to {b}?"
    ),
    "parts_above": (
        "How many {parts} are above {value}?|How many {parts} are higher than {value}?|Count the {parts} above {value}.|"
        "How many {parts} are larger than {value}?|How many {parts} exceed {value}?|How many of the {parts} are over {value}?|"
        "How many {parts} have more than {value}?|For how many {parts} is the value greater than {value}?"
    ),
    "parts_below": (
        "How many {parts} are below {value}?|How many {parts} are lower than {value}?|Count the {parts} below {value}.|"
        "How many {parts} are smaller than {value}?|How many {parts} stay under {value}?|How many of the {parts} are under {value}?|"
        "How many {parts} have less than {value}?|For how many {parts} is the value smaller than {value}?"
    ),
}
WORDINGS = {key: tuple(wordings.split("|")) for key, wordings in (_WORDINGS | PICTURE_WORDINGS | SCREEN_WORDINGS).items()}
