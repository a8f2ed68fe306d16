"""Every way a model file can be wrong: one InputError, of one line.

It says which file, what was found and what to do; nothing is half-written, no code is run."""

import copy
import json
import os

import pytest
import torch
from old_files import write_old
from project_files import ROOT
from safetensors.torch import load_file, save_file

from animlib.core import InputError
from animlib.models.registry import build
from animlib.shipped import share
from animlib.training.state import read_header, save_model
from animlib.zoo.catalog import list_models, zoo
from animlib.zoo.checkpoint import read_official
from animlib.zoo.convert import convert, from_official
from animlib.zoo.files import OLD_FORMAT
from animlib.zoo.hub import load

GOLDEN = ROOT / "tests" / "golden"
CONFIG = json.loads((GOLDEN / "fomm.json").read_text())["config"]
ZIPPED = [True, False]  # `torch.save` writes a zip file; it wrote a bare pickle before


def official_state() -> dict:
    "Modules of named tensors, as the official checkpoint has them: `sd.MODULE.NAME` in the file."
    state = {}
    for path, value in load_file(GOLDEN / "fomm.safetensors").items():
        prefix, _, rest = path.partition(".")
        if prefix == "sd":
            module, _, name = rest.partition(".")
            state.setdefault(module, {})[name] = value
    return state


STATE = official_state()


# ---- helpers ----
def check_refused(words, function, *arguments, **options):
    "The function raises an InputError of one short line, with all of the words."
    with pytest.raises(InputError) as raised:
        function(*arguments, **options)
    line = str(raised.value)
    assert "\n" not in line and len(line) < 500, line
    for word in words:
        assert word in line, (word, line)


def saved(path, content, zipped=True):
    "The path, where torch has saved the content."
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    return path


def written(path, data):
    "The path, where these bytes are written."
    path.write_bytes(data)
    return path


def changed(tree, path, value):
    "A copy of nested dicts with one value changed; `path` is dotted; None: removed."
    tree = copy.deepcopy(tree)
    *parents, last = path.split(".")
    branch = tree
    for name in parents:
        branch = branch[name]
    if value is None:
        branch.pop(last)
    else:
        branch[last] = value
    return tree


def with_tensor(module, name, value):
    "The official state with one tensor more, or another one; None: without it."
    tensors = {key: tensor for key, tensor in STATE[module].items() if key != name}
    if value is not None:
        tensors[name] = value
    return {**STATE, module: tensors}


@pytest.fixture
def yaml_file(tmp_path):
    "The config of the official checkpoint; json is yaml."
    path = tmp_path / "vox.yaml"
    path.write_text(json.dumps(CONFIG))
    return path


@pytest.fixture
def ours(tmp_path):
    "A file that animlib wrote."
    path = tmp_path / "ours.safetensors"
    save_model(path, build("fomm", "toy"), data="toy:body")
    return path


# ---- official files ----
NO_CHECKPOINTS = {  # -> bytes, words of the message
    "a web page": (b"<!DOCTYPE html><html>Quota</html>", ["HTML page", "fetch the file"]),
    "a pointer of git-lfs": (
        b"version https://git-lfs.github.com/spec/v1\n",
        ["git-lfs", "git lfs pull"],
    ),
    "text": (b"see the release page", ["text file"]),
    "nothing": (b"", ["empty file"]),
    "noise": (bytes(range(256)) * 8, ["download it again"]),
    "a broken zip file": (b"PK\x03\x04" + bytes(200), ["download it again"]),
    "a broken pickle": (b"\x80\x02}q\x00", ["download it again"]),
}


@pytest.mark.parametrize("data,words", NO_CHECKPOINTS.values(), ids=NO_CHECKPOINTS)
def test_what_is_no_checkpoint(tmp_path, yaml_file, data, words):
    path = written(tmp_path / "a.pth.tar", data)

    check_refused(["a.pth.tar", *words], read_official, path)
    check_refused(["a.pth.tar", words[-1]], load, path, config=yaml_file)


@pytest.mark.parametrize("zipped", ZIPPED)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.9, 0.999])
def test_what_was_cut_off(tmp_path, zipped, part):
    whole = saved(tmp_path / "a.pth.tar", STATE, zipped).read_bytes()
    path = written(tmp_path / "cut.pth.tar", whole[: int(len(whole) * part)])

    check_refused(["cut.pth.tar", "download it again"], read_official, path)


class MakesFolder:
    "A pickle that makes a folder when it is loaded."

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.mark.parametrize("zipped", ZIPPED)
def test_code_is_not_run(tmp_path, zipped):
    content = {"generator": MakesFolder(tmp_path / "it-ran")}
    path = saved(tmp_path / "a.pth.tar", content, zipped)

    check_refused(["contains code", "mkdir", "not loaded"], read_official, path)
    assert not (tmp_path / "it-ran").exists()


NO_MODULES = {  # -> content, words of the message
    "a list": ([1, 2], ["found list"]),
    "an empty dict": ({}, ["an empty dict"]),
    "an optimizer alone": (
        {"epoch": 3, "optimizer": {"state": {}, "param_groups": []}},
        ["found epoch, optimizer"],
    ),
    "one module": (STATE["generator"], ["the weights of one module"]),
    "a number among tensors": (
        {"generator": {"a": torch.zeros(1), "b": 3}},
        ["module generator", "found int"],
    ),
}


@pytest.mark.parametrize("content,words", NO_MODULES.values(), ids=NO_MODULES)
def test_what_holds_no_modules(tmp_path, content, words):
    path = saved(tmp_path / "a.pth", content)

    check_refused(["a.pth", *words], read_official, path)


def test_paths_that_lead_nowhere(tmp_path, ours):
    missing = tmp_path / "none.pth.tar"

    check_refused(["none.pth.tar", "found nothing"], read_official, missing)
    check_refused(["found a folder"], read_official, tmp_path)
    check_refused(["safetensors file"], read_official, ours)


@pytest.mark.parametrize("zipped", ZIPPED)
@pytest.mark.parametrize("name", ["a.pth.tar", "a.pth", "a.pt"])
def test_formats_and_wrappers(tmp_path, name, zipped):
    "Modules wrapped for several devices, beside what only training needs."
    content = {"epoch": 9}
    content["optimizer_generator"] = {"state": {0: {"step": 1}}, "param_groups": [{"lr": 0.1}]}
    for module, tensors in STATE.items():
        content[module] = {f"module.{key}": tensor for key, tensor in tensors.items()}

    found = read_official(saved(tmp_path / name, content, zipped))

    assert found.keys() == STATE.keys()
    for module, tensors in STATE.items():
        assert all(torch.equal(tensor, found[module][key]) for key, tensor in tensors.items())


BAD_STATES = {  # -> state, words of the message
    "a missing weight": (
        with_tensor("generator", "first.conv.weight", None),
        ["generator.first.conv.weight", "missing"],
    ),
    "a missing bias": (
        with_tensor("kp_detector", "jacobian.bias", None),
        ["kp_detector.jacobian.bias", "missing"],
    ),
    "a tensor too many": (
        with_tensor("generator", "extra", torch.zeros(2)),
        ["generator.extra", "without a place"],
    ),
    "another shape": (
        with_tensor("kp_detector", "kp.bias", torch.zeros(7)),
        ["kp_detector.kp.bias", "(5,)", "(7,)"],
    ),
    "nan": (
        with_tensor("generator", "final.bias", torch.full((3,), float("nan"))),
        ["generator.final.bias", "finite"],
    ),
    "two for one place": (
        with_tensor("generator", "first.0.bias", torch.zeros(8)),
        ["same place"],
    ),
    "a missing module": ({"kp_detector": STATE["kp_detector"]}, ["generator is missing"]),
    "a module too many": (
        {**STATE, "bg_predictor": {"a": torch.zeros(1)}},
        ["bg_predictor"],
    ),
}


@pytest.mark.parametrize("state,words", BAD_STATES.values(), ids=BAD_STATES)
def test_every_tensor_is_accounted_for(state, words):
    check_refused(words, from_official, "fomm", state, CONFIG)


# ---- official configs ----
BAD_OPTIONS = [  # option in model_params, its value (None: removed), words of the message
    ("kp_detector_params.num_block", 2, ["num_block", "num_blocks"]),
    ("use_magic", True, ["use_magic"]),
    ("common_params.num_kp", None, ["common_params.num_kp is missing"]),
    ("generator_params.max_features", None, ["generator_params.max_features is missing"]),
    ("common_params.num_kp", "ten", ["num_kp", "expected a whole number", "'ten'"]),
    ("common_params.num_kp", True, ["expected a whole number"]),
    ("common_params.num_kp", 0, ["num_kp", "from 1 to"]),
    ("common_params.estimate_jacobian", 1, ["expected true or false"]),
    ("common_params.num_channels", 1, ["expected 3"]),
    ("kp_detector_params.scale_factor", 0.3, ["no model can be built", "0.3"]),
    ("kp_detector_params.temperature", -1, ["temperature", "from 0.001"]),
    ("generator_params.dense_motion_params", 5, ["dense_motion_params"]),
]


@pytest.mark.parametrize("path,value,words", BAD_OPTIONS)
def test_options_of_official_configs(path, value, words):
    config = changed(CONFIG, f"model_params.{path}", value)

    check_refused(words, from_official, "fomm", STATE, config)


BLOCKS = {"num_blocks": 5}
OTHER_METHODS = {  # -> model_params of its official config, in part
    "tpsmm": {"common_params": {"num_tps": 10}},
    "mraa": {
        "region_predictor_params": BLOCKS,
        "generator_params": {"pixelwise_flow_predictor_params": {}},
    },
    "dam": {
        "generator_params": {
            "num_root_kp": 1,
            "num_root_kp_orders": [1],
            "dense_motion_params": BLOCKS,
        }
    },
    "hdam": {
        "generator_params": {
            "num_root_kp": 3,
            "num_root_kp_orders": [2],
            "dense_motion_params": BLOCKS,
        }
    },
    "monkeynet": {
        "generator_params": {
            "kp_embedding_params": {"norm_const": 100},
            "dense_motion_params": BLOCKS,
        }
    },
}


@pytest.mark.parametrize("method", OTHER_METHODS)
def test_configs_of_other_methods(method):
    config = {"model_params": OTHER_METHODS[method]}

    check_refused(["config", method, "fomm"], from_official, "fomm", STATE, config)


CONFIGS_WITHOUT_MODEL_PARAMS = [  # config, words of the message
    ({"MODEL": {"TRANSFORMER_DEPTH": 12}}, ["motion_transformer"]),
    ({"ngf": 64, "inner_nc": 128}, ["x2face"]),
    ({"train_params": {}}, ["config", "model_params"]),
]


@pytest.mark.parametrize("config,words", CONFIGS_WITHOUT_MODEL_PARAMS)
def test_configs_without_model_params(config, words):
    check_refused(words, from_official, "fomm", STATE, config)


def test_a_misspelt_method_is_answered_with_the_nearest():
    check_refused(["fom", "fomm"], from_official, "fom", STATE, CONFIG)


BAD_YAMLS = {  # -> bytes, words of the message
    "a web page": (b"<html></html>", ["HTML page"]),
    "nothing": (b"", ["empty file"]),
    "binary": (b"\x80\x02\x00\xff", ["binary"]),
    "an open bracket": (b"a: [1,", ["text that is not"]),
    "a list": (b"- 1\n- 2", ["found list"]),
    "code": (b"!!python/object/apply:os.mkdir [x]", ["text that is not"]),
}


@pytest.mark.parametrize("data,words", BAD_YAMLS.values(), ids=BAD_YAMLS)
def test_yaml_files(tmp_path, data, words):
    path = written(tmp_path / "c.yaml", data)

    check_refused(["c.yaml", *words], from_official, "fomm", STATE, path)


def test_yaml_that_is_not_there(tmp_path):
    path = tmp_path / "c.yaml"

    check_refused(["c.yaml", "found nothing"], from_official, "fomm", STATE, path)


# ---- conversion ----
@pytest.fixture
def good(tmp_path):
    "A whole official checkpoint."
    return saved(tmp_path / "good.pth.tar", STATE)


@pytest.fixture
def bad(tmp_path):
    "An official checkpoint that lacks a tensor."
    return saved(tmp_path / "bad.pth.tar", with_tensor("generator", "final.bias", None))


def test_a_failed_conversion_leaves_nothing_behind(tmp_path, yaml_file, good, bad):
    out = tmp_path / "out"

    check_refused(["generator.final.bias"], convert, bad, yaml_file, out / "m.safetensors")
    check_refused([".safetensors"], convert, good, yaml_file, out / "m.pth")
    check_refused(["cannot be written"], convert, good, yaml_file, yaml_file / "m.safetensors")

    assert not out.exists()


def test_a_conversion_leaves_one_file_that_says_what_it_was_made_from(tmp_path, yaml_file, good):
    out = tmp_path / "out" / "m.safetensors"

    made = convert(good, yaml_file, out)

    official = read_header(out)["official"]
    assert made == out
    assert list(out.parent.iterdir()) == [out]
    assert official["file"] == "good.pth.tar" and len(official["sha256"]) == 64


def test_a_failed_conversion_leaves_the_old_file(tmp_path, yaml_file, good, bad):
    out = convert(good, yaml_file, tmp_path / "out" / "m.safetensors")
    before = out.read_bytes()

    check_refused(["missing"], convert, bad, yaml_file, out)

    assert out.read_bytes() == before
    assert list(out.parent.iterdir()) == [out]


# ---- our files ----
def rewrite(path, header=None, tensors=None):
    "Put another header, or other tensors, into one of our files."
    header = read_header(path) if header is None else header
    tensors = load_file(path) if tensors is None else tensors
    save_file(tensors, path, metadata={"animlib": json.dumps(header)})


BAD_HEADERS = [  # path in the header, its value (None: removed), words of the message
    ("format", "animlib 3", ["animlib 2", "animlib 3", "upgrade"]),
    ("method", "gomm", ["gomm", "fomm"]),
    ("cfg.n_keypoints", 3, ["n_keypoints"]),
    ("cfg.n_kp", "6", ["n_kp", "expected a whole number"]),
    ("cfg.sampling.middle", 1, ["sampling", "middle"]),
    ("cfg", 3, ["cfg"]),
    ("cfg", None, ["cfg"]),
    ("cfg.n_kp", 7, ["expected shape"]),
    ("cfg.detector.scale", 0.3, ["no model can be built"]),
    ("cfg.detector_scale", 0.5, ["detector_scale"]),  # as older files have it
]


@pytest.mark.parametrize("path,value,words", BAD_HEADERS)
def test_headers_of_our_files(ours, path, value, words):
    rewrite(ours, header=changed(read_header(ours), path, value))

    check_refused(["ours.safetensors", *words], load, ours)


BAD_TENSORS = [  # name, its value (None: removed), words of the message
    ("dense.mask.bias", None, ["dense.mask.bias", "missing"]),
    ("extra", torch.zeros(1), ["extra", "without a place"]),
    ("generator.final.bias", torch.full((3,), float("inf")), ["generator.final.bias", "finite"]),
]


@pytest.mark.parametrize("name,value,words", BAD_TENSORS)
def test_tensors_of_our_files(ours, name, value, words):
    tensors = {key: tensor for key, tensor in load_file(ours).items() if key != name}
    if value is not None:
        tensors[name] = value
    rewrite(ours, tensors=tensors)

    check_refused(["ours.safetensors", *words], load, ours)


def test_a_file_without_an_option_gets_its_default(ours):
    cfg = load(ours).cfg
    rewrite(ours, header=changed(read_header(ours), "cfg.dense.variance", None))

    assert load(ours).cfg == cfg


# ---- files of the first format: their configs are flat ----
@pytest.fixture
def older(tmp_path):
    "A file of the first format."
    path = write_old(tmp_path / "older.safetensors", "fomm-body")
    assert read_header(path)["format"] == OLD_FORMAT
    return path


def test_an_older_file_keeps_the_defaults(older):
    cfg = load(older).cfg
    rewrite(older, header=changed(read_header(older), "cfg.kp_var", None))

    assert load(older).cfg == cfg


OLDER_HEADERS = [  # path in the header, its value (None: removed), words of the message
    ("cfg.detector_scale", 0.3, ["no model can be built"]),
    ("cfg.n_kp", 7, ["expected shape"]),
    ("cfg.n_keypoints", 3, ["n_keypoints"]),
    ("cfg", 3, ["cfg"]),
]


@pytest.mark.parametrize("path,value,words", OLDER_HEADERS)
def test_headers_of_older_files(older, path, value, words):
    rewrite(older, header=changed(read_header(older), path, value))

    check_refused(["older.safetensors", *words], load, older)


# ---- files and names that are not ours ----
def test_tensors_without_a_header(tmp_path):
    path = tmp_path / "b.safetensors"
    save_file({"a": torch.zeros(1)}, path)

    check_refused(["b.safetensors", "without its header"], load, path)


def test_our_files_that_break_off(tmp_path, ours):
    whole = ours.read_bytes()

    for length in (9, 200, len(whole) // 2, len(whole) - 1):
        path = written(tmp_path / "cut.safetensors", whole[:length])
        check_refused(["cut.safetensors", "breaks off"], load, path)


def test_files_of_another_kind(tmp_path):
    image = written(tmp_path / "a.png", b"\x89PNG\r\n\x1a\n" + bytes(99))
    official = saved(tmp_path / "a.pth.tar", STATE)

    check_refused(["a.png", "something else"], load, image)
    check_refused(["needs its yaml", "--config"], load, official)


def test_what_does_not_go_with_our_files(ours):
    check_refused(["leave config out"], load, ours, config="x.yaml")
    check_refused(["cudda"], load, ours, device="cudda")


def test_names_that_are_not_there(tmp_path):
    check_refused(["'fomm-bodyy'", "no trained model"], load, "fomm-bodyy")
    check_refused(["animlib train fomm --data", "animlib.build('fomm')"], load, "fomm")
    check_refused(["found nothing"], load, tmp_path / "m.safetensors")
    check_refused(["found nothing"], load, "runs/nowhere")
    check_refused(["a folder"], load, tmp_path)


@pytest.mark.parametrize("name", list(zoo())[:1])
def test_a_misspelt_model_is_answered_with_the_nearest(name):
    check_refused(["did you mean", name], load, f"{name}x")


# ---- good ones, for comparison ----
def test_a_half_precision_file_gives_float32(tmp_path):
    model = build("fomm", "toy").eval()
    source, driving = torch.rand(2, 1, 3, 32, 32)
    path = tmp_path / "half.safetensors"

    save_model(path, model, half=True)
    loaded = load(path)

    with torch.no_grad():
        difference = loaded(source, driving).frame - model(source, driving).frame
    assert all(value.dtype != torch.float16 for value in loaded.state_dict().values())
    assert not loaded.training
    assert difference.abs().max() < 5e-3


def test_loading_leaves_the_random_state_alone(ours):
    torch.manual_seed(3)
    expected = torch.rand(2)

    torch.manual_seed(3)
    load(ours)

    assert torch.equal(torch.rand(2), expected)


def test_a_run_folder_is_a_model(tmp_path, ours):
    run = tmp_path / "run"
    run.mkdir()
    ours.rename(run / "model.safetensors")

    assert load(run).method == "fomm"


def test_what_comes_with_the_library_is_found():
    assert share("data_samples").is_dir()
    assert share("pipelines").is_dir()


@pytest.mark.parametrize("name", zoo())
def test_the_zoo_loads(name):
    assert load(name).method in name


@pytest.mark.parametrize("name", ["fomm", *zoo()])
def test_the_zoo_is_listed(name):
    models = list_models()

    assert name in repr(models)
    assert name in models._repr_html_()
