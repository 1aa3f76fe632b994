"""How people ask: a table of wordings for every kind of picture or text, and all of them together."""
