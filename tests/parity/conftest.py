"""Parity with the official code is a matter of numbers: one thread, so that they repeat."""

import pytest
import torch


@pytest.fixture(autouse=True)
def one_thread():
    "Run a test with one thread and without gradients."
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    with torch.no_grad():
        yield
    torch.set_num_threads(threads)
