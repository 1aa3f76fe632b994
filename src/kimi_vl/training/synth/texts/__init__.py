"""Long texts, documents of several pages and short dialogues: facts hidden in them, and how these are asked for."""
