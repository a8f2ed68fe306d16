"The page of the demonstration, and a widget in JupyterLab, in a real browser without a network."
import json, os, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path
import pytest
from test_pipelines import demo_folder # noqa: F401 (a fixture)

CHROMIUM = next(filter(None, map(shutil.which, ('chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'))), None)
FLAGS = '--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking --disable-component-update --disable-sync'.split()

@pytest.fixture
def browser():
    api = pytest.importorskip('playwright.sync_api', reason='playwright is not installed: pip install playwright')
    if not CHROMIUM: pytest.skip('no chromium on this machine: apt-get install chromium')
    with api.sync_playwright() as p:
        b = p.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield b
        b.close()

def opened(browser, path):
    "The page, what it asked for outside of itself, and what went wrong."
    context = browser.new_context(offline=True, viewport=dict(width=1100, height=900))
    page, asked, wrong = context.new_page(), [], []
    page.on('request', lambda r: None if r.url.startswith(('data:', 'blob:')) or r.url==path.as_uri() else asked.append(r.url[:100]))
    page.on('requestfailed', lambda r: wrong.append(f'failed: {r.url[:100]}'))
    page.on('console', lambda m: wrong.append(m.text) if m.type in ('error', 'warning') else None)
    page.on('pageerror', lambda e: wrong.append(str(e)))
    page.goto(path.as_uri())
    return page, asked, wrong

def test_demo_page_plays_without_a_network(browser, demo_folder):
    page, asked, wrong = opened(browser, demo_folder/'demo.html')
    page.wait_for_function("[...document.querySelectorAll('video')].every(v => v.readyState>=2)", timeout=20_000)
    films = page.evaluate("[...document.querySelectorAll('video')].map(v => [v.videoWidth, v.videoHeight, v.duration])")
    shown = page.evaluate("[...document.querySelectorAll('img')].map(v => [v.complete, v.naturalWidth, v.naturalHeight])")
    assert len(films)>=4 and all(w>200 and h>100 and t>2 for w,h,t in films)
    assert len(shown)>=1 and all(done and w>100 and h>100 for done,w,h in shown)
    page.wait_for_function("document.querySelector('video').currentTime>.2", timeout=20_000) # the first film plays by itself
    assert page.title()=='One picture moves like one film' and page.evaluate('document.documentElement.scrollWidth')<=1100
    assert not asked and not wrong, (asked, wrong)

def test_the_test_would_see_a_request(browser, tmp_path):
    (tmp_path/'bad.html').write_text('<!doctype html><title>x</title><script src="https://example.org/x.js"></script><img src="missing.png">')
    _, asked, wrong = opened(browser, tmp_path/'bad.html')
    assert 'https://example.org/x.js' in asked and any('missing.png' in o for o in asked) and wrong

@pytest.fixture
def lab(tmp_path):
    "JupyterLab on a folder of its own, with nobody's settings."
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1]
    root = tmp_path/'root'; root.mkdir(); own = {k: str(tmp_path/k.lower()) for k in ('JUPYTER_CONFIG_DIR','JUPYTER_DATA_DIR','JUPYTER_RUNTIME_DIR','JUPYTERLAB_SETTINGS_DIR','JUPYTERLAB_WORKSPACES_DIR','IPYTHONDIR')}
    news = Path(own['JUPYTERLAB_SETTINGS_DIR'])/'@jupyterlab'/'apputils-extension'/'notification.jupyterlab-settings'
    news.parent.mkdir(parents=True); news.write_text('{"fetchNews":"false","checkForUpdates":false}')
    paths = os.pathsep.join([str(Path(__file__).parents[1]), os.environ.get('PYTHONPATH','')])
    server = subprocess.Popen([sys.executable, '-m', 'jupyterlab', '--no-browser', '--ip=127.0.0.1', f'--port={port}', '--allow-root', '--IdentityProvider.token=', '--ServerApp.password=', f'--ServerApp.root_dir={root}'],
                              env=os.environ|own|dict(PYTHONPATH=paths), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(240):
        try: urllib.request.urlopen(f'http://127.0.0.1:{port}/api', timeout=2); break
        except OSError: time.sleep(.25)
    yield root, f'http://127.0.0.1:{port}'
    server.terminate(); server.wait(20)

def run_in_lab(browser, lab, code):
    "A notebook of one cell, opened and run; the page, and what it asked for elsewhere."
    root, url = lab
    cell = dict(cell_type='code', metadata={}, execution_count=None, outputs=[], source=code)
    (root/'one.ipynb').write_text(json.dumps(dict(cells=[cell], metadata=dict(kernelspec=dict(name='python3', display_name='python3', language='python')), nbformat=4, nbformat_minor=4)))
    page = browser.new_context(viewport=dict(width=1100, height=900)).new_page()
    asked = []; page.on('request', lambda r: None if r.url.startswith((url, url.replace('http','ws'), 'data:', 'blob:')) else asked.append(r.url[:100]))
    page.goto(f'{url}/lab/tree/one.ipynb?reset')
    page.wait_for_selector('.jp-Notebook .jp-Cell', timeout=60_000)
    page.wait_for_function("document.body.innerText.includes('| Idle')", timeout=60_000) # the kernel is there
    page.locator('.jp-Notebook .jp-Cell').first.click(); page.keyboard.press('Shift+Enter')
    return page, asked

def test_a_dragged_point_bends_the_picture(browser, lab):
    page, asked = run_in_lab(browser, lab, "import torch; from animlib.data import toy; from animlib.widgets import bend; face = toy.clips('face',1,1,64,3).video[0,0]; board = bend(face, torch.tensor([[0.,.5],[-.6,-.6],[.6,-.6]]), zoom=4); board")
    board = page.locator('.jp-OutputArea canvas'); board.wait_for(timeout=60_000); page.wait_for_timeout(800)
    inside = lambda: page.evaluate("(() => { const c = document.querySelector('.jp-OutputArea canvas'); return [...c.getContext('2d').getImageData(60, 60, c.width-120, 60).data] })()")
    before, box = inside(), board.bounding_box()
    assert max(before)-min(before)>50 and box['width']==box['height']==256
    at = lambda x, y: (box['x']+(x+1)/2*box['width'], box['y']+(y+1)/2*box['height'])
    page.mouse.move(*at(0,.5)); page.mouse.down(); page.mouse.move(*at(0,.2), steps=4); page.mouse.move(*at(.1,-.2), steps=4); page.mouse.up()
    page.wait_for_timeout(1500)
    changed = sum(abs(a-b)>8 for a,b in zip(before, inside()))/len(before)
    assert changed>.1, changed # where no disc was drawn, the kernel's new picture shows
    assert not asked, asked

def test_a_slider_shows_another_layer(browser, lab):
    page, asked = run_in_lab(browser, lab, "from animlib import load; from animlib.data import toy; from animlib.widgets import attention_view; attention_view(load('motion_transformer-body'), toy.clips('body',1,6,64,toy.split_seed('test')).video[0,-1], zoom=4)")
    picture, sliders = page.locator('.jp-OutputArea img'), page.locator('.jp-OutputArea [role=slider]')
    picture.wait_for(timeout=60_000); page.wait_for_timeout(800)
    assert sliders.count()==3 and picture.bounding_box()['width']==256 and 'motion tokens' in page.locator('.jp-OutputArea').first.inner_text()
    seen = [picture.screenshot()]
    for i in range(3): # layer, head, token
        sliders.nth(i).focus(); page.keyboard.press('ArrowRight'); page.wait_for_timeout(1200); seen.append(picture.screenshot())
    assert len(set(seen))==4 and not asked, (len(set(seen)), asked)

def test_a_click_shows_where_it_looks(browser, lab):
    page, asked = run_in_lab(browser, lab, "from animlib import load; from animlib.data import toy; from animlib.widgets import lookup_board; film = toy.clips('body',1,12,64,toy.split_seed('test')).video[0]; lookup_board(load('pose_attentive-body'), film[[0,4]], film[11])")
    board = page.locator('.jp-OutputArea canvas'); board.wait_for(timeout=60_000); page.wait_for_timeout(800)
    box = board.bounding_box(); assert box['width']==3*box['height']==576 # the driving frame, two sources
    sources = lambda: page.evaluate("(() => { const c = document.querySelector('.jp-OutputArea canvas'); return [...c.getContext('2d').getImageData(200, 0, 376, 192).data] })()")
    before = sources(); page.mouse.click(box['x']+100, box['y']+60); page.wait_for_timeout(1500); after = sources()
    assert sum(abs(a-b)>8 for a,b in zip(before, after))/len(before)>.02
    page.mouse.click(box['x']+400, box['y']+60); page.wait_for_timeout(1500)
    assert 'over a source' in page.locator('.jp-OutputArea').first.inner_text() and not asked, asked
