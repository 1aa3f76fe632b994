"""How people ask about pictures of icons."""

EMBLEM_WORDINGS = {
    "what_icon": (
        "What is this?|What does the picture show?|What do you see?|What is in the picture?|Which thing is shown?|"
        "Name what you see.|What does this icon show?|What is shown here?|What's this?|What is it?|Tell me what this is."
    ),
    "what_icon_at": (
        "What is at {where}?|What do you see at {where}?|Which icon is at {where}?|Name the thing at {where}.|"
        "What does the icon at {where} show?|"
        "What is shown at {where}?|Which thing is at {where}?|Tell me what is at {where}.|What's the icon at {where}?"
    ),
    "which_flag": (
        "Which country's flag is this?|Which flag is this?|What country does this flag belong to?|Whose flag is this?|Name the country.|"
        "Which country is this?|What country is the flag of?|Which country has this flag?|What flag do you see?"
    ),
    "which_flag_at": (
        "Which country's flag is at {where}?|Whose flag is at {where}?|Which flag is at {where}?|Name the country of the flag at {where}.|"
        "What country does the flag at {where} belong to?|Which country has the flag at {where}?|What flag do you see at {where}?|"
        "Tell me the country of the flag at {where}."
    ),
    "either": (
        "Is this {a} or {b}?|Which is it: {a} or {b}?|{a} or {b}: what is shown?|Does the picture show {a} or {b}?|"
        "What do you see, {a} or {b}?|Which of the two is shown, {a} or {b}?|Choose: {a} or {b}?|Is it {a} or {b}?"
    ),
    "either_at": (
        "Is it {a} or {b} at {where}?|What is at {where}: {a} or {b}?|{a} or {b}: which is at {where}?|Which is at {where}, {a} or {b}?|"
        "Does {where} show {a} or {b}?|At {where}, do you see {a} or {b}?|Which of the two is at {where}, {a} or {b}?|"
        "Choose what is at {where}: {a} or {b}."
    ),
    "icon_in_part": (
        "What is in the {part} part of the picture?|Which icon is at the {part}?|What do you see in the {part} quarter?|"
        "Name the icon at the {part}.|What is shown at the {part}?|Which thing is in the {part} corner?|"
        "What is in the {part} of the picture?|Tell me what is at the {part}.|What's at the {part}?"
    ),
    "flag_in_part": (
        "Whose flag is in the {part} part of the picture?|Which flag is at the {part}?|Which country's flag is in the {part} quarter?|"
        "Name the country of the flag at the {part}.|What flag is shown at the {part}?|Whose flag is in the {part} corner?|"
        "Which country is at the {part}?|Tell me whose flag is at the {part}."
    ),
    "coloured_icon": (
        "Which icon is {colour}?|What is {colour}?|What does the {colour} icon show?|Name the {colour} icon.|Which one is {colour}?|"
        "What is the {colour} thing?|What do you see in {colour}?|Which of the icons is {colour}?|What's the {colour} icon?"
    ),
    "list_icons": (
        "List all icons.|What do you see? List everything.|Name all the things in the picture.|Which things are there?|What are the icons?|"
        "List everything you see.|Name every icon.|Which icons are shown?|What is in the picture? Name everything."
    ),
    "list_flags": (
        "List the countries of all flags.|Which flags are there?|Name all the countries.|Which countries' flags do you see?|"
        "List all flags.|"
        "Whose flags are these?|Which countries are shown?|What flags are in the picture?"
    ),
    "odd_icon": (
        "Which one is the odd one out?|What is the odd one out?|Which icon is different from the others?|Which one differs?|"
        "Find the odd one out.|Which one does not belong?|One is different. Which?|What does not fit in?|Which is unlike the rest?"
    ),
    "icon_count": (
        "How many icons are there?|Count the icons.|How many things do you see?|How many things are in the picture?|"
        "How many pictures are there in this image?|What is the number of icons?|Count everything you see.|How many objects are there?|"
        "How many icons does the picture show?"
    ),
    "flag_count": (
        "How many flags are there?|Count the flags.|How many flags do you see?|What is the number of flags?|How many flags are shown?|"
        "How many flags are in the picture?|Tell me how many flags there are.|How many flags?"
    ),
    "outermost_icon": (
        "Which icon is {most}?|What is {most}?|Which thing is the {most} one?|Name the {most} icon.|What is the {most} icon?|"
        "Which object is {most}?|What's the {most} thing?|Find the {most} icon and name it.|Tell me what is {most}."
    ),
    "outermost_flag": (
        "Which flag is {most}?|Which country's flag is {most}?|Whose flag is the {most} one?|Name the country of the {most} flag.|"
        "What is the {most} flag?|What country does the {most} flag belong to?|What's the {most} flag?|Tell me whose flag is {most}."
    ),
    "beside_icon": (
        "What is directly {where}?|Which icon is directly {where}?|What is just {where}?|What do you see directly {where}?|"
        "Which icon stands directly {where}?|What comes directly {where}?|Name the icon directly {where}.|What is immediately {where}?|"
        "Which thing is next, {where}?"
    ),
    "beside_flag": (
        "Which flag is directly {where}?|Whose flag is directly {where}?|Which country's flag is just {where}?|"
        "Name the country of the flag directly {where}.|What flag is immediately {where}?|Which flag comes directly {where}?|"
        "What country does the flag directly {where} belong to?|Whose flag is next, {where}?"
    ),
    "largest_icon": (
        "Which icon is the largest?|What is the largest thing?|Which one is the biggest?|Name the biggest icon.|What's the biggest thing?|"
        "Which of them is the largest?|Which is drawn the largest?|Find the largest one and name it."
    ),
    "smallest_icon": (
        "Which icon is the smallest?|What is the smallest thing?|Which one is the smallest?|Name the smallest icon.|"
        "What's the smallest thing?|"
        "Which of them is the smallest?|Which is drawn the smallest?|Find the smallest one and name it."
    ),
    "boxes_of_icons": (
        "Where are the {things}? Answer with boxes.|Give the boxes of all {things}.|What are the bounding boxes of the {things}?|"
        "Draw boxes around the {things}.|Locate all {things} with boxes.|Find the {things} and give their boxes.|Box the {things}.|"
        "Return the bounding boxes of all {things}."
    ),
    "caption_of": (
        "What is written below the {thing}?|What does it say under the {thing}?|Read the caption of the {thing}.|"
        "What is the label of the {thing}?|"
        "Which text is under the {thing}?|What is printed under the {thing}?|Read the text below the {thing}.|"
        "What is the caption under the {thing}?"
    ),
    "icon_above": (
        "What is above {label}?|Which icon has the caption {label}?|What is shown above {label}?|Which icon is labelled {label}?|"
        "Which thing has {label} written below it?|What does the icon above {label} show?|{label} is below which icon?|"
        "What do you see above the text {label}?"
    ),
}
