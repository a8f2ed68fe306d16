"""Every engine gives PyTorch's frames; graphs that do not fit are made anew; one-line refusals."""

import copy
import json
import os
import shutil

import pytest
import torch

from animlib import storage
from animlib.animation import animate, animate_stream
from animlib.cli import main
from animlib.core import InputError
from animlib.engines import choice, exported, runners, stored
from animlib.engines.choice import PACKAGES, compare, device_for, open_engine
from animlib.engines.exported import missing_package
from animlib.engines.files import smooth_images
from animlib.engines.runners import Engine, GraphEngine
from animlib.engines.stored import StoredGraphs, fingerprint, stored_graphs
from animlib.inference import ready
from animlib.media.write import Video
from animlib.models.names import method_names
from animlib.models.registry import build
from animlib.retarget.disentangle import DisentangleCfg
from animlib.retarget.disentangle import build as build_network
from animlib.retarget.transfer import MODES
from animlib.training.state import save_model
from animlib.viz.images import to_uint8

HERE = [name for name, (_, packages) in PACKAGES.items() if not missing_package(*packages)]
SHAPE = (1, 3, 32, 32)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("ANIMLIB_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def tiny(method="fomm", seed=0):
    torch.manual_seed(seed)
    return build(method, "toy").eval()


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    "A small model, ready, and its graphs, which are written once for all tests."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ANIMLIB_CACHE", str(tmp_path_factory.mktemp("cache")))
        model = ready(tiny(), "cpu")
        return model, stored_graphs(model, SHAPE)


@pytest.fixture
def graphs(written, cache):
    "The same in the cache of one test."
    model, made = written
    shutil.copytree(made.folder, cache / made.folder.name)
    return model, StoredGraphs(cache / made.folder.name, json.loads(json.dumps(made.index)))


@pytest.fixture
def quick(monkeypatch):
    "Graphs that are written at once, and are none; a list of what was written."
    made = []

    def write(model, shape, folder):
        made.append(folder)
        (folder / "drive.onnx").write_bytes(b"graph")
        return {"drive": dict(file="drive.onnx", sha256=storage.sha256(folder / "drive.onnx"))}

    monkeypatch.setattr(stored, "_write_graphs", write)
    return made


# ---- the same frames ----
@pytest.mark.parametrize("engine", HERE)
@pytest.mark.parametrize("best_frame", [False, True])
def test_an_animation_is_the_same_by_every_engine(engine, best_frame, graphs):
    model, _ = graphs
    clip = smooth_images((32, 32), 5, seed=4)
    options = dict(best_frame=best_frame, scale=1.0, batch=2, device="cpu", progress=False)

    made = animate(model, clip[0], clip, engine=engine, **options).frames

    wanted = animate(model, clip[0], clip, **options).frames
    assert made.shape == wanted.shape and (made.int() - wanted.int()).abs().max() <= 1


@pytest.mark.parametrize("mode", MODES)
def test_every_transfer_goes_by_engine(mode, graphs):
    model, made = graphs
    model = copy.deepcopy(model)
    n_kp = Engine(model).detect(torch.rand(SHAPE)).xy.shape[1]
    model.disentangler = build_network(DisentangleCfg(n_kp=n_kp, width=8)).eval()
    engine = GraphEngine(model, runners.OnnxRunner(made), torch.rand(SHAPE))
    source, *frames = smooth_images((32, 32), 4, seed=5)
    frames = [to_uint8(frame) for frame in frames]

    by_engine = next(animate_stream(engine, source[None], frames, mode, scale=1.0))

    by_model = next(animate_stream(model, source[None], frames, mode, scale=1.0))
    assert abs(by_engine.astype(int) - by_model.astype(int)).max() <= 1


@pytest.mark.slow
@pytest.mark.parametrize("method", method_names())
def test_every_method_is_the_same_by_every_engine(method):
    model = ready(tiny(method), "cpu")
    side = model.cfg.size
    images = smooth_images((side, side), 3, seed=1)
    source = images[:1] if model.n_sources == 1 else images[None]

    made = stored_graphs(model, tuple(source.shape))

    for name in HERE:
        for precision in ("no", "bf16") if name in choice.IN_BF16 else ("no",):
            plain = Engine(model, precision)
            runner = choice._runner(name, made, precision)
            found = compare(GraphEngine(model, runner, images[:1]), plain, source)
            print(f"{method} {name} {precision} {found['largest']:.1e} {found['mean']:.1e}")
            assert found["largest"] <= 1e-3 if precision == "no" else found["mean"] <= 0.02


@pytest.mark.slow
def test_the_compiler_gives_the_same_frames():
    model = ready(tiny("x2face"), "cpu")
    source = smooth_images((32, 32), 1, seed=1)
    made = open_engine("compile", model, model, source)
    assert compare(made, Engine(model), source)["largest"] <= 1e-3


# ---- graphs that are kept ----
def test_graphs_are_written_once(quick, tmp_path):
    model = tiny()
    file = tmp_path / "run" / "model.safetensors"
    save_model(file, model)
    for shape in (SHAPE, SHAPE, (1, 3, 32, 64), SHAPE):
        found = stored_graphs(file, shape)
        assert found.folder.parent == file.parent and list(found.index["shape"]) == list(shape)
    assert len(quick) == 2


def test_graphs_of_another_state_are_made_anew(quick, tmp_path, monkeypatch):
    file = tmp_path / "model.safetensors"
    folders = []
    for seed, version in ((0, "1"), (1, "1"), (1, "2")):
        monkeypatch.setattr(stored, "__version__", version)
        save_model(file, tiny(seed=seed))
        folders.append(stored_graphs(file, SHAPE).folder)
    assert len(set(folders)) == 3
    assert [folder.exists() for folder in folders] == [False, False, True]


def test_models_without_a_file_are_told_apart(quick, cache):
    models = [tiny(seed=seed) for seed in (0, 1, 0)]
    folders = [stored_graphs(model, SHAPE).folder for model in models]
    assert folders[0] == folders[2] != folders[1] and folders[0].exists()
    assert {folder.parent for folder in folders} == {cache}
    assert fingerprint(models[0]) == fingerprint(models[2])


@pytest.mark.parametrize("damage", ["cut", "gone", "index", "other"])
def test_damaged_graphs_are_made_anew(damage, quick, capsys):
    model = tiny()
    folder = stored_graphs(model, SHAPE).folder
    if damage == "cut":
        (folder / "drive.onnx").write_bytes(b"grap")
    elif damage == "gone":
        (folder / "drive.onnx").unlink()
    else:
        (folder / "index.json").write_text("{" if damage == "index" else '{"graphs": 3}')
    capsys.readouterr()

    assert stored_graphs(model, SHAPE).files["drive"].read_bytes() == b"graph"

    assert len(quick) == 2 and "damaged; they are made anew" in capsys.readouterr().err


def test_an_attempt_that_fails_leaves_nothing(monkeypatch, cache):
    def write(model, shape, folder):
        (folder / "drive.onnx").touch()
        raise InputError("graph drive: no such operator")

    monkeypatch.setattr(stored, "_write_graphs", write)
    with pytest.raises(InputError, match="no such operator"):
        stored_graphs(tiny(), SHAPE)
    assert not list(cache.iterdir())


def test_of_two_processes_the_first_to_finish_counts(monkeypatch, quick):
    model = tiny()
    write = stored._write_graphs

    def while_another_writes(model, shape, folder):
        with monkeypatch.context() as other:
            other.setattr(stored, "_write_graphs", write)
            (folder.parent / "first").touch()
            stored_graphs(model, shape)
        return write(model, shape, folder)

    monkeypatch.setattr(stored, "_write_graphs", while_another_writes)
    found = stored_graphs(model, SHAPE)
    assert found.files["drive"].is_file() and len(quick) == 2


def test_models_in_places_that_cannot_be_written_use_the_cache(quick, tmp_path, monkeypatch, cache):
    file = tmp_path / "run" / "model.safetensors"
    save_model(file, tiny())
    monkeypatch.setattr(stored.os, "access", lambda path, mode: False)
    assert stored_graphs(file, SHAPE).folder.parent == cache


def test_what_lies_beside_the_model_stays(quick, tmp_path):
    file = tmp_path / "model.safetensors"
    save_model(file, tiny())
    (tmp_path / f"{tmp_path.name}-mine").mkdir()
    stored_graphs(file, SHAPE)
    assert (tmp_path / f"{tmp_path.name}-mine").is_dir() and file.is_file()


# ---- the fastest ----
def measured(graphs, **numbers):
    "What is known of engines in the index: speed, largest."
    _, made = graphs
    here = f"{choice.platform.node()}, {torch.get_num_threads()} threads"
    for name, (speed, largest) in numbers.items():
        known = dict(speed=speed, largest=largest, mean=largest, machine=here)
        made.remember(f"{name} no", known)


@pytest.fixture
def all_installed(monkeypatch):
    "As if every package were there; the runners tell their names."
    monkeypatch.setattr(choice, "missing_package", lambda *names: None)
    monkeypatch.setattr(choice, "_runner", lambda engine, graphs, precision: engine)


@pytest.mark.parametrize(
    "onnxruntime,openvino,expected",
    [
        ((1.5, 1e-6), (2.0, 1e-6), "openvino"),
        ((1.5, 1e-6), (1.2, 1e-6), "onnxruntime"),
        ((1.5, 1e-6), (2.0, 2e-3), "onnxruntime"),
        ((0.9, 1e-6), (0.8, 1e-6), None),
        ((1.05, 1e-6), (1.1, 1e-6), None),
        ((1.5, 1.0), (2.0, 1.0), None),
    ],
)
def test_auto_is_the_fastest_that_is_exact(onnxruntime, openvino, expected, graphs, all_installed):
    model, _ = graphs
    measured(graphs, onnxruntime=onnxruntime, openvino=openvino)
    made = open_engine("auto", model, model, torch.rand(SHAPE))
    assert (made.runner if isinstance(made, GraphEngine) else None) == expected


def test_auto_measures_on_another_machine(graphs, all_installed, monkeypatch):
    model, made = graphs
    measured(graphs, onnxruntime=(1.5, 1e-6), openvino=(2.0, 1e-6))
    monkeypatch.setattr(choice.platform, "node", lambda: "another")
    monkeypatch.setattr(choice, "compare", lambda *rest: dict(speed=0.5, largest=0.0, mean=0.0))
    assert type(open_engine("auto", model, model, torch.rand(SHAPE))) is Engine
    index = json.loads((made.folder / "index.json").read_text())
    assert index["measured"]["openvino no"]["machine"].startswith("another")


@pytest.mark.parametrize("known", [False, True])
def test_auto_leaves_out_what_cannot_run_here(known, graphs, monkeypatch, capsys):
    pytest.importorskip("openvino")
    model, made = graphs
    if known:  # measured on a machine of that name, by another processor
        here = f"{choice.platform.node()}, {torch.get_num_threads()} threads"
        made.remember("openvino bf16", dict(speed=2.0, largest=0.0, mean=0.0, machine=here))
    monkeypatch.setattr(runners, "_abilities", lambda core: ["FP32"])
    opened = open_engine("auto", model, model, torch.rand(SHAPE), "bf16")
    assert type(opened) is Engine and opened.precision == "bf16"
    (line,) = capsys.readouterr().err.splitlines()
    assert "engine auto: openvino is left out: engine openvino: expected a processor" in line


@pytest.mark.parametrize("reason", ["nothing installed", "no graphs"])
def test_auto_goes_on_in_pytorch_and_says_so(reason, monkeypatch, capsys):
    model = ready(tiny(), "cpu")
    here = None if reason == "no graphs" else "onnx"
    monkeypatch.setattr(choice, "missing_package", lambda *names: here)

    def refuse(*rest):
        raise InputError("graph drive: expected operators that ONNX has")

    monkeypatch.setattr(choice, "stored_graphs", refuse)
    assert type(open_engine("auto", model, model, torch.rand(SHAPE))) is Engine
    assert "note: engine auto: torch" in capsys.readouterr().err


# ---- refused ----
@pytest.mark.parametrize("engine", PACKAGES)
def test_a_missing_package_is_named(engine, monkeypatch):
    monkeypatch.setattr(exported.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(InputError, match=rf"engine {engine}.*animlib\[{PACKAGES[engine][0]}\]"):
        animate("no such model", "no.png", torch.rand(2, 3, 32, 32), engine=engine)


@pytest.mark.parametrize("engine", ["compile", *HERE])
def test_engines_of_the_cpu_refuse_a_card(engine, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(InputError, match=f"engine {engine}: expected device cpu"):
        device_for(engine, "cuda")
    assert device_for(engine).type == "cpu"
    assert device_for("auto").type == "cuda"


@pytest.mark.parametrize(
    "options,message",
    [
        (dict(engine="tensorrt"), "engine: expected torch, compile, onnxruntime, openvino or auto"),
        (dict(engine=None), "engine: expected"),
        (dict(engine="onnxruntime", precision="bf16"), "expected precision 'no'"),
        (dict(engine="compile", precision="bf16"), "expected precision 'no'"),
        (dict(engine="compile", device="tpu"), "device: expected"),
    ],
)
def test_wrong_requests_are_refused_before_the_model_is_loaded(options, message, tmp_path):
    clip = Video(torch.zeros(2, 32, 32, 3, dtype=torch.uint8), fps=5.0)
    with pytest.raises(InputError, match=message):
        animate("no such model", "no.png", clip, tmp_path / "a.gif", **options)
    assert not (tmp_path / "a.gif").exists()


def test_a_processor_without_bf16_is_named(graphs, monkeypatch):
    pytest.importorskip("openvino")
    monkeypatch.setattr(runners, "_abilities", lambda core: ["FP32"])
    with pytest.raises(InputError, match="engine openvino: expected a processor that computes in"):
        runners.OpenvinoRunner(graphs[1], "bf16")


def test_other_frames_are_refused(graphs, monkeypatch):
    model, _ = graphs
    found = dict(speed=2.0, largest=0.5, mean=0.1)
    monkeypatch.setattr(choice, "compare", lambda *rest: found)
    with pytest.raises(InputError, match="engine onnxruntime: expected the frames of PyTorch"):
        open_engine("onnxruntime", model, model, torch.rand(SHAPE))


def test_a_function_that_cannot_be_recorded_is_refused(cache):
    model = tiny()
    move = model.motion

    def asks(kp_s, kp_d, size):
        grids = move(kp_s, kp_d, size)
        return 2 * grids if kp_d.xy.sum().item() > 0 else grids

    model.motion = asks
    with pytest.raises(InputError, match="expected a function that can be recorded"):
        stored_graphs(model, SHAPE)
    assert not list(cache.iterdir())


def test_the_command_takes_an_engine(tmp_path, capsys):
    file = tmp_path / "m.safetensors"
    save_model(file, tiny("x2face"))
    clip = to_uint8(smooth_images((32, 32), 3, seed=6))
    Video(torch.from_numpy(clip), fps=5.0).save(tmp_path / "clip.gif")
    words = f"animate --model {file} --source {tmp_path}/clip.gif --driving {tmp_path}/clip.gif"
    assert main([*words.split(), "--out", f"{tmp_path}/a.gif", "--engine", "onnxruntime"]) == 0
    assert (tmp_path / "a.gif").is_file() and "written in" in capsys.readouterr().err
    assert [path.name[:2] for path in tmp_path.iterdir() if path.is_dir()] == ["m-"]
    assert main([*words.split(), "--out", f"{tmp_path}/b.gif", "--engine", "none"]) == 2
    assert os.path.exists(tmp_path / "b.gif") is False
