"""How far two computations of the same thing may lie apart: one table for the whole suite.

Absolute differences unless a name says otherwise. "Noise" is what a correct fp32 computation in another order of summation gives;
the tolerance stands a small factor above it and below the mistakes it must show (MODEL_SPEC §7, "How visible is each mistake?").
"""

# Whole network in fp32 against another implementation. Noise: features 4e-6 at a scale of 4, logits 2.2e-5 at a scale of 5 to 7, of
# which each side contributes half: both lie about 1e-5 from fp64.
IMAGE_FEATURES = 1e-5
LOGITS = 3e-5

# One module in fp32 against fp64, relative to the largest expected value. Noise: 8e-7. An epsilon or a GELU variant shows at 1e-4.
MODULE_RELATIVE = 3e-6

# The same network cut differently: packed or alone, in chunks, token by token, absorbed or expanded. Noise: 6e-6 at a scale of 4.
REGROUPED = 2e-5

# One operation against its fp64 formula, relative to the largest expected value, by the dtype of the tensors.
# bf16 keeps 8 significant bits: rounding the probabilities, then the output, costs up to 2^-8 each.
OPERATION_RELATIVE = {"float32": 3e-6, "bfloat16": 1.2e-2}
# How far outside of a token's interval of cumulative probability the number may lie that draws it. Noise: 5e-8 at 300 tokens.
DRAWN_MASS = 1e-5
# Logits of toy networks with weights in fp8, tokens rounded to fp8 as well, against the same weights and fp32 tokens; of the norm, for the
# middle one of many tokens. Measured 0.03 to 0.04 with the experts' tokens rounded, and 0.10 on an H100, where every product rounds them.
FP8_LOGITS_RELATIVE = 0.15
GRADIENT_RELATIVE = 3e-6  # noise 2e-7; fp32, against autograd through the fp64 formula

# Position table in fp32 against torch's own interpolation of a table of values in [-1, 1].
POSITION_TABLE = 2e-6

# bf16 against fp32 on toy networks with random weights. Measured over eight seeds: features 0.9 to 1.1 %, equal first choice 90 to
# 97 %, mean KL 0.0004 to 0.016 nats. The large differences are single tokens whose router changed its mind.
BF16_FEATURES_RELATIVE = 0.02  # of the norm
BF16_TOP1_AGREEMENT = 0.85
BF16_MEAN_KL = 0.03
BF16_SAME_EXPERTS_LOGITS = 0.2  # tokens whose experts are the same in every layer; measured 0.08 to 0.14
