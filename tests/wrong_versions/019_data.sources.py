"Wrong versions that the checks of chapter 019 refuse; they run below its cells."

from fastcore.test import expect_fail


# %% after s16
class SameFigure(ToySource):
    "The driving clip as its own answer."

    def transfers(self, n):
        return [(driving, driving) for driving, _ in super().transfers(n)]


with expect_fail(AssertionError, "same figure"):
    check_transfers(SameFigure("toy:body", "body", 48))
