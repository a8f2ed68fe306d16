"""TPSMM against the official code: numbers it gave for small random weights (tests/golden/tpsmm.*), the names and shapes of
the published checkpoints (tests/golden/tpsmm_keys.json), and models of other sizes. No network, no download."""
from functools import lru_cache
import pytest, torch
from animlib.blocks import AntiAlias
from animlib.checkpoints import from_official, read_model
from animlib.core import InputError
from animlib.contributions import drop_candidates, group_evidence
from animlib.geometry import Sampling, identity_grid, warp
from animlib.losses.consistency import background_consistency, round_trip_error, warp_consistency
from animlib.losses.equivariance import equivariance, position_error
from animlib.motion.tps import in_groups
from animlib.splines import Spline, fit_tps
from animlib.training import save_model
from animlib.transfer import movement_scale, relative
from parity import Golden, avd_shapes, close, conv, count, formula_weights, gauss, linear, near, norm, one_thread, published, random_state, shapes

G = Golden('tpsmm', 'inpainting_network', 'kp_detector', 'dense_motion_network', 'bg_predictor')
CONFIG, KEYS = G.config, G.keys
G.state = STATE = G.state | dict(avd_network=formula_weights(avd_shapes(30, 16, 16)))
SOURCE, DRIVING, FIRST = (G[k] for k in ('source','driving','driving_initial'))
def want(name): return G.tensors[f'out.any.{name}']
official = lru_cache(None)(lambda: from_official('tpsmm', STATE, CONFIG))
@lru_cache(None)
def step(camera=True):
    with torch.no_grad(): return official().drive(official().prepare(SOURCE), official().detector(DRIVING), DRIVING if camera else None)
def draw(): return Spline(identity_grid(5,5).flatten(0,1), G['transform.control_params'][:,0,:,None].expand(-1,-1,2), G['transform.theta'])

# ---- numbers of the official code ----
def test_keypoints_and_background():
    for frame,name in ((SOURCE,'kp_source'), (DRIVING,'kp_driving'), (FIRST,'kp_driving_initial')): near(official().detector(frame).xy, want(name), 1e-5)
    near(step().camera, want('bg_param'), 1e-5)

def test_splines():
    s = step(); tps = fit_tps(in_groups(s.kp_d.xy, 5), in_groups(s.kp_s.xy, 5), .01, .01)
    near(tps.affine, want('tps.theta'), 1e-3); near(tps.weights, want('tps.control_params'), 1e-3)
    grids = official().motion(s.kp_s, s.kp_d, (16,16))[:,1:]
    near(grids, want('transformations')[:,1:], 2e-4)
    near(official().background.grid(s.camera, (16,16)), want('transformations')[:,0], 1e-5)

def test_dense_motion():
    s, small = step(), official().dense.shrink(SOURCE)
    near(small, want('source_down'), 1e-6); near(s.flow.weights, want('contribution_maps'), 1e-4); near(s.flow.warp.grid, want('deformation'), 2e-4)
    seen = group_evidence(small, s.kp_s, s.kp_d, want('transformations'), official().dense.bumps)
    near(seen[:,:16], want('heatmap'), 1e-5); near(seen[:,16:], want('deformed_source').flatten(1,2), 1e-4)
    for i,m in enumerate(s.flow.visible): near(m, want(f'occlusion_map.{i}'), 1e-4)
    assert [m.shape[-1] for m in s.flow.visible]==[8,16,32,64]
    near(step(False).flow.warp.grid, want('deformation_nobg'), 2e-4)

def test_frames():
    near(step().flow.warp(SOURCE), want('deformed'), 1e-3); near(step().frame, want('prediction'), 1e-3); near(step(False).frame, want('prediction_nobg'), 1e-3)

def test_relative_and_disentangled_keypoints():
    m = official(); kp_s,kp_d,kp_0 = (m.detector(x) for x in (SOURCE, DRIVING, FIRST))
    near(relative(kp_s[:1], kp_d[:1], kp_0[:1], movement_scale(kp_s[:1], kp_0[:1])).xy, want('kp_relative'), 1e-5)
    near(m.disentangler.retarget(kp_s, kp_d).xy, want('kp_avd'), 1e-4)

def test_dropout_with_the_same_draw():
    keep = G['dropout_softmax.uniform'][:,1:]<.5
    near(drop_candidates(G['dropout_softmax.logits'], keep, .5, rescale=False), want('dropout_softmax_p0.5'), 1e-4)
    assert (drop_candidates(G['dropout_softmax.logits'], keep, .5)-want('dropout_softmax_p0.5')).abs().max()>.01 # the paper's rescale matters

def test_features_that_the_warp_loss_compares():
    s, m = step(), official(); levels, there = (m.generator.encode(x)[1:] for x in (SOURCE, DRIVING))
    for i,e in enumerate(reversed(levels)): near(s.flow.warp(e)*s.flow.visible[i], want(f'warped_encoder_maps.{i}'), 1e-3) # coarse first
    for i,e in enumerate(there): near(e*s.flow.visible[3-i], want(f'driving_encoder_maps.{i}'), 1e-4) # finest first

def test_losses():
    m, s, t = official(), step(), draw()
    close(10*warp_consistency(s, masked=True), G.losses['loss.any.warp_loss'], 1e-3)
    back = m.background(DRIVING, SOURCE)
    close(10*round_trip_error(back, s.camera), G.losses['loss.any.bg']) # the official product is A A', the paper's A' A
    close(background_consistency(s), round_trip_error(s.camera, back))
    kp_t = m.detector(warp(DRIVING, t.grid((64,64)), 'reflection'))
    near(kp_t.xy, want('transformed_kp'), 1e-4); near(t(kp_t.xy), want('random_tps.warp_of_transformed_kp'), 1e-4)
    close(10*position_error(s.kp_d, kp_t, t), G.losses['loss.any.equivariance_value']); close(10*equivariance(s, transform=t)['xy'], G.losses['loss.any.equivariance_value'])

@pytest.mark.parametrize('scale', ['0.5','0.25','0.125'])
def test_pyramid_levels(scale): near(AntiAlias(float(scale))(DRIVING), want(f'pyramid.prediction_{scale}'), 1e-6) # of the driving frame; the name is theirs

# ---- the same frames by every way ----
def test_two_speeds_are_one_model():
    m = official(); pre = m.prepare(SOURCE[:1]); frames = torch.cat([DRIVING,FIRST]); kp = m.detector(frames)
    for film in (None, frames):
        near(m.drive(pre, kp, film).frame, torch.cat([m.drive(pre, kp[[i]], film if film is None else film[[i]]).frame for i in range(4)]), 1e-3)

def test_through_our_file(tmp_path):
    m = official(); save_model(tmp_path/'m.safetensors', m, **m.info)
    back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==m.cfg and back.cfg.sampling==Sampling() and (back.cfg.stiff, back.cfg.stiff_sides, back.cfg.drop_rescale, back.cfg.resnet_width)==(.01, .01, False, 8)
    assert torch.equal(back(SOURCE,DRIVING).frame, m(SOURCE,DRIVING).frame)

# ---- other sizes ----
def config(tps=10, gen=(64,512,3), dense=(64,1024,5,.25), bg=True, multi=True, avd=(128,128), width=64, **train):
    d = dict(zip(('block_expansion','max_features','num_blocks','scale_factor'), dense))
    return dict(dataset_params=dict(frame_shape=None), resnet_width=width, train_params=dict(num_epochs=100, dropout_epoch=35, dropout_maxp=.3, dropout_startp=.1, dropout_inc_epoch=10, bg_start=10) | train, model_params=dict(
        common_params=dict(num_tps=tps, num_channels=3, bg=bg, multi_mask=multi), generator_params=dict(zip(('block_expansion','max_features','num_down_blocks'), gen)),
        dense_motion_params=d, avd_network_params=dict(zip(('id_bottle_size','pose_bottle_size'), avd))))

def inorm(name, n): return {f'{name}.{o}': [n] for o in ('weight','bias')}
def block(name, a, b, k=3): return conv(f'{name}.conv', a, b, k) | inorm(f'{name}.norm', b)
def resnet(name, n_in, w, n_out):
    plain = lambda q, a, b, k: {f'{q}.weight': [b,a,k,k]}
    out, n = plain(f'{name}.conv1', n_in, w, 7) | norm(f'{name}.bn1', w), w
    for i in range(4):
        for j in range(2):
            c, q = w*2**i, f'{name}.layer{i+1}.{j}'
            out |= plain(f'{q}.conv1', n, c, 3) | norm(f'{q}.bn1', c) | plain(f'{q}.conv2', c, c, 3) | norm(f'{q}.bn2', c)
            if n!=c: out |= plain(f'{q}.downsample.0', n, c, 1) | norm(f'{q}.downsample.1', c)
            n = c
    return out | linear(f'{name}.fc', n, n_out)
def official_shapes(config):
    p = config['model_params']; k, w = p['common_params']['num_tps'], config['resnet_width']; g, d = p['generator_params'], p['dense_motion_params']
    wide, downs = (lambda i: min(g['max_features'], g['block_expansion']*2**i)), g['num_down_blocks']
    paint = block('first', 3, wide(0), 7) | conv('final', wide(0), 3, 7)
    for i in range(downs):
        n = wide(downs-i)*(2 if i else 1)
        paint |= block(f'down_blocks.{i}', wide(i), wide(i+1)) | block(f'up_blocks.{i}', n, wide(downs-i-1))
        for j in (0,1): paint |= {q: s for o in (1,2) for q,s in (conv(f'resblock.{2*i+j}.conv{o}', n, n, 3) | inorm(f'resblock.{2*i+j}.norm{o}', n)).items()}
    wide, depth, n_in = (lambda i: min(d['max_features'], d['block_expansion']*2**i)), d['num_blocks'], 5*k+1+3*(k+1)
    move = gauss('down', d['scale_factor'])
    for i in range(depth): move |= block(f'hourglass.encoder.down_blocks.{i}', n_in if i==0 else wide(i), wide(i+1)) | block(f'hourglass.decoder.up_blocks.{depth-1-i}', (1 if i==depth-1 else 2)*wide(i+1), wide(i))
    n, ups = wide(0)+n_in, round(1/d['scale_factor']).bit_length()-1
    move |= conv('maps', n, k+1, 7)
    seen = [n]
    if p['common_params']['multi_mask']:
        seen = [2*wide(i) for i in range(downs-ups,0,-1)] + [n] + [n//2**(i+1) for i in range(ups)]
        for i in range(ups): move |= block(f'up.{i}', n//2**i, n//2**(i+1))
    for i,c in enumerate(seen): move |= conv(f'occlusion.{i}', c, 1, 7)
    out = dict(inpainting_network=paint, kp_detector=resnet('fg_encoder', 3, w, 10*k), dense_motion_network=move, avd_network=avd_shapes(10*k, *p['avd_network_params'].values()))
    return out | (dict(bg_predictor=resnet('bg_encoder', 6, w, 6)) if p['common_params']['bg'] else {})

def test_the_second_listing_is_right():
    assert official_shapes(CONFIG|dict(resnet_width=8))==shapes(STATE) and official_shapes(config())==KEYS['modules']

TINY = dict(tps=3, gen=(8,24,3), dense=(8,24,3,.25), avd=(4,6), width=4)
OTHERS = dict(single=dict(multi=False), still=dict(bg=False), many=dict(tps=6), half=dict(dense=(8,24,4,.5)), whole=dict(dense=(8,24,5,1)), shallow=dict(gen=(8,24,2)), deep=dict(gen=(8,16,4)), wide=dict(width=8))
@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize('avd', [True, False], ids=['avd',''])
def test_other_sizes_are_accounted_for(name, avd):
    c = config(**TINY|OTHERS[name]); state = random_state({m: v for m,v in official_shapes(c).items() if avd or m!='avd_network'})
    m = from_official('tpsmm', state, c)
    used = sum(v.numel() for d in state.values() for k,v in d.items() if not k.endswith('tracked'))
    assert used==sum(v.numel() for k,v in m.state_dict().items() if not k.endswith('tracked')) and m.cfg.disentangle==avd==(m.disentangler is not None)
    x,y = torch.rand(2,1,3,96,64); s = m(x,y)
    assert s.frame.shape==x.shape and s.frame.isfinite().all() and (s.camera is None)==(name=='still')
    assert len(s.flow.visible)==(1 if name=='single' else m.cfg.downs+1)
    for module in state:
        k = [q for q in state[module] if q.endswith('.bias')][-1]
        with pytest.raises(InputError, match=f'{module}.{k}'): from_official('tpsmm', {**state, module: {q: v for q,v in state[module].items() if q!=k}}, c)

@pytest.mark.parametrize('wrong', [dict(tps=4), dict(bg=False), dict(multi=False), dict(avd=(4,5)), dict(width=8), dict(gen=(8,24,2)), dict(dense=(8,24,3,.5))], ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    with pytest.raises(InputError): from_official('tpsmm', random_state(official_shapes(config(**TINY))), config(**TINY|wrong))

# ---- the published size ----
def test_published_checkpoints_are_accounted_for():
    m = from_official('tpsmm', published(KEYS['modules']), config())
    assert (count(m.detector), count(m.background), count(m.dense), count(m.generator), count(m.disentangler))==(11_227_812, 11_188_998, 37_941_397, 24_737_283, 2_583_652)
    c = m.cfg; assert (c.size, c.n_tps, c.n_kp, c.drop, c.drop_start, c.drop_ramp, c.drop_until, c.background_start)==(256, 10, 50, .3, .1, .1, .35, .1)
    schedule = lambda p: (m.at(p), m.dense.rate, m.background.on)[1:]
    assert schedule(.05)==(pytest.approx(.25), False) and schedule(.2)==(.3, True) and schedule(.35)==(0., True)
