"A training that is killed and resumed is the training that was not; two processes train one model."
import json, os, random, subprocess, sys, time
from pathlib import Path
import pytest, torch
from safetensors.torch import load_file
from animlib.cli import main

root = Path(__file__).parents[1]
ENV = os.environ|dict(PYTHONPATH=os.pathsep.join([str(root), os.environ.get('PYTHONPATH','')]).rstrip(os.pathsep), OMP_NUM_THREADS='1')
STEPS = 40
def command(run, *more, steps=STEPS): return ['train','fomm','--data','toy:arm','--preset','toy','--steps',str(steps),'--clips','4','--frames','4','--device','cpu','--run-dir',str(run),
                                 *'-o batch=2 -o save_every=10 -o log_every=1 -o preview_every=0'.split(), *more]
def equal(a, b): return a.keys()==b.keys() and all(torch.equal(v, b[k]) for k,v in a.items())
def steps(run): return [json.loads(l)['step'] for l in (run/'metrics.jsonl').read_text().splitlines()]
def losses(run): return [json.loads(l)['loss'] for l in (run/'metrics.jsonl').read_text().splitlines()]

@pytest.fixture
def one_thread():
    "The order of a sum depends on the number of threads: a process of its own and this one must agree."
    n = torch.get_num_threads(); torch.set_num_threads(1)
    yield
    torch.set_num_threads(n)

@pytest.fixture(scope='module')
def uninterrupted(tmp_path_factory):
    run = tmp_path_factory.mktemp('runs')/'whole'
    n = torch.get_num_threads(); torch.set_num_threads(1)
    try: assert main(command(run))==0
    finally: torch.set_num_threads(n)
    return run

def test_killed_and_resumed_is_the_same_to_the_bit(uninterrupted, one_thread, tmp_path):
    run, at = tmp_path/'killed', random.randint(11, 32)
    p = subprocess.Popen([sys.executable,'-m','animlib',*command(run)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=ENV)
    try:
        until = time.time()+120
        while time.time()<until and p.poll() is None and not ((run/'metrics.jsonl').exists() and (run/'metrics.jsonl').read_bytes().count(b'\n')>=at): time.sleep(.005)
        p.kill(); p.wait()  # SIGKILL: nothing can be tidied up
    finally: p.kill(); error = p.stderr.read().decode(); p.stderr.close()
    assert p.returncode!=0 and not (run/'model.safetensors').exists(), error
    saved = [f.name for f in (run/'state').iterdir() if f.name[0]!='.']
    assert len(saved)==1 and saved[0] in ('step-00000010.pt','step-00000020.pt','step-00000030.pt'), saved
    assert main(command(run, '--resume'))==0
    a,b = (load_file(r/'model.safetensors') for r in (uninterrupted,run))
    assert equal(a, b), f'killed at step {at}: {[k for k in a if not torch.equal(a[k], b[k])][:5]}'
    assert steps(run)==steps(uninterrupted)==[*range(1, STEPS+1)] and losses(run)==losses(uninterrupted), f'killed at step {at}'

def test_another_seed_is_another_model(uninterrupted, one_thread, tmp_path):
    "The comparison above is not blind."
    assert main(command(tmp_path/'other', '-o', 'seed=1'))==0
    assert not equal(load_file(uninterrupted/'model.safetensors'), load_file(tmp_path/'other'/'model.safetensors'))

def test_a_finished_run_stays_what_it_is(uninterrupted, one_thread):
    before = load_file(uninterrupted/'model.safetensors')
    assert main(command(uninterrupted, '--resume'))==0
    assert equal(before, load_file(uninterrupted/'model.safetensors')) and steps(uninterrupted)==[*range(1, STEPS+1)]

TWO = """
import os, sys, torch
import animlib.pipelines as pipelines
fit = pipelines.fit
def keep(*args, **kw):
    model = fit(*args, **kw)
    torch.save(model.state_dict(), f"{sys.argv[1]}/rank{os.environ['RANK']}.pt")
    return model
pipelines.fit = keep
from animlib.cli import main
sys.exit(main(sys.argv[2:]))
"""
def torchrun(*argv): return subprocess.run([sys.executable,'-m','torch.distributed.run','--standalone',*map(str, argv)], capture_output=True, text=True, timeout=240, env=ENV)

def test_two_processes_train_one_model(one_thread, tmp_path):
    (tmp_path/'two.py').write_text(TWO)
    run = tmp_path/'run'; assert main(command(tmp_path/'alone', steps=10))==0
    out = torchrun('--nproc-per-node', 2, tmp_path/'two.py', tmp_path, *command(run, steps=10))
    assert out.returncode==0, out.stderr[-3000:]
    a,b = (torch.load(tmp_path/f'rank{i}.pt', weights_only=True) for i in (0,1))
    weights = [k for k in a if 'running' not in k and 'tracked' not in k]
    assert weights and all(torch.equal(a[k], b[k]) for k in weights)
    saved, alone = load_file(run/'model.safetensors'), load_file(tmp_path/'alone'/'model.safetensors')
    assert equal({k: v.contiguous() for k,v in a.items()}, saved)           # what is written is rank 0's
    assert not all(torch.equal(saved[k], alone[k]) for k in weights)        # twice the pairs: not the run of one process
    assert out.stdout.count('trained')==1 and steps(run)==[*range(1, 11)]

def test_torchrun_starts_the_module(tmp_path):
    "As the help of `animlib train` says it: torchrun reads options, too, and must leave ours alone."
    out = torchrun('--nproc-per-node', 1, '-m', 'animlib.cli', *command(tmp_path/'run')[:6], '--run-dir', tmp_path/'run', '--steps', 2, '--clips', 2, '--frames', 2, '-o', 'batch=2', '-o', 'preview_every=0')
    assert out.returncode==0 and (tmp_path/'run'/'model.safetensors').exists(), out.stderr[-2000:]
