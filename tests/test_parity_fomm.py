"""FOMM against the official code: numbers it gave for small random weights (tests/golden/fomm.*), the names and shapes of
the published checkpoints (tests/golden/fomm_keys.json), and models of other sizes. No network, no download."""
from functools import lru_cache
import pytest, torch
from animlib.blocks import AntiAlias, fold_norms
from animlib.checkpoints import critic_from_official, from_official, read_model
from animlib.core import InputError
from animlib.geometry import Sampling, identity_grid, point_jacobian, warp, warp_each
from animlib.losses.adversarial import fooling, judging
from animlib.losses.equivariance import equivariance, jacobian_error, position_error
from animlib.losses.reconstruction import total_loss
from animlib.splines import Spline
from animlib.training import save_model
from animlib.transfer import movement_scale, relative
from parity import Golden, blank, block, both, close, conv, count, gauss, hourglass, near, one_thread, published, random_state, residual, shapes

G = Golden('fomm', 'kp_detector', 'generator', 'discriminator')
CONFIG, KEYS, STATE = G.config, G.keys, G.state
SOURCE, DRIVING, FIRST = (G[k] for k in ('source','driving','driving_initial'))
official, want = G.model, G.want

@lru_cache(None)
def step(c):
    with torch.no_grad(): return official(c)(SOURCE, DRIVING)
def draw(c): return Spline(identity_grid(5,5).flatten(0,1), G['transform.control_params'][:,0,:,None].expand(-1,-1,2), G['transform.theta'], 'l1')

# ---- numbers of the official code, images read with corners aligned (as the weights were trained) and not ----
@both
def test_keypoints(c):
    for kp,name in ((step(c).kp_s,'source'), (step(c).kp_d,'driving'), (official(c).detector(FIRST),'driving_initial')):
        near(kp.xy, want(c,f'kp_{name}.value'), 1e-5); near(kp.jac, want(c,f'kp_{name}.jacobian'), 1e-5)

@both
def test_dense_motion(c):
    m,s = official(c),step(c)
    near(s.flow.weights, want(c,'mask'), 1e-4); near(s.flow.warp.grid, want(c,'deformation'), 1e-4); near(s.flow.visible[0], want(c,'occlusion_map'), 1e-4)
    small = m.dense.shrink(SOURCE)
    near(warp_each(small, m.motion(s.kp_s, s.kp_d, small.shape[-2:]), sampling=m.cfg.sampling), want(c,'sparse_deformed'), 1e-4)

@both
def test_frames(c):
    near(step(c).flow.warp(SOURCE), want(c,'deformed'), 1e-4); near(step(c).frame, want(c,'prediction'), 1e-4)

@both
def test_relative_transfer(c):
    m, s = official(c), step(c)
    kp_s,kp_d,kp_0 = (o[:1] for o in (s.kp_s, s.kp_d, m.detector(FIRST)))
    moved = relative(kp_s, kp_d, kp_0, movement_scale(kp_s, kp_0))
    near(moved.xy, want(c,'kp_relative.value'), 1e-5); near(moved.jac, want(c,'kp_relative.jacobian'), 1e-5)
    near(m(m.prepare(SOURCE[:1]), moved).frame, want(c,'prediction_relative_sample0'), 1e-4)

@both
def test_equivariance_losses_with_the_same_draw(c):
    m, s, t = official(c), step(c), draw(c)
    frame = warp(DRIVING, t.grid((64,64)), 'reflection', m.cfg.sampling)
    kp_t = m.detector(frame)
    near(frame, want(c,'transformed_frame'), 1e-4); near(kp_t.xy, want(c,'transformed_kp.value'), 1e-4)
    near(t(kp_t.xy), want(c,'transform.warp_of_transformed_kp'), 1e-4); near(point_jacobian(t, kp_t.xy), want(c,'transform.jacobian_at_transformed_kp'), 1e-4)
    for error,name in ((position_error,'value'), (jacobian_error,'jacobian')):
        close(10*error(s.kp_d, kp_t, t), G.losses[f'loss.ac_{c}.equivariance_{name}'])

def test_the_loss_term_itself():
    out = equivariance(step('true'), transform=draw('true'))
    for ours,theirs in dict(xy='value', jac='jacobian').items(): close(10*out[ours], G.losses[f'loss.ac_true.equivariance_{theirs}'])

@both
def test_the_critic_and_its_losses(c):
    net, cfg = critic_from_official('fomm', STATE, CONFIG); s = step(c)
    assert (cfg.gan, cfg.matching, cfg.critic_depth, cfg.critic_spectral, cfg.critic_sees_keypoints)==(1., 10., 3, False, False)
    *layers, scores = net(DRIVING, s.kp_d)[0]
    for i,x in enumerate(layers[1:]): near(x, want(c,f'discriminator.features.{i}'), 1e-4)
    near(scores, want(c,'discriminator.map'), 1e-4)
    ours = total_loss(dict(fool=fooling(net, cfg.gan, (0., *[cfg.matching]*3)), **judging(net)), s)[1]
    for a,b in {'fool.gan':'gen_gan', 'fool.matching':'feature_matching', 'critic':'disc_gan'}.items(): close(ours[a], G.losses[f'loss.ac_{c}.{b}'])

@pytest.mark.parametrize('scale', ['1','0.5','0.25','0.125'])
def test_pyramid_levels(scale): near(AntiAlias(float(scale))(DRIVING), G.tensors[f'out.any.prediction_{scale}'], 1e-6) # of the driving frame; the name is theirs

def test_the_conventions_are_told_apart():
    assert (step('true').frame-want('false','prediction')).abs().max()>1e-2 and (step('false').frame-want('true','prediction')).abs().max()>1e-2
    other = from_official('fomm', {m: {k: v.mT.contiguous() if v.ndim==4 else v for k,v in d.items()} for m,d in STATE.items()}, CONFIG)
    assert (other(SOURCE,DRIVING).frame-want('true','prediction')).abs().max()>1e-2 # kernels turned: loads, and is another network

# ---- the same frames by every way ----
@both
def test_two_speeds_are_one_model(c):
    m = official(c); pre = m.prepare(SOURCE[:1]); kp = m.detector(torch.cat([DRIVING,FIRST]))
    once = m(pre, kp).frame # one source, four driving frames at once
    near(once, torch.cat([m(SOURCE[:1],d[None]).frame for d in (*DRIVING,*FIRST)]), 1e-4); near(once[:1], want(c,'prediction')[:1], 1e-4)

@both
def test_folded_norms_give_the_same_frames(c):
    folded = fold_norms(official(c)); assert not any(isinstance(o, torch.nn.BatchNorm2d) for n,o in folded.named_modules() if 'bottleneck' not in n)
    near(folded(SOURCE,DRIVING).frame, want(c,'prediction'), 1e-4)

@both
def test_through_our_file(c, tmp_path):
    save_model(tmp_path/'m.safetensors', official(c), **official(c).info)
    back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==official(c).cfg and back.cfg.sampling==Sampling(c=='true', False) and back.info['official']['unused']==['discriminator']
    assert torch.equal(back(SOURCE,DRIVING).frame, step(c).frame)

# ---- other sizes ----
def official_shapes(config):
    p = config['model_params']; k,jac = p['common_params']['num_kp'], p['common_params']['estimate_jacobian']
    d,g = p['kp_detector_params'], p['generator_params']; m = g['dense_motion_params']
    det,n = hourglass('predictor.', 3, d)
    det |= conv('kp', n, k, 7) | gauss('down', d['scale_factor'])
    if jac: det |= conv('jacobian', n, 4*(1 if d.get('single_jacobian_map') else k), 7)
    gen,n = hourglass('dense_motion_network.hourglass.', 4*(k+1), m)
    gen |= conv('dense_motion_network.mask', n, k+1, 7) | gauss('dense_motion_network.down', m['scale_factor'])
    if g['estimate_occlusion_map']: gen |= conv('dense_motion_network.occlusion', n, 1, 7)
    w = lambda i: min(g['max_features'], g['block_expansion']*2**i); top = g['num_down_blocks']
    gen |= block('first', 3, w(0), 7) | conv('final', w(0), 3, 7)
    for i in range(top): gen |= block(f'down_blocks.{i}', w(i), w(i+1)) | block(f'up_blocks.{i}', w(top-i), w(top-i-1))
    for i in range(g['num_bottleneck_blocks']): gen |= residual(f'bottleneck.r{i}', w(top))
    return dict(kp_detector=det, generator=gen)

def config(kp=10, jac=True, det=(32,1024,5,.25), dense=(64,1024,5,.25), gen=(64,512,2,6), occlusion=True, **more):
    part = lambda o: dict(zip(('block_expansion','max_features','num_blocks','scale_factor'), o))
    g = dict(zip(('block_expansion','max_features','num_down_blocks','num_bottleneck_blocks'), gen))
    return dict(dataset_params=dict(frame_shape=[256,256,3]), train_params=dict(num_epochs=100), model_params=dict(
        common_params=dict(num_kp=kp, num_channels=3, estimate_jacobian=jac), kp_detector_params=dict(temperature=.1, **part(det), **more),
        generator_params=dict(**g, estimate_occlusion_map=occlusion, dense_motion_params=part(dense)), discriminator_params=dict(scales=[1], sn=True, block_expansion=32, max_features=512, num_blocks=4)))

def test_the_second_listing_is_right():
    del_d = lambda d: {m: v for m,v in d.items() if m!='discriminator'}
    assert official_shapes(CONFIG)==del_d(shapes(STATE)) and official_shapes(config())==del_d(KEYS['modules'])
    assert official_shapes(config(single_jacobian_map=True))['kp_detector']==KEYS['modules']['kp_detector'] | KEYS['variants']['mgif-256']['kp_detector']

OTHERS = dict(few=dict(kp=3, det=(8,32,3,.5), dense=(8,24,3,.5), gen=(8,24,1,1)), shared=dict(single_jacobian_map=True), unseen=dict(occlusion=False),
              points=dict(jac=False), whole=dict(det=(8,32,2,1), dense=(8,32,2,.25)), deep=dict(gen=(8,16,3,3)), padded=dict(pad=3))
@pytest.mark.parametrize('name', OTHERS)
def test_other_sizes_are_accounted_for(name):
    tiny = dict(kp=4, det=(8,32,2,.25), dense=(8,32,3,.25), gen=(8,32,2,1))
    c = config(**tiny|OTHERS[name]); state = random_state(official_shapes(c)); size = 96
    m = from_official('fomm', state, c)
    used = sum(v.numel() for d in state.values() for k,v in d.items() if not k.endswith('tracked'))
    assert used==sum(v.numel() for k,v in m.state_dict().items() if not k.endswith('tracked'))
    for k in ('generator.final.weight','kp_detector.kp.bias'): assert any(torch.equal(v, state[k.split('.')[0]][k.split('.',1)[1]]) for v in m.state_dict().values())
    x,y = torch.rand(2,1,3,size,size); s = m(x,y)
    assert s.frame.shape==x.shape and s.frame.isfinite().all() and (s.kp_d.jac is None)==(name=='points') and bool(s.flow.visible)==(name!='unseen')
    for module,k in (('generator','first.conv.bias'), ('kp_detector','kp.weight')):
        with pytest.raises(InputError, match=f'{module}.{k}'): from_official('fomm', {**state, module: {q: v for q,v in state[module].items() if q!=k}}, c)

@pytest.mark.parametrize('wrong', [dict(kp=5), dict(occlusion=False), dict(jac=False), dict(single_jacobian_map=True), dict(gen=(8,32,2,2)), dict(dense=(8,32,2,.25)), dict(det=(8,32,2,.5))], ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    tiny = dict(kp=4, det=(8,32,2,.25), dense=(8,32,3,.25), gen=(8,32,2,1))
    with pytest.raises(InputError): from_official('fomm', random_state(official_shapes(config(**tiny))), config(**tiny|wrong))

# ---- the published size ----
@lru_cache(None)
def paper():
    return from_official('fomm', published(KEYS['modules']), config())

def test_published_checkpoints_are_accounted_for():
    m = paper()
    assert (count(m.dense)+count(m.generator), count(m.detector))==(45_575_391, 14_215_368) and m.info['official']['unused']==['discriminator']
    assert (m.cfg.size, m.cfg.n_kp, m.cfg.sampling, m.stride)==(256, 10, Sampling(True,False), 128)

def test_heatmaps_are_cropped_and_stretched():
    "Heads have no padding: 58x58 of 64x64 cells, and -1, 1 are the ends of the 58. A head that looks for red finds it there."
    d = paper().detector; d.score.weight[0,32,3,3] = 1000. # channel 32 of 35 is red itself; the rest is zero here
    x = torch.zeros(1,3,256,256); x[:,0,4*10:4*11,4*40:4*41] = 1 # row 10, column 40 of 64x64
    kp = d(x); d.score.weight.zero_()
    assert kp.heat.shape[-2:]==(58,58)
    near(kp.xy[0,0], torch.tensor([2*(40-3)/57-1, 2*(10-3)/57-1]), .02)

def test_published_critics_are_accounted_for():
    net,cfg = critic_from_official('fomm', blank(KEYS['modules']), config())
    assert cfg.critic_spectral and count(net)==2_758_849
