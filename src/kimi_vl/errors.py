"""What can go wrong, as one tree.

    KimiVLError
    ├── ConfigError (ValueError)          a config.json with a bad, missing or unknown key
    ├── CheckpointError (RuntimeError)    weights that are missing, unexpected, misshapen or unsafe to read
    ├── InputError (ValueError)           the caller's messages, parameters or files
    │   ├── PromptTooLong                 carries num_tokens and limit
    │   └── MediaError                    unreadable, unsupported or too large a picture
    ├── ShapeError (ValueError)           tensors that break an operation's contract
    ├── ImplementationUnavailable (RuntimeError)   an implementation asked for by name cannot run here
    ├── CapacityError (RuntimeError)      it can never fit, as opposed to "wait"
    ├── EngineBusy (RuntimeError)         it would fit, and too many are waiting already
    ├── RequestFailed (RuntimeError)      a fault while this request was computed or read; the others go on
    └── EngineStopped (RuntimeError)      the engine was stopped, or has failed

Each refines a standard error, so callers need not import this module to catch them. A message says what is wrong,
which value was met, what would be right and, where there is one, the next step. This module imports nothing.
"""


class KimiVLError(Exception):
    """Base of every error this package raises on purpose."""


class ConfigError(KimiVLError, ValueError):
    """A configuration with a bad, missing or unknown key."""


class CheckpointError(KimiVLError, RuntimeError):
    """Weights that are missing, unexpected, misshapen or not safe to read."""


class InputError(KimiVLError, ValueError):
    """Something the caller passed in: messages, sampling parameters, files."""


class PromptTooLong(InputError):
    """The prompt does not fit the model's context."""

    def __init__(self, num_tokens: int, limit: int) -> None:
        super().__init__(
            f"the prompt has {num_tokens:,} tokens and this model takes {limit:,}; shorten the text or pass fewer or smaller images"
        )
        self.num_tokens = num_tokens
        self.limit = limit


class MediaError(InputError):
    """A file that is unreadable, of an unsupported kind, or larger than the limits.

    `code` is the short name that programs go by, from the table of the error contract (RELIABILITY 2.0).
    """

    def __init__(self, message: str, code: str = "invalid_media") -> None:
        super().__init__(message)
        self.code = code


class ShapeError(KimiVLError, ValueError):
    """Tensors that break an operation's contract."""


class ImplementationUnavailable(KimiVLError, RuntimeError):
    """An implementation the caller named cannot run here; the message carries the reason."""


class CapacityError(KimiVLError, RuntimeError):
    """The request or model can never fit on this machine."""


class EngineBusy(KimiVLError, RuntimeError):
    """Too many requests are waiting; the same one may be accepted in a moment."""


class RequestFailed(KimiVLError, RuntimeError):
    """Something went wrong that nobody foresaw, with this request alone; the cause is chained."""


class EngineStopped(KimiVLError, RuntimeError):
    """The engine takes no requests any more, or could not finish this one."""
