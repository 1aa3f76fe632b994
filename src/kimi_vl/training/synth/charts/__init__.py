"""Charts: what they show, how they are painted, and what can be asked about them."""
