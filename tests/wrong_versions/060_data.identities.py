"Wrong versions that the checks of chapter 060 refuse; they run below its cells."

import torch
from fastcore.test import expect_fail

from animlib.data.clips import Clips
from animlib.data.pairs import identity_of


# %% after c23
def open_ring(clips, batch, generator):
    "Begins again, and does not look at the ends."
    found = {}
    for i, name in enumerate(clips.names):
        found.setdefault(identity_of(name), []).append(i)
    shuffled = torch.randperm(len(found), generator=generator).tolist()
    every = list(found.values())
    drawn = []
    for i in range(batch):
        choice = every[shuffled[i % len(found)]]
        drawn.append(choice[int(torch.randint(len(choice), (), generator=generator))])
    return drawn


def nameless(clips):
    "The same clips as clip0, clip1, ..."
    return Clips(clips.array, clips.lengths)


def any_clips(clips, batch, n, generator):
    "Neighbours drawn on their own."
    drawn = at_random(clips, batch, generator)
    return frames_of(clips, drawn, n, generator, without_driving)


def last_frame_drives(clips, batch, n, generator):
    "Always drives with the last frame."

    def pick(length, m, g):
        return [i % (length - 1) for i in range(m - 1)] + [length - 1]

    return frames_of(clips, _draw_clips(clips, batch, generator), n, generator, pick)


with expect_fail(AssertionError):
    check_ring(open_ring)
with expect_fail(AssertionError):  # every clip is taken for an identity
    check_ring(lambda clips, batch, generator: _draw_clips(nameless(clips), batch, generator))
with expect_fail(AssertionError, "one identity"):
    check_groups(any_clips)
with expect_fail(AssertionError, "one identity"):  # a clip is an identity, though names say id#
    check_groups(lambda clips, b, n, g: identity_groups(nameless(clips), b, n, g))
with expect_fail(AssertionError):
    check_groups(last_frame_drives)
with expect_fail(AssertionError):
    check_identity(lambda name: name)  # the whole name
with expect_fail(AssertionError):
    check_identity(lambda name: name.rpartition("#")[0])  # up to the last #
