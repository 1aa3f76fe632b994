"""Particulars of documents: what a label may be called, how its value looks, and which question asks for it.

Labels marked as held out appear in split "test" only, as everywhere in the grammar of layouts.
"""

from collections.abc import Callable
from typing import NamedTuple

from kimi_vl.training.synth.content import MONTHS, Choice
from kimi_vl.training.synth.documents.habits import Habits


class Kind(NamedTuple):
    """A sort of particular. `key` names the wordings that ask for it without its label ("" when there are none); `values`
    says what its values look like, so that nothing alike is called absent; labels are synonyms of one another."""

    key: str
    values: str
    make: Callable[[Habits], str]
    labels: Choice


class Particular(NamedTuple):
    """One label with its value."""

    kind: str
    label: str
    value: str


def _words(text: str, held_out: str) -> Choice:
    return Choice(tuple(text.split("|")), tuple(held_out.split("|")))


def _person(h: Habits) -> str:
    return h.content.person()


def _party(h: Habits) -> str:
    return h.content.one((h.content.person, h.content.company))()


def _pick(*options: str) -> Callable[[Habits], str]:
    return lambda h: h.content.one(options)


KINDS: dict[str, Kind] = {
    "number": Kind(
        "number",
        "code",
        lambda h: h.code(),
        _words(
            "Invoice no.|Invoice number|Invoice #|Invoice No|Inv. no.|Document no.|Number|No.|"
            "Bill no.|Invoice ID|Document number|Bill number"
            "|Invoice nr.|Bill ID|Inv #|Our number|Doc no|Paper number|Running no.|Ident no.",
            "Serial|Voucher number|File no.",
        ),
    ),
    "date": Kind(
        "date",
        "date",
        lambda h: h.date(),
        _words(
            "Date|Date|DATE|Issue date|Date issued|Issued|Issued on|Date of issue|Document date|"
            "Bill date|Posted|Issue Date|Date of document"
            "|Completed on|Signed on|Day|Written on|Entered|Recorded on|Billed on|Sent on|Printed on|Created|Prepared on|"
            "Invoiced|Date of invoice|Day of issue",
            "Raised on|Made out on|Drawn up",
        ),
    ),
    "due": Kind(
        "due",
        "date",
        lambda h: h.date(),
        _words(
            "Due date|Due|Payment due|Pay by|Due by|Due on|Payment date|Please pay by|Settle by|Payment deadline|To be paid by|Due Date",
            "Payable by|Last day to pay",
        ),
    ),
    "time": Kind("time", "time", lambda h: h.time(), _words("Time|Time|TIME|Time of day|Clock|Local time|Time issued|Hrs", "O'clock|At")),
    "customer": Kind(
        "customer",
        "party",
        _party,
        _words(
            "Bill to|Billed to|Customer|Client|Sold to|Invoice to|Buyer|Purchaser|Customer name|To|Bill To|Account holder|Charged to",
            "Made out to|Patron",
        ),
    ),
    "customer no": Kind(
        "",
        "code",
        lambda h: h.code(),
        _words(
            "Customer no.|Customer number|Customer ID|Client no.|Account no.|Cust. no.|Client ID|Customer #|Account number",
            "Patron no.|Debtor",
        ),
    ),
    "order no": Kind(
        "",
        "code",
        lambda h: h.code(),
        _words(
            "Order no.|Order number|PO number|P.O. no.|Purchase order|Your order|Order ref.|PO #|Order|Sales order|PO|Order ID",
            "Mandate|Job",
        ),
    ),
    "reference": Kind(
        "",
        "code",
        lambda h: h.code(),
        _words(
            "Reference|Ref.|Your ref.|Reference no.|Ref. no.|Case no.|Payment reference|Ref|Our reference|Reference number",
            "Quote ref|Dossier",
        ),
    ),
    "clerk": Kind(
        "",
        "person",
        _person,
        _words(
            "Contact|Handled by|Prepared by|Sales person|Salesperson|Your contact|Clerk|Issued by|Sales rep|Account rep",
            "Attended by|Advisor",
        ),
    ),
    "terms": Kind(
        "",
        "words",
        _pick("30 days", "14 days", "Net 30", "Net 14", "Net 60", "On delivery", "Immediately", "Prepaid", "60 days", "Cash on delivery"),
        _words("Terms|Payment terms|Terms of payment|Payment", "Conditions"),
    ),
    "tax no": Kind(
        "",
        "code",
        lambda h: (
            f"{h.content.letters(2)} {h.digits(8, 10)}" if h.content.chance(0.6) else f"{h.digits(2, 3)}/{h.digits(3, 3)}/{h.digits(4, 5)}"
        ),
        _words("VAT ID|VAT no.|Tax no.|Tax ID|VAT reg. no.|VAT number|Tax number|GST no.|VAT Reg No", "Fiscal code"),
    ),
    "bank": Kind(
        "",
        "company",
        lambda h: f"{h.content.proper()} Bank",
        _words("Bank|Bank name|Our bank|Pay to bank|Bank details", "Institute"),
    ),
    "iban": Kind(
        "",
        "code",
        lambda h: f"{h.content.letters(2)}{h.digits(2, 2)} " + " ".join(h.content.number(4) for _ in range(h.content.rng.randint(3, 4))),
        _words("IBAN|Account|Bank account|Acct.|Account IBAN", "Giro"),
    ),
    "bic": Kind("", "code", lambda h: h.content.letters(8), _words("BIC|SWIFT|BIC/SWIFT|SWIFT code|BIC code", "Sort key")),
    "ship date": Kind(
        "",
        "date",
        lambda h: h.date(),
        _words(
            "Delivery date|Ship date|Delivered on|Date of delivery|Shipping date|Dispatch date|Dispatched|Delivery", "Handed over|Left on"
        ),
    ),
    "valid": Kind(
        "",
        "date",
        lambda h: h.date(),
        _words(
            "Valid until|Valid to|Expiry date|Expiry|Valid thru|Offer valid until|Best before|Exp. date|Good until", "Lapses|Void after"
        ),
    ),
    "carrier": Kind(
        "",
        "company",
        lambda h: h.content.company(),
        _words("Carrier|Shipped via|Shipping company|Delivered by|Ship via|Courier|Forwarder", "Haulier"),
    ),
    "tracking": Kind(
        "",
        "code",
        lambda h: h.code(),
        _words("Tracking no.|Tracking number|Tracking ID|Shipment no.|Tracking #|Consignment no.|AWB", "Waybill"),
    ),
    "weight": Kind(
        "",
        "measure",
        lambda h: f"{h.content.rng.randint(1, 90)}.{h.content.rng.randint(0, 9)} {h.content.one(('kg', 'kg', 'lb', 'lbs'))}",
        _words("Weight|Gross weight|Total weight|Net weight|Wt.|Weight (gross)", "Mass"),
    ),
    "packages": Kind(
        "",
        "count",
        lambda h: str(h.content.rng.randint(1, 30)),
        _words("Packages|No. of packages|Boxes|Cartons|Pieces|Pallets|Package count", "Crates|Bales"),
    ),
    "phone": Kind(
        "phone",
        "phone",
        lambda h: h.content.phone(),
        _words("Phone|Tel.|Tel|Mobile|Phone no.|Phone number|Cell|Mob.|Tel. no.|PHONE", "Hotline|Wire"),
    ),
    "email": Kind("", "email", lambda h: h.content.email(), _words("Email|E-mail|Mail|E-Mail|Email address", "Electronic mail")),
    "web": Kind("", "site", lambda h: h.content.site(), _words("Web|Website|www|Internet|Home page|Web site", "Site|Net address")),
    "street": Kind(
        "address",
        "street",
        lambda h: h.content.street(),
        _words("Address|Street|Street address|Addr.|Home address|Mailing address", "Residence|Domicile"),
    ),
    "town": Kind("", "town", lambda h: h.content.town(), _words("City|Town|Place|City/Town|Location", "Locality|Village")),
    "name": Kind(
        "",
        "person",
        _person,
        _words("Name|Full name|Surname, name|Holder|Applicant|Guest|Cardholder|First and last name|NAME|Participant", "Bearer|Called"),
    ),
    "passenger": Kind(
        "",
        "person",
        _person,
        _words("Passenger|Passenger name|Traveller|Name of passenger|Traveler|Pass. name", "Rider|Voyager"),
    ),
    "birth": Kind(
        "",
        "date",
        lambda h: h.date(),
        _words("Date of birth|Born|DOB|Birth date|Born on|Birthday", "Birth"),
    ),
    "from": Kind(
        "", "town", lambda h: h.content.town(), _words("From|From|FROM|Origin|Departure|Departing from|Start", "Boarding at|Starts in")
    ),
    "to": Kind("", "town", lambda h: h.content.town(), _words("To|To|TO|Arrival|Arriving at|Going to|Arrival at", "Ends in|Bound for")),
    "departs": Kind(
        "",
        "time",
        lambda h: h.time(),
        _words("Departs|Dep.|Departure time|Leaves|DEP|Depart|Dep. time", "Sets off|Off at"),
    ),
    "arrives": Kind("", "time", lambda h: h.time(), _words("Arrives|Arr.|Arrival time|ARR|Arrive|Arr. time", "In at|Reaches")),
    "boards": Kind("", "time", lambda h: h.time(), _words("Boarding|Boarding time|Board at|Boarding Time|Gate opens", "Embark")),
    "doors": Kind("", "time", lambda h: h.time(), _words("Doors|Doors open|Admission|Entry from|Doors at", "Let in")),
    "begins": Kind(
        "time",
        "time",
        lambda h: h.time(),
        _words("Start|Starts|Begins|Time|Showtime|Start time|Begin|Starts at", "Curtain|Kick-off"),
    ),
    "gate": Kind(
        "", "place", lambda h: f"{h.content.letters(1)}{h.content.rng.randint(1, 60)}", _words("Gate|GATE|Gate no.|Boarding gate", "Pier")
    ),
    "seat": Kind(
        "",
        "place",
        lambda h: h.content.one((f"{h.content.rng.randint(1, 60)}{h.content.one('ABCDEF')}", str(h.content.rng.randint(1, 120)))),
        _words("Seat|SEAT|Seat no.|Seat number|Place no.|Seat No", "Chair|Stool"),
    ),
    "row": Kind(
        "",
        "count",
        lambda h: h.content.one((str(h.content.rng.randint(1, 50)), h.content.letters(1))),
        _words("Row|ROW|Row no.", "Tier|Rank"),
    ),
    "coach": Kind("", "count", lambda h: str(h.content.rng.randint(1, 30)), _words("Coach|Car|Carriage|Wagon|COACH|Coach no.", "Waggon")),
    "platform": Kind(
        "",
        "count",
        lambda h: f"{h.content.rng.randint(1, 30)}{h.content.one(('', '', 'a', 'b'))}",
        _words("Platform|Track|Plat.|PLATFORM|Track no.", "Bay"),
    ),
    "train": Kind(
        "", "code", lambda h: f"{h.content.letters(2)} {h.digits(2, 4)}", _words("Train|Train no.|Service|Train number|TRAIN", "Locomotive")
    ),
    "flight": Kind(
        "",
        "code",
        lambda h: f"{h.content.letters(2)}{h.content.one((' ', ''))}{h.digits(3, 4)}",
        _words("Flight|Flight no.|FLIGHT|Flight number", "Plane"),
    ),
    "class": Kind(
        "",
        "words",
        _pick("1", "2", "Economy", "Business", "First", "Second", "Standard", "1st", "2nd"),
        _words("Class|CLASS|Cabin|Travel class", "Comfort"),
    ),
    "booking": Kind(
        "",
        "code",
        lambda h: h.content.letters(6) if h.content.chance(0.6) else h.code(),
        _words("Booking|Booking ref.|Booking code|PNR|Confirmation|Booking reference|Reservation|Booking no.|Reservation code", "Locator"),
    ),
    "ticket no": Kind(
        "number",
        "code",
        lambda h: h.code(),
        _words("Ticket no.|Ticket number|Ticket|Ticket #|Ticket ID|Ticket No|TICKET NO.", "Pass no.|Stub no."),
    ),
    "fare": Kind(
        "", "money", lambda h: h.amount(), _words("Price|Fare|Price paid|Ticket price|Amount|PRICE|Total|Fee|Cost", "Tariff|Outlay")
    ),
    "hall": Kind(
        "",
        "place",
        lambda h: h.content.one((f"{h.content.one('ABC')}", f"{h.content.rng.randint(1, 14)}")),
        _words("Hall|Screen|Auditorium|Room|Theatre|HALL|Cinema", "Stage|Arena"),
    ),
    "area": Kind(
        "",
        "place",
        lambda h: h.content.one(
            (f"Block {h.content.rng.randint(1, 40)}", f"Sector {h.content.letters(1)}", "Balcony", "Stalls", "Circle", "Standing")
        ),
        _words("Section|Block|Area|Category|Sector|Zone", "Wing|Enclosure"),
    ),
    "venue": Kind(
        "",
        "name",
        lambda h: f"{h.content.proper()} {h.content.one(('Hall', 'Theatre', 'Arena', 'Stadium', 'Club', 'House', 'Centre'))}",
        _words("Venue|Where|Place|VENUE|Held at", "Playhouse|Ground"),
    ),
    "plate": Kind(
        "",
        "code",
        lambda h: f"{h.content.letters(h.content.rng.randint(1, 3))}-{h.content.letters(2)} {h.digits(2, 4)}",
        _words("Plate|Licence plate|Vehicle|License plate|Car reg.|Registration|Plate no.", "Number tag"),
    ),
    "entered": Kind("", "time", lambda h: h.time(), _words("Entry|Entry time|Arrived|Time in|In|Entered", "Drove in")),
    "left": Kind("", "time", lambda h: h.time(), _words("Exit|Exit time|Time out|Out|Left|Paid until|Parking until", "Drove out")),
    "stay": Kind(
        "",
        "span",
        lambda h: h.content.one(
            (
                f"{h.content.rng.randint(1, 12)} h",
                f"{h.content.rng.randint(1, 9)}h {h.content.rng.randint(1, 59)}min",
                f"{h.content.rng.randint(2, 14)} days",
                f"{h.content.rng.randint(5, 59)} min",
            )
        ),
        _words("Duration|Length|Stay|Parking time|Running time|Length of stay", "Span|Lasts"),
    ),
    "space": Kind(
        "", "place", lambda h: f"{h.content.letters(1)}{h.digits(2, 3)}", _words("Space|Parking space|Lot|Level|Zone no.", "Stall|Box")
    ),
    "job": Kind(
        "",
        "words",
        _pick(
            "Engineer",
            "Nurse",
            "Designer",
            "Accountant",
            "Teacher",
            "Director",
            "Clerk",
            "Sales",
            "Driver",
            "Analyst",
            "Editor",
            "Student",
            "Visitor",
        ),
        _words("Job title|Title|Role|Occupation|Function|Profession", "Trade|Post"),
    ),
    "department": Kind(
        "",
        "words",
        _pick("Sales", "Finance", "Support", "Research", "Logistics", "Legal", "Marketing", "Production", "Human Resources"),
        _words("Department|Dept.|Team|Unit|Division|DEPT", "Section of work|Bureau"),
    ),
    "id no": Kind(
        "number",
        "code",
        lambda h: h.code(),
        _words(
            "ID|ID no.|Card no.|Card number|Member no.|ID number|Employee no.|Membership no.|Student no.|Badge no.|Staff no.",
            "Warrant|Token",
        ),
    ),
    "nationality": Kind(
        "",
        "words",
        _pick("French", "German", "Spanish", "Italian", "Irish", "Polish", "Danish", "Dutch", "Canadian", "Indian", "Greek"),
        _words("Nationality|Citizenship|Nat.", "Citizen of"),
    ),
    "sex": Kind("", "words", _pick("F", "M", "X"), _words("Sex|Gender|SEX", "M/F")),
    "height": Kind("", "measure", lambda h: f"{h.content.rng.randint(145, 205)} cm", _words("Height|Hgt|HEIGHT", "Tallness")),
    "status": Kind(
        "",
        "words",
        _pick("Paid", "Open", "Closed", "Pending", "Confirmed", "Cancelled", "Draft", "Approved", "Active", "In progress", "Done"),
        _words("Status|State|STATUS|Current status|Condition", "Standing"),
    ),
    "subject": Kind(
        "subject",
        "title",
        lambda h: h.content.fragment(h.content.rng.randint(1, 3)).strip(" ,;:.-").capitalize() or h.content.proper(),
        _words("Subject|Re|Matter|Concerning|RE|Topic", "With regard to|Theme"),
    ),
    "product": Kind(
        "", "name", lambda h: h.content.product(), _words("Product|Article|Item|Goods name|Description|Item name", "Merchandise|Ware")
    ),
    "sku": Kind(
        "", "code", lambda h: h.code(), _words("SKU|Item no.|Article no.|Art. number|Model|Part number|Item code|EAN", "Stock key")
    ),
    "size": Kind(
        "",
        "measure",
        lambda h: h.content.one(
            (
                f"{h.content.rng.randint(1, 900)} {h.content.one(('g', 'ml', 'cm', 'mm', 'kg'))}",
                h.content.one(("S", "M", "L", "XL")),
                str(h.content.rng.randint(34, 48)),
            )
        ),
        _words("Size|Contents|Net|Pack size|SIZE|Net contents", "Volume per pack|Bulk"),
    ),
    "price": Kind(
        "",
        "money",
        lambda h: h.amount(),
        _words("Price|Our price|Now|Unit price|PRICE|Only|Now only|Sale price|Retail price", "Yours for|Asking price"),
    ),
    "old price": Kind(
        "", "money", lambda h: h.amount(), _words("Was|Old price|Before|Regular price|List price|RRP|Instead of", "Formerly|Used to be")
    ),
    "quantity": Kind(
        "",
        "count",
        lambda h: str(h.content.rng.randint(1, 400)),
        _words("Quantity|Qty|Amount of pieces|Count|QTY|Number of items|Units", "How many|Tally"),
    ),
    "doctor": Kind(
        "", "person", lambda h: f"Dr. {h.content.person()}", _words("Doctor|Physician|Treated by|Doctor's name|GP", "Surgeon|Consultant")
    ),
    "course": Kind(
        "",
        "title",
        lambda h: f"{h.content.proper()} {h.content.one(('Basics', 'Studies', 'Training', 'Workshop', 'Course', 'Seminar'))}",
        _words("Course|Programme|Training|Course title|Class name|Module", "Lesson|Subject matter"),
    ),
    "grade": Kind(
        "",
        "words",
        _pick("A", "B", "A-", "B+", "Pass", "Good", "Very good", "Merit", "92 %", "87 %", "1.3"),
        _words("Grade|Result|Mark|Score|Final grade", "Outcome|Honours"),
    ),
    "guests": Kind(
        "",
        "count",
        lambda h: str(h.content.rng.randint(1, 12)),
        _words("Guests|Persons|Adults|Covers|No. of guests|Pax|People", "Party of|Heads"),
    ),
    "room": Kind("", "place", lambda h: h.digits(2, 4), _words("Room|Room no.|Room number|ROOM|Rm", "Chamber|Suite")),
    "check in": Kind("", "date", lambda h: h.date(), _words("Check-in|Arrival date|Arrival day|Checked in|From date", "Moves in")),
    "check out": Kind("", "date", lambda h: h.date(), _words("Check-out|Departure date|Departure day|Checked out|Until", "Moves out")),
    "period": Kind(
        "",
        "words",
        lambda h: f"{h.content.one(MONTHS)} {h.content.rng.randint(2005, 2029)}",
        _words("Period|Month|Billing period|Pay period|For the month", "Accounting month"),
    ),
    "sender": Kind(
        "sender", "party", _party, _words("From|Sender|Sent by|Shipper|FROM|Return address|Consignor|Ship from", "Dispatcher|Originator")
    ),
    "recipient": Kind(
        "recipient",
        "party",
        _party,
        _words("To|Ship to|Deliver to|TO|Consignee|Delivery to|Addressee|Attn.|Send to|Receiver", "Goes to|Handed to"),
    ),
    "total": Kind(
        "total",
        "money",
        lambda h: h.amount(),
        _words("Total|Amount due|Total due|TOTAL|Balance due|Total amount|To pay|Grand total", "Comes to|All in all"),
    ),
}


OPTIONS: dict[str, tuple[str, ...]] = {  # kinds whose values are ticked among others
    "method": ("Cash", "Card", "Transfer", "Cheque", "Invoice", "Direct debit"),
    "address form": ("Mr", "Ms", "Mrs", "Dr", "Other"),
    "marital": ("Single", "Married", "Widowed", "Divorced"),
    "sending": ("Standard", "Express", "Overnight", "Pick-up"),
    "smoker": ("Yes", "No"),
    "newsletter": ("Yes", "No"),
    "returning": ("Yes", "No"),
    "meal": ("Meat", "Fish", "Vegetarian", "Vegan"),
    "length": ("Full time", "Part time", "Hourly"),
}
_OPTION_LABELS = {
    "method": _words("Payment method|Method of payment|Paid by|Form of payment|Mode of payment", "Way to pay"),
    "address form": _words("Salutation|Form of address|Prefix|Addressed as", "Style of address"),
    "marital": _words("Marital status|Family status|Civil status", "Wedlock"),
    "sending": _words("Shipping method|Delivery method|Service level|Shipping option|Postage class", "Way of sending"),
    "smoker": _words("Smoker|Smoking|Do you smoke|Tobacco use", "Pipe"),
    "newsletter": _words("Newsletter|Subscribe to newsletter|Send me news|Newsletter wanted", "Bulletin"),
    "returning": _words("Returning customer|Existing customer|Been here before|Known customer", "Regular"),
    "meal": _words("Meal|Menu choice|Dinner|Lunch option|Diet", "Dish"),
    "length": _words("Working time|Hours of work|Employment type|Type of contract", "Shift kind"),
}
for _kind, _labels in _OPTION_LABELS.items():
    KINDS[_kind] = Kind("", "words", _pick(*OPTIONS[_kind]), _labels)


HELD_OUT_WORDS = {word.casefold() for kind in KINDS.values() for label in kind.labels.held_out for word in label.split(" ")}
# Share of the labels that may be anything, outside of split "test": what stands under them is found by the label alone or, where a question
# asks for the date or the number without it, by what it looks like. One on a document for each look.
INVENTED = 0.2


def draw_particulars(habits: Habits, kinds: list[str]) -> list[Particular]:
    """One particular of each kind, in order; labels none of which is another's, of two that collide the later is left out."""
    content, drawn, used, unknown = habits.content, list[Particular](), set[str](), set[str]()
    for kind in kinds:
        label = str(KINDS[kind].labels.pick(content.rng, content.split))
        if content.split != "test" and KINDS[kind].values not in unknown and content.chance(INVENTED):
            invented = content.label()
            if HELD_OUT_WORDS.isdisjoint(invented.casefold().split(" ")):
                unknown.add(KINDS[kind].values)
                label = invented
        if label.casefold() in used:
            continue
        used.add(label.casefold())
        drawn.append(Particular(kind, label, KINDS[kind].make(habits)))
    return drawn
