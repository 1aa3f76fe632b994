"""The interface of OpenAI's clients."""
