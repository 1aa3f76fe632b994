"""How people ask about tables."""

SHEET_WORDINGS = {
    "cell": (
        "What is the {column} of {row}?|What is the {column} for {row}?|What's the {column} of {row}?|Which {column} does {row} have?|"
        "Look up the {column} of {row}.|What {column} is listed for {row}?|Tell me the {column} of {row}.|{column} of {row}?|"
        "In the table, what is the {column} of {row}?"
    ),
    "cell_where": (
        "What is the {column} of the {subject} with the {known} {value}?|Where {known} is {value}, what is the {column}?|"
        "What is the {column} in the row with {known} {value}?|The {subject} whose {known} is {value}: what is its {column}?|"
        "Which {column} does the {subject} with {known} {value} have?|In the row with the {known} {value}, what is the {column}?|"
        "Find the {column} that goes with the {known} {value}.|Which {column} stands beside the {known} {value}?"
    ),
    "nth_cell": (
        "What is the {column} in the {nth} row?|What {column} does the {nth} row have?|Which {column} is in the {nth} row?|"
        "Read the {column} in the {nth} row.|What is the {column} of the {nth} entry?|Look at the {nth} row: what is the {column}?|"
        "What is the {nth} {column} in the table?|Which {column} comes {nth}?"
    ),
    "row_below": (
        "Which {subject} is directly below {row}?|What comes right after {row}?|Which row follows {row}?|"
        "What is the next entry after {row}?|"
        "Which {subject} is listed after {row}?|What stands below {row}?|Name the {subject} just below {row}.|What is under {row}?"
    ),
    "row_above": (
        "Which {subject} is directly above {row}?|What comes right before {row}?|Which row precedes {row}?|"
        "What is the entry before {row}?|Which {subject} is listed before {row}?|What stands above {row}?|"
        "Name the {subject} just above {row}.|What is over {row}?"
    ),
    "count_rows": (
        "How many rows does the table have?|How many entries are in the table?|Count the rows of the table.|How many rows are listed?|"
        "How many lines does the table have below its head?|How many entries does the table list?|What is the number of rows?|"
        "How many records are there?"
    ),
    "count_subjects": (
        "How many {subjects} are [listed/there/in the table/shown/in this list]?|Count the {subjects}.|How many {subjects} do you see?|"
        "What is the number of {subjects}?|How many {subjects} does the table [list/name/have]?|How many different {subjects} are named?|"
        "Tell me how many {subjects} there are.|For how many {subjects} [are values given/is there an entry]?|Number of {subjects}?"
    ),
    "highest": (
        "Which {subject} has the highest {column}?|What {subject} has the most {column}?|Which {subject} has the largest {column}?|"
        "Who or what has the highest {column}?|Which one has the greatest {column}?|Which row has the highest {column}?|"
        "Name the {subject} with the highest {column}.|Where is {column} highest?"
    ),
    "lowest": (
        "Which {subject} has the lowest {column}?|What {subject} has the least {column}?|Which {subject} has the smallest {column}?|"
        "Who or what has the lowest {column}?|Which one has the smallest {column}?|Which row has the lowest {column}?|"
        "Name the {subject} with the lowest {column}.|Where is {column} lowest?"
    ),
    "column_sum": (
        "What is the sum of the {column} column?|Add up the {column} column.|What does the {column} column add up to?|"
        "What is the total of {column}?|Sum the {column} values.|How much is {column} in total?|"
        "Calculate the sum of all {column} values.|What do you get if you add all {column} values?"
    ),
    "row_with": (
        "Which {subject} has the {column} {value}?|Which row has {value} as {column}?|What {subject} has {column} {value}?|"
        "Which {subject} has {value} in the {column} column?|In which row is the {column} {value}?|"
        "For which {subject} is the {column} {value}?|Find the {subject} with {column} {value}.|Who or what has the {column} {value}?|"
        "Whose {column} is {value}?"
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
        "List the {column} column.|List all values of the {column} column.|Read the {column} column.|What is in the {column} column?|"
        "Which values does the {column} column have?|Give me the {column} column.|Write down the {column} column from top to bottom.|"
        "Copy the {column} column."
    ),
    "column_names": (
        "What are the column names?|Which columns does the table have?|Name the columns.|What are the headers?|Read the column headers.|"
        "What are the columns called?|List the column names.|What are the headings of the columns?|Which headers does the table have?"
    ),
    "count_columns": (
        "How many columns does the table have?|How many columns are there?|Count the columns.|What is the number of columns?|"
        "How many columns do you see?|How many columns are in the table?|Count the columns of the table.|"
        "Of how many columns is the table made?"
    ),
    "printed_total": (
        "What does the table give as the total of {column}?|What is in the last row for {column}?|What total is printed for {column}?|"
        "Which total is given in the {column} column?|What is the bottom value of the {column} column?|"
        "Read the total of the {column} column.|What does the bottom row say for {column}?|What is printed as total {column}?"
    ),
    "to_markdown": (
        "Convert the table to Markdown.|Write the table as Markdown.|Transcribe the table as Markdown.|Give me the table in Markdown.|"
        "Turn the table into Markdown.|Markdown, please.|Extract the table as Markdown.|Output the table in Markdown format.|"
        "Reproduce the table as a Markdown table.|Please convert this table into Markdown."
    ),
    "cells_sum": (
        "What is the {column} of {rows} [together/in total/combined]?|What is the [sum/total] of the {column} of {rows}?|"
        "[Add/Add up/Sum] the {column} of {rows}.|What do {rows} have together as {column}?|What is the combined {column} of {rows}?|"
        "How much is the {column} of {rows} [together/altogether]?|What does the {column} of {rows} add up to?|"
        "[Calculate/Work out/Tell me] the total {column} of {rows}.|{rows}: {column} in total?|What do {rows} add up to in {column}?"
    ),
    "cells_difference": (
        "What is the difference in {column} between {a} and {b}?|By how much is the {column} of {a} larger than that of {b}?|"
        "How much higher is the {column} of {a} than that of {b}?|How much lower is the {column} of {b} than that of {a}?|"
        "What is the {column} of {a} minus that of {b}?|How far apart are {a} and {b} in {column}?|"
        "How much more {column} does {a} have than {b}?|Subtract the {column} of {b} from that of {a}."
    ),
    "row_sum": (
        "What is the sum of the row of {row}?|Add up the row of {row}.|What does {row} add up to?|"
        "What is the total for {row} over all columns?|What does the row of {row} add up to?|How much is {row} over all columns?|"
        "Sum all values of {row}.|Calculate the sum of the values of {row}."
    ),
    "row_highest": (
        "In which column is {row} highest?|Which column has the highest value of {row}?|Where is {row} at its highest?|"
        "In which column does {row} have the largest value?|Which column is the largest for {row}?|When or where is {row} highest?|"
        "What is the best column of {row}?|Which column has the maximum of {row}?"
    ),
    "row_lowest": (
        "In which column is {row} lowest?|Which column has the lowest value of {row}?|Where is {row} at its lowest?|"
        "In which column does {row} have the smallest value?|Which column is the smallest for {row}?|When or where is {row} lowest?|"
        "What is the worst column of {row}?|Which column has the minimum of {row}?"
    ),
    "which_larger": (
        "Which has the higher {column}, {a} or {b}?|Which has the larger {column}: {a} or {b}?|"
        "Is the {column} larger for {a} or for {b}?|Which one has more {column}, {a} or {b}?|Is the {column} of {a} or of {b} higher?|"
        "Of {a} and {b}, which has the higher {column}?|Where is the {column} greater, {a} or {b}?|"
        "Compare {a} and {b}: which has the larger {column}?"
    ),
    "count_equal": (
        "How many rows have {value} as {column}?|In how many rows is the {column} {value}?|How many entries have the {column} {value}?|"
        "Count the rows where {column} is {value}.|How many times does {value} occur in the {column} column?|"
        "For how many is the {column} {value}?|How many have {column} {value}?|How often is the {column} {value}?"
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
    "cells_ratio": (
        "How many times as large is the {column} of {a} as that of {b}?|How many times the {column} of {b} is that of {a}?|"
        "By which factor is the {column} of {a} larger than that of {b}?|What is the {column} of {a} divided by that of {b}?|"
        "How many times larger is {a} than {b} in {column}?|What is the ratio of the {column} of {a} to that of {b}?|"
        "How often does the {column} of {b} go into that of {a}?|Divide the {column} of {a} by that of {b}."
    ),
    "column_average": (
        "What is the average {column}?|What is the mean of the {column} column?|Calculate the average of {column}.|"
        "What is {column} on average?|Work out the mean {column}.|Average {column}?|What is the average of the {column} column?|"
        "What does {column} average?|On average, what is the {column}?"
    ),
    "second_highest": (
        "Which {subject} has the second highest {column}?|What {subject} is second in {column}?|Which one comes second in {column}?|"
        "Which row has the second largest {column}?|Who or what has the second highest {column}?|"
        "Name the {subject} with the second highest {column}.|After the highest, which {subject} comes next in {column}?|"
        "Which {subject} has the next to highest {column}?"
    ),
    "second_lowest": (
        "Which {subject} has the second lowest {column}?|Which one is second from below in {column}?|"
        "Which row has the second smallest {column}?|Who or what has the second lowest {column}?|"
        "Name the {subject} with the second lowest {column}.|After the lowest, which {subject} comes next in {column}?|"
        "Which {subject} has the next to lowest {column}?|What {subject} has the second least {column}?"
    ),
    "row_of": (
        "In which row is {value}?|Which row says {value}?|Which row contains {value}?|Where is {value}?|Which row has {value} in it?|"
        "To which row does {value} belong?|Find the row with {value}.|Who or what does {value} belong to?|Which entry shows {value}?|"
        "In which row do you find {value}?"
    ),
    "column_of": (
        "In which column is {value}?|Which column says {value}?|Which column contains {value}?|To which column does {value} belong?|"
        "Find the column with {value}.|Under which heading is {value}?|In which column do you find {value}?|Which column shows {value}?"
    ),
    "row_there": (
        "Is there a row for {row}?|Is {row} in the table?|Does the table list {row}?|Can you find {row} in the table?|"
        "Does the table have an entry for {row}?|Is {row} listed?|Is there an entry {row}?|Does {row} appear in the table?|"
        "Is {row} there?"
    ),
    "value_there": (
        "Is there a {column} of {value}?|Does any row have the {column} {value}?|Is any {column} {value}?|"
        "Does {value} occur as {column}?|Is there a row with {column} {value}?|Can you find the {column} {value}?|"
        "Does the {column} column contain {value}?|Has any row {value} as {column}?"
    ),
    "count_both": (
        "How many rows have {first} and {second}?|Count the rows with {first} and {second}.|How many have both {first} and {second}?|"
        "For how many rows are both true: {first}, {second}?|In how many rows do you find {first} and also {second}?|"
        "How many entries have {first} as well as {second}?|How many rows with {first} have {second}?|"
        "Number of rows with {first} and {second}?"
    ),
    "which_both": (
        "Which rows have {first} and {second}?|List the rows with {first} and {second}.|Which have both {first} and {second}?|"
        "For which rows are both true: {first}, {second}?|In which rows do you find {first} and also {second}?|"
        "Which entries have {first} as well as {second}?|Name all rows with {first} and {second}.|Which rows with {first} have {second}?"
    ),
}
