"VGG-19 weights: found, downloaded, verified or refused; never replaced by something else in silence."
import hashlib, http.server, socket, threading
import pytest, torch
import animlib.losses.reconstruction as rec
from animlib.core import InputError

@pytest.fixture
def home(tmp_path, monkeypatch):
    "A user with an empty home; returns where the cache will be."
    monkeypatch.setenv('HOME', str(tmp_path/'home')); monkeypatch.setenv('USERPROFILE', str(tmp_path/'home'))
    monkeypatch.delenv('ANIMLIB_WEIGHTS', raising=False)
    return tmp_path/'home/.cache/animlib/weights'

@pytest.fixture
def server(monkeypatch):
    "serve(name, bytes): a file server on this machine stands in for the publisher; `server.asked` counts the visits."
    class Files(http.server.BaseHTTPRequestHandler):
        files, asked = {}, []
        def do_GET(self):
            self.asked.append(self.path); body = self.files.get(self.path)
            self.send_response(404 if body is None else 200); self.end_headers(); self.wfile.write(body or b'')
        def log_message(self, *args): pass
    web = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Files)
    threading.Thread(target=web.serve_forever, daemon=True).start()
    def serve(name, body):
        if body is not None: Files.files['/'+name] = body
        monkeypatch.setattr(rec, 'VGG19_URL', f'http://127.0.0.1:{web.server_port}/{name}')
    serve.asked = Files.asked
    yield serve
    web.shutdown(); web.server_close()

def published(tmp_path, legacy, rename=lambda k: k):
    "A small file with the published layout (one number stands for each tensor) and the name its hash gives it."
    state = {k: torch.full((1,), .01).expand(v.shape) for k,v in rec.Vgg19().state_dict().items()}
    state |= {'features.30.weight': torch.zeros(2), 'classifier.0.bias': torch.zeros(2)}
    torch.save({rename(k): v for k,v in state.items()}, tmp_path/'made', _use_new_zipfile_serialization=not legacy)
    body = (tmp_path/'made').read_bytes()
    return f'vgg19-{hashlib.sha256(body).hexdigest()[:8]}.pth', body

def left(folder): return [p.name for p in folder.iterdir()] if folder.exists() else []

@pytest.mark.parametrize('legacy', [True, False]) # the published file is of the older kind
def test_downloads_once_then_reads_the_cache(home, server, tmp_path, legacy):
    name,body = published(tmp_path, legacy); server(name, body)
    for _ in range(2):
        vgg = rec.load_vgg19()
        assert all((p==.01).all() and not p.requires_grad for p in vgg.parameters()) and not vgg.training
    assert server.asked.count('/'+name)==1 and left(home)==[name]

def test_order_is_path_then_environment_then_cache(home, server, tmp_path, monkeypatch):
    name,body = published(tmp_path, False); server(name, body)
    mine = tmp_path/'mine'; mine.mkdir(); (mine/name).write_bytes(body)
    monkeypatch.setenv('ANIMLIB_WEIGHTS', str(mine)); rec.load_vgg19()
    monkeypatch.setenv('ANIMLIB_WEIGHTS', str(mine/name)); rec.load_vgg19()
    monkeypatch.delenv('ANIMLIB_WEIGHTS'); rec.load_vgg19(mine); rec.load_vgg19(mine/name)
    assert server.asked.count('/'+name)==0 and not home.exists()
    with pytest.raises(InputError, match='no such file'): rec.load_vgg19(tmp_path/'not mine') # asked for, so not looked for elsewhere
    assert server.asked.count('/'+name)==0

@pytest.mark.parametrize('body', [b'<html>please log in</html>', b'', None], ids=['web page', 'empty', 'missing'])
def test_a_bad_download_is_refused_and_leaves_nothing(home, server, tmp_path, body):
    server('vgg19-dcbb9e9d.pth', body)
    with pytest.raises(InputError) as e: rec.load_vgg19()
    says_what_to_do(e.value, home/'vgg19-dcbb9e9d.pth'); assert left(home)==[]

def test_one_wrong_byte_is_refused(home, server, tmp_path):
    name,body = published(tmp_path, False); server(name, body[:-1]+bytes([body[-1]^1]))
    with pytest.raises(InputError, match='hash'): rec.load_vgg19()
    assert left(home)==[]
    home.mkdir(parents=True, exist_ok=True); (home/name).write_bytes(body[:1000]) # half a file put there by hand
    with pytest.raises(InputError, match='damaged or another file') as e: rec.load_vgg19()
    says_what_to_do(e.value, home/name); assert server.asked.count('/'+name)==1

def test_no_network(home, monkeypatch):
    with socket.socket() as s: s.bind(('127.0.0.1', 0)); port = s.getsockname()[1] # closed again: nobody listens
    monkeypatch.setattr(rec, 'VGG19_URL', f'http://127.0.0.1:{port}/vgg19-dcbb9e9d.pth')
    with pytest.raises(InputError, match='not found and not downloaded') as e: rec.reconstruction_term('perceptual')
    says_what_to_do(e.value, home/'vgg19-dcbb9e9d.pth'); assert left(home)==[]

def test_another_network_is_refused(home, server, tmp_path):
    server(*published(tmp_path, False, rename=lambda k: 'module.'+k))
    with pytest.raises(InputError, match='not a VGG-19 state dict'): rec.load_vgg19()

def test_code_in_a_weights_file_does_not_run(home, server, tmp_path):
    class Evil:
        def __reduce__(self): return (open, (str(tmp_path/'ran'), 'w'))
    torch.save(Evil(), tmp_path/'evil'); body = (tmp_path/'evil').read_bytes()
    server(f'vgg19-{hashlib.sha256(body).hexdigest()[:8]}.pth', body)
    with pytest.raises(InputError, match='not a VGG-19 state dict'): rec.load_vgg19()
    assert not (tmp_path/'ran').exists()

def says_what_to_do(error, path):
    "One line that names the file, where it belongs, and the loss that needs none."
    text = str(error)
    assert '\n' not in text and str(path) in text and rec.VGG19_URL in text and 'reconstruction=pyramid' in text
