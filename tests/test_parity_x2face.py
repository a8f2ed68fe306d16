"""X2Face against the official code: numbers it gave for small random weights (tests/golden/x2face.*), and the names and shapes of
the published checkpoint (tests/golden/x2face_keys.json). No network, no download."""
from functools import lru_cache
import pytest, torch
from animlib.blocks import fold_norms
from animlib.checkpoints import build, from_official, read_model
from animlib.core import InputError
from animlib.geometry import Sampling
from animlib.training import save_model
from parity import Golden, blank, both, count, near, one_thread

G = Golden('x2face', 'state_dict')
SOURCE, DRIVING = G['source'], G['driving']
@lru_cache(None)
def step(c):
    with torch.no_grad(): return G.model(c)(SOURCE, DRIVING)

@both
def test_code_grid_face_frame(c):
    near(step(c).kp_d.code.relu(), G.want(c,'bottleneck').flatten(1), 1e-5) # the official one was read behind an activation in place
    near(step(c).flow.warp.grid[:,::4,::4], G.want(c,'sampler'), 1e-4)
    near(G.model(c).generator.encode(SOURCE)[0][...,::4,::4], G.want(c,'unwrapped_strided4'), 1e-3)
    near(step(c).frame, G.want(c,'prediction'), 1e-3)

def test_the_conventions_are_told_apart():
    assert (step('true').frame-G.want('false','prediction')).abs().max()>1e-2

@both
def test_the_same_by_every_way(c, tmp_path):
    m = G.model(c); pre = m.prepare(SOURCE)
    near(m(pre, m.detector(DRIVING)).frame, G.want(c,'prediction'), 1e-3); near(fold_norms(m)(SOURCE,DRIVING).frame, G.want(c,'prediction'), 1e-3)
    save_model(tmp_path/'m.safetensors', m, **m.info); back = read_model(tmp_path/'m.safetensors')
    assert back.cfg==m.cfg and back.cfg.sampling==Sampling(c=='true', c=='true') and torch.equal(back(SOURCE,DRIVING).frame, step(c).frame)

def test_one_source_several_times_is_the_one_source():
    m = G.model('true'); many = m.prepare(SOURCE[:,None].expand(-1,3,-1,-1,-1))
    near(many.features[0], m.prepare(SOURCE).features[0], 1e-4); near(m(many, m.detector(DRIVING)).frame, G.want('true','prediction'), 1e-3)

def test_published_checkpoint_is_accounted_for():
    m = from_official('x2face', blank(G.keys['modules']), dict(ngf=64, inner_nc=128))
    assert (count(m), count(m.generator), count(m.detector)+count(m.motion))==(64_771_840, 39_157_760, 25_614_080)==(count(build('x2face','paper')), 39_157_760, 25_614_080)
    assert (m.cfg.size, m.cfg.sampling, m.stride, m.n_sources)==(256, Sampling(True,True), 256, None)

def test_torch_0_2_wrote_no_counters():
    old = {m: {k: v for k,v in d.items() if not k.endswith('num_batches_tracked')} for m,d in G.state.items()}
    assert torch.equal(from_official('x2face', old, G.config)(SOURCE,DRIVING).frame, step('true').frame)

@pytest.mark.parametrize('config,says', [(dict(ngf=8, inner_nc=8), 'expected shape'), (dict(ngf=4, inner_nc=16), 'expected shape'), (dict(ngf=4), 'none of the options'), (dict(ngf=4, inner_nc=8, skips=1), 'skips is unknown')], ids=str)
def test_wrong_configs_are_refused(config, says):
    with pytest.raises(InputError, match=says): from_official('x2face', G.state, config)

def test_frames_of_another_size_are_refused():
    with pytest.raises(InputError, match='size=256'): G.model('true')(*torch.rand(2,1,3,512,512))
