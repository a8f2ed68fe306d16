"""Faults that the tests must see: a wrong sign, exchanged frames, a missing term, a guard off.

Each stands in one exported cell of a chapter, found by a short text; `mutants.py` tries them."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Mutant:
    "One fault."

    module: str  # 'motion.affine'
    what: str  # what is wrong then
    old: str  # stands once in the module
    new: str
    tests: tuple[str, ...] = ()  # below tests/, or a chapter below nbs/; its own chapter follows
    must: bool = False  # found to survive once; never again

    @property
    def label(self) -> str:
        "Its name in reports."
        return f"{self.module}: {self.what}"


FOMM = ("parity/test_parity_fomm.py",)
MRAA = ("parity/test_parity_mraa.py",)
DAM = ("parity/test_parity_dam.py",)
TPSMM = ("parity/test_parity_tpsmm.py",)
MONKEYNET = ("parity/test_parity_monkeynet.py",)
X2FACE = ("parity/test_parity_x2face.py",)
BAD_CHECKPOINTS = ("zoo/test_bad_checkpoints.py",)
BAD_FILES = ("zoo/test_bad_checkpoints.py", "zoo/test_hostile_files.py")
WARPS = ("geometry/test_warp.py",)
LOSSES = ("losses/test_terms.py",)
STEPS = ("training/test_steps.py",)
READ = ("media/test_read.py",)
SHOWN = ("media/test_shown.py",)
WRITE = ("media/test_write.py",)
IMAGE = ("media/test_image.py",)
FILES = ("media/test_files.py",)


def faults(module: str, tests: tuple[str, ...], *rows: tuple) -> list[Mutant]:
    "Mutants of one module; a row holds what is wrong, old text, new text, and `must`."
    return [Mutant(module, what, old, new, tests, *must) for what, old, new, *must in rows]


GEOMETRY = faults(
    "geometry",
    WARPS,
    ("x and y exchanged in the grid", "torch.stack([x, y], -1)", "torch.stack([y, x], -1)"),
    ("y runs upwards", "rows = torch.linspace(-1, 1, h,", "rows = torch.linspace(1, -1, h,"),
    (
        "rows and columns exchanged in pixels",
        "/ 2 * (xy.new_tensor([size[1], size[0]]) - 1)",
        "/ 2 * (xy.new_tensor([size[0], size[1]]) - 1)",
    ),
    (
        "pixels counted from edges",
        "/ 2 * (xy.new_tensor([size[1], size[0]]) - 1)",
        "/ 2 * xy.new_tensor([size[1], size[0]])",
    ),
    ("no shift from pixels", "[size[1], size[0]]) - 1) - 1", "[size[1], size[0]]) - 1)"),
    ("nearest ignored", 'if sampling.resize == "nearest":', "if False:"),
    ("corners of a resize inverted", "=sampling.resize_corners)", "=not sampling.resize_corners)"),
    ("nearest is the lower one", ".round().long()", ".floor().long()"),
    ("nearest always with corners", "if not sampling.resize_corners:", "if False:"),
    ("the NaN guard of grids off", 'if pad != "zeros":', "if False:", True),
    ("NaN reads a corner", "nan_to_num(0.0,", "nan_to_num(1.0,"),
    ("corners always", "align_corners=sampling.corners)", "align_corners=True)"),
    (
        "a grid resized by another convention",
        "grid = resize_grid(grid, image.shape[-2:], sampling)",
        "grid = resize_grid(grid, image.shape[-2:])",
    ),
    ("candidates mixed", '"b m h w xy -> b (m h) w xy"', '"b m h w xy -> b (h m) w xy"'),
    ("images and grids need not agree", "if len(image) != b:", "if False:"),
    (
        "background last",
        "torch.cat([background[:, None] + torch.zeros_like(grids[:, :1]), grids], 1)",
        "torch.cat([grids, background[:, None] + torch.zeros_like(grids[:, :1])], 1)",
    ),
    ("a sign of the inverse", "[torch.stack([d, -b], -1)", "[torch.stack([d, b], -1)"),
    ("the determinant", "(a * d - b * c)", "(a * d + b * c)"),
    ("no second derivative", "create_graph=True", "retain_graph=True"),
    (
        "a Jacobian transposed",
        "for i in range(2)]\n        return torch.stack(rows, -2)",
        "for i in range(2)]\n        return torch.stack(rows, -1)",
    ),
    ("half stays half", "and value.dtype in half else value", "and False else value"),
    ("autocast stays on", "enabled=False)", "enabled=True)"),
)
MOTION = [
    *faults(
        "motion.translation",
        (),
        ("frames exchanged", "rearrange(kp_s.xy - kp_d.xy,", "rearrange(kp_d.xy - kp_s.xy,"),
    ),
    *faults(
        "motion.affine",
        (),
        (
            "order of the Jacobians",
            "kp_s.jacobians @ inverse_2x2(kp_d.jacobians)",
            "inverse_2x2(kp_d.jacobians) @ kp_s.jacobians",
        ),
        (
            "Jacobian of the wrong way",
            "kp_s.jacobians @ inverse_2x2(kp_d.jacobians)",
            "kp_d.jacobians @ inverse_2x2(kp_s.jacobians)",
        ),
        ("the driving point is added", "moved + rearrange(kp_s.xy,", "moved + rearrange(kp_d.xy,"),
        (
            "offset from the source",
            'rearrange(kp_d.xy, "b k xy -> b k 1 xy")',
            'rearrange(kp_s.xy, "b k xy -> b k 1 xy")',
        ),
        ("Jacobians ignored", "if kp_s.jac is None:", "if True:"),
    ),
    *faults(
        "motion.pca",
        MRAA,
        ("the sign of y", "M[..., :1, :1] < 0", "M[..., 1:, 1:] < 0"),
        ("axes left as they are", "return A * half_turn(A @ inverse_2x2(B))", "return A"),
        ("the sign left out of the loss", "loop * half_turn(loop)", "loop"),
    ),
    *faults(
        "motion.tps",
        TPSMM,
        ("groups interleaved", '"b (k n) xy -> b k n xy"', '"b (n k) xy -> b k n xy"'),
        ("coinciding points", "return on_a_line | coincide", "return on_a_line"),
        ("points on a line", "return on_a_line | coincide", "return coincide"),
        (
            "the mean step reversed",
            "(points_s - points_d).mean(-2)",
            "(points_d - points_s).mean(-2)",
        ),
        (
            "flat groups bend",
            "torch.where(flat[..., None], shift, spline.grid(size))",
            "spline.grid(size)",
        ),
        ("frames exchanged", "xy_d=solvable, xy_s=points_s,", "xy_d=points_s, xy_s=solvable,"),
        ("stiffness lost", "xy_s=points_s, stiff=stiff,", "xy_s=points_s, stiff=0.0,"),
    ),
    *faults(
        "motion.background",
        MRAA,
        ("no division", "mapped[..., :2] / mapped[..., 2:]", "mapped[..., :2]"),
        ("the matrix transposed", '"b i j, h w j -> b h w i"', '"b j i, h w j -> b h w i"'),
        ("a shift in the wrong column", "(2, 0, 0, 1)", "(1, 1, 0, 1)"),
        ("frames exchanged", "torch.cat([source, driving], 1)", "torch.cat([driving, source], 1)"),
        ("darker at borders", "count_include_pad=False", "count_include_pad=True"),
        ("it starts late", "progress >= self.start", "progress > self.start"),
        ("not still before its start", "if self.active:", "if True:"),
    ),
    *faults(
        "motion.latent",
        X2FACE,
        ("unbounded", "rearrange(flow.tanh(),", "rearrange(flow,"),
        ("scale lost", "source.values + scale * (self", "source.values + (self"),
        ("skips exchanged", "levels[-1 - i]", "levels[i - 1]"),
        ("any size of frame", "if tuple(frame.shape[-2:]) != (self.side, self.side):", "if False:"),
    ),
    *faults(
        "motion.attention",
        ("motion/test_attention.py",),
        ("scale lost", "keys, values, scale=scale)", "keys, values)"),
        ("only the first chunk", "in queries.split(n, 1):", "in queries.split(n, 1)[:1]:"),
        ("the pixel below", "/ 2 * last).round()", "/ 2 * last).floor()"),
        (
            "shares of a part not renewed",
            "share = weights / weights.sum(1, keepdim=True).clamp(min=1e-9)",
            "share = weights",
        ),
        ("the farthest pose", "distance.argmin(1)", "distance.argmax(1)"),
    ),
]
DENSE = [
    *faults(
        "dense.blend",
        (*FOMM, *MONKEYNET),
        ("weights of other candidates", "einsum(grids, weights,", "einsum(grids, weights.flip(1),"),
        (
            "the background's map last",
            "torch.cat([torch.zeros_like(difference[:, :1]), difference], 1)",
            "torch.cat([difference, torch.zeros_like(difference[:, :1])], 1)",
        ),
        (
            "channels of candidates mixed",
            '"b m c h w -> b (m c) h w"',
            '"b m c h w -> b (c m) h w"',
        ),
        (
            "another convention",
            "warp_each(small, grids, sampling=sampling)",
            "warp_each(small, grids)",
        ),
        (
            "weights that do not sum to 1",
            "self.mask(features).float().softmax(1)",
            "self.mask(features).float().sigmoid()",
        ),
        (
            "visibility without limits",
            "self.occlusion(features).float().sigmoid()",
            "self.occlusion(features).float()",
        ),
        ("the warp's convention lost", "weights), self.sampling)", "weights))"),
        (
            "masks over all channels",
            "maps[:, : grids.shape[1]].softmax(1)",
            "maps.softmax(1)[:, : grids.shape[1]]",
        ),
        ("the residual from the masks", "rearrange(maps[:, -2:],", "rearrange(maps[:, :2],"),
        (
            "no residual",
            "if self.cfg.residual:\n            grid =",
            "if False:\n            grid =",
        ),
        ("at first the last part", "self.head.bias.data[0] = 2.0", "self.head.bias.data[-1] = 2.0"),
        (
            "pose maps in another size",
            "self.pose_scale / self.cfg.scale",
            "self.cfg.scale / self.pose_scale",
        ),
    ),
    *faults(
        "dense.contributions",
        TPSMM,
        ("dropout without rescaling", "/ (1 - p if rescale else 1)", "/ 1"),
        (
            "the background dropped, too",
            "torch.cat([torch.ones_like(odds[:, :1]), odds], 1)",
            "torch.cat([odds[:, :1], odds], 1)",
        ),
        ("dropout to the end", "if progress >= cfg.until:", "if progress > 1:"),
        ("no start of the rise", "* cfg.rate + cfg.start, cfg.rate)", "* cfg.rate, cfg.rate)"),
        (
            "no highest rate",
            "return min(progress / max(cfg.ramp, 1e-9) * cfg.rate + cfg.start, cfg.rate)",
            "return progress / max(cfg.ramp, 1e-9) * cfg.rate + cfg.start",
        ),
        ("dropout in use", "if not (self.training and self.rate):", "if not self.rate:"),
        ("the rate inverted", "< 1 - self.rate", "< self.rate"),
        ("evidence in another order", "difference, warped], 1)", "warped, difference], 1)"),
        ("masks without limits", "head(x).float().sigmoid()", "head(x).float()"),
    ),
]
LOSS = [
    *faults(
        "losses.reconstruction",
        LOSSES,
        ("squares", "return (a - b).abs().mean()", "return (a - b).square().mean()"),
        ("full size left out", "[_shrink(x, 0.5**i) for", "[_shrink(x, 0.5 ** (i + 1)) for"),
        ("small levels counted", "min_side * 2**i", "min_side * i"),
        ("gradient into the truth", "frame - target.detach()", "frame - target"),
        ("small scales counted", "if side * scale < 16:", "if False:"),
        ("weights of layers lost", "total + weight * l1(a, b)", "total + l1(a, b)"),
        ("the truth in full size", "vgg(_shrink(target, scale))", "vgg(target)"),
        ("weight 0 is computed", "if term.weight != 0:", "if True:"),
        ("weights of parts lost", "term.weight * part for", "part for"),
        (
            "gradients in the log",
            "value.detach() for name, value in values",
            "value for name, value in values",
        ),
    ),
    *faults(
        "losses.adversarial",
        (*LOSSES, *FOMM),
        (
            "real and fake exchanged",
            "(real - 1).square().mean() + fake.square().mean()",
            "real.square().mean() + (fake - 1).square().mean()",
        ),
        (
            "results should score 0",
            "return (fake - 1).square().mean()",
            "return fake.square().mean()",
        ),
        ("weights of layers lost", "weight * (fake_layer", "(fake_layer"),
        (
            "the generator learns from it",
            "discriminator(frame.detach(), kp)",
            "discriminator(frame, kp)",
        ),
        (
            "keypoints learn from it",
            "kp = step.kp_d.detach() if detach else step.kp_d",
            "kp = step.kp_d",
        ),
        (
            "layers shifted",
            "feature_matching(real[:-1], fake[:-1],",
            "feature_matching(real[1:], fake[1:],",
        ),
        (
            "the result is the truth",
            "reals = discriminator(step.target, kp)",
            "reals = discriminator(step.frame, kp)",
        ),
        ("a norm in the first block", "if i > 0:", "if i >= 0:"),
        ("the weight lost", "adversarial * _sum_losses(losses)", "_sum_losses(losses)"),
    ),
    *faults(
        "losses.equivariance",
        LOSSES,
        ("black borders", '"reflection")', '"zeros")', True),
        ("frames exchanged", "kp.xy - transform(kp_t.xy)", "kp_t.xy - transform(kp.xy)"),
        ("the map's Jacobian missing", "transform.jacobian(kp_t.xy) @ kp_t", "kp_t"),
        (
            "the frame ignored",
            'image = step.source if frame == "source" else step.target',
            "image = step.target",
        ),
        (
            "latent anchors left out",
            "step.model.detector(warped).whole",
            "step.model.detector(warped)",
        ),
        ("nothing is warped", "len(image), affine, bend, like", "len(image), 0.0, 0.0, like"),
    ),
    *faults(
        "losses.anchors",
        DAM,
        (
            "frames exchanged",
            "affine_points(above_s, above_d, kp_d.xy)",
            "affine_points(above_d, above_s, kp_d.xy)",
        ),
        (
            "the first anchor is the root",
            "latent[:, :-1], latent[:, -1:]",
            "latent[:, 1:], latent[:, :1]",
        ),
        ("roles exchanged", "step.model(step.source, warped)", "step.model(warped, step.source)"),
        (
            "x alone",
            'kp_s.xy, "b k xy -> b 1 k xy")).norm(dim=-1)',
            'kp_s.xy, "b k xy -> b 1 k xy"))[..., 0].abs()',
        ),
    ),
    *faults(
        "losses.hierarchy",
        DAM,
        ("attention lost", "motion * step.kp_d.extra.attention", "motion"),
        ("attention of the source", "step.kp_d.extra.attention", "step.kp_s.extra.attention"),
        ("overlap is wanted", "return -gap.abs()", "return gap.abs()"),
        ("too much costs, too", ".sum(1)).relu()", ".sum(1)).abs()"),
        ("ignored anchors counted", "if k not in ignored]", "]"),
    ),
    *faults(
        "losses.masks",
        ("parity/test_parity_motion_transformer.py",),
        ("no background wanted", "(weights[:, 0] - 1).abs()", "weights[:, 0].abs()"),
        ("background counted as a part", "area[1:].sum()", "area.sum()"),
        ("the weight of parts lost", "+ each * area", "+ area"),
        ("background spread", "parts = weights[:, 1:]", "parts = weights"),
    ),
    *faults(
        "losses.consistency",
        TPSMM,
        ("there and there", "back @ there - identity", "there @ there - identity"),
        ("one way twice", "network(step.target, step.source)", "network(step.source, step.target)"),
        ("outside counted", "sigma**2) * inside).sum()", "sigma**2)).sum()"),
        ("the mask on one side", "warped = warped * mask", "warped = warped"),
        ("the mask learns", "generator.sampling).detach()", "generator.sampling)"),
    ),
    *faults(
        "losses.crossid",
        (),
        ("its own identity", "v.roll(1, 0)", "v.roll(0, 0)"),
        ("back to the wrong identity", "cross=model(pre, r)", "cross=model(next_identity(pre), r)"),
        ("compared with itself", "replace(step.cross, driving=step.driving)", "step.cross"),
        ("detach ignored", "torch.is_grad_enabled() and not detach", "torch.is_grad_enabled()"),
    ),
]
TRAINING = [
    *faults(
        "training.config",
        STEPS,
        ("all processes alike", "SeedSequence([seed, step, rank])", "SeedSequence([seed, step])"),
        ("mirrored always", "flip=cfg.flip,", "flip=True,"),
        ("no hue", "hue=cfg.hue,", "hue=0.0,"),
        ("losses not seeded", "    torch.manual_seed(seed)\n", "    pass\n"),
    ),
    *faults(
        "training.optimise",
        STEPS,
        ("gradients not clipped", "if self.cfg.clip:", "if False:", True),
        (
            "another norm",
            "self.objective.parameters(), limit, norm)",
            "self.objective.parameters(), limit)",
        ),
        ("milestones of another run", "round(part * cfg.steps)", "round(part * 1000)"),
        ("no decay", "weight_decay=cfg.weight_decay", "weight_decay=0.0"),
        ("gradients add up", "self.adam.zero_grad()", "pass"),
        ("the rate stays", "self.schedule.step()", "pass"),
    ),
    *faults(
        "training.loop",
        STEPS,
        ("progress in steps", "set_progress(step / self.cfg.steps)", "set_progress(step)"),
        ("one rate for both", "self.cfg.discriminator_lr or self.cfg.lr", "self.cfg.lr"),
        ("in training mode at the end", "self.model.eval()", "pass"),
    ),
    *faults(
        "training.record",
        STEPS,
        ("the end not saved", "(done % every == 0 or done == steps)", "done % every == 0"),
        ("reports twice", "step is not None and step <= start", "step is not None"),
        ("infinity is finite", "~torch.isfinite(loss.detach())", "torch.isnan(loss.detach())"),
        ("the last bad step", "(self.bad_step < 0) & ~", "~"),
        ("sums for means", "float(total) / self.count", "float(total)"),
    ),
    *faults(
        "training.state",
        STEPS,
        ("code in a state is run", "weights_only=True", "weights_only=False", True),
        ("half always", "if half and value.is_floating_point():", "if value.is_floating_point():"),
        (
            "the old state removed before the new one is safe",
            "        write_atomic(file, lambda temporary: torch.save",
            "        for old in self.files():\n            old.unlink()\n"
            "        write_atomic(file, lambda temporary: torch.save",
            True,
        ),
    ),
    *faults(
        "training.folder",
        STEPS,
        ("a run overwritten", "if (is_there or done) and not resume:", "if False:"),
        ("changes of options unseen", "if before.get(name) != value}", "if False}"),
        (
            "a refused training removes what was there",
            "            if path == self.path:\n",
            "            remove(self.path)\n            if path == self.path:\n",
            True,
        ),
    ),
]
MEDIA = [
    *faults(
        "media.files",
        FILES,
        ("half a file is enough", "if announced > actual:", "if announced > 2 * actual:"),
        ("a text is binary", "if set(text) & _CONTROL:", "if True:"),
        ("a folder is a file", "if stat.S_ISDIR(mode):", "if False:"),
    ),
    *faults(
        "media.image",
        IMAGE,
        ("no antialiasing", "Image.Resampling.LANCZOS", "Image.Resampling.NEAREST"),
        ("rows and columns exchanged", "(columns, rows), Image", "(rows, columns), Image"),
        ("any range", "image.min() >= -1e-3 and image.max() <= 1.001", "True"),
        ("a quarter turn to the other side", "6: (False, 3)", "6: (False, 1)"),
        ("mirrored top to bottom", "frame = frame[:, ::-1]", "frame = frame[::-1]"),
        ("numbers as text", "int(part) if part.isdecimal()", "part if part.isdecimal()"),
        ("hidden files are frames", 'if not p.name.startswith(".")', "if True"),
        ("half frames in a strip", "or columns % width:", "or False:"),
        ("frames interleaved", '"h (t w) c -> t h w c"', '"h (w t) c -> t h w c"'),
        ("darker", "* 255).round().byte()", "* 255).byte()"),
        ("no budget of pixels", "if rows * columns > budget:", "if False:"),
    ),
    *faults(
        "media.decode",
        (*READ, *FILES, *SHOWN),
        ("turned the other way", "round(frame.rotation / 90)", "-round(frame.rotation / 90)"),
        ("early ends", "< 0.8 * announced", "< 0.01 * announced"),
        ("pixels stay oblong", "if abs(ratio - 1) < 0.02:", "if True:"),
        ("wide pixels make it higher", "if ratio > 1:", "if ratio < 1:"),
        ("grey HDR", "if frame.color_trc in (PQ, HLG):", "if False:"),
    ),
    *faults(
        "media.timing",
        READ,
        ("times ignored", "gap = start - self.last", "gap = 1 / self.fps"),
        ("the last frame too short", "max(1.0, min(seconds, MAX_GAP) * fps)", "1.0"),
        ("speed of an animation", "1000 * len(delays) / sum", "len(delays) / sum"),
    ),
    *faults(
        "media.read",
        READ,
        ("no frame is fine", "if is_empty:", "if False:"),
        ("new readers asked last", "READERS.insert(0, reader)", "READERS.append(reader)"),
    ),
    *faults(
        "media.encode",
        WRITE,
        (
            "delays drift",
            "end = round(1000 * (t + 1) / fps / step) * step",
            "end = round(1000 * t / fps / step) * step + round(1000 / fps / step) * step",
        ),
        ("odd sizes", "if rows % 2 == 0 and columns % 2 == 0:", "if True:"),
        ("a strip of columns", '"t h w c -> h (t w) c"', '"t h w c -> (t h) w c"'),
    ),
    *faults(
        "media.sound",
        WRITE,
        ("sound breaks off", "self._end(self.packet) <= seconds", "self._end(self.packet) <= 0.1"),
    ),
    *faults(
        "media.write",
        WRITE,
        ("frames of several sizes", "if frame.shape != self.shape:", "if False:"),
        ("half a video is published", "error_type is None and self.n > 0", "self.n > 0"),
        ("any speed", "0 < float(fps) <= 1000", "True"),
    ),
    *faults(
        "media.output",
        ("animation/test_overwrite.py",),
        (
            "the overwrite guard without resolved paths",
            "    there = Path(os.path.realpath(given))\n    if here == there or",
            "    there = given\n    if given.is_file():\n"
            "        return path == given\n    if here == there or",
            True,
        ),
        ("any folder is ours", "sha256(file) == listed.get(name)", "True"),
        (
            "inputs are not looked at",
            "for found, given in (inputs or {}).items():",
            "for found, given in ():",
        ),
    ),
    *faults(
        "data.folder",
        ("data/test_cache_race.py",),
        (
            "the cache's tolerance of a race removed",
            "if _read_slot(slot) is None:\n            raise",
            "if True:\n            raise",
            True,
        ),
    ),
]
ZOO = [
    *faults(
        "zoo.tensors",
        BAD_FILES,
        ("NaN is a weight", "if not tensors[name].isfinite().all():", "if False:"),
        ("any shape", "if expected.shape != found.shape:", "if False:"),
        ("without a place", "unknown = [k for k in tensors if k not in expected]", "unknown = []"),
        ("missing", "missing = [k for k in needed if k not in tensors]", "missing = []"),
        ("random numbers drawn", "with torch.random.fork_rng(devices=[]):", "if True:"),
        ("any number of layers", "if self.left < 0:", "if False:"),
    ),
    *faults(
        "zoo.files",
        BAD_FILES,
        (
            "unknown options",
            "unknown = [name for name in values if name not in known]",
            "unknown = []",
        ),
        ("in training mode", "return model.eval()", "return model"),
        ("old names unknown", 'if header["format"] == OLD_FORMAT and', "if False and"),
    ),
    *faults(
        "zoo.checkpoint",
        BAD_CHECKPOINTS,
        ("code is run", "weights_only=True", "weights_only=False"),
        (
            "wrappers stay",
            'if all(name.startswith("module.")',
            'if False and all(name.startswith("module.")',
        ),
        ("tensors at the top", "if isinstance(part, Tensor):", "if False:"),
    ),
    *faults(
        "zoo.convert",
        (*BAD_CHECKPOINTS, "parity/test_parity_motion_transformer.py", *FOMM),
        ("two for one place", "if ours in theirs:", "if False:"),
        ("any computed tensor", "not torch.allclose(found, compute(cfg), atol=1e-4)", "False"),
        ("another method's yaml", "if seems != method:", "if False:"),
        ("any name to write", 'if out.suffix != ".safetensors":', "if False:"),
    ),
    *faults(
        "zoo.official.config",
        (*BAD_FILES, *FOMM),
        ("any fixed option", "if given[name] != value:", "if False:"),
        ("resized with corners", "facts.resize_as_corners and corners", "corners"),
        ("options unknown to us", "if name not in known:", "if False:"),
    ),
    *faults(
        "zoo.hub",
        BAD_FILES,
        ("a yaml beside our file", "if ours and config is not None:", "if False:"),
        ("runs are no models", 'if (path / "model.safetensors").is_file():', "if False:"),
    ),
]
OPTIONS = faults(
    "ranges",
    (),
    ("True is a number", "isinstance(value, bool) != (kind is bool) or not", "not"),
    ("a whole number is no float", "if kind is float and type(value) is int", "if False"),
    ("no upper bound", "self.low <= value <= self.high and", "self.low <= value and"),
    ("steps ignored", " and not (self.step and (value - self.low) % self.step)", ""),
    ("arguments not checked", "if name in given.arguments:", "if False:"),
)
MUTANTS = [*OPTIONS, *GEOMETRY, *MOTION, *DENSE, *LOSS, *TRAINING, *MEDIA, *ZOO]
