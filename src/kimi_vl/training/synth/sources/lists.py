"""Our own word lists: what shops sell, and what people, companies and streets are called.

Every list is split by its atoms (a noun, a surname), not by the composed entry: no article noun and no surname of the
test split is ever seen in training, in whatever combination.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from functools import cache

GROCERIES = """
Milk, Butter, Cream, Sour Cream, Yogurt, Cheese, Cheddar, Gouda, Mozzarella, Parmesan, Feta, Cream Cheese, Eggs, Bread, Toast, Rolls,
Baguette, Bagels, Croissant, Tortillas, Pita, Crackers, Rice Cakes, Cereal, Oats, Muesli, Granola, Flour, Sugar, Brown Sugar, Salt,
Pepper, Paprika, Cinnamon, Vanilla, Oregano, Basil, Thyme, Curry Powder, Baking Soda, Yeast, Cocoa, Honey, Maple Syrup, Jam, Marmalade,
Peanut Butter, Chocolate, Cookies, Biscuits, Wafers, Candy, Gum, Chips, Popcorn, Pretzels, Nuts, Almonds, Cashews, Walnuts, Hazelnuts,
Raisins, Dates, Figs, Apricots, Prunes, Apples, Pears, Bananas, Oranges, Lemons, Limes, Grapefruit, Grapes, Cherries, Plums, Peaches,
Nectarines, Mangoes, Pineapple, Kiwi, Melon, Watermelon, Strawberries, Raspberries, Blueberries, Blackberries, Cranberries, Avocado,
Tomatoes, Cucumber, Lettuce, Spinach, Kale, Cabbage, Broccoli, Cauliflower, Carrots, Potatoes, Sweet Potato, Onions, Garlic, Ginger,
Leek, Celery, Fennel, Beets, Radishes, Turnips, Zucchini, Eggplant, Pumpkin, Squash, Peppers, Chili, Mushrooms, Corn, Peas, Beans,
Lentils, Chickpeas, Tofu, Olives, Capers, Pickles, Olive Oil, Sunflower Oil, Vinegar, Mustard, Ketchup, Mayonnaise, Soy Sauce, Pesto,
Salsa, Hummus, Rice, Pasta, Spaghetti, Penne, Noodles, Couscous, Quinoa, Bulgur, Chicken, Turkey, Duck, Beef, Pork, Lamb, Ham, Bacon,
Salami, Sausage, Meatballs, Salmon, Tuna, Cod, Trout, Herring, Shrimp, Mussels, Sardines, Anchovies, Soup, Broth, Pizza, Lasagna, Pie,
Quiche, Dumplings, Fries, Ice Cream, Sorbet, Pudding, Custard, Jelly, Water, Sparkling Water, Juice, Apple Juice, Lemonade, Cola, Beer,
Lager, Cider, Wine, Red Wine, Rum, Whisky, Gin, Vodka, Tea, Green Tea, Herbal Tea, Coffee, Coffee Beans, Baby Food, Diapers, Wipes,
Tissues, Napkins, Paper Towels, Toilet Paper, Foil, Cling Film, Trash Bags, Sponges, Detergent, Bleach, Softener, Dish Soap, Soap,
Shampoo, Conditioner, Toothpaste, Toothbrush, Mouthwash, Deodorant, Razor, Shaving Foam, Lotion, Sunscreen, Cotton Pads, Bandages,
Vitamins, Aspirin, Cat Food, Dog Food, Bird Seed, Candles, Matches, Batteries
"""
CAFE = """
Espresso, Double Espresso, Macchiato, Cortado, Flat White, Cappuccino, Latte, Mocha, Americano, Filter Coffee, Cold Brew, Iced Coffee,
Chai, Matcha, Earl Grey, Mint Tea, Hot Chocolate, Smoothie, Milkshake, Orange Juice, Ginger Ale, Tonic, Sandwich, Club Sandwich, Panini,
Wrap, Toastie, Burger, Cheeseburger, Hot Dog, Salad, Caesar Salad, Omelette, Pancakes, Waffles, Porridge, Muffin, Brownie, Cheesecake,
Carrot Cake, Scone, Donut, Cinnamon Roll, Danish, Tart, Macaron, Cupcake, Eclair, Tiramisu, Gelato, Nachos, Onion Rings, Coleslaw,
Garlic Bread, Bruschetta, Risotto, Gnocchi, Ravioli, Steak, Schnitzel, Fish Cakes, Curry, Ramen, Sushi, Burrito, Tacos, Quesadilla,
Falafel, Kebab, Spring Rolls, Samosa, Paella, Goulash, Stew, Chowder
"""
HARDWARE = """
Screws, Nails, Bolts, Nuts and Bolts, Washers, Anchors, Hooks, Hinges, Brackets, Hammer, Mallet, Screwdriver, Pliers, Wrench, Spanner,
Hex Keys, Drill, Drill Bits, Saw, Hacksaw, Jigsaw, Sandpaper, File, Chisel, Plane, Clamp, Vise, Level, Tape Measure, Ruler, Utility Knife,
Blades, Glue, Wood Glue, Epoxy, Sealant, Caulk, Duct Tape, Masking Tape, Cable Ties, Rope, Chain, Wire, Copper Wire, Pipe, Elbow, Valve,
Faucet, Gasket, Hose, Nozzle, Bucket, Ladder, Paint, Wall Paint, Primer, Varnish, Brush, Roller, Drop Cloth, Plaster, Cement, Mortar,
Gravel, Sand, Bricks, Tiles, Grout, Plywood, Timber, Dowels, Molding, Insulation, Switch, Socket, Plug, Fuse, Extension Cord, Light Bulb,
Lamp, Flashlight, Lantern, Doorbell, Lock, Padlock, Key Blank, Door Handle, Mailbox, Smoke Alarm, Thermostat, Fan, Heater, Gloves,
Goggles, Ear Plugs, Dust Mask, Apron, Work Boots, Shovel, Spade, Rake, Hoe, Shears, Pruner, Watering Can, Wheelbarrow, Seeds, Bulbs,
Soil, Compost, Mulch, Fertilizer, Flower Pot, Planter, Trellis, Lawn Mower, Broom, Mop, Dustpan, Vacuum Bags
"""
STATIONERY = """
Pencil, Pencils, Pen, Ballpoint Pen, Gel Pen, Fountain Pen, Ink, Marker, Highlighter, Crayons, Chalk, Eraser, Sharpener, Compass,
Protractor, Scissors, Stapler, Staples, Paper Clips, Binder Clips, Thumb Tacks, Rubber Bands, Tape, Glue Stick, Notebook, Notepad,
Sketchbook, Diary, Planner, Calendar, Envelope, Envelopes, Stamps, Postcard, Greeting Card, Wrapping Paper, Gift Bag, Ribbon, Folder,
Binder, Dividers, Sleeves, Labels, Index Cards, Sticky Notes, Copy Paper, Cardboard, Whiteboard, Desk Lamp, Desk Mat, Calculator, Globe,
Map, Book, Novel, Magazine, Newspaper, Puzzle, Board Game, Playing Cards, Backpack, Pencil Case, Lunch Box, Water Bottle, Thermos,
Mouse, Keyboard, Monitor, Webcam, Headphones, Speaker, Charger, Adapter, USB Cable, Memory Card, Hard Drive, Printer, Toner, Cartridge,
Scanner, Router, Phone Case, Screen Protector, Tripod, Lens Cap, Umbrella, Scarf, Hat, Socks, T-Shirt, Shirt, Sweater, Hoodie, Jacket,
Coat, Jeans, Shorts, Skirt, Dress, Belt, Tie, Shoes, Sandals, Slippers, Towel, Blanket, Pillow, Curtain, Rug, Mirror, Picture Frame,
Vase, Clock, Chair, Stool, Table, Shelf, Drawer, Basket, Mug, Cup, Saucer, Plate, Bowl, Fork, Knife, Spoon, Pan, Pot, Kettle, Toaster,
Blender, Mixer, Grater, Peeler, Whisk, Ladle, Spatula, Cutting Board, Colander, Corkscrew
"""
QUALITIES = """
Fresh, Organic, Large, Small, Medium, Mini, Extra, Classic, Premium, Family, Light, Dark, White, Black, Red, Green, Blue, Yellow, Brown,
Grey, Pink, Golden, Silver, Natural, Pure, Raw, Roasted, Smoked, Salted, Unsalted, Sweet, Spicy, Mild, Hot, Frozen, Dried, Canned, Sliced,
Whole, Half, Double, Triple, Fine, Coarse, Soft, Hard, Thick, Thin, Long, Short, Wide, Flat, Round, Square, Heavy, Strong, Crispy, Creamy,
Crunchy, Homemade, Local, Imported, Italian, French, Spanish, Greek, Swiss, Danish, English, Irish, Mexican, Thai, Indian, Country, Farm,
Garden, Mountain, Island, Winter, Summer, Spring, Autumn, Daily, Basic, Super, Ultra, Pro, Deluxe, Royal, Vintage, Modern, Simple, Quick,
Instant, Easy, Reusable, Recycled, Steel, Wooden, Plastic, Cotton, Leather, Glass, Paper, Rubber, Brass, Copper, Ceramic
"""
BRANDS = """
Alder, Amberly, Ardent, Aurelia, Avonmere, Balfour, Bayside, Belmont, Birchway, Bluefin, Bonvale, Brightwell, Brookfield, Calder, Camden,
Carrick, Castello, Cedarline, Clearbrook, Clovis, Copperfield, Corvina, Crestway, Dalton, Delmare, Dorset, Dunmore, Eastbourne, Elmwood,
Everly, Fairmont, Fernhill, Finley, Fiorella, Foxglove, Galloway, Glenmoor, Goldcrest, Granby, Greenleaf, Halden, Harborne, Hartwell,
Hazelton, Highmark, Holloway, Ivory Lane, Jasper, Juniper, Kelmscott, Kestrel, Kingsley, Lakeland, Larkspur, Laurel, Linden, Lumina,
Maplewood, Marlow, Meridian, Milldale, Montana, Moorland, Nordica, Northway, Oakridge, Oldbury, Orion, Parkside, Pemberton, Pinecrest,
Portland, Quarry, Quillon, Ravenna, Redwood, Ridgeway, Riverton, Rosewood, Rowan, Sable, Sandhurst, Selby, Silverton, Solano, Sterling,
Stonegate, Summit, Sunnyside, Sylvan, Tamarind, Thornbury, Tolland, Umbra, Valmont, Verona, Wakefield, Westbrook, Willow, Windermere,
Woodbine, Yarrow, Zephyr
"""
FIRST_NAMES = """
Aaron, Abigail, Adam, Adele, Ahmed, Aisha, Alan, Alberto, Alice, Amelia, Amir, Ana, Andrea, Andrew, Angela, Anita, Anna, Anton, Arthur,
Astrid, Barbara, Beatrice, Benjamin, Bernard, Bianca, Brian, Bruno, Camille, Carla, Carlos, Caroline, Catherine, Cecilia, Charles, Chen,
Chloe, Christian, Clara, Claire, Colin, Daniel, Daria, David, Deborah, Denis, Diana, Diego, Dmitri, Dorothy, Edith, Edward, Elena, Eli,
Elizabeth, Emil, Emily, Emma, Eric, Erika, Esther, Ethan, Eva, Fatima, Felix, Fiona, Florence, Frances, Frank, Gabriel, George, Gerald,
Gina, Giulia, Grace, Greta, Hana, Hannah, Harold, Hassan, Heidi, Helen, Henry, Hugo, Ian, Ibrahim, Ida, Igor, Ingrid, Irene, Isaac,
Isabel, Ivan, Jack, Jacob, James, Jana, Janet, Jasmine, Jean, Jennifer, Joan, Joel, John, Jonas, Jorge, Joseph, Joyce, Judith, Julia,
Julian, Karen, Karl, Katarina, Keith, Kenji, Kevin, Klara, Kofi, Kurt, Lara, Laura, Lea, Leila, Leo, Leonard, Lewis, Lina, Linda, Louis,
Lucas, Lucia, Luis, Lydia, Maeve, Magnus, Marco, Margaret, Maria, Marie, Mario, Mark, Marta, Martin, Mary, Mateo, Matilda, Max, Mei,
Mia, Michael, Miguel, Mila, Miriam, Mohamed, Monica, Nadia, Naomi, Natalie, Nathan, Nico, Nicole, Nina, Noah, Nora, Oliver, Olga, Omar,
Oscar, Otto, Pablo, Patricia, Paul, Paula, Pavel, Pedro, Peter, Petra, Philip, Priya, Rachel, Rafael, Raj, Ralph, Rebecca, Ricardo,
Richard, Rita, Robert, Roger, Rosa, Ruth, Ryan, Samir, Samuel, Sandra, Sara, Sean, Silvia, Simon, Sofia, Sonia, Stefan, Stella, Steven,
Susan, Sven, Sylvia, Tamara, Tara, Teresa, Theo, Thomas, Tim, Tina, Tom, Ursula, Valerie, Vera, Victor, Vincent, Viola, Walter, Wendy,
William, Xavier, Yara, Yasmin, Yusuf, Zara, Zoe
"""
SURNAMES = """
Adams, Allen, Andersen, Anderson, Bailey, Baker, Barnes, Becker, Bell, Bennett, Berg, Bianchi, Blake, Brooks, Brown, Burke, Butler,
Campbell, Carter, Castillo, Chang, Chapman, Clark, Clarke, Cohen, Cole, Collins, Cook, Cooper, Cox, Cruz, Davies, Davis, Dean, Diaz,
Dixon, Dubois, Duncan, Edwards, Ellis, Evans, Ferrari, Fischer, Fisher, Fletcher, Flores, Ford, Foster, Fox, Fraser, Garcia, Gibson,
Gomez, Gonzalez, Graham, Grant, Gray, Green, Griffin, Gupta, Hall, Hamilton, Hansen, Harris, Harrison, Hart, Hayes, Henderson, Hernandez,
Hill, Hoffmann, Holmes, Howard, Huang, Hughes, Hunt, Hunter, Ibrahim, Jackson, Jansen, Jenkins, Jensen, Johansson, Johnson, Jones, Jordan,
Kaplan, Kaur, Keller, Kelly, Kennedy, Khan, Kim, King, Klein, Knight, Kowalski, Kumar, Lambert, Larsen, Lee, Lewis, Lindgren, Lopez,
Marshall, Martin, Martinez, Mason, Matthews, Meyer, Miller, Mitchell, Moore, Morales, Moreau, Morgan, Morris, Murphy, Murray, Nakamura,
Nelson, Nguyen, Nielsen, Novak, Olsen, Ortiz, Owens, Palmer, Park, Parker, Patel, Pereira, Perez, Peters, Petrov, Phillips, Pierce,
Porter, Powell, Price, Quinn, Ramirez, Reed, Reid, Reyes, Richards, Rivera, Roberts, Robinson, Rogers, Romero, Rose, Ross, Rossi, Russell,
Ryan, Sanchez, Santos, Sato, Schmidt, Schneider, Scott, Shah, Shaw, Silva, Simmons, Simpson, Singh, Smith, Spencer, Stewart, Stone,
Sullivan, Suzuki, Tanaka, Taylor, Thomas, Thompson, Torres, Tucker, Turner, Vargas, Vogel, Wagner, Walker, Wallace, Walsh, Wang, Ward,
Watson, Weber, Webb, Wells, West, White, Williams, Wilson, Wong, Wood, Wright, Yamamoto, Yang, Young, Zhang, Zimmermann
"""
STREET_KINDS = "Street, Road, Avenue, Lane, Drive, Way, Court, Place, Square, Terrace, Boulevard, Close, Crescent, Hill, Row, Park, Gate"
COMPANY_KINDS = """
Ltd, Inc, LLC, GmbH, Corp, Co, Group, Partners, Holdings, Trading, Foods, Market, Bakery, Cafe, Hardware, Stationers, Books, Pharmacy,
Electric, Logistics, Motors, Textiles, Tools, Supply, Services, Systems, Consulting, Insurance, Bank, Energy, Travel, Hotel, Clinic, Dental,
Printing, Press, Studio, Design, Media, Software, Labs, Farms, Gardens, Brewery, Coffee Roasters, and Sons, and Daughters, Brothers
"""

Splitter = Callable[[str], str]


@cache
def items(text: str) -> tuple[str, ...]:
    """The entries of one of the comma-separated lists above, sorted, each once."""
    return tuple(sorted({" ".join(entry.split()) for entry in text.split(",")}))


def products(split: str, split_of: Splitter, count: int) -> list[str]:
    """Up to `count` article names of 1 to 3 words: every noun of the split alone, then qualified and branded ones."""
    every = items(",".join((GROCERIES, CAFE, HARDWARE, STATIONERY)))
    nouns = _mine(every, split, split_of)
    qualities, brands = _mine(items(QUALITIES), split, split_of), _mine(items(BRANDS), split, split_of)
    draw = random.Random(f"products {split}")
    found = dict.fromkeys(nouns)
    for _ in range(20 * count):
        if len(found) >= count:
            break
        kind, words = draw.choice("qqqbbx"), []
        if kind in "bx":
            words.append(draw.choice(brands))
        if kind in "qx":
            words.append(draw.choice(qualities))
        name = " ".join([*words, draw.choice(nouns)])
        # "Red" with "Wine" would be a noun of its own, maybe of another split.
        if name.count(" ") <= 2 and name not in every:
            found[name] = None
    return sorted(found)


def names(split: str, split_of: Splitter, capitalised: list[str], count: int) -> list[str]:
    """`count` names: half people, the rest companies and streets; surnames also from `capitalised`, a list of proper nouns."""
    firsts = _mine(items(FIRST_NAMES), split, split_of)
    known, rare = _mine(items(SURNAMES), split, split_of), _mine(capitalised, split, split_of)
    brands = _mine(items(BRANDS), split, split_of)
    draw = random.Random(f"names {split}")
    found: dict[str, None] = {}
    makers: list[Callable[[], Iterator[str]]] = [
        lambda: _person(draw, firsts, known if draw.random() < 0.6 else rare),
        lambda: _company(draw, known + brands if draw.random() < 0.7 else rare),
        lambda: _street(draw, known + brands if draw.random() < 0.7 else rare),
    ]
    for _ in range(20 * count):
        if len(found) >= count:
            break
        found[" ".join(draw.choices(makers, (2, 1, 1))[0]())] = None
    return sorted(found)


def _mine(entries: Sequence[str], split: str, split_of: Splitter) -> list[str]:
    return [entry for entry in entries if split_of(entry.lower()) == split]


def _person(draw: random.Random, firsts: list[str], surnames: list[str]) -> Iterator[str]:
    yield draw.choice(firsts)
    if draw.random() < 0.12:
        yield draw.choice("ABCDEFGHJKLMNPRSTW") + "."
    yield draw.choice(surnames)


def _company(draw: random.Random, stems: list[str]) -> Iterator[str]:
    yield draw.choice(stems)
    if draw.random() < 0.15:
        yield "& " + draw.choice(stems)
    yield draw.choice(items(COMPANY_KINDS))


def _street(draw: random.Random, stems: list[str]) -> Iterator[str]:
    if draw.random() < 0.5:
        yield str(draw.randint(1, 240))
    yield draw.choice(stems)
    yield draw.choice(items(STREET_KINDS))
