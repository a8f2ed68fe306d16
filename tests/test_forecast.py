"Films from one picture: numbers and back, windows, runs that resume, painted frames, and what is said when it cannot be."
import json
import pytest, torch
from torch import nn
from torch.testing import assert_close
from animlib.checkpoints import build as build_model
from animlib.core import InputError, Keypoints
from animlib.data.video import Clips
from animlib.forecast import (Forecast, ForecastCfg, Forecaster, KeypointWindows, as_moments, build, extrapolate, forecast_error, hold,
                              horizon_error, imagine, paint, presets, read_sequences, thicken, to_keypoints, to_numbers)
from animlib.losses.reconstruction import Term
from animlib.metrics import embedding_distance, encoder_features, frechet_distance
from animlib.training import TrainCfg, fit, read_header

K, T = 2, 6
CFG = ForecastCfg(K, hidden=8, length=T)
def rng(seed=0): return torch.Generator().manual_seed(seed)
def kps(n, k=K, seed=0): V = torch.rand(n,k,2,2,generator=rng(seed)); return Keypoints(torch.rand(n,k,2,generator=rng(seed))*2-1, cov=V@V.mT)
def turning(t, phase): # two points on a circle, a covariance that breathes
    a = torch.arange(t)*.5+phase
    return to_numbers(Keypoints(torch.stack([torch.stack([a.cos(),a.sin()],-1),torch.stack([-a.sin(),a.cos()],-1)],1)*.5, cov=torch.eye(2).expand(t,K,2,2)*(.1+.05*a.sin())[:,None,None,None]))
def windows(): return KeypointWindows([turning(20,p) for p in (0.,1.,2.)], T)

@pytest.fixture(scope='module', params=('monkeynet','fomm','monkeynet-plain'))
def model(request):
    "Untrained painters: with covariances, with Jacobians, with neither."
    torch.manual_seed(0)
    return build_model(request.param.split('-')[0], 'toy', **(dict(covariance=False) if 'plain' in request.param else {})).eval()

def covered(model): return model.method=='monkeynet' and model.cfg.covariance
def predictor(model): torch.manual_seed(1); return Forecaster(ForecastCfg(model.cfg.n_kp, hidden=8, length=T, covariance=covered(model))).eval()

# ---- numbers ----
def test_numbers_and_back():
    kp = kps(5); back = to_keypoints(to_numbers(kp), K)
    assert torch.equal(back.xy, kp.xy) and torch.equal(back.cov, kp.cov)
    assert to_keypoints(to_numbers(kp, False), K).cov is None

def test_whatever_the_net_says_is_a_keypoint():
    kp = to_keypoints(as_moments(torch.randn(300,12,generator=rng())*5, K), K)
    assert kp.xy.abs().max()<=1 and torch.equal(kp.cov, kp.cov.mT) and torch.linalg.eigvalsh(thicken(kp.cov.double(), .01)).min()>.01-1e-9
    assert torch.equal(thicken(kps(1).cov+torch.eye(2)), kps(1).cov+torch.eye(2))

def test_the_released_size_and_the_way_back_from_a_file():
    "The counts of the paper's preset; what `animlib.load` asks of a part."
    with torch.device('meta'): assert sum(p.numel() for p in build(presets['paper'][0]).parameters())==3_397_692
    assert all(build(c).cfg==c and TrainCfg(**how) for c,how in presets.values()) and Forecaster.method=='forecast'

def test_only_the_first_frame_is_read():
    torch.manual_seed(0); net = Forecaster(CFG); first, whole = windows().pairs(4, rng())
    assert_close(net(first, whole).numbers, net(first, torch.rand_like(whole)).numbers)
    assert torch.equal(net(first).numbers[:,0], first) and net(first, length=11).numbers.shape==(4,11,12)

# ---- baselines, errors ----
def test_baselines():
    "Constant speed is predicted exactly, and stops at the border; holding still is right for what stands still."
    p, v = torch.rand(3,1,K,2,generator=rng())*.4-.2, torch.rand(3,1,K,2,generator=rng(1))*.1
    walk = (p+v*torch.arange(T)[:,None,None]).flatten(2)
    assert_close(extrapolate(walk[:,:2], T, K), walk)
    assert extrapolate(walk[:,:2], 500, K).max()==1
    assert torch.equal(hold(walk[:,0], 3), walk[:,:1].expand(-1,3,-1))
    assert horizon_error(hold(walk[:,0],T), walk, K, (33,33))[0]==0 and (horizon_error(hold(walk[:,0],T), walk, K, (33,33)).diff()>0).all()

def test_the_error_leaves_the_given_frame_out():
    a = torch.rand(2,4,12,generator=rng()); b = a.clone(); b[:,0] += 1; b[:,1:,:2] += .5
    e = forecast_error(Forecast(b, a, K)); assert_close(e['xy'], torch.tensor(.25)); assert e['cov']==0

# ---- windows ----
def test_windows_are_a_function_of_the_seed():
    w = windows(); a,b,c = (w.pairs(16, rng(s))[1] for s in (3,3,4))
    assert torch.equal(a,b) and not torch.equal(a,c) and w.images is False

def test_windows_stay_in_their_clip():
    rows = [torch.full((t,1),float(i)) for i,t in enumerate((T,T+5,T))]
    first, whole = KeypointWindows(rows, T).pairs(300, rng())
    assert (whole==first[:,None]).all() and set(first.flatten().tolist())=={0.,1.,2.}

def test_sequences_are_those_of_the_clips(model):
    films = torch.randint(0, 256, (7,32,32,3), dtype=torch.uint8, generator=rng())
    got = read_sequences(model, Clips(films, [4,3]), covered(model), batch=2, progress=False)
    with torch.no_grad(): want = to_numbers(model.detector(films.movedim(-1,1)/255), covered(model))
    assert [len(s) for s in got]==[4,3] and not got[0].is_inference(); assert_close(torch.cat(got), want, atol=1e-4, rtol=0)

# ---- training ----
def trained(run, steps, resume=False, **kw):
    torch.manual_seed(0); how = TrainCfg(steps=steps, batch=8, lr=.02, save_every=10, log_every=10, preview_every=0, milestones=())
    return fit(Forecaster(CFG), dict(error=Term(1.,forecast_error)), windows(), how, run, 'cpu', 'circles', resume, progress=False, **kw)

def test_the_loop_trains_it(tmp_path):
    net = trained(tmp_path/'run', 120, detector='some')
    lines = [json.loads(l) for l in (tmp_path/'run'/'metrics.jsonl').read_text().splitlines()]
    assert lines[-1]['loss']<.5*lines[0]['loss'] and {'error.xy','error.cov'}<=lines[0].keys()
    first, whole = windows().pairs(64, rng(9)); error = lambda g: horizon_error(g, whole, K, (32,32))[1:].mean()
    assert error(net(first).numbers)<.5*error(hold(first, T))
    header = read_header(tmp_path/'run'/'model.safetensors')
    assert (header['method'],header['detector'],ForecastCfg(**header['cfg']))==('forecast','some',CFG)

def test_resumed_is_the_same_to_the_bit(tmp_path, monkeypatch):
    import animlib.training as training
    whole, step = trained(tmp_path/'whole', 30).state_dict(), training.Trainer.step
    def killed(self, i):
        if i==17: raise KeyboardInterrupt
        return step(self, i)
    monkeypatch.setattr(training.Trainer, 'step', killed)
    with pytest.raises(KeyboardInterrupt): trained(tmp_path/'half', 30)
    monkeypatch.setattr(training.Trainer, 'step', step)
    again = trained(tmp_path/'half', 30, resume=True).state_dict()
    assert all(torch.equal(v, again[k]) for k,v in whole.items())

# ---- painting ----
def test_a_film_begins_with_the_picture_in_its_own_pose(model):
    net, picture = predictor(model), torch.rand(3,32,32,generator=rng())
    film = imagine(model.train(), net.train(), picture)
    assert model.training and net.training and film.shape==(T,3,32,32) and not film.is_inference() and film.isfinite().all()
    model.eval(); net.eval()
    with torch.no_grad():
        kp = model.detector(picture[None]); pre = model.prepare(picture[None])
        assert_close(film[:1], model(pre, kp).frame, atol=1e-4, rtol=0)
        assert_close(film, paint(model, picture, net(to_numbers(kp, covered(model))).numbers[0], batch=4), atol=1e-4, rtol=0)
    assert len(imagine(model, net, picture, 9))==9

def test_what_rows_do_not_say_stays_as_it_was(model):
    picture = torch.rand(3,32,32,generator=rng())
    with torch.no_grad(): kp = model.detector(picture[None]); own = model(model.prepare(picture[None]), kp).frame
    assert_close(paint(model, picture, to_numbers(kp, False)), own, atol=1e-4, rtol=0)
    thin = paint(model, picture, torch.zeros(2, 6*model.cfg.n_kp)) if covered(model) else own
    assert thin.isfinite().all()

# ---- what is said ----
@pytest.mark.parametrize('call,said', [
    (lambda: to_numbers(Keypoints(torch.zeros(1,3,2))), 'such as Monkey-Net, or covariance=False'),
    (lambda: to_numbers(Keypoints(torch.zeros(1,0,2))), 'X2Face'),
    (lambda: to_keypoints(torch.zeros(1,7), 2), 'expected 12 numbers for 2 keypoints'),
    (lambda: Forecaster(CFG)(torch.zeros(1,60)), 'expected 12 numbers .2 keypoints., found 60'),
    (lambda: KeypointWindows([torch.zeros(40,2), torch.zeros(8,2), torch.zeros(9,2)]), '2 of 3 that are shorter, the shortest 8; leave them out, or use length=8'),
    (lambda: KeypointWindows([]), 'at least one sequence'),
    (lambda: frechet_distance(torch.zeros(5,3), torch.zeros(5,4)), 'same features'),
    (lambda: embedding_distance(torch.zeros(5,3), torch.zeros(4,3)), 'same length')])
def test_errors_say_what_to_do(call, said):
    with pytest.raises(InputError, match=said) as e: call()
    assert '\n' not in str(e.value)

def test_another_models_predictor_is_refused():
    model = build_model('monkeynet', 'toy')
    with pytest.raises(InputError, match='trained on this model'): imagine(model, Forecaster(CFG), torch.rand(3,32,32))
    with pytest.raises(InputError, match='such as Monkey-Net'): imagine(build_model('fomm', 'toy'), Forecaster(CFG), torch.rand(3,32,32))

# ---- distances of features ----
def test_frechet_distance_of_known_gaussians():
    "Exact moments in three dimensions, diagonal, then turned: the closed form stays; rank-deficient sets are fine."
    white = torch.linalg.qr(torch.randn(9,3,generator=rng(),dtype=torch.double))[0]
    white = torch.linalg.qr(white-white.mean(0))[0]*8**.5 # 9 rows, mean 0, covariance I
    a, b = white*torch.tensor([1.,2.,3.]), white*torch.tensor([2.,2.,.5])+torch.tensor([0.,3.,4.])
    q = torch.linalg.qr(torch.randn(3,3,generator=rng(1),dtype=torch.double))[0]
    for x,y in ((a,b),(a@q,b@q),(b,a)): assert abs(frechet_distance(x,y)-(25+1+6.25))<1e-6
    few = torch.randn(4,50,generator=rng()); assert frechet_distance(few, few)<1e-5 and frechet_distance(few, few+1)==pytest.approx(50, rel=1e-4)

def test_features_do_not_depend_on_the_batch(model):
    v = torch.rand(5,3,32,32,generator=rng()); x = encoder_features(model)(v)
    assert x.ndim==2 and len(x)==5; assert_close(encoder_features(model,2)(v), x, atol=1e-5, rtol=1e-4)
    assert embedding_distance(x, x)==0
