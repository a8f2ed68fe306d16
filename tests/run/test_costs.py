"The costs of a training step: of every method that there is, memory to the byte."

import pytest
import torch
from torch import nn

from animlib.core import InputError
from animlib.models.names import method_names
from animlib.run.costs import kept_bytes, step_costs, training_step


def test_every_method_has_a_cost(tmp_path, monkeypatch):
    "Methods with a discriminator and with groups of sources, too; nothing is left in the folder."
    monkeypatch.chdir(tmp_path)
    costs = step_costs("toy", batch=2, rounds=1, device="cpu", progress=False)

    assert set(costs) == set(method_names()) and next(iter(costs)) == "fomm"
    assert all(c.weights > 1000 and c.kept > 100_000 and c.ratio > 0 for c in costs.values())
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("method", ["fomm", "monkeynet"])
def test_memory_grows_with_the_batch(method):
    small, large = (
        kept_bytes(training_step(method, "toy", "cpu", batch=batch)[0]) for batch in (2, 8)
    )
    assert 2.5 < large / small < 4.1


def test_bf16_keeps_half():
    conv = nn.Conv2d(4, 4, 3, padding=1, bias=False)
    x = torch.rand(1, 4, 64, 64)

    def way(enabled):
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            conv(x.square())

    assert kept_bytes(lambda: way(False)) > 1.9 * kept_bytes(lambda: way(True))


def test_a_discriminator_costs_time_and_memory():
    names = {"loss.adversarial": 0.0, "loss.matching": 0.0, "loss.matching_last": 0.0}
    with_one = training_step("monkeynet", "toy", "cpu", batch=2)[0]
    without = training_step("monkeynet", "toy", "cpu", batch=2, **names)[0]

    assert set(with_one()[1]) > set(without()[1])


def test_an_unknown_method_is_named():
    with pytest.raises(InputError, match="did you mean fomm"):
        step_costs("toy", methods=("fom",), progress=False)
