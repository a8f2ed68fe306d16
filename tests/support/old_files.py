"""Model files as the first format had them, with a flat config."""

import json
from pathlib import Path

from project_files import ROOT
from safetensors.torch import load_file, save_file

from animlib.zoo.catalog import zoo
from animlib.zoo.files import OLD_FORMAT

# What the headers of the zoo's files held before configs were nested.
OLD_CONFIGS = json.loads((ROOT / "tests" / "zoo" / "old_configs.json").read_text())


def write_old(path: Path, name: str) -> Path:
    "A model of the zoo as it was written in the first format."
    header = dict(format=OLD_FORMAT, **OLD_CONFIGS[name])
    save_file(load_file(zoo()[name]), path, metadata={"animlib": json.dumps(header)})
    return path
