"Wrong versions that the checks of chapter 042 refuse; they run below its cells."

from dataclasses import replace

from fastcore.test import expect_fail

from animlib.core import Flow
from animlib.detectors.keypoint import heat_difference


# %% after c10a
def choose_one(grids, weights):
    index = weights.argmax(1)[:, None, ..., None].expand(-1, 1, -1, -1, 2)
    return grids.gather(1, index)[:, 0]


with expect_fail(AssertionError):
    check_blend(choose_one)


# %% after c13c
def background_last(*inputs):
    return motion_evidence(*inputs).roll(4, 1)


with expect_fail(AssertionError):
    check_moved(background_last)


# %% after c22i
class SameSize(PartMotion):  # heatmaps of the motion's own size
    def forward(self, small, kp_s, kp_d, grids):
        flow = super().forward(small, kp_s, kp_d, grids)
        pose_maps = heat_difference(kp_s, kp_d, small.shape[-2:])
        return Flow(flow.warp, flow.weights, pose_maps=pose_maps)


with expect_fail(AssertionError):
    check_pose_maps(SameSize)


# %% after c25b
def always_reads(n_kp, cfg, pose_scale):
    return PartMotion(n_kp, replace(cfg, appearance=True), pose_scale=pose_scale)


with expect_fail(AssertionError):
    check_appearance(always_reads)
