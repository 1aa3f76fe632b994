"""How people ask about pictures of shapes."""

PICTURE_WORDINGS = {
    "shape_count": (
        "How many shapes are there?|Count the shapes.|How many shapes do you see?|What is the number of shapes?|"
        "How many shapes are in the picture?|How many figures are there?|Count all the shapes in the image.|"
        "How many shapes does the picture show?|How many objects are there?"
    ),
    "shape_count_some": (
        "How many {things} are there?|Count the {things}.|How many {things} do you see?|What is the number of {things}?|"
        "How many {things} are in the picture?|How many {things}?|Count all {things} in the image.|"
        "How many {things} does the picture show?|Tell me how many {things} there are."
    ),
    "colour_count": (
        "How many different colours do the shapes have?|How many colours are there?|Count the colours of the shapes.|"
        "How many colours do you see?|In how many colours are the shapes?|What is the number of colours?|"
        "How many different colors are used?|How many colours do the shapes come in?"
    ),
    "kind_count": (
        "How many different kinds of shapes are there?|How many kinds of shapes do you see?|Count the kinds of shapes.|"
        "How many different shapes are used?|How many sorts of shapes are in the picture?|How many types of shapes are there?|"
        "What is the number of different kinds of shapes?|How many distinct shapes are there?"
    ),
    "shape_exists": (
        "Is there {thing}?|Is there {thing} in the picture?|Do you see {thing}?|Can you see {thing}?|"
        "Does the picture show {thing}?|Does the image have {thing}?|Is there {thing} anywhere?|Can you find {thing}?|"
        "Does the image contain {thing}?"
    ),
    "shape_colour": (
        "What colour is the {thing}?|Which colour does the {thing} have?|What is the colour of the {thing}?|"
        "What color is the {thing}?|In which colour is the {thing}?|Tell me the colour of the {thing}.|"
        "Colour of the {thing}?|What's the colour of the {thing}?|Which color is the {thing}?"
    ),
    "shape_name": (
        "What shape is the {colour} one?|What shape is {colour}?|Which shape is {colour}?|What is the {colour} shape?|"
        "What is {colour}?|What kind of shape is the {colour} thing?|Name the {colour} shape.|"
        "Which figure is {colour}?|What is the shape of the {colour} object?"
    ),
    "arrow_direction": (
        "Which way does the {thing} point?|In which direction does the {thing} point?|Where does the {thing} point?|"
        "What direction is the {thing}?|Which direction does the {thing} show?|What way is the {thing} pointing?|"
        "Where is the {thing} pointing to?|To which side does the {thing} point?"
    ),
    "odd_one_out": (
        "Which one is the odd one out?|What is the odd one out?|Which shape is different from the others?|"
        "Which one differs?|Find the odd one out.|Which one does not belong?|Which shape is unlike the rest?|"
        "One is different. Which?|What does not fit in?"
    ),
    "describe_shapes": (
        "Describe the picture.|What do you see?|What is in the picture?|Describe this image.|What does the picture show?|"
        "Describe the image in one sentence.|Which shapes are there?|List the shapes.|What is shown here?|What is in this image?|"
        "Tell me what you see."
    ),
    "largest": (
        "Which shape is the largest?|What is the largest shape?|Which one is the biggest?|What is the biggest shape?|"
        "Name the largest shape.|What's the largest thing?|Which object is biggest?|Find the largest shape."
    ),
    "smallest": (
        "Which shape is the smallest?|What is the smallest shape?|Which one is the smallest?|What is the tiniest shape?|"
        "Name the smallest shape.|What's the smallest thing?|Which object is smallest?|Find the smallest shape."
    ),
    "larger": (
        "Which is larger, the {a} or the {b}?|Which is bigger, the {a} or the {b}?|What is larger: the {a} or the {b}?|"
        "Is the {a} or the {b} larger?|Is the {a} or the {b} bigger?|The {a} or the {b}: which is larger?|"
        "Which of the two is larger, the {a} or the {b}?|Of the {a} and the {b}, which is bigger?"
    ),
    "smaller": (
        "Which is smaller, the {a} or the {b}?|Which is the smaller one, the {a} or the {b}?|"
        "What is smaller: the {a} or the {b}?|Is the {a} or the {b} smaller?|The {a} or the {b}: which is smaller?|"
        "Which of the two is smaller, the {a} or the {b}?|Of the {a} and the {b}, which is smaller?|"
        "Tell me which is smaller, the {a} or the {b}."
    ),
    "beside": (
        "Is the {a} left or right of the {b}?|On which side of the {b} is the {a}?|Is the {a} to the left or the right of the {b}?|"
        "Left or right: where is the {a}, seen from the {b}?|Is the {a} on the left or the right of the {b}?|"
        "Does the {a} lie left or right of the {b}?|To which side of the {b} is the {a}?|"
        "Where is the {a}, left or right of the {b}?"
    ),
    "stacked": (
        "Is the {a} above or below the {b}?|Is the {a} over or under the {b}?|Above or below: where is the {a}, seen from the {b}?|"
        "Does the {a} lie above or below the {b}?|Where is the {a}, above or below the {b}?|Is the {a} higher or lower than the {b}?|"
        "Is the {a} located above the {b} or below it?|Tell me if the {a} is above or below the {b}."
    ),
    "is_side": (
        "Is the {a} {side} the {b}?|Is it true that the {a} is {side} the {b}?|Does the {a} lie {side} the {b}?|"
        "Is the {a} somewhere {side} the {b}?|Would you say the {a} is {side} the {b}?|Can you see the {a} {side} the {b}?|"
        "The {a} is {side} the {b}. Is that right?|The {a} is {side} the {b}, correct?"
    ),
    "outermost": (
        "Which shape is {most}?|What is the {most} shape?|Which is the {most} one?|Name the {most} shape.|"
        "What is {most}?|Which object is {most}?|Tell me the {most} shape.|What's the {most} thing?|Find the {most} shape."
    ),
    "box_of": (
        "Where is the {thing}? Answer with a box.|Give the box of the {thing}.|What is the bounding box of the {thing}?|"
        "Draw a box around the {thing}.|Locate the {thing} with a box.|Find the {thing} and give its box.|"
        "Box the {thing}.|Return the bounding box of the {thing}.|Which box holds the {thing}?"
    ),
    "boxes_of": (
        "Where are the {things}? Answer with boxes.|Give the boxes of all {things}.|What are the bounding boxes of the {things}?|"
        "Draw boxes around the {things}.|Locate all {things} with boxes.|Find the {things} and give their boxes.|"
        "Box the {things}.|Return the bounding boxes of all {things} from left to right."
    ),
    "point_of": (
        "Point at the {thing}.|Where is the {thing}? Answer with a point.|Give a point on the {thing}.|Click the {thing}.|"
        "Point to the {thing}.|What is the position of the {thing}?|Locate the {thing} with a point.|"
        "Where is the middle of the {thing}?|Click on the {thing}."
    ),
    "what_at": (
        "What is at {where}?|Which shape is at {where}?|What do you see at {where}?|What is located at {where}?|"
        "Name the shape at {where}.|Which object is at {where}?|What thing is at {where}?|Tell me what is at {where}."
    ),
    "label_in": (
        "What is written in the {thing}?|What does the {thing} say?|Which label is in the {thing}?|Read the label of the {thing}.|"
        "What is printed in the {thing}?|What is inside the {thing}?|What's written on the {thing}?|"
        "Which text does the {thing} have?|Read what is in the {thing}."
    ),
    "labelled": (
        "Which shape is labelled {label}?|Which shape says {label}?|What has the label {label}?|In which shape is {label} written?|"
        "Which shape contains {label}?|Where is {label} written?|Which one is marked {label}?|What shape has {label} in it?"
    ),
    "box_labelled": (
        "Where is the shape with {label}? Answer with a box.|Give the box of the shape labelled {label}.|"
        "Draw a box around the shape that says {label}.|What is the bounding box of the shape marked {label}?|"
        "Locate the shape with the label {label} with a box.|Box the shape with {label} in it.|"
        "Find the shape labelled {label} and give its box.|Return the bounding box of the shape with {label}."
    ),
    "nearest": (
        "Which shape is nearest to the {thing}?|Which shape is closest to the {thing}?|What is the closest shape to the {thing}?|"
        "Which one lies nearest to the {thing}?|Name the shape closest to the {thing}.|What is nearest to the {thing}?|"
        "Which object is closest to the {thing}?|Find the nearest neighbour of the {thing}."
    ),
    "farthest": (
        "Which shape is farthest from the {thing}?|Which shape is furthest away from the {thing}?|What is farthest from the {thing}?|"
        "Which one lies farthest from the {thing}?|Name the shape farthest from the {thing}.|"
        "What is the most distant shape from the {thing}?|"
        "Which object is furthest from the {thing}?|Find the shape that is farthest from the {thing}."
    ),
    "between": (
        "Which shape is between the {a} and the {b}?|What is between the {a} and the {b}?|What lies between the {a} and the {b}?|"
        "Name the shape between the {a} and the {b}.|Which one is between the {a} and the {b}?|Between the {a} and the {b} there is what?|"
        "Which object lies between the {a} and the {b}?|Find the shape between the {a} and the {b}."
    ),
    "ordered": (
        "List the shapes {way}.|Name the shapes {way}.|What are the shapes {way}?|Which shapes are there, {way}?|"
        "Name all shapes in order {way}.|List everything {way}.|Go {way} and name the shapes.|Say the shapes {way}."
    ),
    "nth": (
        "Which shape is {where}?|What is {where}?|Name the shape that is {where}.|Which one is {where}?|What shape is {where}?|"
        "Which object is {where}?|Tell me which shape is {where}.|Find the shape that is {where}."
    ),
    "is_inside": (
        "Is the {a} inside the {b}?|Does the {a} lie within the {b}?|Is the {a} in the {b}?|Does the {b} contain the {a}?|"
        "Is the {b} around the {a}?|Is the {a} completely inside the {b}?|Can you see the {a} inside the {b}?|"
        "Would you say the {a} is inside the {b}?"
    ),
    "is_overlapping": (
        "Do the {a} and the {b} overlap?|Does the {a} overlap the {b}?|Is a part of the {a} covered by the {b}, or the other way round?|"
        "Do the {a} and the {b} cover each other in part?|Are the {a} and the {b} overlapping?|Is there an overlap of the {a} and the {b}?|"
        "Can you see the {a} and the {b} overlap?|Tell me if the {a} and the {b} overlap."
    ),
    "is_touching": (
        "Do the {a} and the {b} touch?|Does the {a} touch the {b}?|Are the {a} and the {b} touching?|Is the {a} in contact with the {b}?|"
        "Do the {a} and the {b} touch each other?|Does the edge of the {a} meet that of the {b}?|Is the {a} touching the {b}?|"
        "Tell me if the {a} and the {b} touch."
    ),
    "filling": (
        "Is the {thing} solid, outlined, striped or dotted?|How is the {thing} filled?|What is the fill of the {thing}?|"
        "Solid, outlined, striped or dotted: how is the {thing} drawn?|Which fill does the {thing} have?|How is the {thing} drawn?|"
        "What pattern does the {thing} have?|Which pattern fills the {thing}?"
    ),
    "filled_so": (
        "Which shape is {pattern}?|What is {pattern}?|Which one is {pattern}?|Name the {pattern} shape.|What is the {pattern} shape?|"
        "Which object is {pattern}?|Find the {pattern} shape and name it.|Tell me which shape is {pattern}."
    ),
    "all_boxes": (
        "Give every shape with its box.|List all shapes with their boxes.|Find all shapes and give their boxes.|"
        "Where are the shapes? Name and box.|"
        "Detect all shapes.|Name each shape and give its bounding box.|Return a box for every shape, with its name.|"
        "Locate every shape with a box and say what it is."
    ),
    "letter_in": (
        "What letter is in the {thing}?|Which letter is in the {thing}?|Read the letter in the {thing}.|"
        "Which letter does the {thing} have?|"
        "What letter is written in the {thing}?|The {thing} has which letter?|Which letter is inside the {thing}?|"
        "Tell me the letter in the {thing}."
    ),
    "digit_in": (
        "What digit is in the {thing}?|Which digit is in the {thing}?|Read the digit in the {thing}.|Which number does the {thing} have?|"
        "What digit is written in the {thing}?|The {thing} has which digit?|Which number is inside the {thing}?|"
        "Tell me the digit in the {thing}."
    ),
}
