"""Motion Transformer against the official code: numbers it gave for small random weights (tests/golden/motion_transformer.*), the
names and shapes of the published checkpoints (tests/golden/motion_transformer_keys.json), and models of other sizes. No network, no download."""
from copy import deepcopy
from functools import lru_cache
import pytest, torch
from animlib.blocks import fold_norms
from animlib.checkpoints import from_official, read_model
from animlib.core import InputError
from animlib.detectors.tokens import sine_positions
from animlib.training import save_model
from parity import Golden, background, count, near, one_thread, published, random_state, skip_generator

G = Golden('motion_transformer', 'kp_detector')
SMALL = dict(block_expansion=8, max_features=32, num_down_blocks=2, num_bottleneck_blocks=1, estimate_occlusion_map=True, skips=True, dense_motion_params=dict(block_expansion=8, max_features=32, num_blocks=2, scale_factor=.25))
def config(gen=SMALL, model={}, camera=False):
    c = deepcopy(G.config); c['MODEL'] |= model
    return c | dict(model_params=dict(generator_params=gen, use_bg_predictor=camera))
def state(k=5, gen=SMALL): return G.state | random_state(dict(generator=skip_generator(k, gen)))
@lru_cache(None)
def official(): return from_official('motion_transformer', state(), config(), align_corners=True)
SOURCE = G['source']
want = lambda name: G.tensors[f'out.any.{name}']

def test_features(): near(official().detector.body(SOURCE), want('feature'), 1e-4)
def test_positions(): near(sine_positions(4, 4, 32)[None], want('pos_embedding'), 1e-6)
def test_keypoints():
    kp = official().detector(SOURCE)
    near(kp.xy, want('value'), 1e-5); near(kp.jac, want('jacobian'), 1e-5)
def test_what_is_kept_is_what_is_used():
    d, maps = official().detector, official().detector.attend(SOURCE)
    assert maps.shape==(3,2,4,26,26); near(maps.sum(-1), torch.ones(3,2,4,26), 1e-5) # ten motion tokens, sixteen patches
    layer = d.layers[0]; y = d.body(SOURCE); x = torch.cat([d.motion.expand(2,-1,-1), d.embed(y.unfold(2,4,4).unfold(3,4,4).permute(0,2,3,4,5,1).reshape(2,16,-1))+sine_positions(4,4,32)], 1)
    q,k,v = layer.attention.ask(layer.norms[0](x)).view(2,26,3,4,8).permute(2,0,3,1,4)
    near(maps[0]@v, torch.nn.functional.scaled_dot_product_attention(q,k,v), 1e-5)

def test_through_our_file_folded(tmp_path):
    save_model(tmp_path/'m.safetensors', official(), **official().info)
    back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==official().cfg and (back.cfg.tokens, back.cfg.positions, back.cfg.matrices)==('split','every',True)
    x = torch.rand(2,3,64,64); near(fold_norms(back)(SOURCE,x).frame, official()(SOURCE,x).frame, 1e-4)
def test_two_speeds_are_one_model():
    m, frames = official(), torch.rand(4,3,64,64); pre = m.prepare(SOURCE[:1]); kp = m.detector(frames)
    near(m.drive(pre, kp).frame, torch.cat([m.drive(pre, kp[[i]]).frame for i in range(4)]), 1e-4)
def test_a_frame_of_another_size():
    x = torch.rand(1,3,96,64); s = official()(x, x.flip(3)); assert s.frame.shape==x.shape and s.frame.isfinite().all()

# ---- other configs ----
BG = dict(block_expansion=8, max_features=32, num_blocks=2, bg_type='affine')
def test_with_a_background():
    c = config(); c['model_params'] |= dict(use_bg_predictor=True, bg_predictor_params=BG)
    m = from_official('motion_transformer', state() | random_state(dict(bg_predictor=background(BG))), c)
    assert (m.cfg.background, m.cfg.masks, m.cfg.background_width)==('affine', 1., 8) and m(SOURCE, SOURCE).camera is not None
    assert (official().cfg.background, official().cfg.masks)==('zero', 0.)

@pytest.mark.parametrize('model', [dict(NUM_JOINTS=6), dict(DIM=64), dict(TRANSFORMER_DEPTH=4), dict(PATCH_SIZE=[2,2]), dict(TRANSFORMER_MLP_RATIO=4), dict(POS_EMBEDDING_TYPE='learnable'), dict(UNKNOWN=1), dict(ESTIMATE_JACOBIAN=False)], ids=str)
def test_another_config_than_the_trained_one_is_refused(model):
    with pytest.raises(InputError): from_official('motion_transformer', state(), config(model=model))
def test_every_tensor_counts():
    s = state()
    for module in s:
        k = next(k for k in s[module] if not k.endswith('tracked'))
        with pytest.raises(InputError, match=f'{module}.{k}'): from_official('motion_transformer', {**s, module: {q: v for q,v in s[module].items() if q!=k}}, config())
    odd = {**s, 'kp_detector': s['kp_detector']|{'transformer.pos_embedding': torch.zeros(1,16,32)}}
    with pytest.raises(InputError, match='pos_embedding'): from_official('motion_transformer', odd, config())

# ---- the published size ----
def test_published_checkpoints_are_accounted_for():
    part = dict(NUM_MODULES=1, NUM_BRANCHES=2, BLOCK='BASIC', NUM_BLOCKS=[4,4], NUM_CHANNELS=[32,64], FUSE_METHOD='SUM')
    big = dict(NUM_JOINTS=10, DIM=192, TRANSFORMER_DEPTH=12, TRANSFORMER_HEADS=8, IMAGE_SIZE=[256,256], HEATMAP_SIZE=[64,64],
               EXTRA=dict(FINAL_CONV_KERNEL=1, PRETRAINED_LAYERS=['*'], STAGE2=part, STAGE3=part|dict(NUM_MODULES=4, NUM_BRANCHES=3, NUM_BLOCKS=[4,4,4], NUM_CHANNELS=[32,64,128])))
    gen = dict(block_expansion=64, max_features=512, num_down_blocks=2, num_bottleneck_blocks=6, estimate_occlusion_map=True, skips=True, dense_motion_params=dict(block_expansion=64, max_features=1024, num_blocks=5, scale_factor=.25))
    state = published(G.keys['modules']); state['kp_detector']['transformer.pos_embedding'] = sine_positions(16, 16, 192)[None]
    assert skip_generator(10, gen)=={k: list(v) for k,v in G.keys['modules']['generator'].items()}
    m = from_official('motion_transformer', state, config(gen, big), align_corners=None)
    assert (count(m.detector), count(m.detector.body), count(m.dense)+count(m.generator))==(12_234_310, 7_685_632, 45_575_391)
    assert (m.cfg.size, m.cfg.n_kp, m.cfg.layers, m.cfg.tokens)==(256, 10, 12, 'split')
