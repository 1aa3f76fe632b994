"""The old interface of Cog. Cog reads the signature as text, so the inputs stand here and in run.py."""

from typing import Optional

from adapter import Adapter
from cog import BasePredictor, ConcatenateIterator, Input, Path


class Predictor(BasePredictor):
    """Kimi-VL: a question about pictures, a video or a PDF; the answer as it is written."""

    def setup(self) -> None:
        """Load the variant that the environment names."""
        self.adapter = Adapter()

    def predict(
        self,
        prompt: str = Input(description="The question"),
        image: Optional[Path] = Input(description="A picture", default=None),
        top_p: float = Input(description="Nucleus sampling", default=1.0, ge=0.0, le=1.0),
        temperature: float = Input(description="0 is the likeliest token", default=0.6, ge=0.0, le=2.0),
        max_length_tokens: int = Input(description="Tokens of thought and answer together", default=2048, ge=1),
        images: Optional[list[Path]] = Input(description="More pictures", default=None),
        video: Optional[Path] = Input(description="A video", default=None),
        pdf: Optional[Path] = Input(description="A PDF", default=None),
        variant: str = Input(
            description="By default the one that is loaded", default="", choices=["", "thinking-2506", "thinking", "instruct", "nano"]
        ),
        thinking: str = Input(description="auto: the model decides", default="auto", choices=["auto", "on", "off"]),
        max_thinking_tokens: Optional[int] = Input(description="Tokens of thought at most", default=None, ge=0),
        schema: Optional[str] = Input(description="JSON schema that the answer keeps to", default=None),
        seed: Optional[int] = Input(description="The same seed, the same answer", default=None, ge=0),
    ) -> ConcatenateIterator[str]:
        """Answer, piece by piece."""
        yield from self.adapter.stream(
            prompt,
            image=image,
            images=images,
            video=video,
            pdf=pdf,
            variant=variant,
            top_p=top_p,
            temperature=temperature,
            max_tokens=max_length_tokens,
            thinking=thinking,
            max_thinking_tokens=max_thinking_tokens,
            schema=schema,
            seed=seed,
        )
