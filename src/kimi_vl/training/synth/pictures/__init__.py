"""Pictures without a document: shapes, icons and nothing at all, and what can be asked about them."""
