"""Synthetic documents: the data pack they are drawn from, the renderers and the tasks."""
