"A training that is killed and resumed is the training that was not; two processes train one model."
import json, os, random, shutil, subprocess, sys, time
from functools import cache
from pathlib import Path
import pytest, torch
from safetensors.torch import load_file
from animlib.cli import main

root = Path(__file__).parents[1]
ENV = os.environ|dict(PYTHONPATH=os.pathsep.join([str(root), os.environ.get('PYTHONPATH','')]).rstrip(os.pathsep), OMP_NUM_THREADS='1')
STEPS = 40
CRITIC = '-o gan=1 -o matching=10 -o critic_sees_keypoints=true'.split() # a second player
TWICE = ('pose_attentive', *'-o gan=1 -o matching=2 -o cross_from=0'.split()) # two generations in a step, judged both
def command(run, *more, steps=STEPS): method,more = (more[0],more[1:]) if more[:1]==TWICE[:1] else ('fomm',more); return ['train',method,'--data','toy:arm','--preset','toy','--steps',str(steps),'--clips','4','--frames','4','--device','cpu','--run-dir',str(run),
                                 *'-o batch=2 -o save_every=10 -o log_every=1 -o preview_every=0'.split(), *more]
def equal(a, b): return a.keys()==b.keys() and all(torch.equal(v, b[k]) for k,v in a.items())
def same(a, b):
    "Whatever a saved state is made of."
    if isinstance(a, torch.Tensor): return torch.equal(a, b)
    if isinstance(a, dict): return a.keys()==b.keys() and all(same(v, b[k]) for k,v in a.items())
    return len(a)==len(b) and all(map(same, a, b)) if isinstance(a, (list, tuple)) else a==b
def state(run): return torch.load(max((run/'state').glob('step-*.pt')), weights_only=True)
def steps(run): return [json.loads(l)['step'] for l in (run/'metrics.jsonl').read_text().splitlines()]
def losses(run): return [json.loads(l)['loss'] for l in (run/'metrics.jsonl').read_text().splitlines()]

@pytest.fixture
def one_thread():
    "The order of a sum depends on the number of threads: a process of its own and this one must agree."
    n = torch.get_num_threads(); torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)

@pytest.fixture(scope='module')
def whole(tmp_path_factory):
    "Runs that nobody stops, each trained once."
    @cache
    def train(*more):
        run = tmp_path_factory.mktemp('runs')/'whole'
        n = torch.get_num_threads(); torch.set_num_threads(1)
        try: assert main(command(run, *more))==0
        finally: torch.set_num_threads(n)
        return run
    return train

@pytest.fixture
def uninterrupted(whole): return whole()

@pytest.mark.parametrize('more', [(), CRITIC, TWICE], ids=['alone','critic','twice'])
def test_killed_and_resumed_is_the_same_to_the_bit(more, whole, one_thread, tmp_path):
    uninterrupted, run, at = whole(*more), tmp_path/'killed', random.randint(11, 32)
    p = subprocess.Popen([sys.executable,'-m','animlib',*command(run, *more)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENV)
    try:
        until = time.time()+120
        while time.time()<until and p.poll() is None and not ((run/'metrics.jsonl').exists() and (run/'metrics.jsonl').read_bytes().count(b'\n')>=at): time.sleep(.005)
        p.kill(); p.wait()  # SIGKILL: nothing can be tidied up
    finally: p.kill(); error = p.stderr.read().decode(); p.stderr.close()
    assert p.returncode!=0 and not (run/'model.safetensors').exists(), error
    saved = [f.name for f in (run/'state').iterdir() if f.name[0]!='.']
    assert len(saved)==1 and saved[0] in ('step-00000010.pt','step-00000020.pt','step-00000030.pt'), saved
    assert main(command(run, *more, '--resume'))==0
    a,b = (load_file(r/'model.safetensors') for r in (uninterrupted,run))
    assert equal(a, b), f'killed at step {at}: {[k for k in a if not torch.equal(a[k], b[k])][:5]}'
    assert steps(run)==steps(uninterrupted)==[*range(1, STEPS+1)] and losses(run)==losses(uninterrupted), f'killed at step {at}'
    a,b = state(uninterrupted), state(run) # optimisers and the critic, too
    assert same(a, b), f'killed at step {at}: {[k for k in a if not same(a[k], b[k])]}'
    assert ('critic' in a)==('critic_opt' in a)==bool(more)

def test_a_critic_trains_and_is_heard(whole):
    "Both sides of the game are in the log, the critic learns, and the model is another one than without it."
    run = whole(*CRITIC)
    log = [json.loads(l) for l in (run/'metrics.jsonl').read_text().splitlines()]
    assert all({'rec','fool.gan','fool.matching','critic'} <= l.keys() for l in log) and not log[-1].keys() & {'fool'}
    mean = lambda k: sum(l[k] for l in log[-10:])/10
    assert mean('critic')<log[0]['critic'] and 0<mean('fool.gan')<4 and mean('fool.matching')>0
    assert not equal(load_file(run/'model.safetensors'), load_file(whole()/'model.safetensors'))

def test_both_generations_are_trained_and_judged(whole):
    log = [json.loads(l) for l in (whole(*TWICE)/'metrics.jsonl').read_text().splitlines()]
    assert all({'image','cross image','fool.gan','cross fool.gan','fool.matching','cross fool.matching','critic'} <= l.keys() for l in log)
    mean = lambda k: sum(l[k] for l in log[-10:])/10
    assert mean('image')<log[0]['image'] and mean('cross image')<log[0]['cross image'] and mean('critic')<log[0]['critic']

def test_a_critic_that_is_lost_is_noticed(whole, one_thread, tmp_path):
    "The comparison of states sees a critic; a state without one is not resumed."
    a, b = state(whole(*CRITIC)), state(whole(*CRITIC))
    b['critic'] = {k: v+1e-7 for k,v in b['critic'].items()}
    assert same(a, a) and not same(a, b)
    run = tmp_path/'lost'; shutil.copytree(whole(*CRITIC), run)
    file = max((run/'state').glob('step-*.pt')); torch.save({k: v for k,v in a.items() if k!='critic'}, file)
    with pytest.raises(KeyError, match='critic'): main(command(run, *CRITIC, '--resume'))

def test_another_seed_is_another_model(uninterrupted, one_thread, tmp_path):
    "The comparison above is not blind."
    assert main(command(tmp_path/'other', '-o', 'seed=1'))==0
    assert not equal(load_file(uninterrupted/'model.safetensors'), load_file(tmp_path/'other'/'model.safetensors'))

def test_a_finished_run_stays_what_it_is(uninterrupted, one_thread):
    before = load_file(uninterrupted/'model.safetensors')
    assert main(command(uninterrupted, '--resume'))==0
    assert equal(before, load_file(uninterrupted/'model.safetensors')) and steps(uninterrupted)==[*range(1, STEPS+1)]

TWO = """
import inspect, os, sys, torch
import animlib.pipelines as pipelines
fit = pipelines.fit
def keep(*args, **kw):
    model, critic = fit(*args, **kw), inspect.signature(fit).bind(*args, **kw).arguments['critic']
    torch.save(dict(model=model.state_dict(), critic=critic.state_dict() if critic else {}), f"{sys.argv[1]}/rank{os.environ['RANK']}.pt")
    return model
pipelines.fit = keep
from animlib.cli import main
sys.exit(main(sys.argv[2:]))
"""
def torchrun(*argv): return subprocess.run([sys.executable,'-m','torch.distributed.run','--standalone',*map(str, argv)], capture_output=True, text=True, timeout=240, env=ENV)

@pytest.mark.parametrize('more', [(), CRITIC, TWICE], ids=['alone','critic','twice'])
def test_two_processes_train_one_model(more, one_thread, tmp_path):
    (tmp_path/'two.py').write_text(TWO)
    run = tmp_path/'run'; assert main(command(tmp_path/'alone', *more, steps=10))==0
    out = torchrun('--nproc-per-node', 2, tmp_path/'two.py', tmp_path, *command(run, *more, steps=10))
    assert out.returncode==0, out.stderr[-3000:]
    a,b = (torch.load(tmp_path/f'rank{i}.pt', weights_only=True) for i in (0,1))
    trained = lambda player: {k: v for k,v in player.items() if 'running' not in k and 'tracked' not in k}
    assert a['model'] and bool(a['critic'])==bool(more) and all(equal(trained(a[k]), trained(b[k])) for k in a)
    one = state(tmp_path/'alone')
    assert all(same(v, state(run)[k]) and not same(trained(v), trained(one[k])) for k,v in a.items() if v) # what is written is rank 0's; twice the pairs: not the run of one process
    assert equal({k: v.contiguous() for k,v in a['model'].items()}, load_file(run/'model.safetensors'))
    assert out.stdout.count('trained')==1 and steps(run)==[*range(1, 11)]

def test_torchrun_starts_the_module(tmp_path):
    "As the help of `animlib train` says it: torchrun reads options, too, and must leave ours alone."
    out = torchrun('--nproc-per-node', 1, '-m', 'animlib.cli', *command(tmp_path/'run')[:6], '--run-dir', tmp_path/'run', '--steps', 2, '--clips', 2, '--frames', 2, '-o', 'batch=2', '-o', 'preview_every=0')
    assert out.returncode==0 and (tmp_path/'run'/'model.safetensors').exists(), out.stderr[-2000:]
