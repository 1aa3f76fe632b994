"""How people ask about windows on a screen."""

SCREEN_WORDINGS = {
    "click": (
        "Click the {thing}.|Where do I click for the {thing}?|Point at the {thing}.|Click on the {thing}.|Tap the {thing}.|"
        "Where is the {thing}? Answer with a point.|Which point should I click to use the {thing}?|Select the {thing}.|"
        "Show me where to click for the {thing}.|Move the mouse to the {thing}.|Where should I click for the {thing}?|"
        "Give me the point to click for the {thing}.|I want to use the {thing}. Where do I click?|At which point is the {thing}?"
    ),
    "click_button": (
        "Click the {label} button.|Press {label}.|Press the {label} button.|Click {label}.|Where do I click for {label}?|"
        "Hit {label}.|Push the {label} button.|Tap {label}.|Click on {label}."
    ),
    "click_icon": (
        "Click the {label} icon.|Press the {label} icon.|Where is the {label} icon? Answer with a point.|Tap the {label} icon.|"
        "Click the icon for {label}.|Point at the {label} icon.|Find the {label} icon and click it.|"
        "Which point is on the {label} icon?|Click the {label} button."
    ),
    "click_toggle": (
        "Turn {label} {state}.|Switch {label} {state}.|Where do I click to turn {label} {state}?|Click to turn {state} {label}.|"
        "I want {label} {state}. Where do I click?|Set {label} to {state}.|Change {label}.|Toggle {label}.|Click {label}."
    ),
    "click_field": (
        "Click into the {label} field.|Where do I type the {label}?|Put the cursor into the {label} field.|"
        "Where can I enter the {label}?|Click the field for {label}.|I want to change {label}. Where do I click?|"
        "Focus the {label} field.|Which point do I click to fill in {label}?"
    ),
    "widget_at": (
        "What is at {where}?|Which widget is at {where}?|What would I click at {where}?|What control is at {where}?|"
        "What do I hit when I click {where}?|Name the widget at {where}.|What is located at {where}?|Tell me what is at {where}."
    ),
    "is_on": (
        "Is {label} on?|Is {label} turned on?|Is {label} switched on?|Has {label} been turned on?|Is the {label} switch on?|"
        "Is {label} active?|Did somebody turn {label} on?|Is the switch for {label} on?"
    ),
    "is_checked": (
        "Is {label} checked?|Is the {label} box checked?|Is {label} ticked?|Is there a mark at {label}?|Has {label} been checked?|"
        "Is the check box {label} ticked?|Is {label} selected?|Is the {label} check box on?"
    ),
    "is_selected": (
        "Is {label} selected?|Is the {thing} selected?|Is {label} the one that is chosen?|Is the {thing} the chosen one?|"
        "Has {label} been chosen?|Is the {thing} active?|Is it {label} that is marked?|Is the {thing} marked?"
    ),
    "chosen_option": (
        "Which option is selected for {label}?|What is {label} set to?|What is selected for {label}?|Which {label} is chosen?|"
        "What is the chosen {label}?|Which option of {label} is on?|What does {label} say?|What has been picked for {label}?"
    ),
    "open_tab": (
        "Which tab is open?|What tab is selected?|Which tab is active?|Which tab am I on?|What is the current tab?|"
        "Name the selected tab.|Which of the tabs is open?|What tab is shown?"
    ),
    "open_entry": (
        "Which entry of the side bar is open?|What is selected in the side bar?|Which page is open?|Which page am I on?|"
        "What is the current page?|Name the selected entry of the side bar.|Which side bar entry is active?|Which section is shown?"
    ),
    "chosen_row": (
        "Which row is selected?|What is selected in the list?|Which item is highlighted?|Which entry is chosen?|"
        "What is the selected item?|Which line of the list is marked?|Name the highlighted row.|Which list item is active?"
    ),
    "is_enabled": (
        "Is the {thing} enabled?|Can I use the {thing}?|Is the {thing} available?|Can the {thing} be clicked?|"
        "Is the {thing} active and not greyed out?|Does the {thing} work right now?|Is it possible to click the {thing}?|"
        "May I click the {thing}?"
    ),
    "list_checked": (
        "Which boxes are checked?|List the checked boxes.|Which check boxes are ticked?|What is checked?|"
        "Name all checked options.|Which options are ticked?|Which of the check boxes are on?|Tell me what is ticked."
    ),
    "list_on": (
        "Which switches are on?|List the switches that are on.|What is switched on?|Which options are turned on?|"
        "Name all switches that are on.|Which of the switches are on?|What has been turned on?|Tell me which switches are on."
    ),
    "field_text": (
        "What is in the {label} field?|What does the {label} field say?|Read the {label} field.|What has been entered for {label}?|"
        "What is typed into {label}?|Which text is in the {label} field?|What stands in the field {label}?|"
        "What is the content of the {label} field?"
    ),
    "level": (
        "What is {label} set to?|How high is {label}?|What does {label} show?|At what percentage is {label}?|"
        "What is the value of {label}?|How many percent is {label}?|Where is {label} at?|Read the value of {label}."
    ),
    "row_detail": (
        "What is next to {label}?|What is listed for {label}?|What stands beside {label}?|What does the row {label} say on the right?|"
        "Which detail is given for {label}?|What is shown for {label}?|Read what is right of {label}.|"
        "What is at the end of the row {label}?"
    ),
    "window_title": (
        "What is the title of the window?|What is this window called?|What does the title bar say?|Read the window's title.|"
        "Which title does the window have?|What's the window title?|Which window is this?|What is written in the title bar?"
    ),
    "status_bar": (
        "What does the status bar say?|What is in the status bar?|Read the status bar.|What is the status?|"
        "Which text is in the status bar?|What is written at the foot of the window?|What's the status line?|"
        "What message is in the status bar?"
    ),
    "message": (
        "What is the message?|What does the message say?|Read the message.|What does the window tell me?|"
        "Which message is shown?|Transcribe the message.|What text is in the dialog?|What is the text of the message?"
    ),
    "list_widgets": (
        "Which {things} are there?|List the {things}.|What {things} do you see?|Name all {things}.|Which {things} are shown?|"
        "What are the {things} called?|Give me the labels of the {things}.|Read the {things}.|Tell me which {things} there are."
    ),
    "count_widgets": (
        "How many {things} are there?|Count the {things}.|How many {things} do you see?|What is the number of {things}?|"
        "How many {things} does the window have?|How many {things} are shown?|Tell me how many {things} there are.|How many {things}?"
    ),
}
