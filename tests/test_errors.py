"""The exception tree: one base, each branch also a standard error, so that callers need not know this package to catch it."""

import ast
import inspect
import re

import pytest

from kimi_vl import errors

STANDARD = {
    "ConfigError": ValueError,
    "CheckpointError": RuntimeError,
    "InputError": ValueError,
    "PromptTooLong": ValueError,
    "MediaError": ValueError,
    "ShapeError": ValueError,
    "ImplementationUnavailable": RuntimeError,
    "CapacityError": RuntimeError,
    "EngineBusy": RuntimeError,
    "RequestFailed": RuntimeError,
    "EngineStopped": RuntimeError,
}
CLASSES = {name: value for name, value in vars(errors).items() if inspect.isclass(value)}


@pytest.mark.parametrize("name", STANDARD)
def test_each_error_is_caught_as_the_package_base_and_as_the_standard_error(name):
    with pytest.raises(errors.KimiVLError):
        raise CLASSES[name](1, 1) if name == "PromptTooLong" else CLASSES[name]("what is wrong")
    assert issubclass(CLASSES[name], STANDARD[name])


def test_no_error_stands_outside_the_list():
    assert set(CLASSES) == {"KimiVLError", *STANDARD}
    assert not issubclass(errors.KimiVLError, (ValueError, RuntimeError))


def test_what_the_caller_passed_is_told_apart_from_what_the_checkpoint_holds():
    assert issubclass(errors.PromptTooLong, errors.InputError)
    assert issubclass(errors.MediaError, errors.InputError)
    assert not issubclass(errors.CheckpointError, errors.InputError)
    assert not issubclass(errors.ConfigError, errors.InputError)


def test_a_prompt_too_long_carries_its_numbers_and_says_what_to_do():
    error = errors.PromptTooLong(131073, 131072)
    assert (error.num_tokens, error.limit) == (131073, 131072)
    assert str(error).startswith("the prompt has 131,073 tokens and this model takes 131,072; shorten")


def test_the_drawn_tree_is_the_tree():
    drawn = set(re.findall(r"^\s+[│├└─ ]*(\w+)", errors.__doc__, flags=re.MULTILINE))
    assert set(CLASSES) <= drawn


def test_the_module_of_the_errors_imports_nothing():
    tree = ast.parse(inspect.getsource(errors))
    assert not [node for node in ast.walk(tree) if isinstance(node, (ast.Import, ast.ImportFrom))]
