"Wrong versions that the checks of chapter 005a refuse; they run below its cells."

import numpy as np
from fastcore.test import expect_fail
from PIL import Image


# %% after i38
def pillow_only(path):
    "16 bits clipped at 255, orientation forgotten."
    return np.array(Image.open(path).convert("RGB"))


with expect_fail(AssertionError):
    check_read_file(pillow_only)
