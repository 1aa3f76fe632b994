"""How people ask about receipts and invoices."""

RECEIPT_WORDINGS = {
    "total": (
        "How much is the total?|How much was it in total?|How much do I have to pay?|What do I owe?|How much did it cost in total?|"
        "[Total/total/Grand total/Amount due/Total amount]?|How much did everything cost?|Total please|"
        "[What is/What's] the [total/total amount/grand total/amount due/final amount/amount to pay]?|"
        "[Tell me/Give me/I need/Find/Read] the [total/total amount/grand total/amount due/final amount].|"
        "What was the [total/total amount/final amount/grand total]?|"
        "How much [is it/was it/does it come to/did they charge] altogether?|What does it all come to?|"
        "How much money is [due/to be paid]?|What was the overall cost?|What sum is to be paid?|Which amount has to be paid?|"
        "How much is the whole [bill/purchase]?|What did I pay in all?|How high is the [bill/total]?|Could you tell me the total?|"
        "Please tell me the total amount.|What number stands at the total?|How much, all in all?|What does the total say?|"
        "Which total is printed?|What am I [charged/paying]?|How expensive was it in total?"
    ),
    "bought_on": (
        "[When/On what date/On which day/What day] [was this bought/was the purchase/did I buy this/did I shop there/was I there/did "
        "they ring this up]?|[What is/What's] the [purchase date/date of purchase/date of sale/day of purchase/transaction date]?|"
        "When did this purchase happen?|[Purchase date/Date of purchase/Bought when]?|When was the money spent?|"
        "When did the customer [come/pay/shop]?|When was it paid?|On which date was the [shopping done/sale made]?|"
        "When did this sale take place?|Tell me when this was bought."
    ),
    "date": (
        "What date is it?|When was this issued?|What is the date on this document?|Which date is printed?|When was it?|"
        "On which day was this printed?|[Date/date/Day/When]?|What day was it?|Date please|[What is/What's] the date?|"
        "[Tell me/Give me/I need/Find/Read] the date.|[Tell me/Give me/Find/I need] the date of [this/it/the document].|"
        "[What is/What's] the date of [this/it/the document]?|From [when/what date/which day] is [this/it/the document]?|"
        "[When/On what date/On which date] was [this/it] [made out/dated/written]?|Which [day/date] does it [show/give/bear/carry]?|"
        "What date does [it/this/the document] have?|How is it dated?|Please give me the date.|Could you tell me the date?|"
        "What date is [given/printed/on it]?|When is it from?|What is the date of issue?|What's today's date according to this?|"
        "Which date can you read?"
    ),
    "time": (
        "What is the time?|At what time was it?|What time is printed?|What time was it?|What's the time on it?|Which time is shown?|"
        "At what time was this printed?|Time?|What is the time of the purchase?|What is the [hour/clock time]?|"
        "When during the day was it?|[Tell me/Give me/Find] the time.|At what hour was it?|time please|What's the time stamp?|"
        "At what o'clock was this?|[Read/Look up/Show me/I need] the time.|At which time was it [issued/printed/paid/rung up]?|"
        "Which [hour/time] does it [show/give/bear]?|[Hour/Time of day][?/, please]|What time of day was it?|How late was it?"
    ),
    "shop": (
        "What is the name of the shop?|Which shop is this from?|Where was this bought?|What is the shop called?|Who issued this?|"
        "What store is it?|Which store is this receipt from?|What's the name of the business?|Who is the seller?|"
        "What company is this from?|What is the merchant's name?|Who is the [vendor/merchant/retailer/shop owner/issuer]?|"
        "[Which/What] [business/vendor/merchant/company/shop] is [it/this]?|Name of the [shop/store/company/business]?|"
        "Where did I [shop/buy this/pay this]?|Shop?|Vendor?|Who sold this?|Whose receipt is this?|Who took the money?|"
        "At which [shop/store/place] was this?"
    ),
    "number": (
        "What is the receipt number?|What is the number of this document?|Which receipt number is printed?|What's the receipt no.?|"
        "Give me the receipt number.|What is the document number?|What number does the receipt have?|Which number identifies it?|"
        "What is the reference number?|"
        "What is the [bill number/ticket number/slip number/transaction number/order number/number of this receipt]?|"
        "[Tell me/Find/I need] the [receipt number/document number/reference].|Receipt no?|Number?|Under which number is it filed?|"
        "Which number was it given?|How is this receipt numbered?|What is the ID of this?|Reference?|"
        "[Copy/Read/Look up/Show me] the [receipt number/document number/reference number].|[Receipt/Document/Reference/Bill] number[/, "
        "please].|Which [receipt number/document number] does it [have/bear/carry/show]?|What number [is printed/stands] on it?|"
        "[What/Which] reference [is given/do I quote/does it bear]?|By what number do they know this?|What is it filed as?"
    ),
    "phone": (
        "What is the phone number?|What number can I call?|What's the telephone number?|How can I call them?|"
        "Which phone number is printed?|What is the tel. number?|Give me the phone number.|What is their phone number?|Phone?|"
        "Which number do I [dial/ring] to reach them?|[Tell me/Find/I need] their [phone number/telephone number/number to call].|"
        "At which number can they be reached?|Telephone?|tel?|What is the contact number?"
    ),
    "address": (
        "What is the address?|Where is the shop?|Which street is it in?|What's the street address?|What street is printed?|"
        "Give me the address.|Where are they located?|Which address is given?|In which street is it?|"
        "[Tell me/Find/I need] the [address/street].|Address?|Street?|Where does the shop stand?|"
        "What is the location of the [shop/store]?|Where can I find them?|To which street would I go?"
    ),
    "cashier": (
        "Who was the cashier?|What is the name of the cashier?|Who served the customer?|Who was at the till?|Which cashier is named?|"
        "What's the cashier's name?|Who was the server?|Who rang this up?|"
        "Who was the [waiter/clerk/salesperson/person at the till/seller]?|Who [sold/handled/took] this?|"
        "Which employee [served/is named]?|Cashier?|Name of the [cashier/server/clerk]?|Who attended to the customer?|Who was on duty?"
    ),
    "subtotal": (
        "What is the subtotal?|How much is the subtotal?|What's the sub total?|What is the amount before tax?|"
        "How much was it before tax?|Which subtotal is printed?|Give me the subtotal.|Subtotal?|What does it come to before tax?|"
        "[Tell me/Find/I need] the [subtotal/sub total/net amount].|What is the net [amount/total/sum]?|"
        "How much is it without [tax/VAT]?|What do the goods cost before [tax/anything is added]?|Net?|What is the sum before taxes?|"
        "[Read/Find out/Look up/Show me] the [subtotal/net amount/sum before tax].|How much [is/was] it [net/before taxes/with no tax]?|"
        "[What/How much] [do/did] the goods come to before tax?|Subtotal[/, please].|What is the figure before tax is added?"
    ),
    "tax": (
        "How much is the tax?|What is the tax?|How much tax was paid?|What's the tax amount?|How much tax is included?|"
        "What is the VAT?|How much VAT is there?|Tax?|What is the amount of tax?|[Tell me/Find/I need] the [tax/tax amount/VAT].|"
        "How much of it is [tax/VAT]?|VAT?|What went to the tax office?|How much [GST/sales tax/VAT/tax] is [printed/charged/on it]?|"
        "What does the tax come to?|What amount of tax is given?"
    ),
    "discount": (
        "How much is the discount?|What is the discount?|How much was taken off?|What's the discount amount?|Which discount was given?|"
        "How big is the discount?|What discount did I get?|Discount?|How much did I save?|"
        "[Tell me/Find/I need] the [discount/reduction].|How much was [deducted/saved/knocked off]?|"
        "What was the [rebate/reduction/saving]?|How much less was charged?|By how much was it reduced?"
    ),
    "payment": (
        "How was it paid?|What is the payment method?|How did the customer pay?|Was it paid by card or in cash?|"
        "What's the method of payment?|Which payment method was used?|How was this paid for?|Payment method?|"
        "[Card or cash/Cash or card]?|How did [they/I] pay?|By what means was it paid?|With what was it paid?|What was used to pay?|"
        "How was this [settled/bought/paid]?|[Tell me/Find] the payment method.|Payment?"
    ),
    "tendered": (
        "How much cash was given?|How much did the customer hand over?|How much money was given?|What amount was tendered?|"
        "How much was paid in cash?|What did the customer give?|How much cash did they pay with?|What is the cash amount?|"
        "How much [did I hand over/did I give the cashier/money changed hands/cash went over the counter]?|What was handed over?|"
        "Cash given?|How much did they put on the counter?"
    ),
    "change": (
        "How much change was given?|What is the change?|How much change is there?|What's the change?|How much came back?|"
        "How much money was returned?|Change?|What is the amount of change?|How much change did I get?|[Tell me/Find] the change.|"
        "How much [did the customer get back/was handed back]?|What did I get back?|How much cash was given back?|Change due?|"
        "What was the change?"
    ),
    "price": (
        "How much is {item}?|What does {item} cost?|How much did {item} cost?|[Tell me/Give me/Find/I need] the price of {item}.|"
        "[What is/What's/What was] the [price/cost/amount] of {item}?|Price of {item}?|Price {item}?|{item}: how much?|{item}: price?|"
        "How much for {item}?|What did I pay for {item}?|What was [charged/paid] for {item}?|What is the amount for {item}?|"
        "How much [did I pay/was charged/was paid/did they charge/did they want/do they want/is asked] for {item}?|"
        "[What/Which] price is [given/printed/listed/shown] for {item}?|How expensive [is/was] {item}?|At what price was {item} sold?|"
        "[Look up/Show me/Get] the [price/cost] of {item}.|Could you tell me what {item} cost?|What do they charge for {item}?|"
        "Please tell me how much {item} was.|How much money went on {item}?|What did {item} come to?|For {item}, what was the price?|"
        "What does it say for {item}?|Which amount belongs to {item}?|What is {item} sold for?|How much does {item} go for?"
    ),
    "quantity": (
        "How many {item} were bought?|What is the quantity of {item}?|How many {item} are on it?|How many {item}?|"
        "How many of {item} were bought?|What quantity of {item} is listed?|How often was {item} bought?|How many times {item}?|"
        "How many pieces of {item} are there?|[Tell me/Find] the quantity of {item}.|Quantity of {item}?|How many units of {item}?|"
        "{item}: how many?|How many {item} did [I/they] [buy/get/take]?|What number of {item} was bought?|"
        "In what quantity was {item} bought?"
    ),
    "unit": (
        "What is the unit price of {item}?|How much is one {item}?|What does a single {item} cost?|What is the price of one {item}?|"
        "How much per {item}?|What does {item} cost each?|What's the price per piece of {item}?|How much is {item} each?|"
        "[Tell me/Find] the unit price of {item}.|Unit price of {item}?|{item}: price each?|How much is a single {item}?|"
        "What is charged per {item}?|What is the cost of one {item}?|At what price each was {item} sold?"
    ),
    "article": (
        "[Which item/What/Which article/Which product/Which of them/Which thing] [costs/is sold for/goes for/is listed at/cost/came "
        "to/was charged at] {price}?|What was bought for {price}?|Which article has the price {price}?|What is the item for {price}?|"
        "Which product is {price}?|What did I [buy/get] for {price}?|"
        "Find the [item/article/product] [for/that costs/at/with the price] {price}.|"
        "To [what/which item] does the price {price} belong?|Where does {price} stand?|What is {price} for?|"
        "{price} is the price of what?|Which row says {price}?|What did they charge {price} for?|"
        "Name the [item/product] [that costs/for] {price}.|Which item is the one for {price}?"
    ),
    "nth_item": (
        "What is the {nth} item?|Which item is {nth} on the list?|What's the {nth} article?|Name the {nth} item.|"
        "What is the {nth} product?|Which article comes {nth}?|What was the {nth} thing bought?|What is listed {nth}?|"
        "Which [product/thing] stands {nth}?|[Tell me/Find/Read] the {nth} item.|What is in the {nth} place of the list?|{nth} item?"
    ),
    "count_items": (
        "How many [items/articles/products/things/different items/different products/positions] [are there/are listed/were bought/are "
        "on it/do you see/did I buy]?|"
        "[Count/Count the/Tell me the number of/Give me the number of] [items/articles/products/item lines].|"
        "What is the number of items?|How many item lines are there?|How many entries does the list of items have?|"
        "How many different things did the customer buy?|Item count?|How many items?|Of how many items does the purchase consist?|"
        "How many goods are listed?|Please count the items on this.|How long is the list of items?"
    ),
    "cheapest": (
        "What is the cheapest item?|Which item is the cheapest?|What costs the least?|Which item has the lowest price?|"
        "What's the cheapest thing?|Which article costs least?|Name the cheapest item.|What is the least expensive item?|"
        "[Tell me/Find] the cheapest [item/thing/product].|Which is the lowest priced item?|On what was the least spent?|Cheapest?|"
        "What was the least expensive thing?"
    ),
    "dearest": (
        "What is the most expensive item?|Which item is the most expensive?|What costs the most?|Which item has the highest price?|"
        "What's the most expensive thing?|Which article costs most?|Name the most expensive item.|What is the dearest item?|"
        "[Tell me/Find] the most expensive [item/thing/product].|Which is the highest priced item?|On what was the most spent?|"
        "Most expensive?|What was the priciest thing?|Which item is the dearest?"
    ),
    "sum_some": (
        "[What do/How much do] {items} cost [together/in total/altogether/combined]?|How much are {items} together?|Sum of {items}?|"
        "What is the [price/cost/total/sum] of {items} [together/combined/in all/taken together]?|{items}: how much together?|"
        "What do {items} add up to?|[Add/Add up/Sum/Sum up/Total] the prices of {items}.|"
        "What did I pay for {items} [together/in total/altogether]?|"
        "How much did [I pay/they charge/the customer pay] for {items} [together/in total]?|What do {items} come to?|"
        "[Work out/Calculate/Compute/Tell me] what {items} cost together.|If I buy only {items}, what do I pay?|"
        "How much money went on {items} together?|[I want/I need/Give me] the sum of {items}.|How much would just {items} be?|"
        "I only want to pay for {items}. How much is that?|{items} together, how much?|My share is {items}. What do I owe?|"
        "Please add {items} for me.|How much [is/was] the bill for {items} alone?"
    ),
    "sum_all": (
        "What is the sum of all [items/prices/articles/item prices]?|[Add up/Add/Sum up/Total] all [the items/the prices/item prices].|"
        "How much do all items cost together?|What do [the items/all items/the prices] add up to?|What is the sum of the prices?|"
        "[Work out/Calculate/Compute/Find] the sum of [the items/all prices/all items].|What do you get if you add up the items?|"
        "How much are the items without anything else?|Add everything up.|Sum of the items?|Sum of all prices?|"
        "What do all the goods come to?|Go through the items and add them up.|Please add all item prices for me.|"
        "How much is it if I add every item?|What should the items sum to?|[Add/Sum] the list of items."
    ),
    "difference": (
        "How much more is {a} than {b}?|How much more expensive is {a} than {b}?|What is the price difference between {a} and {b}?|"
        "By how much does {a} cost more than {b}?|How much cheaper is {b} than {a}?|What is the difference between {a} and {b}?|"
        "How much less is {b} than {a}?|How much more does {a} cost than {b}?|What is {a} minus {b}?|"
        "[Subtract/Take] the price of {b} from that of {a}.|How much do I save with {b} instead of {a}?|"
        "{a} or {b}: what is the difference in price?|How far apart are the prices of {a} and {b}?"
    ),
    "change_from": (
        "How much change from {note}?|What is the change if I pay {note}?|If I pay with {note}, how much do I get back?|"
        "I give {note}. How much comes back?|How much change do I get from {note}?|What change do I get for {note}?|"
        "How much is left of {note} after paying?|What remains from {note}?|I pay [with/using] {note}: what do I get back?|"
        "[Work out/Calculate] the change from {note}.|Out of {note}, how much is returned?|If I hand over {note}, what is the change?|"
        "The customer gives {note}. What change is due?|Change for {note}?"
    ),
    "total_right": (
        "Is the [total/sum/final amount/grand total] [right/correct/added up correctly/what it should be]?|Does the total add up?|"
        "[Check/Verify/Recalculate/Please check/Audit] the [total/sum].|Did they add it up correctly?|Can you verify the total?|"
        "Has the total been calculated correctly?|Do the items add up to the total?|Is this added up right?|"
        "Was I charged the right total?|Does the sum match the items?"
    ),
    "total_wrong": (
        "Is the [total/sum/final amount] [wrong/incorrect/off]?|Is there a mistake in the total?|Is there an error in the [sum/total]?|"
        "Did they make a mistake in the total?|Did they [add it up wrongly/miscount/miscalculate]?|Was the total miscalculated?|"
        "Is anything wrong with the total?|Does the total deviate from the items?"
    ),
    "due": (
        "When is it due?|What is the due date?|By when must it be paid?|What is the deadline for payment?|When do I have to pay?|"
        "What's the due date?|Until when can I pay?|When must this be paid?|[Tell me/Find/Give me/I need/Read] the due date.|"
        "[By which day/By what date/Until which day] [do I have to pay/must it be paid/can it be paid]?|When does payment fall due?|"
        "[Due date/Payable by/Deadline]?|What is the [last day/latest date] for payment?|How long do I have to pay?"
    ),
    "customer": (
        "Who is the customer?|Who is billed?|To whom is it addressed?|Who is the invoice for?|Who has to pay?|"
        "What is the name of the customer?|Who was it billed to?|Which customer is named?"
    ),
    "list_items": (
        "List all items.|What was bought?|List the items.|Which items are on the receipt?|Name all the articles.|"
        "What items are listed?|Which products were bought?|What did I buy?|Give me the list of items.|"
        "[Tell me/Write down/Show] [the items/all items/every item].|What is on the list?|Items?|Which things did the customer buy?|"
        "Read the names of the items."
    ),
    "list_prices": (
        "List all items with their prices.|List the items and prices.|What was bought and for how much?|"
        "Give me every item with its price.|Name all articles and what they cost.|Which items are listed and what do they cost?|"
        "Write down each item and its price.|Show the items with prices."
    ),
    "sum_except": (
        "What do all items except {item} cost?|How much is everything but {item}?|Add all items except {item}.|"
        "How much would it be without {item}?|What do the items add up to without {item}?|"
        "Leave out {item}: what is the sum of the rest?|What do all the other items cost, apart from {item}?|"
        "Sum up everything except {item}.|If I return {item}, what do the others cost?|How much are all items other than {item}?|"
        "What is the sum of the items, not counting {item}?|I do not pay for {item}. What is the rest?"
    ),
    "sum_above": (
        "What do the items above {price} cost together?|Add the items that cost more than {price}.|"
        "What is the sum of all items that cost more than {price}?|How much are the items over {price} together?|"
        "Sum up the prices above {price}.|What do the prices over {price} add up to?|Add up every price higher than {price}.|"
        "How much was spent on items dearer than {price}?|What is the total of the items above {price}?|"
        "Calculate the sum of all prices greater than {price}."
    ),
    "sum_below": (
        "What do the items below {price} cost together?|Add the items that cost less than {price}.|"
        "What is the sum of all items that cost less than {price}?|How much are the items under {price} together?|"
        "Sum up the prices below {price}.|What do the prices under {price} add up to?|Add up every price lower than {price}.|"
        "How much was spent on items cheaper than {price}?|What is the total of the items below {price}?|"
        "Calculate the sum of all prices smaller than {price}."
    ),
    "items_above": (
        "How many items cost more than {price}?|How many items are above {price}?|Count the items that cost more than {price}.|"
        "How many articles are dearer than {price}?|How many prices are higher than {price}?|Count the prices over {price}.|"
        "How many things cost over {price}?|For how many items is the price above {price}?|How many items exceed {price}?"
    ),
    "items_below": (
        "How many items cost less than {price}?|How many items are below {price}?|Count the items that cost less than {price}.|"
        "How many articles are cheaper than {price}?|How many prices are lower than {price}?|Count the prices under {price}.|"
        "How many things cost under {price}?|For how many items is the price below {price}?|How many items stay below {price}?"
    ),
    "cost_of": (
        "What would {count} {item} cost?|How much are {count} {item}?|What do {count} of {item} cost?|"
        "How much would {count} {item} be?|I want {count} {item}. What do they cost?|What is the price of {count} {item}?|"
        "How much for {count} {item}?|If I buy {count} {item}, how much is that?|What do I pay for {count} {item}?|"
        "{count} x {item}: how much?"
    ),
    "average_price": (
        "What is the average price?|What is the average price of the items?|How much does an item cost on average?|"
        "What do the items cost on average?|Calculate the average item price.|What is the mean price?|Average price?|"
        "On average, how much is an item?|Work out the mean of the prices.|What is the mean price of the items?"
    ),
    "share_of_total": (
        "How much is {rate}% of the total?|What is {rate}% of the total?|I want to leave a {rate}% tip. How much is that?|"
        "How much is a tip of {rate}%?|Work out {rate}% of the total.|What would a {rate}% tip be?|"
        "Calculate {rate}% of the total amount.|How much would {rate}% off the total save?|What amount is {rate}% of the total?|"
        "A {rate}% tip on the total: how much?"
    ),
    "tax_right": (
        "Is the tax {rate}%?|Was {rate}% tax charged?|Is the tax {rate}% of the amount before tax?|Does the tax come to {rate}%?|"
        "Is {rate}% the right rate for this tax?|Check whether the tax is {rate}%.|Did they charge {rate}% tax?|"
        "Is it true that the tax is {rate}%?|Does {rate}% tax fit?|Is the tax amount {rate}%?"
    ),
    "enough": (
        "Is {note} enough?|Is {note} enough to pay this?|I have {note}. Is that enough?|Can I pay this with {note}?|"
        "Would {note} be enough?|Does {note} cover it?|Will {note} do?|Can I afford it with {note}?|"
        "I only have {note}. Does it suffice?|Would {note} cover the total?"
    ),
    "more_than": (
        "Do {items} together cost more than {price}?|Are {items} together more than {price}?|Is the sum of {items} above {price}?|"
        "Do {items} add up to more than {price}?|Is it more than {price} for {items} together?|Do {items} together exceed {price}?|"
        "Did {items} cost over {price} together?|Together, are {items} above {price}?"
    ),
    "dearer": (
        "Which is more expensive, {a} or {b}?|What costs more, {a} or {b}?|Is {a} or {b} more expensive?|"
        "Which one costs more: {a} or {b}?|Which is dearer, {a} or {b}?|Compare {a} and {b}: which costs more?|"
        "Of {a} and {b}, which has the higher price?|Did {a} or {b} cost more?"
    ),
    "item_there": (
        "Is there {item} on it?|Is {item} on the list?|Was {item} bought?|Did I buy {item}?|Is {item} on the receipt?|"
        "Does the list contain {item}?|Is there an entry for {item}?|Can you find {item}?|Is {item} listed?|"
        "Did they charge for {item}?|Does it list {item}?|Is {item} among the items?"
    ),
    "price_there": (
        "Is there an item for {price}?|Does anything cost {price}?|Is there something that costs {price}?|Did any item cost {price}?|"
        "Is any of the items {price}?|Can you find an item for {price}?|Is there a price of {price}?|"
        "Does one of the items cost {price}?"
    ),
}
