"""Names and shapes of the layers of the official networks.

Written down a second time, from the description of the networks: a checkpoint of any size can be
made up, and the converters are held to it."""

Shapes = dict[str, list[int]]  # the name of a tensor in a checkpoint, and its shape
Modules = dict[str, Shapes]  # the networks of a checkpoint

OF_HOURGLASS = ("block_expansion", "max_features", "num_blocks", "scale_factor")
OF_GENERATOR = ("block_expansion", "max_features", "num_down_blocks", "num_bottleneck_blocks")


def hourglass_options(*sizes) -> dict:
    "Options of an hourglass, as the official configs name them: width, max width, depth, scale."
    return dict(zip(OF_HOURGLASS, sizes, strict=False))


def generator_options(*sizes) -> dict:
    "Options of a generator: width, max width, levels, residual blocks."
    return dict(zip(OF_GENERATOR, sizes, strict=False))


# ---- layers ----
def conv(name: str, n_in: int, n_out: int, kernel: int, time_axis: bool = False) -> Shapes:
    "A convolution; Monkey-Net's has a time axis of length 1."
    size = [1, kernel, kernel] if time_axis else [kernel, kernel]
    return {f"{name}.weight": [n_out, n_in, *size], f"{name}.bias": [n_out]}


def plain_conv(name: str, n_in: int, n_out: int, kernel: int) -> Shapes:
    "A convolution without a bias."
    return {f"{name}.weight": [n_out, n_in, kernel, kernel]}


def norm(name: str, n: int) -> Shapes:
    "A batch norm."
    numbers = {f"{name}.{part}": [n] for part in ("weight", "bias", "running_mean", "running_var")}
    return numbers | {f"{name}.num_batches_tracked": []}


def instance_norm(name: str, n: int) -> Shapes:
    "An instance norm."
    return {f"{name}.weight": [n], f"{name}.bias": [n]}


def linear(name: str, n_in: int, n_out: int) -> Shapes:
    "A linear layer."
    return {f"{name}.weight": [n_out, n_in], f"{name}.bias": [n_out]}


def anti_alias(name: str, scale: float) -> Shapes:
    "The blur before an image is made smaller; there is none at full size."
    if scale == 1:
        return {}
    size = 2 * round(4 * (1 / scale - 1) / 2) + 1
    return {f"{name}.weight": [3, 1, size, size]}


# ---- blocks ----
def block(name: str, n_in: int, n_out: int, kernel: int = 3, time_axis: bool = False) -> Shapes:
    "A convolution and its norm."
    return conv(f"{name}.conv", n_in, n_out, kernel, time_axis) | norm(f"{name}.norm", n_out)


def residual(name: str, n: int, time_axis: bool = False, norm=norm) -> Shapes:
    "Two convolutions with norms."
    shapes = {}
    for i in (1, 2):
        shapes |= conv(f"{name}.conv{i}", n, n, 3, time_axis) | norm(f"{name}.norm{i}", n)
    return shapes


def level_width(options: dict, level: int) -> int:
    "Channels of a level: doubling from the first, up to a maximum."
    return min(options["max_features"], options["block_expansion"] * 2**level)


def encoder(name: str, n_in: int, options: dict, time_axis: bool = False) -> Shapes:
    "The way down of an hourglass."
    shapes = {}
    for i in range(options["num_blocks"]):
        width = level_width(options, i + 1)
        shapes |= block(f"{name}.down_blocks.{i}", n_in, width, time_axis=time_axis)
        n_in = width
    return shapes


def decoder(name: str, options: dict, extra: int = 0, time_axis: bool = False) -> Shapes:
    "The way up of an hourglass: each level but the first also reads its level of the way down."
    shapes = {}
    depth = options["num_blocks"]
    for j in range(depth):
        level = depth - 1 - j
        width = level_width(options, level + 1)
        n_in = width if j == 0 else 2 * width
        n_out = level_width(options, level)
        shapes |= block(f"{name}.up_blocks.{j}", n_in + extra, n_out, time_axis=time_axis)
    return shapes


def hourglass(name: str, n_in: int, options: dict, time_axis: bool = False) -> Shapes:
    "An hourglass; `name` ends in a dot, or is empty."
    down = encoder(f"{name}encoder", n_in, options, time_axis)
    return down | decoder(f"{name}decoder", options, time_axis=time_axis)


def hourglass_width(n_in: int, options: dict) -> int:
    "Channels that come out of an hourglass: its finest level and what went in."
    return options["block_expansion"] + n_in


# ---- networks that several methods share ----
def generator_blocks(options: dict) -> Shapes:
    "The painting part of a generator."
    top = options["num_down_blocks"]
    shapes = block("first", 3, level_width(options, 0), 7)
    shapes |= conv("final", level_width(options, 0), 3, 7)
    for i in range(top):
        shapes |= block(f"down_blocks.{i}", level_width(options, i), level_width(options, i + 1))
        shapes |= block(
            f"up_blocks.{i}", level_width(options, top - i), level_width(options, top - i - 1)
        )
    for i in range(options["num_bottleneck_blocks"]):
        shapes |= residual(f"bottleneck.r{i}", level_width(options, top))
    return shapes


def dense_motion(name: str, k: int, options: dict, occlusion: bool) -> Shapes:
    "The network of candidate weights and visibility, for k keypoints."
    n_in = 4 * (k + 1)  # for each candidate a heatmap and a warped image
    n_out = hourglass_width(n_in, options)
    shapes = hourglass(f"{name}.hourglass.", n_in, options)
    shapes |= conv(f"{name}.mask", n_out, k + 1, 7)
    shapes |= anti_alias(f"{name}.down", options["scale_factor"])
    if occlusion:
        shapes |= conv(f"{name}.occlusion", n_out, 1, 7)
    return shapes


def generator_with_dense_motion(k: int, options: dict) -> Shapes:
    "The official generators of FOMM, DAM and Motion Transformer own their dense motion."
    motion = options["dense_motion_params"]
    occlusion = options["estimate_occlusion_map"]
    return generator_blocks(options) | dense_motion("dense_motion_network", k, motion, occlusion)


def background(options: dict) -> Shapes:
    "The network of a moving background."
    depth = options["num_blocks"]
    numbers = dict(shift=2, affine=6, perspective=8)[options["bg_type"]]
    return encoder("encoder", 6, options) | linear("fc", level_width(options, depth), numbers)


def linear_layers(name: str, *widths: int) -> Shapes:
    "Linear layers with a norm and a ReLU between them."
    shapes = {}
    for i in range(len(widths) - 1):
        shapes |= linear(f"{name}.{3 * i}", widths[i], widths[i + 1])
        if i < len(widths) - 2:
            shapes |= norm(f"{name}.{3 * i + 1}", widths[i + 1])
    return shapes


def disentangler(n: int, n_shape: int, n_pose: int) -> Shapes:
    "The shape/pose disentangling network (AVD) of MRAA and TPSMM, for n numbers of keypoints."
    shapes = linear_layers("id_encoder", n, 256, 512, 1024, n_shape)
    shapes |= linear_layers("pose_encoder", n, 256, 512, 1024, n_pose)
    return shapes | linear_layers("decoder", n_shape + n_pose, 1024, 512, 256, n)
