"""How people ask about charts."""

CHART_WORDINGS = {
    "chart_value": (
        "What is the value of {item}?|What is the value for {item}?|How much is {item}?|What value does {item} have?|"
        "Read the value of {item}.|What does the chart show for {item}?|What number does {item} reach?|How high is {item}?|"
        "Which value belongs to {item}?|Value of {item}?|How large is {item} in the chart?"
    ),
    "chart_cell": (
        "What is the value of {series} for {item}?|How much is {series} for {item}?|What is {series} at {item}?|"
        "What value does {series} have at {item}?|Read the value of {series} for {item}.|"
        "What does the chart show for {series} at {item}?|How high is {series} for {item}?|{series} for {item}?|"
        "What is the {series} value of {item}?"
    ),
    "chart_share": (
        "What is the share of {item}?|What percentage is {item}?|How many percent is {item}?|How large is the slice of {item}?|"
        "What share does {item} have?|What part of the whole is {item}?|What percentage does {item} have?|How big is the {item} slice?|"
        "Share of {item}?|What is the percentage of {item}?"
    ),
    "chart_which": (
        "Which {subject} has the value {value}?|What has the value {value}?|Which one is at {value}?|"
        "For which {subject} is the value {value}?|Which {subject} reaches {value}?|Where is the value {value}?|"
        "Which {subject} shows {value}?|Name the {subject} with the value {value}."
    ),
    "x_label": (
        "What is the label of the x axis?|What is the x-axis label?|What does the horizontal axis show?|How is the x axis labelled?|"
        "What is on the x axis?|Read the label of the x axis.|What's the x axis called?|What is the name of the horizontal axis?|"
        "Which label does the x-axis have?"
    ),
    "y_label": (
        "What is the label of the y axis?|What is the y-axis label?|What does the vertical axis show?|How is the y axis labelled?|"
        "What is on the y axis?|Read the label of the y axis.|What's the y axis called?|What is the name of the vertical axis?|"
        "Which label does the y-axis have?"
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
        "How many {parts} do you see?|How many {parts} are shown?|How many {parts} are in the chart?|Count the {parts} in the chart."
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
        "How much larger is {a} than {b}?|How far apart are {a} and {b}?|How much less is {b} than {a}?|What is {a} minus {b}?|"
        "How much lower is {b} than {a}?"
    ),
    "series_difference": (
        "What is the difference between {a} and {b} for {series}?|How much more is {series} at {a} than at {b}?|"
        "By how much is {series} higher at {a} than at {b}?|How much larger is {series} at {a} than at {b}?|"
        "How far apart are {a} and {b} in {series}?|How much less is {series} at {b} than at {a}?|For {series}, what is {a} minus {b}?|"
        "How much lower is {series} at {b} than at {a}?"
    ),
    "chart_sum": (
        "What is the sum of all values?|Add up all values.|What do all values add up to?|What is the total of the chart?|"
        "What is the sum of the values in the chart?|How much is everything together?|Calculate the sum of all values.|"
        "What do you get if you add all values?"
    ),
    "chart_sum_two": (
        "What is the sum of {a} and {b}?|How much are {a} and {b} together?|Add {a} and {b}.|What do {a} and {b} add up to?|"
        "What is {a} plus {b}?|How much do {a} and {b} make together?|What is the total of {a} and {b}?|What are {a} and {b} combined?"
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
        "Is there a rise or a fall between {a} and {b}?|How does it change from {a} to {b}?|Between {a} and {b}, does it rise or fall?|"
        "Did it rise from {a} to {b}, or fall?|Which way does it go from {a} to {b}?"
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
    "chart_ratio": (
        "How many times as large is {a} as {b}?|By which factor is {a} larger than {b}?|What is {a} divided by {b}?|"
        "How many times {b} is {a}?|What is the ratio of {a} to {b}?|How many times larger is {a} than {b}?|"
        "How often does {b} go into {a}?|Divide {a} by {b}."
    ),
    "chart_second": (
        "Which {subject} has the second highest value?|Which {subject} is the second largest?|Which one comes second?|"
        "Name the {subject} with the second highest value.|Which {subject} comes next after the highest?|Which is the second biggest?|"
        "Which {subject} is in second place?|What is the second highest in the chart?"
    ),
    "chart_average": (
        "What is the average value?|What is the average of all values?|Calculate the average of the values.|What is the mean value?|"
        "What is the value on average?|Work out the mean of the values.|Average value?|What do the values average?"
    ),
    "axis_unit": (
        "In which unit are the values?|What unit does the axis use?|In what are the values given?|Which unit is used?|"
        "What is the unit of the values?|What are the values measured in?|In what are the values counted?|What unit do the numbers have?"
    ),
    "between_series": (
        "What is the difference between {a} and {b} at {item}?|How much higher is {a} than {b} at {item}?|"
        "By how much is {a} above {b} for {item}?|How far apart are {a} and {b} at {item}?|How much more is {a} than {b} for {item}?|"
        "For {item}, what is {a} minus {b}?|How much lower is {b} than {a} at {item}?|At {item}, by how much do {a} and {b} differ?"
    ),
    "series_larger": (
        "Which is higher at {item}, {a} or {b}?|Is {a} or {b} higher for {item}?|For {item}, which is larger: {a} or {b}?|"
        "At {item}, is {a} or {b} on top?|Which has the larger value at {item}, {a} or {b}?|Of {a} and {b}, which is higher at {item}?|"
        "Compare {a} and {b} at {item}: which is larger?|Does {a} or {b} have more for {item}?"
    ),
    "lines_cross": (
        "Do the lines of {a} and {b} cross?|Does {a} cross {b}?|Do {a} and {b} cross each other?|Is there a crossing of {a} and {b}?|"
        "Do the lines {a} and {b} meet?|Does the line of {a} cross that of {b}?|Are there crossings between {a} and {b}?|"
        "Is one of {a} and {b} not always on top?"
    ),
    "first_above": (
        "When is {a} above {b} for the first time?|Where does {a} overtake {b}?|From where on is {a} higher than {b}?|"
        "At which point is {a} first above {b}?|What is the first point where {a} is higher than {b}?|When does {a} pass {b}?|"
        "Where is {a} first larger than {b}?|After crossing {b}, where is {a} first seen above it?"
    ),
    "part_there": (
        "Is there a value for {item}?|Is {item} in the chart?|Does the chart show {item}?|Is {item} shown?|"
        "Can you find {item} in the chart?|Does {item} appear in the chart?|Is {item} one of the {parts}?|"
        "Does the chart have an entry for {item}?|Is there {item}?"
    ),
}
