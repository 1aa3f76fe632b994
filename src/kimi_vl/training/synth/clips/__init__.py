"""Short clips: what changes from frame to frame, and what can be asked about it."""
