"""How people ask about clips. `asked` is a question's clause ("does the star appear"), `told` the same as a statement."""

VIDEO_WORDINGS = {
    "when": (
        "When {asked}?|At [what/which] time {asked}?|Give the time at which {told}.|[What is/What's] the time when {told}?|"
        "[Tell me/Say/Note down/Write down] when {told}.|Find the [moment/time/frame] when {told}.|"
        "From which time on can one see that {told}?|In which frame {asked} first?|[Name/Give] the time of the first frame where {told}.|"
        "When exactly {asked}?|At which timestamp {asked}?|[I want/I need] to know when {told}.|How far into the clip {asked}?|"
        "When in the video {asked}?|Please look for the moment when {told}.|Since when can one see that {told}?|Timestamp when {told}?"
    ),
    "when_shows": (
        "When does the {thing} first show {value}?|At [what/which] time does the {thing} [show/reach] {value}?|"
        "When does the {thing} reach {value}?|Find the first [frame/time] in which the {thing} shows {value}.|"
        "At which time is {value} shown for the first time?|From when on does the {thing} show {value}?|"
        "When [do you first see/is the first] {value}?|Give the time at which the {thing} gets to {value}.|"
        "[Tell me/Say/Note down] when the {thing} shows {value}.|In which frame does the {thing} first show {value}?|"
        "When does {value} appear on the {thing}?|[I want/I need] to know when the {thing} shows {value}.|"
        "At which timestamp is the {thing} at {value}?"
    ),
    "at_time": (
        "What [happens/is happening/takes place/goes on] at {time}?|What can be seen to happen at {time}?|Which event is at {time}?|"
        "[Describe/Tell me/Say] what happens at {time}.|What is new in the frame at {time}?|{time}: what happens?|"
        "Look at {time}. What happens [there/then]?|What do you see happen at {time}?|What has just happened at {time}?|"
        "What is the event at {time}?|[Name/Give] the event at {time}.|At {time}, what happens?|What occurs at {time}?|"
        "What does the frame at {time} show that the one before did not?|Please tell me what happens at {time}."
    ),
    "between": (
        "What [changes/happens/goes on/takes place] between {a} and {b}?|What is different at {b} compared with {a}?|"
        "From {a} to {b}, what [changes/happens]?|Describe what [happens/changes] from {a} to {b}.|What has changed at {b} since {a}?|"
        "Which changes do you see between {a} and {b}?|Compare {a} and {b}: what changed?|"
        "Tell me what [changes/happens] between {a} and {b}.|Between {a} and {b}, what [happens/changes]?|"
        "What do you see happen from {a} to {b}?|Compare the frames at {a} and {b}. What has changed?|What happened from {a} until {b}?|"
        "List what happens between {a} and {b}."
    ),
    "first_of": (
        "What [comes/happens/is] first: {a} or {b}?|Which [happens/comes] first, {a} or {b}?|What is earlier: {a}, or {b}?|"
        "Which of the two [is/comes/happens] first: {a} or {b}?|Which event comes before the other: {a} or {b}?|"
        "What happens earlier, {a} or {b}?|Two things happen: {a}, and {b}. Which is first?|Tell me what is first: {a} or {b}.|"
        "{a}, or {b}: which is [first/earlier]?|Which is the earlier event: {a}, or {b}?|Is it first that {a}, or that {b}?|"
        "I see two things: {a}, and {b}. Which came first?|Put in order: {a}, {b}. Which is first?|Which one is first: {a}, or {b}?"
    ),
    "later_of": (
        "What [comes/happens/is] last: {a} or {b}?|Which [happens/comes] later, {a} or {b}?|What is later: {a}, or {b}?|"
        "Which of the two [is/comes/happens] later: {a} or {b}?|Which event comes after the other: {a} or {b}?|"
        "What happens second, {a} or {b}?|Two things happen: {a}, and {b}. Which is later?|Tell me what is later: {a} or {b}.|"
        "{a}, or {b}: which is [later/second]?|Which is the later event: {a}, or {b}?|I see two things: {a}, and {b}. Which came later?|"
        "Put in order: {a}, {b}. Which is second?|Which one is last: {a}, or {b}?|What is the later one of these: {a}, {b}?"
    ),
    "is_before": (
        "Is it [true/right/correct] that {a} before {b}?|Would you say that {a} before {b}?|{a} before {b}. Is that [right/true/so]?|"
        "Do you see that {a} before {b}?|Can you confirm that {a} before {b}?|{a} before {b}, [correct/right]?|"
        "Is this the order: {a}, then {b}?|First {a}, then {b}. Is that [so/right/true]?|First {a}, and after that {b}. True?|"
        "True or false, yes or no: {a} before {b}?|Check this: {a} before {b}. Yes or no?|Is the order so: first {a}, then {b}?|"
        "Have I got it right that {a} before {b}?"
    ),
    "list_events": (
        "[List/Give/Write down/Name] the events in order.|What happens in this [clip/video]? List the events.|"
        "List what happens with [its times/the times/timestamps].|[Describe/Summarise/Tell] the [clip/video] step by step.|"
        "Give all events in their order.|What happens, and when?|Summarise the [video/clip] with times.|Make a list of what happens.|"
        "Write down everything that happens in order.|Which events are there, in order?|What happens one after the other?|"
        "Make a timeline of the [clip/video].|Log the events with their times."
    ),
    "next_event": (
        "What happens [right/directly/immediately] after {told}?|What [is/comes] next after {told}?|After {told}, what happens next?|"
        "Which event follows when {told}?|What comes right after this: {told}?|"
        "What is the next thing [that happens/to happen] after {told}?|First {told}. What then?|What happens next, once {told}?|"
        "Once {told}, what is next?|[Tell me/Say] what happens next after {told}.|Which event comes directly after {told}?|"
        "After {told}, what is the next event?|What follows after {told}?|{told}. And then?|What is the event after the one where {told}?"
    ),
    "last_event": (
        "What is the last thing that happens?|What happens [last/at last/last of all]?|What is the [final/last] event?|"
        "Which event is the last one?|[Describe/Name/Tell me/Give] the [last/final] event.|What is the last change?|"
        "How does the clip end, what is the last event?|What comes last of all?|What is the last event of the [clip/video]?|"
        "What happens at the end of all?|After what does nothing more happen?"
    ),
    "first_event": (
        "What is the first thing that happens?|What happens [first/first of all]?|What is the [first/very first] event?|"
        "Which event is the first one?|[Describe/Name/Tell me/Give] the [first/very first] event.|What is the first change?|"
        "How does the action begin?|What comes first of all?|What is the first event of the [clip/video]?|With what does it begin?|"
        "What is the first that one sees happen?|Before what does nothing happen?"
    ),
    "how_often": (
        "How many times {asked}?|How often {asked}?|Count how [often/many times] {told}.|In this [clip/video], how often {asked}?|"
        "How many times can you see that {told}?|[Tell me/Say] how [many times/often] {told}.|What is the number of times that {told}?|"
        "In the whole [clip/video], how many times {asked}?|How often can one see that {told}?|How many times in all {asked}?|"
        "Altogether, how often {asked}?|Please count: how often {asked}?|[I want/I need] to know how often {told}."
    ),
    "how_long": (
        "How much time passes from when {a} until {b}?|How long is it [between when {a} and when {b}/from when {a} until {b}]?|"
        "How many seconds [lie/are] between these: {a}, and {b}?|First {a}, later {b}. How long is that?|"
        "How long does it take from when {a} until {b}?|How [many seconds/long] after {a} is it that {b}?|"
        "What is the time from when {a} to when {b}?|Work out the time between the two: {a}, and {b}.|"
        "[Calculate/Compute/Tell me] the time from when {a} until {b}.|How many seconds pass between when {a} and when {b}?|"
        "{a}, and later {b}. How many seconds are between?|After {a}, how long is it until {b}?|"
        "How many seconds is it from when {a} until {b}?|What is the difference in time between these: {a}, and {b}?|"
        "How long after {a} is it until {b}?"
    ),
    "shapes_then": (
        "How many [shapes/objects/figures] are there {when}?|How many [shapes/objects] do you see {when}?|"
        "Count the [shapes/objects/figures] {when}.|How many shapes does it show {when}?|How many shapes can be seen {when}?|"
        "[What is/What's] the number of [shapes/objects] {when}?|[Tell me/Say] how many shapes there are {when}.|"
        "How many shapes are in the picture {when}?|Please count the [shapes/objects] {when}.|How many shapes are visible {when}?"
    ),
    "colour_then": (
        "What [colour/color] is the {thing} {when}?|Which [colour/color] does the {thing} have {when}?|"
        "What is the [colour/color] of the {thing} {when}?|In which [colour/color] do you see the {thing} {when}?|"
        "[Tell me/Say/Give/Name] the colour of the {thing} {when}.|Colour of the {thing} {when}?|"
        "Name the [colour/color] that the {thing} has {when}.|[Look at the {thing}/See the {thing}] {when}. What colour is it?|"
        "[I want/I need] to know the colour of the {thing} {when}.|How is the {thing} coloured {when}?"
    ),
    "shows_then": (
        "What does the {thing} [show/say/read] {when}?|[What is/What's] the {thing} {when}?|Read the {thing} {when}.|"
        "Which value does the {thing} [show/have] {when}?|What can be read on the {thing} {when}?|"
        "[Tell me/Say/Give] what the {thing} shows {when}.|What is shown by the {thing} {when}?|What value is on the {thing} {when}?|"
        "Please read the {thing} {when}.|Look at the {thing} {when}. What does it [show/say]?|"
        "[I want/I need] to know what the {thing} shows {when}.|How much does the {thing} show {when}?"
    ),
    "text_then": (
        "What is written {when}?|[Which/What] text is shown {when}?|[Read/Transcribe/Give me] the text {when}.|What does it say {when}?|"
        "[What/Which] text do you see {when}?|Which words can be read {when}?|[Tell me/Say] the text {when}.|"
        "What words are on the screen {when}?|What does the subtitle say {when}?|Read the subtitle {when}.|"
        "Which subtitle is shown {when}?|What can you read {when}?|Which line of text is there {when}?|What is the text {when}?|"
        "Write down the words that are shown {when}."
    ),
    "title_then": (
        "[What is/What's/Which is] the title {when}?|Which [title/heading] is shown {when}?|Read the [title/heading] {when}.|"
        "What is the heading {when}?|Which [heading/title] do you see {when}?|What does the [title/heading] say {when}?|"
        "[Tell me/Give/Say] the title {when}.|What is the large text {when}?|Read the large text {when}.|"
        "What is on the card {when} as its title?|Which title can be read {when}?|What is the slide called {when}?"
    ),
    "detail_then": (
        "What is written below the title {when}?|What does the line below the [title/heading] say {when}?|"
        "Read the [smaller/second/lower] line {when}.|Which text stands below the [title/heading] {when}?|What is the small text {when}?|"
        "Read what is below the [heading/title] {when}.|What does the [second/lower/smaller] line say {when}?|"
        "Tell me the line below the title {when}.|What can be read below the title {when}?|Give the small text {when}.|"
        "What stands under the [title/heading] {when}?|Read the small text {when}."
    ),
    "dialog_then": (
        "What does the [dialog/dialog box] say {when}?|Read the message in the dialog {when}.|Which message is in the dialog {when}?|"
        "What is written in the [dialog/dialog box] {when}?|What text does the dialog show {when}?|"
        "[Tell me/Say] what the dialog says {when}.|What message does the dialog [contain/show] {when}?|"
        "Read the text of the dialog {when}.|What is the message of the [dialog/dialog box] {when}?|"
        "[Transcribe/Give] the message in the dialog {when}.|Which words are in the dialog {when}?|"
        "What does the open dialog tell me {when}?|Read the dialog's message {when}.|What is the text in the dialog {when}?"
    ),
    "on_then": (
        'Is "{thing}" [on/set/active] {when}?|Is {thing} [switched on/on/set] {when}?|Is the box or switch {thing} on {when}?|'
        "Would you say {thing} is on {when}?|Is the option {thing} [active/on/set] {when}?|Is {thing} enabled {when}?|"
        'Does the screen show "{thing}" as on {when}?|{thing} {when}: is it on?|Look at {thing} {when}. Is it on?|'
        "[Tell me/Say] whether {thing} is on {when}.|Is {thing} on or not {when}, yes or no?|Has {thing} been switched on {when}?|"
        "What about {thing} {when}, is it on?"
    ),
    "options_then": (
        "How many options are [on/set/active] {when}?|How many options are ticked or switched on {when}?|"
        "Count the active options {when}.|How many of the options are [on/set/active] {when}?|"
        "What is the number of active options {when}?|How many options do you see switched on {when}?|"
        "[Tell me/Say] how many options are [on/set] {when}.|Count the options that are on {when}.|"
        "What is the number of options that are on {when}?|How many switches or boxes are on {when}?|"
        "How many of the boxes or switches are set {when}?|Of all the options, how many are on {when}?|"
        "How many options have been switched on {when}?"
    ),
    "field_then": (
        'What is in the field "{thing}" {when}?|What does the {thing} field [contain/say/show] {when}?|Read the field {thing} {when}.|'
        "What has been typed into {thing} {when}?|Which text is in the {thing} field {when}?|What does {thing} say {when}?|"
        'What is entered under "{thing}" {when}?|[Tell me/Say] what {thing} contains {when}.|What stands in the field {thing} {when}?|'
        "Read the {thing} field {when}.|Which text has been typed into {thing} {when}?|"
        "[Give/Read/Transcribe] the content of {thing} {when}.|What can be read in {thing} {when}?|What is the value of {thing} {when}?|"
        "What has been entered into {thing} {when}?"
    ),
    "text_after": (
        'Which text comes after "{text}"?|What is the next text after "{text}"?|What does it say [after/next after] "{text}"?|'
        'What is written after "{text}"?|Which words follow "{text}"?|What text [follows/comes after] "{text}"?|'
        '"{text}": what comes next?|Read the words that come after "{text}".|After "{text}", what is shown?|'
        'Which [text/title or subtitle] is next after "{text}"?|First it says "{text}". And then?|What replaces "{text}"?|'
        'By what is "{text}" followed?|[Tell me/Give] the text that follows "{text}".|What text is shown next, after "{text}"?|'
        'After "{text}", which text is next?'
    ),
    "frame_count": (
        "How many [frames/pictures/images] are there?|Count the [frames/pictures].|"
        "How many [frames/pictures] does the [clip/video] have?|How many frames do you see?|[What is/What's] the number of frames?|"
        "Of how many frames is this [clip/video] made?|[Tell me/Say] how many frames there are.|"
        "How many frames make up the [clip/video]?|Please count the frames.|How many frames in all?"
    ),
    "last_time": (
        "[What is/What's] the time of the last frame?|When is the last frame?|At what time does the [clip/video] end?|"
        "Until when do the frames go?|Which time does the last frame have?|What is the last time shown?|When does the [clip/video] end?|"
        "Give the time of the [final/last] frame.|What is the [last/final] timestamp?|Read the time of the [last/final] frame.|"
        "Until what time does the [clip/video] run?|At which time is the [last/final] frame?"
    ),
}
