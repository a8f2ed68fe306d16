"The page of the demonstration, in a real browser without a network."
import shutil
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
