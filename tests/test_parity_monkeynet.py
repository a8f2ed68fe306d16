"""Monkey-Net against the official code: numbers it gave for small random weights (tests/golden/monkeynet.*), the names and shapes
of the published checkpoints (tests/golden/monkeynet_keys.json), and models of other sizes. No network, no download."""
from dataclasses import replace
from functools import lru_cache
import pytest, torch
import torch.nn.functional as F
from torch import nn
from animlib.blocks import fold_norms
from animlib.checkpoints import build, critic_from_official, from_official, read_model
from animlib.core import InputError
from animlib.detectors.keypoint import Bumps
from animlib.geometry import Sampling, identity_grid, resize_maps
from animlib.losses.adversarial import judging
from animlib.losses.reconstruction import total_loss
from animlib.models import monkeynet
from animlib.training import save_model
from animlib.transfer import movement_scale, relative
from parity import Golden, blank, both, close, conv, count, hourglass, near, norm, one_thread, random_state, residual, shapes

G = Golden('monkeynet', 'kp_detector', 'generator', 'discriminator')
SOURCE, FILM = G['source'][:,:,0], G['video'].movedim(2, 1) # `[2,3,64,64]`, `[2,2,3,64,64]`: two clips, two driving frames

@lru_cache(None)
def steps(c):
    with torch.no_grad(): return [G.model(c)(SOURCE, FILM[:,t]) for t in (0,1)]
@lru_cache(None)
def critic(): return critic_from_official('monkeynet', G.state, G.config)
each = lambda c, f: torch.stack([f(s) for s in steps(c)], 1) # `[clips,frames,...]`

# ---- numbers of the official code ----
@both
def test_keypoints_and_covariances(c):
    near(steps(c)[0].kp_s.xy[:,None], G.want(c,'kp_source.mean'), 1e-5); near(steps(c)[0].kp_s.cov[:,None], G.want(c,'kp_source.var'), 1e-5)
    near(each(c, lambda s: s.kp_d.xy), G.want(c,'kp_driving.mean'), 1e-5); near(each(c, lambda s: s.kp_d.cov), G.want(c,'kp_driving.var'), 1e-5)

@both
def test_flow_and_frames(c):
    near(each(c, lambda s: s.flow.warp.grid), G.want(c,'deformation')[...,:2], 1e-4)
    near(each(c, lambda s: s.frame), G.want(c,'video_prediction').movedim(2,1), 1e-4)
    near(each(c, lambda s: s.flow.warp(SOURCE)), G.want(c,'video_deformed').movedim(2,1), 1e-4)

@both
def test_what_the_motion_network_sees(c):
    from animlib.dense import motion_evidence
    m, s = G.model(c), steps(c)[0]; small = m.dense.shrink(SOURCE)
    seen = motion_evidence(small, s.kp_s, s.kp_d, m.motion(s.kp_s, s.kp_d, small.shape[-2:]), m.dense.bumps, m.cfg.sampling)
    near(seen, G.want(c,'mask_embedding')[:,:,0], 1e-4)

@both
def test_transfer(c):
    m = G.model(c); pre, kp = m.prepare(SOURCE[:1]), m.detector(FILM[0])
    moved = relative(pre.kp, kp, kp[:1], movement_scale(pre.kp, kp[:1]))
    moved = replace(moved, xy=moved.xy.clamp(-1, 1)) # an option of the official code that the golden numbers use
    near(moved.xy[None], G.want(c,'transfer.kp_norm.mean'), 1e-5)
    near(m(pre, moved).frame[None], G.want(c,'transfer.video_prediction').movedim(2,1), 1e-4)

class Together(nn.Module):
    "The official norm sees all frames of a clip at once; training has one. These golden numbers have two."
    def __init__(self, norm): super().__init__(); self.norm = norm
    def forward(self, x): return self.norm(x.unflatten(0, (2,2)).movedim(1, 2).flatten(2, 3)).unflatten(2, (2,-1)).movedim(2, 1).flatten(0, 1)

def two_frames(c):
    "A step of both frames of both clips, and the critic that sees the two frames of a clip together."
    net = critic()[0]
    for i,b in enumerate(net.nets[0].blocks): # kept as it is, apart from the norms
        if i and not isinstance(b[1], Together): b[1] = Together(b[1])
    m, film = G.model(c), FILM.flatten(0,1); source = SOURCE.repeat_interleave(2, 0)
    return m(source, film), net

@both
def test_the_critic(c):
    s, net = two_frames(c)
    *layers, scores = net(s.driving, s.kp_d)[0]
    for i,x in enumerate([*layers[1:], scores]): near(x.unflatten(0, (2,2)), G.want(c,f'disc_real.{i}').movedim(2,1), 1e-4)
    near(net(s.frame, s.kp_d)[0][-1].unflatten(0, (2,2)), G.want(c,'disc_generated_map').movedim(2,1), 1e-4)

@both
def test_losses(c):
    (s, net), cfg = two_frames(c), critic()[1]
    assert (cfg.image, cfg.matching, cfg.matching_last, cfg.gan, cfg.deformed, cfg.detach, cfg.kp_factor)==(10., 10., 1., 1., 5., False, .5)
    ours = total_loss({**monkeynet.terms(cfg, critic=net), **judging(net)}, s)[1]
    theirs = {k.split('.')[-1]: sum(v)/2 for k,v in G.losses.items() if f'ac_{c}' in k} # means over the two clips
    for a,b in {'image':'layer-0_rec', 'deformed':'rec_def', 'fool.gan':'gen_gan', 'critic':'disc_gan'}.items(): close(ours[a], theirs[b])
    close(ours['fool.matching'], sum(theirs[f'layer-{i}_rec'] for i in (1,2,3)))

def test_the_conventions_are_told_apart():
    assert (steps('true')[0].frame-G.want('false','video_prediction')[:,:,0]).abs().max()>1e-3
    m = from_official('monkeynet', G.state, G.config); m.cfg = None
    m.dense.drawn = Bumps(True, factor=1., norm=100.) # eq. 2 as printed
    assert (m(SOURCE,FILM[:,0]).frame-G.want('true','video_prediction')[:,:,0]).abs().max()>1e-3

# ---- the same frames by every way ----
@both
def test_two_speeds_are_one_model(c):
    m = G.model(c); pre = m.prepare(SOURCE[:1])
    near(m(pre, m.detector(FILM[0])).frame, G.want(c,'video_prediction')[0].movedim(1,0), 1e-4)

@both
def test_folded_norms_and_our_file(c, tmp_path):
    near(fold_norms(G.model(c))(SOURCE,FILM[:,0]).frame, G.want(c,'video_prediction')[:,:,0], 1e-4)
    save_model(tmp_path/'m.safetensors', G.model(c), **G.model(c).info); back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==G.model(c).cfg and back.cfg.sampling==Sampling(c=='true', False) and back.info['official']['unused']==['discriminator']
    assert torch.equal(back(SOURCE,FILM[:,0]).frame, steps(c)[0].frame)

# ---- other sizes ----
def listing(config):
    p = config['model_params']; k, d, g = p['common_params']['num_kp'], p['kp_detector_params'], p['generator_params']; m = g['dense_motion_params']
    det,n = hourglass('predictor.', 3, d, t=True); det |= conv('predictor.decoder.conv', n, k, 3, True)
    c = (k+1)*(4 if m['mask_embedding_params']['use_deformed_source_image'] else 1)
    dense = {q: s for i in range(m['num_group_blocks']) for q,s in (conv(f'dense_motion_module.group_blocks.{i}.conv', c//(k+1), c, 1, True) | norm(f'dense_motion_module.group_blocks.{i}.norm', c)).items()}
    body,n = hourglass('dense_motion_module.hourglass.', c, m, t=True)
    dense |= body | conv('dense_motion_module.hourglass.decoder.conv', n, (k+1)*m['use_mask']+2*m['use_correction'], 3, True)
    gen,n = hourglass('', 3, g, k, True, 'appearance_encoder', 'video_decoder')
    for i in range(g['num_refinement_blocks']): gen |= residual(f'refinement_module.r{i}', n, True)
    return dict(kp_detector=det, generator=gen | dense | conv('refinement_module.conv-last', n, 3, 1, True))

def config(kp=10, det=(32,1024,5), dense=(32,1024,5), gen=(32,1024,7), blocks=4, scales=(.25,.25,.25), groups=2, mask=True, correction=True, image=True, norms=(100,100), how='trilinear', spread='matrix', **more):
    part = lambda o, s: dict(zip(('block_expansion','max_features','num_blocks'), o)) | (dict(scale_factor=s) if s else {})
    heat = lambda n: dict(use_heatmap=True, heatmap_type='difference', norm_const=n)
    return dict(dataset_params=dict(frame_shape=[256,256,3]), model_params=dict(
        common_params=dict(num_kp=kp, kp_variance=spread, num_channels=3), kp_detector_params=dict(temperature=.1, **dict(clip_variance=.001)|part(det, scales[0])|more),
        generator_params=dict(interpolation_mode=how, num_refinement_blocks=blocks, kp_embedding_params=dict(heat(norms[0]), scale_factor=scales[1]), **part(gen, 0),
            dense_motion_params=dict(use_mask=mask, use_correction=correction, num_group_blocks=groups, mask_embedding_params=dict(heat(norms[1]), use_deformed_source_image=image), **part(dense, scales[2]))),
        discriminator_params=dict(kp_embedding_params=dict(norm_const=100), block_expansion=32, max_features=256, num_blocks=4)))

def test_the_second_listing_is_right():
    known = lambda d: {m: d[m] for m in ('kp_detector','generator')}
    assert listing(G.config)==known(shapes(G.state)) and listing(config())==known(G.keys['modules'])
    assert listing(config(gen=(32,1024,5)))==known(G.keys['variants']['taichi'])
    assert listing(config(det=(32,512,5), dense=(32,512,5), gen=(32,512,5)))==known(G.keys['variants']['nemo'])

TINY = dict(kp=4, det=(8,32,2), dense=(8,32,2), gen=(8,32,3), blocks=1, scales=(.5,.5,.5))
OTHERS = dict(few=dict(kp=1), deep=dict(gen=(8,24,5), det=(8,16,4)), whole=dict(scales=(1,1,1)), scales=dict(scales=(.25,.125,.5)), uneven=dict(scales=(.75,.75,.75)), nearest=dict(how='nearest'),
              summed=dict(norms=('sum','sum')), mixed=dict(norms=(100,'sum')), one_group=dict(groups=1), no_groups=dict(groups=0), coarse=dict(correction=False), residual=dict(mask=False),
              unseen=dict(image=False), fixed=dict(spread=.01), unclipped=dict(clip_variance=None))
@pytest.mark.parametrize('name', OTHERS)
def test_other_sizes_are_accounted_for(name):
    c = config(**TINY|OTHERS[name]); state = random_state(listing(c)); m = from_official('monkeynet', state, c)
    used = sum(v.numel() for d in state.values() for k,v in d.items() if not k.endswith('tracked'))
    assert used==sum(v.numel() for k,v in m.state_dict().items() if not k.endswith('tracked'))
    size = m.stride*-(-64//m.stride); x,y = torch.rand(2,1,3,size,size); s = m(x,y)
    assert s.frame.shape==x.shape and s.frame.isfinite().all() and (s.kp_d.cov is None)==(name=='fixed') and (s.flow.weights is None)==(name=='residual')
    drawn = m.dense.drawn(s.kp_d, (32,32)).sum((-2,-1))
    assert torch.allclose(drawn, torch.ones(()))==(name=='summed') and m.cfg.sampling.resize==('nearest' if name=='nearest' else 'bilinear')
    with pytest.raises(InputError, match='generator.refinement_module.conv-last.bias'):
        from_official('monkeynet', {**state, 'generator': {k: v for k,v in state['generator'].items() if k!='refinement_module.conv-last.bias'}}, c)

@pytest.mark.parametrize('wrong,says', [(dict(kp=5), 'expected shape'), (dict(spread='single'), 'kp_variance'), (dict(groups=1), 'without a place'), (dict(gen=(8,32,2)), 'generator')], ids=str)
def test_another_config_than_the_trained_one_is_refused(wrong, says):
    with pytest.raises(InputError, match=says): from_official('monkeynet', random_state(listing(config(**TINY))), config(**TINY|wrong))

def test_resizing_as_the_released_code_does():
    x = torch.rand(1,2,8,8)
    for how,mode in (('nearest','nearest'), ('bilinear','bilinear')):
        want = F.interpolate(x, (3,5), mode=mode, **({} if mode=='nearest' else dict(align_corners=False)))
        near(resize_maps(x, (3,5), Sampling(True, False, how)), want, 1e-6)
    g = identity_grid(9,9).movedim(-1,0)[None] # in our convention, a pixel of the small grid is a pixel of the large one
    near(resize_maps(g, (5,5), Sampling(resize='nearest')), identity_grid(5,5).movedim(-1,0)[None], 1e-6)

def test_covariance_is_clipped_as_released():
    from animlib.detectors.keypoint import floor_covariance
    a = torch.randn(50,2,2)*torch.logspace(-4,0,50)[:,None,None]; cov = a@a.mT+1e-7*torch.eye(2)
    sv = torch.linalg.svdvals(cov.double())[...,-1:,None]; want = cov*(sv.clamp(min=.001)/sv)
    torch.testing.assert_close(floor_covariance(cov[None])[0].double(), want, rtol=2e-2, atol=1e-6) # in float32 the smaller one of two unequal values is known that well

# ---- the published size ----
def test_published_checkpoints_are_accounted_for():
    m = from_official('monkeynet', blank(G.keys['modules']), config())
    assert (count(m.dense)+count(m.generator), count(m.detector))==(80_629_691, 14_132_728) and m.info['official']['unused']==['discriminator']
    assert (m.cfg.size, m.cfg.n_kp, m.cfg.sampling, m.stride)==(256, 10, Sampling(True,False), 128)
    assert count(critic_from_official('monkeynet', blank(G.keys['modules']), config())[0])==1_719_489
    paper = build('monkeynet','paper'); assert count(paper)==count(m) and count(monkeynet.critic(paper.cfg))==1_719_489
