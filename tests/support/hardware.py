"""What this machine has."""


def has_cuda() -> bool:
    "Whether torch finds a CUDA device; torch is imported only when a test asks."
    import torch

    return torch.cuda.is_available()
