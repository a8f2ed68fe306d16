"""What the parity tests of all methods share: golden numbers of the official code, checkpoints
that are made up, and comparisons."""

import json
from pathlib import Path

import pytest
import torch
from layer_shapes import Modules, Shapes
from safetensors.torch import load_file
from torch import Tensor
from torch.testing import assert_close

from animlib.blocks import AntiAlias
from animlib.core import InputError
from animlib.geometry import identity_grid
from animlib.splines import Spline
from animlib.zoo.convert import from_official

FOLDER = Path(__file__).parents[1] / "golden"
State = dict[str, dict[str, Tensor]]  # the tensors of a checkpoint, by network

# Images read with corners aligned (as the weights were trained), and not.
both_conventions = pytest.mark.parametrize("aligned", [True, False], ids=["aligned", "unaligned"])
# With and without the network that tells shape from pose.
with_or_without_avd = pytest.mark.parametrize("avd", [True, False], ids=["avd", "no avd"])


class Golden:
    "Inputs, weights and outputs of one method's official modules, tiny and random."

    def __init__(self, method: str, *modules: str, **more_state: dict[str, Tensor]):
        self.method = method
        self.tensors = load_file(FOLDER / f"{method}.safetensors")
        numbers = json.loads((FOLDER / f"{method}.json").read_text())
        self.config = numbers["config"]
        self.losses = numbers["losses"]
        published = json.loads((FOLDER / f"{method}_keys.json").read_text())
        self.published: Modules = published["modules"]  # names and shapes of released weights
        self.variants = published.get("variants", {})
        self.state = {module: self.tensors_of(f"sd.{module}.") for module in modules} | more_state
        self.models = {}

    def tensors_of(self, prefix: str) -> dict[str, Tensor]:
        "Tensors whose names begin so, without that beginning."
        found = [name for name in self.tensors if name.startswith(prefix)]
        return {name.removeprefix(prefix): self.tensors[name] for name in found}

    def input(self, name: str) -> Tensor:
        "What went in."
        return self.tensors[f"in.{name}"]

    def output(self, name: str, aligned: bool | None = None) -> Tensor:
        "What came out; None: the same under both conventions."
        return self.tensors[f"out.{convention(aligned)}.{name}"]

    def loss(self, name: str, aligned: bool | None = None):
        "What a loss was."
        return self.losses[f"loss.{convention(aligned)}.{name}"]

    def model(self, aligned: bool | None = None):
        "Our model with the official weights."
        if aligned not in self.models:
            converted = from_official(self.method, self.state, self.config, align_corners=aligned)
            self.models[aligned] = converted
        return self.models[aligned]

    def random_warp(self, metric: str) -> Spline:
        "The draw of the equivariance loss: a spline over 5x5 points; `metric` is its distance."
        points = identity_grid(5, 5).flatten(0, 1)
        weights = self.input("transform.control_params")[:, 0, :, None].expand(-1, -1, 2)
        return Spline(points, weights, self.input("transform.theta"), metric)


def convention(aligned: bool | None) -> str:
    "How the names of golden numbers tell the convention."
    return {None: "any", True: "ac_true", False: "ac_false"}[aligned]


# ---- comparisons ----
def assert_near(ours: Tensor, theirs: Tensor, tolerance: float):
    "Equal up to an absolute error."
    assert_close(ours, theirs, atol=tolerance, rtol=0)


def assert_same_loss(ours, theirs, tolerance: float = 1e-4):
    "Equal up to a relative error."
    assert_close(torch.as_tensor(ours), torch.as_tensor(theirs), rtol=tolerance, atol=0)


def largest_difference(ours: Tensor, theirs: Tensor) -> float:
    "The largest absolute difference."
    return (ours - theirs).abs().max().item()


def count(model) -> int:
    "Numbers that a model learns."
    return sum(parameter.numel() for parameter in model.parameters())


def assert_counts(models: dict):
    "Each model, by name, learns so many numbers: `{name: (model, number)}`."
    found = {name: count(model) for name, (model, _) in models.items()}
    assert found == {name: number for name, (_, number) in models.items()}


def numbers_without_counters(tensors: dict[str, Tensor]) -> int:
    "Numbers in tensors; how many batches a norm has seen is none of them."
    kept = [tensor for name, tensor in tensors.items() if not name.endswith("tracked")]
    return sum(tensor.numel() for tensor in kept)


def assert_uses_all(model, state: State):
    "Every number of a checkpoint has a place in the model, and the model has no other."
    given = sum(numbers_without_counters(tensors) for tensors in state.values())
    assert numbers_without_counters(model.state_dict()) == given


def assert_misses(method: str | None, state: State, config: dict, module: str, name: str, match=""):
    "A checkpoint without one tensor is refused, with its name."
    rest = {key: tensor for key, tensor in state[module].items() if key != name}
    with pytest.raises(InputError, match=match or f"{module}.{name}"):
        from_official(method, {**state, module: rest}, config)


# ---- checkpoints that are made up ----
def shapes_of(state: State) -> Modules:
    "Names and shapes of a checkpoint."
    return {module: tensor_shapes(tensors) for module, tensors in state.items()}


def tensor_shapes(tensors: dict[str, Tensor]) -> Shapes:
    "Names and shapes of one network."
    return {name: list(tensor.shape) for name, tensor in tensors.items()}


def make_state(modules: Modules, tensor) -> State:
    "A checkpoint of these shapes; `tensor(name, shape)` makes one."
    return {
        module: {name: tensor(name, shape) for name, shape in shapes.items()}
        for module, shapes in modules.items()
    }


def zeros(name: str, shape: list[int]) -> Tensor:
    "Zeros that take no memory."
    return torch.zeros(1).expand(shape) if shape else torch.zeros(())


def zeros_and_blur(name: str, shape: list[int]) -> Tensor:
    "Zeros; the blur before an image is made smaller, which is checked, as it must be."
    return AntiAlias(0.25).weight if name.endswith("down.weight") else zeros(name, shape)


def random_state(modules: Modules) -> State:
    "A checkpoint of these shapes with random numbers."
    generator = torch.Generator().manual_seed(0)

    def random_tensor(name, shape):
        if name.endswith("tracked"):
            return torch.zeros(shape, dtype=torch.int64)
        least = 0.5 if name.endswith("var") else 0
        return torch.rand(shape, generator=generator) * 0.1 + least

    return make_state(modules, random_tensor)


def avd_state(modules: Modules, avd: bool) -> State:
    "A checkpoint of random numbers; the disentangling network is trained after the others."
    if not avd:
        modules = {name: shapes for name, shapes in modules.items() if name != "avd_network"}
    return random_state(modules)


def formula_weights(shapes: Shapes) -> dict[str, Tensor]:
    "Weights that the golden files do not store, by a formula that the official side used, too."
    names = enumerate(shapes.items())
    return {name: formula_tensor(j, name, shape) for j, (name, shape) in names}


def formula_tensor(j: int, name: str, shape: list[int]) -> Tensor:
    "Tensor j, flat index i: u = |frac(sin(12.9898 i + 78.233 j) 43758.5453)|, scaled by its use."
    if name.endswith("tracked"):
        return torch.zeros((), dtype=torch.int64)
    i = torch.arange(torch.tensor(shape).prod(), dtype=torch.float64)
    u = ((12.9898 * i + 78.233 * j).sin() * 43758.5453).frac().abs().view(shape)
    if name.endswith("weight") and len(shape) == 2:
        scaled = (2 * u - 1) * (6 / shape[1]) ** 0.5
    elif name.endswith(("bias", "mean")):
        scaled = 0.2 * u - 0.1
    else:
        scaled = 0.5 + u
    return scaled.float()


def official_checkpoint() -> dict[str, dict]:
    "An official checkpoint of a small model, with random weights: module -> name -> tensor."
    state = {}
    for name, tensor in load_file(FOLDER / "fomm.safetensors").items():
        if name.startswith("sd."):
            _, module, rest = name.split(".", 2)
            state.setdefault(module, {})[rest] = tensor
    return state
