"""What every test starts from: one thread, one seed, and the toy network the golden numbers belong to."""

import pytest
import torch

from tests import interpreter

interpreter.turn_on()  # before the package defines its kernels

from kimi_vl.model import KimiVLForConditionalGeneration  # noqa: E402
from tests.parity.networks import Case, golden_case  # noqa: E402

torch.set_num_threads(1)


# Where there is no GPU, torch.manual_seed would write down its caller's stack for each kind of device that is not there, before each of
# seven thousand tests.
seed = torch.manual_seed if torch.cuda.is_available() else torch.default_generator.manual_seed


@pytest.fixture(autouse=True)
def _seeded():
    seed(0)


@pytest.fixture(scope="session")
def golden() -> Case:
    """Toy weights and inputs with two images, and the reference's answers."""
    return golden_case()


@pytest.fixture
def tiny_model(golden: Case) -> KimiVLForConditionalGeneration:
    """Our network with the golden weights, fp32, built anew for each test."""
    return golden.model()
