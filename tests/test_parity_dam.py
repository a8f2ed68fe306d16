"""DAM and HDAM against the official code: numbers it gave for small random weights (tests/golden/{dam,hdam}.*), the names and
shapes of the published checkpoints (tests/golden/*_keys.json), and models of other sizes. No network, no download."""
from dataclasses import replace
from functools import lru_cache
import pytest, torch
from animlib.blocks import fold_norms
from animlib.checkpoints import from_official, read_model
from animlib.core import InputError
from animlib.geometry import Sampling, identity_grid, warp
from animlib.losses.anchors import root_prior
from animlib.losses.equivariance import equivariance, jacobian_error, position_error
from animlib.losses.hierarchy import attention_overlap, coverage_gap, hierarchy_prior
from animlib.models import hdam
from animlib.splines import Spline
from animlib.training import save_model
from parity import Golden, background, both, close, conv, count, gauss, hourglass, near, norm, one_thread, published, random_state, shapes, skip_generator

GOLDEN = {m: Golden(m, 'kp_detector', 'generator', 'bg_predictor') for m in ('dam','hdam')}
each = pytest.mark.parametrize('m', GOLDEN)

@lru_cache(None)
def step(m, c, camera=True):
    g = GOLDEN[m]
    with torch.no_grad(): return g.model(c)(g['source'], g['driving']) if camera else g.model(c).drive(g.model(c).prepare(g['source']), g.model(c).detector(g['driving']))
def draw(m): g = GOLDEN[m]; return Spline(identity_grid(5,5).flatten(0,1), g['transform.control_params'][:,0,:,None].expand(-1,-1,2), g['transform.theta'], 'l1')

# ---- numbers of the official code ----
@each
@both
def test_anchors(m, c):
    g, s = GOLDEN[m], step(m, c)
    for kp,name in ((s.kp_s,'kp_source'), (s.kp_d,'kp_driving')):
        near(kp.whole.xy, g.want(c,f'{name}.value'), 1e-5); near(kp.whole.jac, g.want(c,f'{name}.jacobian'), 1e-4)
    n = 5; assert s.kp_d.xy.shape[1]==n and s.kp_d.latent.xy.shape[1]==(1 if m=='dam' else 3) # the root and, in HDAM, two intermediate ones
    near(s.kp_d.heat, g.want(c,'kp_driving.heatmap')[:,:n], 1e-5)
    y,_ = g.model(c).detector.look(g['driving']); near(y, g.want(c,'kp_driving.feature_map'), 1e-4)

@both
def test_attention(c):
    near(step('hdam',c).kp_d.attention, GOLDEN['hdam'].want(c,'attention'), 1e-5)
    assert step('dam',c).kp_d.attention is None and (step('hdam',c).kp_d.attention[...,1]==0).all() # the ignored anchor

@each
@both
def test_motion(m, c):
    g, s = GOLDEN[m], step(m, c)
    near(s.camera, g.want(c,'bg_params'), 1e-5); near(s.flow.weights, g.want(c,'mask'), 1e-4)
    near(s.flow.warp.grid, g.want(c,'deformation'), 1e-4); near(s.flow.visible[0], g.want(c,'occlusion_map'), 1e-4)

@each
@both
def test_frames(m, c):
    g, s = GOLDEN[m], step(m, c)
    near(s.flow.warp(s.source), g.want(c,'deformed'), 1e-4); near(s.frame, g.want(c,'prediction'), 2e-4); near(step(m,c,False).frame, g.want(c,'prediction_nobg'), 2e-4)

@each
@both
def test_equivariance_is_of_the_source_and_of_all_anchors(m, c):
    g, s, t = GOLDEN[m], step(m, c), draw(m)
    assert g.model(c).cfg.warped=='source'
    frame = warp(g['source'], t.grid((64,64)), 'reflection', g.model(c).cfg.sampling); near(frame, g.want(c,'transformed_frame'), 1e-4)
    kp, kp_t = s.kp_s.whole, g.model(c).detector(frame).whole
    close(10*position_error(kp, kp_t, t), g.losses[f'loss.ac_{c}.equivariance_value']); close(10*jacobian_error(kp, kp_t, t), g.losses[f'loss.ac_{c}.equivariance_jacobian'], 1e-3)
    if c=='true': # the term itself warps by our one convention
        for k,v in equivariance(s, 'source', transform=t).items(): close(10*v, g.losses[f'loss.ac_true.equivariance_{dict(xy="value", jac="jacobian")[k]}'], 1e-3)

@both
def test_root_loss(c): close(10*root_prior(step('dam',c)), GOLDEN['dam'].losses[f'loss.ac_{c}.root_motion_kp_distance'])

@both
def test_hierarchy_losses(c):
    g, s = GOLDEN['hdam'], step('hdam', c); cfg = g.model(c).cfg; parts = hierarchy_prior(s)
    assert (cfg.prior, cfg.prior_middle, cfg.overlap, cfg.coverage, cfg.coverage_least, cfg.ignored)==(20., 1., 10., 10., .6, (1,))
    close(cfg.prior*parts['motion']+cfg.prior_middle*parts['middle'], g.losses[f'loss.ac_{c}.root_motion_kp_distance'])
    close(10*attention_overlap(s.kp_d.attention, (1,)), g.losses[f'loss.ac_{c}.sub_attetion_distance'])
    close(10*coverage_gap(s.kp_d.attention, .6, (1,)), g.losses[f'loss.ac_{c}.complete_sub_leaf_attention'])

def test_the_table_of_losses_is_the_released_one():
    g, s = GOLDEN['hdam'], step('hdam','true'); cfg = g.model('true').cfg
    table = hdam.terms(replace(cfg, reconstruction='pyramid'))
    found = sum(table['prior'].fn(s).values())
    close(found, g.losses['loss.ac_true.root_motion_kp_distance']); close(table['overlap'].weight*table['overlap'].fn(s), g.losses['loss.ac_true.sub_attetion_distance'])
    close(table['coverage'].weight*table['coverage'].fn(s), g.losses['loss.ac_true.complete_sub_leaf_attention'])

# ---- the same frames by every way ----
@each
def test_two_speeds_are_one_model(m):
    g = GOLDEN[m]; model = g.model('true'); frames = torch.cat([g['driving'], g['source'].flip(3)]); pre, kp = model.prepare(g['source'][:1]), model.detector(frames)
    once = model.drive(pre, kp, frames).frame
    near(once, torch.cat([model.drive(pre, kp[[i]], frames[[i]]).frame for i in range(4)]), 1e-4)
    bare = replace(kp, latent=None, attention=None) # what latent anchors say is for training alone
    assert torch.equal(model.drive(replace(pre, kp=replace(pre.kp, latent=None)), bare, frames).frame, once)

@each
@both
def test_through_our_file_folded(m, c, tmp_path):
    g = GOLDEN[m]; save_model(tmp_path/'m.safetensors', g.model(c), **g.model(c).info)
    back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==g.model(c).cfg and back.cfg.sampling==Sampling(c=='true', False) and back.method==m
    s = fold_norms(back)(g['source'], g['driving']); near(s.frame, step(m,c).frame, 1e-4)
    if m=='hdam': near(s.kp_d.attention, step(m,c).kp_d.attention, 1e-5)

# ---- other sizes ----
def config(motion=10, middle=0, det=(32,1024,5,.25), dense=(64,1024,5,.25), gen=(64,512,2,6), bg=(32,1024,5), kind='affine', camera=True, occlusion=True, skips=True, shared=False, look=64, ignored=()):
    part = lambda o: dict(zip(('block_expansion','max_features','num_blocks','scale_factor'), o))
    g = dict(zip(('block_expansion','max_features','num_down_blocks','num_bottleneck_blocks'), gen))
    return dict(dataset_params=dict(frame_shape=None), model_params=dict(use_bg_predictor=camera, common_params=dict(num_kp=motion+middle+1, num_channels=3, estimate_jacobian=True), bg_predictor_params=dict(**part(bg), bg_type=kind),
        kp_detector_params=dict(temperature=.1, **part(det), subroot_leaf_attention=middle>0, attention_scale=1, attention_channel=look, detach_feature=False, ignore_kp_list=list(ignored), single_jacobian_map=shared),
        generator_params=dict(**g, estimate_occlusion_map=occlusion, skips=skips, root_motion_kp_distance=not middle, root_motion=False, num_root_kp=middle+1, sub_kp_num=[], num_root_kp_orders=[middle or 1],
                              dense_motion_params=dict(**part(dense), set_static_bg=False))))

def official_shapes(config):
    p = config['model_params']; every, latent, d, g = p['common_params']['num_kp'], p['generator_params']['num_root_kp'], p['kp_detector_params'], p['generator_params']
    det, n = hourglass('predictor.', 3, d)
    det |= conv('kp', n, every, 7) | conv('jacobian', n, 4 if d['single_jacobian_map'] else 4*every, 7) | gauss('down', d['scale_factor'])
    if latent>1:
        for o in ('subroot','leaf'): det |= conv(f'{o}_attention_block.0', n, d['attention_channel'], 1) | norm(f'{o}_attention_block.1', d['attention_channel'])
    out = dict(kp_detector=det, generator=skip_generator(every-latent, g))
    return out | dict(bg_predictor=background(p['bg_predictor_params'])) if p['use_bg_predictor'] else out

@each
def test_the_second_listing_is_right(m):
    g = GOLDEN[m]; assert official_shapes(g.config)==shapes(g.state)
    want = {k: v for k,v in g.keys['modules'].items() if k!='discriminator'}
    assert official_shapes(config(middle=3 if m=='hdam' else 0))==want

TINY = dict(motion=4, det=(8,32,2,.25), dense=(8,32,3,.25), gen=(8,32,2,1), bg=(8,32,2), look=8)
OTHERS = dict(still=dict(camera=False), shift=dict(kind='shift'), unseen=dict(occlusion=False), plain=dict(skips=False), shared=dict(shared=True), few=dict(motion=2, dense=(8,24,3,.5), det=(8,16,3,.5)), whole=dict(det=(8,32,2,1)))
@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize('middle', [0,1,4])
def test_other_sizes_are_accounted_for(name, middle):
    c = config(**TINY|OTHERS[name]|dict(middle=middle)); state = random_state(official_shapes(c)); m = from_official(None, state, c)
    used = sum(v.numel() for d in state.values() for k,v in d.items() if not k.endswith('tracked'))
    assert used==sum(v.numel() for k,v in m.state_dict().items() if not k.endswith('tracked')) and m.method==('hdam' if middle else 'dam')
    x,y = torch.rand(2,1,3,96,64); s = m(x,y)
    assert s.frame.shape==x.shape and s.frame.isfinite().all() and (s.camera is None)==(name=='still') and s.kp_d.latent.xy.shape[1]==middle+1
    for module in state:
        k = next(iter(state[module]))
        with pytest.raises(InputError, match=f'{module}.{k}'): from_official(None, {**state, module: {q: v for q,v in state[module].items() if q!=k}}, c)

@pytest.mark.parametrize('wrong', [dict(motion=5), dict(middle=1), dict(camera=False), dict(kind='shift'), dict(shared=True), dict(look=9), dict(bg=(8,32,3)), dict(gen=(8,32,2,2))], ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    right = TINY|dict(middle=2)
    with pytest.raises(InputError): from_official(None, random_state(official_shapes(config(**right))), config(**right|wrong))

# ---- the published size ----
@pytest.mark.parametrize('m,detector', [('dam',14_223_948), ('hdam',14_254_552)])
def test_published_checkpoints_are_accounted_for(m, detector):
    model = from_official(m, published(GOLDEN[m].keys['modules']), config(middle=3 if m=='hdam' else 0))
    assert (count(model.dense)+count(model.generator), count(model.detector), count(model.background))==(45_575_391, detector, 6_282_438)
    assert (model.cfg.size, model.cfg.n_kp, model.cfg.n_middle, model.cfg.sampling)==(256, 10, 3*(m=='hdam'), Sampling(False,False))
