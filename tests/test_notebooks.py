"""Every chapter runs, as nbdev's own runner runs it: the read-along text is a test.
Each notebook has a fresh process; two run at a time. Where processes can fork, torch is imported once for all."""
import json, multiprocessing as mp, os, sys, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
import pytest
from conftest import has_cuda
from test_style import nbs, rel

root = Path(__file__).parents[1]
FOLDERS = 'index', '[0-9]_*', 'explore'  # papermill runs those of nbs/pipelines in another test
SKIP = 'slow cuda notest'.split()
CELL,NOTEBOOK = 120, 300  # seconds at most, on a busy machine; the aim is 60 for a notebook

def child(path, log, skip, limit):
    "Run one notebook; everything it prints, and the traceback of a failing cell, goes to `log`."
    fd = os.open(log, os.O_WRONLY|os.O_CREAT|os.O_APPEND)
    for n in (1, 2): os.dup2(fd, n)
    sys.stdout = sys.__stdout__ = open(1, 'w', buffering=1, closefd=False)
    sys.stderr = sys.__stderr__ = open(2, 'w', buffering=1, closefd=False)
    import torch
    from nbdev.test import test_nb
    torch.set_num_threads(int(os.environ.get('OMP_NUM_THREADS', 1)))
    ok,_ = test_nb(path, skip_flags=skip, basepath=root, cell_timeout=limit)
    sys.stdout.flush(); sys.stderr.flush()
    os._exit(0 if ok else 1)  # whatever threads a notebook left running

def run(path, log, skip=SKIP, cell_limit=CELL, limit=NOTEBOOK):
    "Run a notebook in its own process: `ok`, `seconds` and `text`, which says what happened."
    ctx = mp.get_context('spawn' if sys.platform in ('darwin', 'win32') else 'forkserver')
    if ctx.get_start_method()=='forkserver': ctx.set_forkserver_preload(['torch', 'nbdev.test'])
    start = time.time()
    p = ctx.Process(target=child, args=(Path(path), str(log), skip, cell_limit))
    p.start()
    p.join(limit)
    end = f'stopped after {limit} s' if p.exitcode is None else f'exit code {p.exitcode}'
    if p.exitcode is None: p.kill(); p.join()
    text = Path(log).read_text(encoding='utf-8', errors='replace') if Path(log).exists() else ''
    return SimpleNamespace(ok=p.exitcode==0, seconds=time.time()-start, text=f'{text}\n{path}: {end}')

chapters = [p for p in nbs if any(p.relative_to(root/'nbs').match(f'{o}/*') or p.stem==o for o in FOLDERS)]

@pytest.fixture(scope='session')
def results(request, scratch):
    "Every notebook that was asked for, two at a time; a test waits for its own."
    wanted = [o.callspec.params['p'] for o in request.session.items if o.name.startswith('test_notebook_runs[')]
    skip = [o for o in SKIP if not (o=='slow' and request.config.getoption('--slow') or o=='cuda' and has_cuda())]
    with ThreadPoolExecutor(2) as pool:
        yield {p: pool.submit(run, p, scratch/f'{p.stem}.log', skip) for p in wanted}
        pool.shutdown(cancel_futures=True)

@pytest.mark.parametrize('p', [pytest.param(p, id=rel(p)) for p in chapters])
def test_notebook_runs(p, results, record_property):
    got = results[p].result()
    record_property('seconds', round(got.seconds, 1))
    if not got.ok: pytest.fail(got.text, pytrace=False)

# ---- the runner sees what goes wrong ----
def notebook(path, *sources):
    cells = [dict(cell_type='code', execution_count=None, id=str(i), metadata={}, outputs=[], source=s) for i,s in enumerate(sources)]
    path.write_text(json.dumps(dict(cells=cells, metadata={'kernelspec': dict(name='python3', display_name='python3', language='python')}, nbformat=4, nbformat_minor=5)))
    return path

def test_runner_passes_a_good_notebook(tmp_path):
    nb = notebook(tmp_path/'a.ipynb', 'import os; x = 1', 'assert x==1 and os.environ["IN_TEST"]', '#| slow\n1/0', '#| cuda\n1/0', '#| eval: false\n1/0')
    assert (got := run(nb, tmp_path/'log')).ok, got.text

def test_runner_shows_the_cell_that_fails(tmp_path):
    got = run(notebook(tmp_path/'a.ipynb', 'x = 1', 'y = x/0'), tmp_path/'log')
    assert not got.ok and 'ZeroDivisionError' in got.text and 'y = x/0' in got.text

def test_runner_runs_slow_cells_when_asked(tmp_path):
    assert not run(notebook(tmp_path/'a.ipynb', '#| slow\n1/0'), tmp_path/'log', skip=['cuda']).ok

def test_runner_stops_what_hangs(tmp_path):
    got = run(notebook(tmp_path/'a.ipynb', 'import time; time.sleep(60)'), tmp_path/'log', limit=8)
    assert not got.ok and 'stopped after 8 s' in got.text and got.seconds<20

def test_runner_survives_a_process_that_dies(tmp_path):
    got = run(notebook(tmp_path/'a.ipynb', 'import os; os._exit(7)'), tmp_path/'log')
    assert not got.ok and 'exit code 7' in got.text
