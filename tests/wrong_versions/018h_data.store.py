"Wrong versions that the checks of chapter 018h refuse; they run below its cells."

from fastcore.test import expect_fail


# %% after t16
class ByTheWrongClip(StoredClips):
    def _decode(self, i, times):
        return super()._decode((i + 1) % len(self), times)


with expect_fail(AssertionError):
    check_stored(lambda *args: ByTheWrongClip(home / "train", store.clips["train"], (64, 64)))
