"""MRAA against the official code: numbers it gave for small random weights (tests/golden/mraa.*), the names and shapes of
the published checkpoints (tests/golden/mraa_keys.json), and models of other sizes. No network, no download."""
from dataclasses import replace
from functools import lru_cache
import pytest, torch
from animlib.blocks import fold_norms
from animlib.checkpoints import from_official, read_model
from animlib.core import InputError, Keypoints
from animlib.geometry import Sampling, identity_grid, warp
from animlib.losses.equivariance import equivariance, jacobian_error, position_error
from animlib.splines import Spline
from animlib.training import save_model
from animlib.transfer import movement_scale, relative, transfer
from parity import Golden, avd_shapes, background, both, close, conv, count, formula_weights, gauss, hourglass, near, one_thread, published, random_state, shapes, skip_generator

G = Golden('mraa', 'region_predictor', 'generator', 'bg_predictor')
CONFIG, KEYS = G.config, G.keys
STATE = G.state | dict(avd_network=formula_weights(avd_shapes(5*6, 16, 16)))
G.state = STATE
SOURCE, DRIVING, FIRST = (G[k] for k in ('source','driving','driving_initial'))
official, want = G.model, G.want

def golden_kp(c, name):
    "The official regions: the signs of their axes come from LAPACK, so what depends on them starts from these."
    get = lambda k: want(c, f'{name}.{k}')
    return Keypoints(get('shift'), get('affine'), get('covar'))
@lru_cache(None)
def step(c, camera=True):
    with torch.no_grad(): return official(c).drive(replace(official(c).prepare(SOURCE), kp=golden_kp(c,'source_region')), golden_kp(c,'driving_region'), DRIVING if camera else None)
def draw(c): return Spline(identity_grid(5,5).flatten(0,1), G['transform.control_params'][:,0,:,None].expand(-1,-1,2), G['transform.theta'], 'l1')

# ---- numbers of the official code ----
@both
def test_regions(c):
    for frame,name in ((SOURCE,'source_region'), (DRIVING,'driving_region'), (FIRST,'driving_region_initial')):
        kp, theirs = official(c).detector(frame), golden_kp(c, name)
        near(kp.xy, theirs.xy, 1e-5); near(kp.cov, theirs.cov, 1e-5); near(kp.heat, want(c,f'{name}.heatmap'), 1e-5)
        near(kp.jac@kp.jac.mT, theirs.jac@theirs.jac.mT, 1e-5) # columns: the same axes, up to their signs
        near(kp.jac.abs(), theirs.jac.abs(), 1e-4)

@both
def test_background(c):
    near(official(c).background(SOURCE, DRIVING), want(c,'bg_params'), 1e-5); near(step(c).camera, want(c,'bg_params'), 1e-5)

@both
def test_dense_motion(c):
    for camera,name in ((True,''), (False,'_nobg')):
        s = step(c, camera)
        near(s.flow.warp.grid, want(c,f'optical_flow{name}'), 1e-4); near(s.flow.visible[0], want(c,f'occlusion_map{name}'), 1e-4)

@both
def test_frames(c):
    near(step(c).flow.warp(SOURCE), want(c,'deformed'), 1e-4); near(step(c).frame, want(c,'prediction'), 2e-4); near(step(c,False).frame, want(c,'prediction_nobg'), 2e-4)

@both
def test_our_own_axes_give_the_same_motion_up_to_mirrors(c):
    "Our axes are never mirrored, LAPACK's may be; where both agree in det, candidates and frames agree without any help."
    s = official(c)(SOURCE, DRIVING)
    same = (s.kp_s.jac.det()*s.kp_d.jac.det()).sign()==(step(c).kp_s.jac.det()*step(c).kp_d.jac.det()).sign()
    ours, theirs = (official(c).motion(a.kp_s, a.kp_d, (16,16))[:,1:] for a in (s, step(c)))
    assert same.any(); near(ours[same], theirs[same], 1e-3)

@both
def test_relative_transfer(c):
    kp_s,kp_d,kp_0 = (golden_kp(c,n)[:1] for n in ('source_region','driving_region','driving_region_initial'))
    moved = relative(kp_s, kp_d, kp_0, movement_scale(kp_s, kp_0))
    for ours,theirs in dict(xy='shift', jac='affine', cov='covar').items(): near(getattr(moved,ours), want(c,f'relative_region.{theirs}'), 1e-4)

@both
def test_disentangled_transfer(c):
    m = official(c); kp_s, kp_d = golden_kp(c,'source_region'), golden_kp(c,'driving_region')
    moved = m.disentangler.retarget(kp_s, kp_d)
    for ours,theirs in dict(xy='shift', jac='affine', cov='covar').items(): near(getattr(moved,ours), want(c,f'avd_region.{theirs}'), 1e-4)
    near(m.drive(replace(m.prepare(SOURCE), kp=kp_s), moved).frame, want(c,'prediction_avd'), 2e-4)
    near(transfer('disentangled', kp_s[:1], kp_d[:1], network=m.disentangler).xy, moved.xy[:1], 1e-5)

@both
def test_equivariance_losses_with_the_same_draw(c):
    m, t, kp_d = official(c), draw(c), golden_kp(c,'driving_region')
    frame = warp(DRIVING, t.grid((64,64)), 'reflection', m.cfg.sampling); kp_t = golden_kp(c,'transformed_region')
    near(frame, want(c,'transformed_frame'), 1e-4); near(m.detector(frame).xy, kp_t.xy, 1e-4); near(m.detector(frame).cov, kp_t.cov, 1e-4)
    close(10*position_error(kp_d, kp_t, t), G.losses[f'loss.ac_{c}.equivariance_shift'])
    close(10*jacobian_error(kp_d, kp_t, t, axes=True), G.losses[f'loss.ac_{c}.equivariance_affine'], 1e-3)

def test_the_loss_term_itself():
    "Value exactly; the matrices to what mirrored axes of LAPACK allow: it is compared with the function on our own axes."
    m, t = official('true'), draw('true'); s = m(SOURCE, DRIVING)
    out = equivariance(s, transform=t, axes=True)
    close(10*out['xy'], G.losses['loss.ac_true.equivariance_shift'])
    close(out['jac'], jacobian_error(s.kp_d, m.detector(warp(DRIVING, t.grid((64,64)), 'reflection')), t, True))
    assert not torch.allclose(out['jac'], equivariance(s, transform=t)['jac'])

# ---- the same frames by every way ----
@both
def test_two_speeds_are_one_model(c):
    m = official(c); pre = m.prepare(SOURCE[:1]); frames = torch.cat([DRIVING,FIRST]); kp = m.detector(frames)
    for film in (None, frames): # without and with a background that moves
        once = m.drive(pre, kp, film).frame
        near(once, torch.cat([m.drive(pre, kp[[i]], film if film is None else film[[i]]).frame for i in range(4)]), 1e-4)

@both
def test_through_our_file_folded(c, tmp_path):
    save_model(tmp_path/'m.safetensors', official(c), **official(c).info)
    back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==official(c).cfg and back.cfg.sampling==Sampling(c=='true', False) and back.cfg.disentangle
    near(fold_norms(back)(SOURCE,DRIVING).frame, official(c)(SOURCE,DRIVING).frame, 1e-4)

# ---- other sizes ----
def config(regions=10, det=(32,1024,5,.25), dense=(64,1024,5,.25), gen=(64,512,2,6), bg=(32,1024,5), kind='affine', pca=True, occlusion=True, skips=True, avd=(64,64), **more):
    part = lambda o: dict(zip(('block_expansion','max_features','num_blocks','scale_factor'), o))
    g = dict(zip(('block_expansion','max_features','num_down_blocks','num_bottleneck_blocks'), gen))
    return dict(dataset_params=dict(frame_shape=None), model_params=dict(num_regions=regions, num_channels=3, estimate_affine=True, revert_axis_swap=True, bg_predictor_params=dict(**part(bg), bg_type=kind),
        region_predictor_params=dict(temperature=.1, pca_based=pca, fast_svd=False, **part(det), **more), avd_network_params=dict(zip(('id_bottle_size','pose_bottle_size'), avd)),
        generator_params=dict(**g, skips=skips, pixelwise_flow_predictor_params=dict(use_deformed_source=True, use_covar_heatmap=True, estimate_occlusion_map=occlusion, **part(dense)))))

def official_shapes(config):
    p = config['model_params']; k, d, g, b = p['num_regions'], p['region_predictor_params'], p['generator_params'], p['bg_predictor_params']; m = g['pixelwise_flow_predictor_params']
    det,n = hourglass('predictor.', 3, d)
    det |= conv('regions', n, k, 7) | gauss('down', d['scale_factor']) | ({} if d['pca_based'] else conv('jacobian', n, 4, 7))
    gen = skip_generator(k, g, 'pixelwise_flow_predictor', m, m['estimate_occlusion_map'])
    out = dict(region_predictor=det, generator=gen, avd_network=avd_shapes(6*k, *p['avd_network_params'].values()))
    return out if b['bg_type']=='zero' else out | dict(bg_predictor=background(b))

def test_the_second_listing_is_right():
    assert official_shapes(CONFIG)==shapes(STATE) and official_shapes(config())==KEYS['modules']

TINY = dict(regions=4, det=(8,32,2,.25), dense=(8,32,3,.25), gen=(8,32,2,1), bg=(8,32,2), avd=(4,6))
OTHERS = dict(still=dict(kind='zero'), shift=dict(kind='shift'), perspective=dict(kind='perspective'), predicted=dict(pca=False), cropped=dict(pad=0), unseen=dict(occlusion=False), plain=dict(skips=False),
              few=dict(regions=2, dense=(8,24,3,.5), det=(8,16,3,.5)), whole=dict(det=(8,32,2,1)))
@pytest.mark.parametrize('name', OTHERS)
@pytest.mark.parametrize('avd', [True, False], ids=['avd',''])
def test_other_sizes_are_accounted_for(name, avd):
    c = config(**TINY|OTHERS[name]); state = random_state({m: v for m,v in official_shapes(c).items() if avd or m!='avd_network'})
    m = from_official('mraa', state, c)
    used = sum(v.numel() for d in state.values() for k,v in d.items() if not k.endswith('tracked'))
    assert used==sum(v.numel() for k,v in m.state_dict().items() if not k.endswith('tracked')) and m.cfg.disentangle==avd==(m.disentangler is not None)
    x,y = torch.rand(2,1,3,96,64); s = m(x,y)
    assert s.frame.shape==x.shape and s.frame.isfinite().all() and (s.camera is None)==(name=='still') and bool(s.flow.visible)==(name!='unseen')
    for module in state:
        k = next(iter(state[module]))
        with pytest.raises(InputError, match=module if module=='avd_network' else f'{module}.{k}'): from_official('mraa', {**state, module: {q: v for q,v in state[module].items() if q!=k}}, c)

@pytest.mark.parametrize('wrong', [dict(regions=5), dict(kind='shift'), dict(kind='zero'), dict(pca=False), dict(avd=(4,5)), dict(bg=(8,32,3)), dict(gen=(8,32,2,2))], ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong):
    with pytest.raises(InputError): from_official('mraa', random_state(official_shapes(config(**TINY))), config(**TINY|wrong))

# ---- the published size ----
def test_published_checkpoints_are_accounted_for():
    m = from_official('mraa', published(KEYS['modules']), config())
    assert (count(m.dense)+count(m.generator), count(m.detector), count(m.background), count(m.disentangler))==(45_575_391, 14_146_728, 6_282_438, 2_290_620)
    assert (m.cfg.size, m.cfg.n_kp, m.cfg.sampling, m.cfg.pad)==(256, 10, Sampling(False,False), 3)
