"""Printed documents: lines, paragraphs, receipts, papers, tickets, pages and tables, and what can be asked about them."""
