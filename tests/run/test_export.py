"""Exported graphs give PyTorch's numbers, for every method; a refused export leaves nothing."""

import json

import numpy as np
import onnx
import pytest
import torch

from animlib.core import InputError
from animlib.engines import export, exported, graphs
from animlib.engines.export import export_model
from animlib.engines.exported import OnnxModel
from animlib.geometry import resize_maps
from animlib.inference import ready
from animlib.models.names import method_names
from animlib.models.registry import build
from animlib.retarget.transfer import relative
from animlib.splines import solve_by_elimination


def smooth(count: int, size: int, seed: int = 7) -> torch.Tensor:
    "Images without noise."
    coarse = torch.rand(count, 3, 6, 6, generator=torch.Generator().manual_seed(seed))
    return resize_maps(coarse, (size, size))


def frames_of_torch(model, source, driving):
    "Relative motion by the library itself."
    network = ready(model, "cpu")
    with torch.inference_mode():
        prepared = network.prepare(source)
        kp_d = network.detector(driving)
        wanted = relative(prepared.kp, kp_d, kp_d[:1])
        return network(prepared, wanted).frame.numpy()


def frames_of_onnx(model: OnnxModel, source, driving):
    "The same by the files alone."
    state = model.prepare(source.numpy())
    codes = model.detect(driving.numpy())
    first = {name: value[:1] for name, value in codes.items()}
    return model.drive(state, model.relative(state, codes, first))["frame"]


@pytest.mark.slow
@pytest.mark.parametrize("method", method_names())
def test_every_method_is_the_same_model_without_torch(method, tmp_path):
    torch.manual_seed(0)
    model = build(method, "toy").eval()
    size = model.cfg.size

    made = export_model(model, tmp_path / "out")

    source, driving = smooth(1, size, 1), smooth(5, size, 2)
    expected = frames_of_torch(model, source, driving)
    assert np.abs(frames_of_onnx(made, source, driving) - expected).max() < 1e-3
    assert made.card["method"] == method and made.card["size"] == size
    assert max(made.card["difference"].values()) <= export.TOLERANCE
    for graph in made.card["graphs"].values():  # the card says what the files take
        file = onnx.load(tmp_path / "out" / graph["file"])
        assert [value.name for value in file.graph.input] == list(graph["inputs"])
        assert [value.name for value in file.graph.output] == list(graph["outputs"])
        assert file.opset_import[0].version == export.OPSET


@pytest.mark.parametrize("seed", range(5))
def test_elimination_is_the_solver_of_torch(seed):
    draw = torch.Generator().manual_seed(seed)
    matrix = torch.randn(3, 4, 8, 8, generator=draw, dtype=torch.float64)
    matrix[..., 5:, 5:] = 0  # as the spline's, whose last pivots are not on the diagonal
    targets = torch.randn(1, 4, 8, 2, generator=draw, dtype=torch.float64)

    made = solve_by_elimination(matrix, targets)

    expected = torch.linalg.solve(matrix, targets.expand(3, -1, -1, -1))
    torch.testing.assert_close(made, expected, atol=1e-8, rtol=1e-8)


def test_a_refused_export_leaves_nothing(tmp_path, monkeypatch):
    def fill(folder, *rest):
        (folder / "drive.onnx").touch()
        raise InputError("graph drive: other numbers")

    monkeypatch.setattr(export, "_fill", fill)
    with pytest.raises(InputError, match="other numbers"):
        export_model(build("fomm", "toy"), tmp_path / "out")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("number", [0.0, 5.0, float("nan")])
def test_other_numbers_are_refused(number, tmp_path):
    given = {"frame": torch.ones(1, 2)}
    function = graphs.Graph("odd", lambda tensors: {"a": tensors["frame"]}, given)

    class Wrong:
        def run(self, name, inputs):
            return {"a": np.full((1, 2), number, np.float32)}

    with pytest.raises(InputError, match="graph odd: expected the numbers of PyTorch"):
        export.expect_same_numbers(Wrong(), [function])


def test_what_is_in_a_folder_stays(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InputError, match="expected a new or empty folder, found files in it"):
        export_model("fomm-emoji", tmp_path)
    with pytest.raises(InputError, match="found a file"):
        export_model("fomm-emoji", tmp_path / "mine.txt")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_a_missing_package_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(exported.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=r"expected the package onnx.*animlib\[onnx\]"):
        export_model("fomm-emoji", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text", ["", "[]", "{", '{"graphs": 3}', "\udcff"])
def test_a_card_that_is_none(text, tmp_path):
    (tmp_path / "model.json").write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match="model.json: expected the card"):
        OnnxModel(tmp_path)


def test_every_code_has_a_rule():
    assert set(exported.CODE_RULES) == set(graphs.CODES)
    assert set(exported.CODE_RULES.values()) == set(exported.RULES)


def test_options_that_json_cannot_say_are_left_out():
    found = export._plain_options(build("tpsmm", "toy").cfg)
    assert found["n_points"] == 5 and found["motion.stiff"] == 0.01
    json.loads(json.dumps(found, allow_nan=False))
