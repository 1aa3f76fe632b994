"""Operations as Triton kernels, one file each. They know tensors and numbers; when they are chosen is `ops.registry`'s to say."""
