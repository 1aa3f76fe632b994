"""`/v1/models`: what there is, and what it can do."""

from __future__ import annotations

from typing import Any

from kimi_vl.server.service import Service


def model(service: Service) -> dict[str, Any]:
    """OpenAI's keys, and what a page or client wants to know beside them."""
    defaults = service.model.defaults
    return {
        "id": service.name,
        "object": "model",
        "created": service.started,
        "owned_by": "kimi-vl",
        "context_length": service.model.context,
        "max_model_len": service.model.context,
        "thinking": service.model.thinks,
        "modalities": ["text", "image", "video", "document"],
        "defaults": {"temperature": defaults.temperature, "top_p": defaults.top_p, "max_tokens": defaults.max_tokens},
    }


def models(service: Service) -> dict[str, Any]:
    """The one there is."""
    return {"object": "list", "data": [model(service)]}
