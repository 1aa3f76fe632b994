"""Which releases of transformers this package works with. Imports none of it."""

from __future__ import annotations

import re
from importlib.metadata import PackageNotFoundError, version

from kimi_vl.errors import ImplementationUnavailable

OLDEST, BELOW = (5, 17), (6, 0)
RANGE = "transformers>=5.17,<6"
INSTALL = "pip install 'kimi-vl[hf]'"


def check_transformers() -> None:
    """Raises: ImplementationUnavailable naming the range, where transformers is missing, too old or too new."""
    try:
        found = version("transformers")
    except PackageNotFoundError:
        raise ImplementationUnavailable(f"kimi_vl.hf needs {RANGE}, and transformers is not installed; {INSTALL}") from None
    number = re.match(r"(\d+)\.(\d+)", found)
    if number is None or not OLDEST <= (int(number[1]), int(number[2])) < BELOW:
        raise ImplementationUnavailable(f"kimi_vl.hf needs {RANGE}, and transformers {found} is installed; {INSTALL}")
