"""What Anthropic's clients ask: its words for a chat, answered by the same path as OpenAI's."""
