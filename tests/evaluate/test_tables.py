"A metric is defined in one place; one registration brings it into `evaluate` and into tables."

import pytest

from animlib.data.sources import open_source
from animlib.evaluate.tables import (
    METRICS,
    Metric,
    ablation_table,
    evaluate,
    metric_columns,
    register_metric,
)
from animlib.models.registry import build
from animlib.zoo.hub import load


@pytest.fixture
def brightness():
    "A metric that nothing else knows of."

    def measure(model, source, limit, progress):
        clips = source.clips("test", limit or None)
        frames = [clips.video(i) for i in range(len(clips))]
        return {"brightness": sum(video.mean().item() for video in frames) / len(frames)}

    yield register_metric(Metric("brightness", {"brightness": "mean brightness"}, measure))
    METRICS.pop("brightness")


def test_one_registration_is_enough(brightness):
    model = build("fomm", "toy").eval()
    source = open_source("toy:arm", 32, 2, 4, progress=False)
    found = evaluate(model, source, 2, progress=False)
    assert 0 < found["brightness"] < 1 and "l1" in found
    row = {"weights": 7, "metrics": [found]}
    run = {"method": "fomm", "data": "toy:arm", "preset": "toy", "steps": 0}
    table = ablation_table(run | {"seeds": 1, "device": "cpu", "variants": {"full": row}})
    head, _, first_row = table.splitlines()[:3]
    assert head.endswith("mean brightness |")
    assert first_row.endswith(f"{found['brightness']:.3f} |")


def test_it_leaves_nothing_behind():
    assert "brightness" not in metric_columns()
    assert list(METRICS) == ["reconstruction", "transfers", "sources", "truth"]


@pytest.mark.parametrize("name, data", [("fomm-body", "toy:body"), ("x2face-face", "toy:face")])
@pytest.mark.slow
def test_the_shipped_numbers_are_found_again(name, data):
    "The header of a shipped model carries what `evaluate` returned; four digits hold anywhere."
    model = load(name)
    found = evaluate(model, open_source(data, model.cfg.size, progress=False), progress=False)
    for metric, value in model.info["metrics"].items():
        assert found[metric] == pytest.approx(value, rel=1e-3, abs=1e-4), metric
