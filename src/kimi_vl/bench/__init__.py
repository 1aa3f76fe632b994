"""Measures this machine with this model: how fast, how near to the limit, and beside what others were measured to reach."""
