"""The server: OpenAI's interface and a page for people, around any `ChatModel`."""

from kimi_vl.server.app import create_app
from kimi_vl.server.options import ServerOptions

__all__ = ["ServerOptions", "create_app"]
