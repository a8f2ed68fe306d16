"""What the yaml files of the original authors contain: every method, every data set.

Written down from the description of the repositories, in the layout that their code reads: sizes
of the networks, data, schedules, weights of the losses. Nothing is copied from them."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

VOX_FLIPS = dict(flip_param=dict(horizontal_flip=True, time_flip=True))
JITTER = dict(jitter_param=dict(brightness=0.1, contrast=0.1, saturation=0.1, hue=0.1))
GIFS = dict(
    resize_param=dict(ratio=[0.9, 1.1]),
    crop_param=dict(size=[256, 256]),
    jitter_param=dict(hue=0.5),
)


@dataclass(frozen=True)
class Released:
    "One yaml file, and what a model of it must be."

    method: str
    name: str  # of the file
    tree: dict[str, Any]
    size: int  # side of the frames
    variant: str = (
        ""  # in the list of tensors: '' is the file that it was made from; '-': not known
    )
    expected: dict[str, Any] = field(default_factory=dict)  # our options, dotted


def data(shape=None, ids=False, **augmentation) -> dict:
    "`dataset_params` of a file."
    return dict(
        root_dir="data/it",
        frame_shape=shape,
        id_sampling=ids,
        pairs_list=None,
        augmentation_params=augmentation or VOX_FLIPS,
    )


def training(epochs, repeats, batch, milestones=(60, 90), **more) -> dict:
    "`train_params` of a file."
    return dict(
        num_epochs=epochs,
        num_repeats=repeats,
        batch_size=batch,
        epoch_milestones=list(milestones),
        scales=[1, 0.5, 0.25, 0.125],
        checkpoint_freq=50,
        transform_params=dict(sigma_affine=0.05, sigma_tps=0.005, points_tps=5),
        **more,
    )


def hourglass(width, most, depth, scale=None) -> dict:
    "Options of an hourglass."
    options = dict(block_expansion=width, max_features=most, num_blocks=depth)
    return options if scale is None else options | dict(scale_factor=scale)


def generator(**more) -> dict:
    "The generator that FOMM, MRAA, DAM and Motion Transformer share."
    sizes = dict(block_expansion=64, max_features=512, num_down_blocks=2, num_bottleneck_blocks=6)
    return sizes | more


# ---- FOMM ----
def fomm(detector=None, discriminator=None, gan=0, lr_kp=2.0e-4, **train) -> dict:
    "A file of FOMM; all have networks of one size."
    motion = hourglass(64, 1024, 5, 0.25)
    weights = dict(
        generator_gan=gan,
        discriminator_gan=1,
        feature_matching=[10, 10, 10, 10],
        perceptual=[10, 10, 10, 10, 10],
        equivariance_value=10,
        equivariance_jacobian=10,
    )
    return dict(
        dataset_params=data([256, 256, 3], train.pop("ids", False), **train.pop("augment", {})),
        model_params=dict(
            common_params=dict(num_kp=10, num_channels=3, estimate_jacobian=True),
            kp_detector_params=dict(temperature=0.1, **hourglass(32, 1024, 5, 0.25))
            | (detector or {}),
            generator_params=generator(estimate_occlusion_map=True, dense_motion_params=motion),
            discriminator_params=dict(scales=[1], **hourglass(32, 512, 4)) | (discriminator or {}),
        ),
        train_params=training(
            **train,
            lr_generator=2.0e-4,
            lr_discriminator=2.0e-4,
            lr_kp_detector=lr_kp,
            loss_weights=weights,
        ),
        reconstruction_params=dict(num_videos=1000, format=".mp4"),
        animate_params=dict(
            num_pairs=50,
            format=".mp4",
            normalization_params=dict(
                adapt_movement_scale=False,
                use_relative_movement=True,
                use_relative_jacobian=True,
            ),
        ),
        visualizer_params=dict(kp_size=5, draw_border=True, colormap="gist_rainbow"),
    )


PLAIN = dict(epochs=100)
FACES = VOX_FLIPS | JITTER
FOMM = {  # file -> tree, variant of the tensors
    "vox-256": (
        fomm(discriminator=dict(sn=True), ids=True, augment=FACES, repeats=75, batch=40, **PLAIN),
        "",
    ),
    "taichi-256": (fomm(ids=True, augment=FACES, repeats=150, batch=30, **PLAIN), "taichi-256"),
    "fashion-256": (
        fomm(gan=1, augment=VOX_FLIPS, repeats=50, batch=27, **PLAIN),
        "fashion-256",
    ),
    "mgif-256": (
        fomm(
            dict(single_jacobian_map=True),
            dict(sn=True),
            gan=1,
            augment=VOX_FLIPS | GIFS,
            repeats=25,
            batch=36,
            **PLAIN,
        ),
        "mgif-256",
    ),
    "bair-256": (
        fomm(
            discriminator=dict(sn=True),
            gan=1,
            augment=FACES,
            repeats=1,
            batch=36,
            epochs=20,
            milestones=(12, 18),
        ),
        "bair-256",
    ),
    "nemo-256": (
        fomm(discriminator=dict(sn=True), gan=1, augment=VOX_FLIPS, repeats=8, batch=36, **PLAIN),
        "nemo-256",
    ),
    "vox-adv-256": (
        fomm(
            discriminator=dict(use_kp=True),
            gan=1,
            ids=True,
            augment=FACES,
            repeats=75,
            batch=36,
            epochs=150,
            milestones=(),
        ),
        "vox-adv-256",
    ),
    "taichi-adv-256": (
        fomm(
            discriminator=dict(use_kp=True),
            gan=1,
            lr_kp=0,
            ids=True,
            augment=FACES,
            repeats=150,
            batch=27,
            epochs=150,
            milestones=(),
        ),
        "vox-adv-256",
    ),
}


# ---- MRAA ----
def mraa(repeats, batch, regions=10, background="affine", ids=True, **detector) -> dict:
    "A file of MRAA."
    motion = dict(
        **hourglass(64, 1024, 5, 0.25),
        use_deformed_source=True,
        use_covar_heatmap=True,
        estimate_occlusion_map=True,
    )
    return dict(
        dataset_params=data(None, ids, **FACES),
        model_params=dict(
            num_regions=regions,
            num_channels=3,
            estimate_affine=True,
            revert_axis_swap=True,
            bg_predictor_params=dict(**hourglass(32, 1024, 5), bg_type=background),
            region_predictor_params=dict(
                temperature=0.1,
                **hourglass(32, 1024, 5, 0.25),
                pca_based=True,
                fast_svd=False,
                **detector,
            ),
            generator_params=generator(skips=True, pixelwise_flow_predictor_params=motion),
            avd_network_params=dict(id_bottle_size=64, pose_bottle_size=64),
        ),
        train_params=training(
            100,
            repeats,
            batch,
            lr=2.0e-4,
            loss_weights=dict(perceptual=[10] * 5, equivariance_shift=10, equivariance_affine=10),
        ),
        train_avd_params=dict(
            num_epochs=30,
            num_repeats=2000,
            batch_size=256,
            epoch_milestones=[20, 25],
            lr=1.0e-3,
            lambda_shift=1,
            lambda_affine=1,
            random_scale=0.25,
        ),
    )


MRAA = {  # file -> tree, variant, our options
    "vox256": (mraa(75, 14), "", {"detector.pad": 3, "background.kind": "affine"}),
    "taichi256": (mraa(150, 14, pad=0), "config/ted384.yaml", {"detector.pad": 0}),
    "mgif256": (
        mraa(50, 14, background="zero", ids=False, pad=0),
        "no background",
        {"background.kind": "zero"},
    ),
    "ted384": (mraa(150, 6, pad=0), "config/ted384.yaml", {"detector.pad": 0}),
    "ted-youtube384": (mraa(150, 20, regions=20, pad=0), "-", {"n_kp": 20}),
}


# ---- TPSMM ----
def tpsmm(repeats, batch, dropout, start, background=0, has_background=True) -> dict:
    "A file of TPSMM; `dropout`: the share at first and at last."
    return dict(
        dataset_params=data(None, True, **FACES),
        model_params=dict(
            common_params=dict(num_tps=10, num_channels=3, bg=has_background, multi_mask=True),
            generator_params=dict(block_expansion=64, max_features=512, num_down_blocks=3),
            dense_motion_params=hourglass(64, 1024, 5, 0.25),
            avd_network_params=dict(id_bottle_size=128, pose_bottle_size=128),
        ),
        train_params=training(
            100,
            repeats,
            batch,
            (70, 90),
            dataloader_workers=12,
            dropout_epoch=35,
            dropout_maxp=dropout,
            dropout_startp=start,
            dropout_inc_epoch=10,
            bg_start=background,
            lr_generator=2.0e-4,
            loss_weights=dict(perceptual=[10] * 5, equivariance_value=10, warp_loss=10, bg=10),
        ),
        train_avd_params=dict(num_epochs=200, num_repeats=300, batch_size=256, lr=1.0e-3),
    )


TPSMM = {
    "vox-256": (tpsmm(75, 28, 0.3, 0.1, 10), "", {"dropout.rate": 0.3, "background.start": 0.1}),
    "taichi-256": (
        tpsmm(150, 28, 0.7, 0.0),
        "config/ted-384.yaml",
        {"dropout.rate": 0.7, "dropout.start": 0.0},
    ),
    "ted-384": (tpsmm(150, 12, 0.5, 0.0), "config/ted-384.yaml", {"dropout.rate": 0.5}),
    "mgif-256": (
        tpsmm(50, 28, 0.5, 0.2, has_background=False),
        "no background",
        {"background.kind": "zero"},
    ),
}


# ---- DAM, HDAM ----
def dam(intermediate=0, repeats=75, background=False, shared=True, skips=True, **more) -> dict:
    "A file of DAM, or of HDAM with intermediate anchors."
    hierarchical = intermediate > 0
    weights = dict(
        generator_gan=more.get("gan", 0),
        discriminator_gan=1,
        feature_matching=[10, 10, 10, 10],
        perceptual=[10] * 5,
        perceptual_aug=[10] * 5,
        equivariance_value=10,
        equivariance_jacobian=10,
        reconstruction=0,
        use_bg_params=background,
        root_kp_distance=0,
        root_motion_kp_distance=0 if hierarchical else 10,
        root_motion_sub_root_distance=int(hierarchical),
        sub_root_motion_kp_distance=10 if hierarchical else 0,
        orthognal_sub_leaf=10,
        orthognal_type="L1",
        complete_sub_leaf_attention=more.get("coverage", 10),
        sub_leaf_attention_value=more.get("least", 0.33),
    )
    detector = dict(
        temperature=0.1,
        **hourglass(32, 1024, 5, 0.25),
        subroot_leaf_attention=hierarchical,
        attention_scale=1,
        attention_channel=64,
        detach_feature=False,
        ignore_kp_list=list(more.get("ignored", [])),
        single_jacobian_map=shared,
    )
    picture = generator(
        estimate_occlusion_map=True,
        skips=skips,
        root_motion_kp_distance=not hierarchical,
        root_motion=False,
        num_root_kp=intermediate + 1,
        sub_kp_num=[],
        num_root_kp_orders=[2 if hierarchical else 1],
        dense_motion_params=dict(**hourglass(64, 1024, 5, 0.25), set_static_bg=False),
    )
    return dict(
        dataset_params=data(None, True, **FACES),
        model_params=dict(
            use_bg_predictor=background,
            common_params=dict(num_kp=11 + intermediate, num_channels=3, estimate_jacobian=True),
            bg_predictor_params=dict(**hourglass(32, 1024, 5), bg_type="affine"),
            kp_detector_params=detector,
            generator_params=picture,
            discriminator_params=dict(scales=[1], **hourglass(32, 512, 4)) | more.get("disc", {}),
        ),
        train_params=training(100, repeats, 48, lr_generator=2.0e-4, loss_weights=weights),
    )


SPECTRAL = dict(disc=dict(sn=True))
DAM = {
    "taichi256-dam": (
        dam(repeats=150, background=True, shared=False),
        "",
        {"background.kind": "affine", "detector.shared_jacobian": False},
    ),
    "vox256-dam": (dam(), "shared", {"background.kind": "zero", "detector.shared_jacobian": True}),
    "fashion256-dam": (dam(repeats=50, gan=1), "shared", {"n_intermediate": 0}),
    "mgif256-dam": (
        dam(repeats=25, skips=False, gan=1, **SPECTRAL),
        "shared",
        {"generator.skips": False},
    ),
}
HDAM = {
    "taichi256-hdam": (
        dam(3, 150, True, shared=False, ignored=[1, 4], least=0.2),
        "",
        {"n_intermediate": 3, "detector.ignored": (1, 4), "loss.min_coverage": 0.2},
    ),
    "vox256-hdam": (
        dam(3, ignored=[2, 3]),
        "shared",
        {"detector.ignored": (2, 3), "loss.min_coverage": 0.33},
    ),
    "fashion256-hdam": (dam(3, 50, least=0.3, gan=1), "shared", {"loss.min_coverage": 0.3}),
    "mgif256-hdam": (
        dam(4, 25, skips=False, coverage=20, gan=1, **SPECTRAL),
        "-",
        {"n_intermediate": 4, "loss.coverage": 20.0},
    ),
}


# ---- Monkey-Net ----
def monkeynet(size, most=1024, depth=5, scale=None, norm=100, offset=False, **more) -> dict:
    "A file of Monkey-Net."
    heatmaps = dict(use_heatmap=True, heatmap_type="difference", norm_const=norm)
    scaled = {} if scale is None else dict(scale_factor=scale)
    mask = heatmaps | dict(use_deformed_source_image=True)
    if offset:
        mask["use_difference"] = True
    resize = dict(interpolation_mode=more["resize"]) if "resize" in more else {}
    epochs, milestones, batch = more.get("train", (750, [500], 32))
    return dict(
        dataset_params=data([size, size, 3]),
        model_params=dict(
            common_params=dict(num_kp=10, kp_variance="matrix", num_channels=3),
            kp_detector_params=dict(
                temperature=0.1, **hourglass(32, most, 5, scale), clip_variance=0.001
            ),
            generator_params=dict(
                **resize,
                **hourglass(32, most, depth),
                num_refinement_blocks=4,
                kp_embedding_params=heatmaps | scaled,
                dense_motion_params=dict(
                    **hourglass(32, most, 5, scale),
                    use_mask=True,
                    use_correction=True,
                    num_group_blocks=2,
                    mask_embedding_params=mask,
                ),
            ),
            discriminator_params=dict(
                kp_embedding_params=dict(norm_const=norm), **hourglass(32, 256, 4)
            ),
        ),
        train_params=training(
            epochs,
            1,
            batch,
            milestones,
            lr=2.0e-4,
            loss_weights=dict(
                reconstruction=[10, 10, 10, 10, 1],
                reconstruction_deformed=more.get("deformed", 0),
                generator_gan=1,
                discriminator_gan=1,
            ),
        ),
        transfer_params=dict(num_pairs=50, normalization_params=dict(movement_mult=True)),
    )


MONKEYNET = {  # file -> tree, size, variant, our options
    "vox": (
        monkeynet(256, depth=7, scale=0.25, resize="trilinear", train=(20, [], 20)),
        256,
        "",
        {"detector.scale": 0.25, "sampling.resize": "bilinear"},
    ),
    "taichi": (
        monkeynet(64),
        64,
        "taichi",
        {"detector.scale": 1.0, "sampling.resize": "nearest"},
    ),
    "nemo": (monkeynet(64, most=512), 64, "nemo", {"generator.max_width": 512}),
    "moving-gif": (
        monkeynet(128, depth=6, offset=True, train=(750, [500], 64)),
        128,
        "moving-gif",
        {"generator.depth": 6, "dense.offset": True},
    ),
    "bair": (
        monkeynet(64, most=512, norm="sum", deformed=10, train=(15, [10], 32)),
        64,
        "-",
        {"dense.norm": 0.0, "generator.norm": 0.0},
    ),
}


# ---- Motion Transformer ----
def stage(modules, *channels) -> dict:
    "One stage of HRNet."
    return dict(
        NUM_MODULES=modules,
        NUM_BRANCHES=len(channels),
        BLOCK="BASIC",
        NUM_BLOCKS=[4] * len(channels),
        NUM_CHANNELS=list(channels),
        FUSE_METHOD="SUM",
    )


def motion_transformer(size, repeats, batch=64, skips=True, background=False, **augment) -> dict:
    "A file of Motion Transformer: the size stands in it twice."
    extra = dict(
        PRETRAINED_LAYERS=["conv1", "bn1", "conv2", "bn2", "layer1", "stage2", "stage3"],
        FINAL_CONV_KERNEL=1,
        STAGE2=stage(1, 32, 64),
        STAGE3=stage(4, 32, 64, 128),
    )
    network = dict(
        TAG_PER_JOINT=True,
        HIDDEN_HEATMAP_DIM=-1,
        MULTI_TRANSFORMER_DEPTH=[12, 12],
        MULTI_TRANSFORMER_HEADS=[16, 16],
        MULTI_DIM=[48, 48],
        NUM_BRANCHES=1,
        BASE_CHANNEL=32,
        ESTIMATE_JACOBIAN=True,
        TEMPERATURE=0.1,
        DATA_PREPROCESS=False,
        FIX_IMG2MOTION_ATTENTION=False,
        INIT_WEIGHTS=background,  # ImageNet's, for taichi alone
        NAME="pose_tokenpose_b",
        NUM_JOINTS=10,
        PRETRAINED="",
        TARGET_TYPE="gaussian",
        TRANSFORMER_DEPTH=12,
        TRANSFORMER_HEADS=8,
        TRANSFORMER_MLP_RATIO=3,
        POS_EMBEDDING_TYPE="sine-full",
        INIT=True,
        DIM=192,
        PATCH_SIZE=[4, 4],
        IMAGE_SIZE=[size, size],
        HEATMAP_SIZE=[size // 4, size // 4],
        SIGMA=2,
        EXTRA=extra,
    )
    motion = hourglass(64, 1024, 5, 0.25)
    params = dict(
        use_bg_predictor=background,
        common_params=dict(num_kp=10, num_channels=3, estimate_jacobian=True),
        generator_params=generator(
            estimate_occlusion_map=True, skips=skips, dense_motion_params=motion
        ),
        discriminator_params=dict(scales=[1], **hourglass(32, 512, 4), sn=True),
    )
    if background:
        params["bg_predictor_params"] = dict(**hourglass(32, 1024, 5), bg_type="affine")
    weights = dict(perceptual=[10] * 5, equivariance_value=10, equivariance_jacobian=10)
    return dict(
        dataset_params=data([size, size, 3], **augment),
        MODEL=network,
        model_params=params,
        train_params=training(100, repeats, batch, lr_generator=2.0e-4, loss_weights=weights),
    )


ROTATION = dict(rotation_param=dict(degrees=20))
MOTION_TRANSFORMER = {
    "voxceleb1": (motion_transformer(256, 150, **FACES), 256, "", {"generator.skips": True}),
    "taichi256": (
        motion_transformer(256, 250, background=True, **ROTATION, **JITTER),
        256,
        "config/taichi256.yaml",
        {"background.kind": "affine"},
    ),
    "ted384": (
        motion_transformer(384, 150, 56, skips=False, **ROTATION, **FACES),
        384,
        "384",
        {"generator.skips": False, "background.kind": "zero"},
    ),
    "mgif256": (
        motion_transformer(256, 50, skips=False, **GIFS),
        256,
        "",
        {"generator.skips": False},
    ),
}

# X2Face has no yaml: the two numbers with which its script makes the network.
X2FACE = dict(ngf=64, inner_nc=128)


def _of(method: str, files: dict):
    "The files of a method that leave the size to their data, of 256 px or, by the name, 384."
    for name, (tree, variant, *expected) in files.items():
        yield Released(method, name, tree, 384 if "384" in name else 256, variant, *expected)


def _sized(method: str, files: dict):
    for name, (tree, size, variant, expected) in files.items():
        yield Released(method, name, tree, size, variant, expected)


RELEASED = [
    *_of("fomm", FOMM),
    *_of("mraa", MRAA),
    *_of("tpsmm", TPSMM),
    *_of("dam", DAM),
    *_of("hdam", HDAM),
    *_sized("monkeynet", MONKEYNET),
    *_sized("motion_transformer", MOTION_TRANSFORMER),
    Released("x2face", "UnwrapMosaic", X2FACE, 256),
]


def tree_of(released: Released) -> dict:
    "A copy of what the file contains."
    return deepcopy(released.tree)
