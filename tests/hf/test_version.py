"""Which transformers is taken. Nothing here imports it: `import kimi_vl.hf` asks for the version first."""

import subprocess
import sys

import pytest

SCRIPT = """
import importlib.metadata
def version(name):
    if {found!r} is None:
        raise importlib.metadata.PackageNotFoundError(name)
    return {found!r}
importlib.metadata.version = version
sys = __import__("sys")
try:
    import kimi_vl.hf
except ImportError as error:
    raise SystemExit("an ImportError: " + str(error))
except Exception as error:
    print(type(error).__name__, error)
print([name for name in ("transformers", "torch") if name in sys.modules])
"""


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (None, "and transformers is not installed"),
        ("4.57.6", "and transformers 4.57.6 is installed"),
        ("5.16.1", "and transformers 5.16.1 is installed"),
        ("6.0.0.dev0", "and transformers 6.0.0.dev0 is installed"),
        ("nonsense", "and transformers nonsense is installed"),
    ],
)
def test_a_transformers_that_is_missing_too_old_or_too_new_is_one_error_that_names_the_range(found, said):
    done = subprocess.run([sys.executable, "-c", SCRIPT.format(found=found)], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines() == [
        f"ImplementationUnavailable kimi_vl.hf needs transformers>=5.17,<6, {said}; pip install 'kimi-vl[hf]'",
        "[]",
    ]
