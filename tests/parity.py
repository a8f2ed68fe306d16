"""What the parity tests of all methods share: golden numbers of the official code, and checkpoints of other sizes made up."""
import json
from functools import lru_cache
from pathlib import Path
import pytest, torch
from torch.testing import assert_close
from safetensors.torch import load_file
from animlib.blocks import AntiAlias
from animlib.checkpoints import from_official

here = Path(__file__).parent/'golden'
both = pytest.mark.parametrize('c', ['true','false']) # images read with corners aligned (as the weights were trained), and not

class Golden:
    "Inputs, weights and outputs of one method's official modules, tiny and random."
    def __init__(self, method, *modules):
        self.method, self.tensors, self.about = method, load_file(here/f'{method}.safetensors'), json.loads((here/f'{method}.json').read_text())
        self.config, self.losses, self.keys = self.about['config'], self.about['losses'], json.loads((here/f'{method}_keys.json').read_text())
        self.state = {m: {k[len(f'sd.{m}.'):]: v for k,v in self.tensors.items() if k.startswith(f'sd.{m}.')} for m in modules}
    def __getitem__(self, name): return self.tensors[f'in.{name}']
    def want(self, c, name): return self.tensors[f'out.ac_{c}.{name}']
    @lru_cache(None)
    def model(self, c='true'): return from_official(self.method, self.state, self.config, align_corners=c=='true')

@pytest.fixture(autouse=True)
def one_thread():
    n = torch.get_num_threads(); torch.set_num_threads(1)
    with torch.no_grad(): yield
    torch.set_num_threads(n)

def near(a, b, atol): assert_close(a, b, atol=atol, rtol=0)
def close(a, b, rtol=1e-4): assert_close(torch.as_tensor(a), torch.as_tensor(b), rtol=rtol, atol=0)
def count(model): return sum(p.numel() for p in model.parameters())
def shapes(modules): return {m: {k: list(v.shape) for k,v in d.items()} for m,d in modules.items()}
def blank(modules): return {m: {k: torch.zeros(1).expand(s) if s else torch.zeros(()) for k,s in d.items()} for m,d in modules.items()}
def random_state(listing):
    "A checkpoint of these names and shapes."
    g = torch.Generator().manual_seed(0)
    fresh = lambda k,s: torch.zeros(s, dtype=torch.int64) if k.endswith('tracked') else torch.rand(s, generator=g)*.1+(.5 if k.endswith('var') else 0)
    return {m: {k: fresh(k,s) for k,s in d.items()} for m,d in listing.items()}

def published(modules):
    "A checkpoint of the published size: zeros that take no memory, and the blur as it must be."
    value = lambda k,s: AntiAlias(.25).weight if k.endswith('down.weight') else torch.zeros(1).expand(s) if s else torch.zeros(())
    return {m: {k: value(k,s) for k,s in d.items()} for m,d in modules.items()}

# names and shapes of layers, written down a second time from the description of the networks; t: a time axis of length 1
def conv(name, a, b, k, t=False): return {f'{name}.weight': [b,a,*([1] if t else []),k,k], f'{name}.bias': [b]}
def norm(name, n): return {**{f'{name}.{o}': [n] for o in ('weight','bias','running_mean','running_var')}, f'{name}.num_batches_tracked': []}
def block(name, a, b, k=3, t=False): return conv(f'{name}.conv', a, b, k, t) | norm(f'{name}.norm', b)
def residual(name, n, t=False): return {k: s for o in (1,2) for k,s in (conv(f'{name}.conv{o}', n, n, 3, t) | norm(f'{name}.norm{o}', n)).items()}
def gauss(name, scale): return {} if scale==1 else {f'{name}.weight': [3,1]+[2*round(4*(1/scale-1)/2)+1]*2}
def levels(p): return lambda i: min(p['max_features'], p['block_expansion']*2**i)
def hourglass(name, n_in, p, extra=0, t=False, down='encoder', up='decoder'): # and the channels that come out
    w, n, out = levels(p), p['num_blocks'], {}
    for i in range(n): out |= block(f'{name}{down}.down_blocks.{i}', n_in if i==0 else w(i), w(i+1), t=t)
    for j,i in enumerate(reversed(range(n))): out |= block(f'{name}{up}.up_blocks.{j}', (1 if j==0 else 2)*w(i+1)+extra, w(i), t=t)
    return out, p['block_expansion']+n_in+extra

# dense motion and a generator with skips, and the network of a moving background: MRAA, DAM and Motion Transformer share them
def skip_generator(k, g, flow='dense_motion_network', dense=None, occlusion=None):
    m, w, top = dense or g['dense_motion_params'], levels(g), g['num_down_blocks']
    out, n = hourglass(f'{flow}.hourglass.', 4*(k+1), m)
    out |= conv(f'{flow}.mask', n, k+1, 7) | gauss(f'{flow}.down', m['scale_factor'])
    if g['estimate_occlusion_map'] if occlusion is None else occlusion: out |= conv(f'{flow}.occlusion', n, 1, 7)
    out |= block('first', 3, w(0), 7) | conv('final', w(0), 3, 7)
    for i in range(top): out |= block(f'down_blocks.{i}', w(i), w(i+1)) | block(f'up_blocks.{i}', w(top-i), w(top-i-1))
    for i in range(g['num_bottleneck_blocks']): out |= residual(f'bottleneck.r{i}', w(top))
    return out
def background(b):
    w, n = levels(b), b['num_blocks']
    down = {q: s for i in range(n) for q,s in block(f'encoder.down_blocks.{i}', 6 if i==0 else w(i), w(i+1)).items()}
    wide = dict(shift=2, affine=6, perspective=8)[b['bg_type']]
    return down | {'fc.weight': [wide,w(n)], 'fc.bias': [wide]}

# the network for whose shape, whose pose: MRAA and TPSMM share its layout
def linear(name, a, b): return {f'{name}.weight': [b,a], f'{name}.bias': [b]}
def mlp(name, *ns): # linear layers; a norm and a ReLU between them
    out = {}
    for i,(a,b) in enumerate(zip(ns, ns[1:])): out |= linear(f'{name}.{3*i}', a, b) | (norm(f'{name}.{3*i+1}', b) if i<len(ns)-2 else {})
    return out
def avd_shapes(n, shape, pose): return mlp('id_encoder', n, 256, 512, 1024, shape) | mlp('pose_encoder', n, 256, 512, 1024, pose) | mlp('decoder', shape+pose, 1024, 512, 256, n)
def formula_weights(listing):
    "Weights that the golden files do not store: tensor j, flat index i, u = |frac(sin(12.9898 i + 78.233 j) 43758.5453)|."
    def fill(j, k, s):
        if k.endswith('tracked'): return torch.zeros((), dtype=torch.int64)
        n = torch.tensor(s).prod()
        u = ((12.9898*torch.arange(n, dtype=torch.float64)+78.233*j).sin()*43758.5453).frac().abs().view(s)
        if k.endswith('weight') and len(s)==2: u = (2*u-1)*(6/s[1])**.5
        elif k.endswith(('bias','mean')): u = .2*u-.1
        else: u = .5+u
        return u.float()
    return {k: fill(j, k, s) for j,(k,s) in enumerate(listing.items())}
