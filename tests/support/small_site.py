"""A project of three chapters and one module, laid out like this one, whose site takes seconds."""

import base64
import io
import json
import shutil
from pathlib import Path

from notebook_files import code_cell, text_cell, write_cells
from PIL import Image
from project_files import ROOT

PLOT = {"data": [{"y": [1, 3, 2], "name": "loss"}], "layout": {"title": {"text": "A loss"}}}
MODULE = '''"""A map that turns and stretches."""

__all__ = ["turn"]


def turn(
    image,  # `[3,h,w]` in [0,1]
    degrees: float = 90.0,  # to the left; a <b> is no markup
) -> "Tensor":  # `[3,h,w]`
    "The image, turned."
    return image
'''
INDEX = "\n\n".join(
    [
        "# A small project",
        "> One image.",
        "![a clip](assets/hero.gif)",
        '<img src="assets/wide.png" width="60" alt="another one">',
        "**[First](00_first)**: What is a map?",
        "**[Second](01_second)**: What turns?",
    ]
)


def image_file(kind: str, width: int = 120) -> bytes:
    "A small image as a file."
    file = io.BytesIO()
    Image.new("RGB", (width, 40), "teal").save(file, kind)
    return file.getvalue()


def noise_file() -> bytes:
    "An image that no format makes small, as the twin of a plot is."
    import numpy as np

    file = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 255, (40, 120, 3), dtype="uint8")
    Image.fromarray(noise).save(file, "PNG")
    return file.getvalue()


def video_file(folder: Path) -> bytes:
    "Half a second of video."
    import numpy as np

    from animlib.media.write import VideoWriter

    with VideoWriter(folder / "clip.mp4", 16) as writer:
        writer.write(np.random.default_rng(0).integers(0, 255, (8, 64, 64, 3), dtype="uint8"))
    return (folder / "clip.mp4").read_bytes()


def output(**data) -> dict:
    "A stored output of these forms."
    return dict(output_type="display_data", metadata={}, data=data)


def cells(*given) -> list[dict]:
    "Cells with ids of their own; a text is a text cell."
    made = [text_cell(cell) if isinstance(cell, str) else cell for cell in given]
    return [cell | dict(id=f"c{i}") for i, cell in enumerate(made)]


def outputs_of_every_kind(folder: Path) -> list[dict]:
    "A plot, a widget with and without a twin, a video, an image."
    video = base64.b64encode(video_file(folder)).decode()
    png = base64.b64encode(image_file("PNG")).decode()
    twin = base64.b64encode(noise_file()).decode()
    widget = "application/vnd.jupyter.widget-view+json"
    html = f'<video muted autoplay loop src="data:video/mp4;base64,{video}"></video>'
    return [
        output(**{"application/vnd.plotly.v1+json": PLOT, "image/png": twin}),
        output(**{widget: dict(model_id="a"), "text/plain": "Box()"}),
        output(**{widget: dict(model_id="b"), "image/png": png}),
        output(**{"text/html": html}),
        output(**{"image/png": png, "text/plain": "<Figure>"}),
    ]


def write_project(root: Path) -> Path:
    "The whole project in a new folder."
    nbs = root / "nbs"
    shutil.copytree(ROOT / "nbs" / "assets" / "site", nbs / "assets" / "site")
    (nbs / "assets" / "hero.gif").write_bytes(image_file("GIF"))
    (nbs / "assets" / "wide.png").write_bytes(image_file("PNG"))
    for folder in ("00_first", "01_second"):
        (nbs / folder).mkdir()
    (root / "animlib" / "motion").mkdir(parents=True)
    (root / "animlib" / "motion" / "affine.py").write_text(MODULE)
    shutil.copyfile(ROOT / "settings.ini", root / "settings.ini")
    (root / "LICENSE").write_text("Free.")
    write_cells(nbs / "index.ipynb", cells(INDEX))
    first = cells("# Maps\n\n> A map is a function.\n\nThe [next](../01_second/010_affine.ipynb).")
    write_cells(nbs / "00_first" / "001_maps.ipynb", first)
    second = cells(
        code_cell("#| default_exp motion.affine"),
        "# Affine maps\n\n> They turn. The *Jacobian* says how far.",
        code_cell("#| export\nfrom animlib.maps import move"),
        "## Its derivative\n\n$$J = \\frac{\\partial y}{\\partial x}$$\n\nUse `turn`, $x_1 < 2$.",
        code_cell("#| export\ndef turn(): ..."),
        code_cell("show()", outputs=outputs_of_every_kind(root)),
        code_cell("#| code-fold: true\nsolution = 1"),
        code_cell("#| hide\nsecret = 1"),
    )
    write_cells(nbs / "01_second" / "010_affine.ipynb", second)
    write_cells(nbs / "01_second" / "011_last.ipynb", cells("# The last\n\n> No more."))
    seconds = {"01_second/010_affine": 7.4}
    (nbs / "assets" / "seconds.json").write_text(json.dumps(seconds))
    return root
