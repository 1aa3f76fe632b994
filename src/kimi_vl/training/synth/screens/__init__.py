"""Screens: windows and web pages, and what can be asked about them."""
