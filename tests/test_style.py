"""The style, as far as a machine can hold it: a rule is a function that yields complaints.
Every rule brings an example that it must refuse, and one small chapter pleases them all."""
import ast, json, re, subprocess
from collections import Counter, namedtuple
from functools import lru_cache, partial
from pathlib import Path
import pytest

root = Path(__file__).parents[1]
LAYERS = '''
geometry core splines heatmaps blocks
data viz
detectors
motion
dense contributions
generators
transfer disentangle forecast
losses
training
models
official checkpoints animate metrics cross widgets pipelines ablate cli
'''  # a module may import from its own line and from the lines above
LEVEL = {name: i for i,line in enumerate(LAYERS.strip().splitlines()) for name in line.split()}
HEAVY = 'matplotlib plotly ipywidgets anywidget papermill IPython ipykernel jupyterlab nbformat nbclient nbconvert tensorboard scipy'.split()
HEAVY_MAY = 'viz widgets pipelines'.split()
LONG = {}  # 'module.function': why it may be longer than 25 lines

Cell = namedtuple('Cell', 'kind src tags outputs', defaults=((), ()))
md, code = partial(Cell, 'markdown'), partial(Cell, 'code')

@lru_cache(None)
def read(p): return [Cell(c['cell_type'], ''.join(c['source']), tuple(c['metadata'].get('tags', ())), c.get('outputs', ())) for c in json.loads(p.read_text(encoding='utf-8'))['cells']]
def hidden(p): return any(o[0] in '_.' for o in p.relative_to(root).parts)
def rel(p): return p.relative_to(root).as_posix()

nbs = sorted(p for p in (root/'nbs').rglob('*.ipynb') if not hidden(p))
mods = sorted(p for p in (root/'animlib').rglob('*.py') if not hidden(p))

# ---- reading code ----
def parse(src):
    try: return ast.parse(re.sub(r'^\s*[%!].*', '', src, flags=re.M))
    except SyntaxError: return ast.parse('')

def exported(cell): return cell.kind=='code' and re.match(r'#\s*\|\s*export', cell.src)
def module_of(cells): return next((m[1] for c in cells if c.kind=='code' and (m := re.match(r'#\s*\|\s*default_exp\s+(\S+)', c.src))), None)
def lines(src): return [o for o in src.splitlines() if o.strip() and not o.startswith('#|')]
def called(node): return getattr(node.func, 'attr', getattr(node.func, 'id', ''))
def functions(tree): return [n for n in ast.walk(tree) if isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef))]

def public(src):
    "Names of the functions and classes of an exported cell; a dataclass is a noun and may be checked with the verbs around it."
    top = [n for n in parse(src).body if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0]!='_']
    return [n.name for n in top if not any('dataclass' in ast.unparse(d) for d in n.decorator_list)]

def outside_functions(tree):
    "Every node that runs when the cell or module is run."
    for n in ast.iter_child_nodes(tree):
        if not isinstance(n, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)): yield n; yield from outside_functions(n)

def checks(src):
    "Whether a cell checks something when it runs (defining a check is not running it)."
    return any(isinstance(n, ast.Assert) or isinstance(n, ast.Call) and re.match(r'(assert|check|expect_fail|test)(_|$|.*fail)', called(n))
               for n in outside_functions(parse(src)))

def imported(src, me=''):
    "Modules of animlib that the module `me` imports, absolute or relative, wherever the line stands; '' is the package itself."
    for n in ast.walk(parse(src)):
        if isinstance(n, ast.Import): yield from (a.name.partition('.')[2] for a in n.names if a.name.split('.')[0]=='animlib')
        if isinstance(n, ast.ImportFrom):
            if not n.level and (n.module or '').split('.')[0]!='animlib': continue
            up = me.split('.')[:-n.level] if n.level else []
            base = '.'.join(up + [n.module or '']).strip('.') if n.level else n.module.partition('.')[2]
            if base: yield base
            else: yield from (a.name if a.name in LEVEL else '' for a in n.names if a.name!='__version__')

def roots(tree): # first names of what is imported when the module is
    for n in outside_functions(tree):
        if isinstance(n, ast.Import): yield from (a.name.split('.')[0] for a in n.names)
        if isinstance(n, ast.ImportFrom) and not n.level: yield n.module.split('.')[0]

# ---- rules ----
RULES = []
def rule(kind, *bad):
    "Register a rule for `kind` (nb, chapter, run, module, text) with examples `(content, name)` that it must refuse."
    def add(f): RULES.append((kind, f, bad)); return f
    return add

head, last = md('# Title\n\n> One sentence.'), code('#| hide\nimport nbdev; nbdev.nbdev_export()')
exp = lambda src: code('#| export\n'+src)

@rule('nb', ([md('# Title')], 'x'), ([md('some text'), head], 'x'))
def it_opens_with_title_and_one_sentence(cells, name):
    first = next((c.src for c in cells if c.kind=='markdown'), '')
    if not re.match(r'# \S.*\n\n> \S', first): yield f'the first text cell is {first[:80]!r}, not "# Title", an empty line, "> One sentence."'

@rule('nb', ([head]*46, 'x'))
def it_has_at_most_45_cells(cells, name):
    if len(cells)>45: yield f'{len(cells)} cells'

@rule('nb', ([code('x', (), [dict(data={'image/png': 'A'*310_000})])], 'x'))
def stored_outputs_are_small(cells, name):
    size = sum(len(json.dumps(c.outputs)) for c in cells)/1024
    if size>300: yield f'{size:.0f} KB of stored outputs, more than 300: smaller or fewer pictures'

@rule('nb', ([code('1/0', (), [dict(output_type='error')])], 'x'))
def no_stored_output_is_an_error(cells, name):
    for c in cells:
        if any(o.get('output_type')=='error' for o in c.outputs): yield f'an error is stored below {c.src[:60]!r}'

@rule('nb', ([code('from torch import *')], 'x'))
def a_reader_sees_where_names_come_from(cells, name):
    for c in cells:
        if c.kind=='code' and any(isinstance(n, ast.ImportFrom) and n.names[0].name=='*' for n in ast.walk(parse(c.src))): yield f'star import: {c.src[:60]!r}'

@rule('chapter', ([code('#| default_exp motion.affine')], '3_fomm/30_affine'), ([code('#| default_exp dense')], '3_fomm/20_dense'),
      ([code('#| default_exp dense')], '2_monkeynet/dense'), ([head, code('#| default_exp dense')], '2_monkeynet/22_dense'))
def its_name_is_number_and_module(cells, name):
    folder,_,file = name.rpartition('/')
    if not re.match(rf'{folder[:1]}\d_', file): yield f'{file} should begin with two digits, the first that of its folder {folder}'
    mod = module_of(cells)
    if mod and file[3:]!=mod: yield f'{file} exports {mod}'
    if mod and not cells[0].src.startswith('#|'): yield 'default_exp is not in the first cell'

@rule('chapter', ([exp('x=1\n'*26)], 'x'))
def export_cells_are_short(cells, name):
    for c in cells:
        if exported(c) and (n := len(lines(c.src)))>25: yield f'{n} lines in the exported cell {c.src[:60]!r}'

@rule('chapter', ([exp('def f(): pass'), exp('def g(): pass'), code('assert f() and g()')], 'x'), ([exp('def f(): pass')], 'x'),
      ([exp('def f(): pass'), code('def check_f(f): assert f()')], 'x'), ([exp('def f(): pass'), code('assert 1')], 'x'))
def public_names_are_checked_before_the_next(cells, name):
    waiting,unused = [],[]
    for c in cells:
        if exported(c) and (new := public(c.src)):
            if waiting: yield f'{waiting} has no check before {new}'
            waiting = new
            unused += [o for o in new if len(re.findall(rf'\b{o}\b', c.src))==1] # one that the same cell uses is checked with its user
        elif c.kind=='code' and not exported(c) and checks(c.src):
            waiting,unused = [], [o for o in unused if not re.search(rf'\b{o}\b', c.src)]
    if waiting: yield f'{waiting} has no check'
    elif unused: yield f'{unused} stands in no cell that checks'

@rule('chapter', ([code('#| default_exp x'), code('assert f(1)')], 'x'))
def a_wrong_version_must_fail(cells, name):
    if module_of(cells) and not any('expect_fail(' in c.src for c in cells): yield 'nothing stands under expect_fail: a check that nothing can fail is no check'

@rule('chapter', ([code('#| default_exp x'), head, md('## Symbols'), md('## Exercise'), last], 'x'))
def it_has_the_sections_of_a_chapter(cells, name):
    text = '\n'.join(c.src for c in cells if c.kind=='markdown')
    for s in ('Symbols', 'Exercise', 'In short'):
        if module_of(cells) and not re.search(rf'^##+ .*\b{s}', text, flags=re.M|re.I): yield f'no section "{s}"'

@rule('chapter', ([code('#| default_exp x'), head], 'x'), ([code('#| default_exp x'), last, head], 'x'),
      ([code('#| default_exp x'), code('import nbdev; nbdev.nbdev_export()')], 'x'))
def it_ends_with_the_hidden_export(cells, name):
    if module_of(cells) and not re.match(r'#\s*\|\s*hide\n.*nbdev_export\(\)\s*$', cells[-1].src, flags=re.S): yield f'the last cell is {cells[-1].src[:60]!r}'

@rule('chapter', ([exp('from fastcore.test import test_eq')], 'x'), ([exp('import nbdev')], 'x'), ([exp('from .core import Flow')], 'x'))
def exported_imports_are_absolute_and_at_hand(cells, name):
    for n in (n for c in cells if exported(c) for n in ast.walk(parse(c.src)) if isinstance(n, (ast.Import, ast.ImportFrom))):
        if getattr(n, 'level', 0): yield f'relative: {ast.unparse(n)}'
        if re.search(r'\b(fastcore|nbdev|execnb|pytest)\b', ast.unparse(n)): yield f'for development only: {ast.unparse(n)}'

@rule('run', ([head], 'x'), ([code('a=1', ('parameters',))]*2, 'x'), ([code('a=1', ('parameters',)), last], 'x'))
def papermill_finds_one_parameters_cell(cells, name):
    n = sum('parameters' in c.tags for c in cells)
    if n!=1: yield f'{n} cells are tagged `parameters`; papermill needs exactly one'
    if any('nbdev_export' in c.src for c in cells): yield 'a run must not export'

@rule('module', ('y = F.grid_sample(x, g)', 'dense'), ('kw = dict(align_corners=False)', 'dense'))
def only_geometry_knows_the_coordinate_convention(src, name):
    words = r'grid_sample|meshgrid' if name=='checkpoints' else r'grid_sample|align_corners|meshgrid' # official weights are asked for by that name
    if name!='geometry' and (found := re.findall(words, src)): yield f'{found} belong in geometry'

@rule('module', ('y = x.view(1,2)', 'dense'), ('y = x.permute(0,1)', 'geometry'), ('y = x[0].unsqueeze(0)', 'dense'))
def axes_have_names(src, name):
    if found := re.findall(r'\.(?:view|permute|unsqueeze|squeeze|repeat|transpose|expand)\(', src): yield f'{found}: einops patterns or indexing instead'

@rule('module', ('from animlib.models.fomm import Cfg', 'motion.affine'), ('from ..models import fomm', 'motion.affine'), ('from . import training', 'dense'),
      ('def f(): import animlib.cli', 'core'), ('from animlib import load', 'dense'), ('from .unknown import f', 'dense'), ('x = 1', 'unknown'))
def imports_only_point_down(src, name):
    mine = LEVEL.get(name.split('.')[0])
    if mine is None: yield f'{name} stands in no layer'
    for o in imported(src, name):
        theirs = LEVEL.get(o.split('.')[0])
        if theirs is None: yield f'{name} imports {o or "the whole package"}, which stands in no layer'
        elif mine is not None and theirs>mine: yield f'{name} imports {o}, which stands above it'

@rule('module', ('import matplotlib.pyplot as plt', 'dense'), ('from IPython.display import HTML', 'animate'))
def it_is_light_to_import(src, name):
    if name.split('.')[0] not in HEAVY_MAY and (found := sorted({*roots(parse(src))} & {*HEAVY})): yield f'imports {found} at the top: move into the function that needs it'

@rule('module', ('def f():\n' + '    x=1\n'*25, 'dense'), ('class A:\n  def f(self):\n' + '    x=1\n'*25, 'dense'))
def functions_are_short(src, name):
    for n in functions(parse(src)):
        size = len([o for o in src.splitlines()[n.lineno-1:n.end_lineno] if o.strip()])
        if size>25 and f'{name}.{n.name}' not in LONG: yield f'{n.name} has {size} lines, more than 25'

@rule('module', ('def f(x): return x', 'dense'), ('class A: pass', 'dense'))
def public_things_say_what_they_are(src, name):
    for n in parse(src).body:
        if isinstance(n, (ast.FunctionDef, ast.ClassDef)) and n.name[0]!='_' and not ast.get_docstring(n): yield f'{n.name} has no docstring'

@rule('text', ('see /'+'work/main', 'x.md'), ('File "/'+'root/a.py"', 'x.ipynb'), ('open("/'+'home/me/x")', 'x.py'), ('/'+'tmp/w', 'x'))
def no_path_of_one_machine(text, name):
    if found := re.findall(r'(?<![\w.~/+-])/(?:work|root|home|Users|opt|tmp|mnt|srv)/[\w.-]+', text): yield f'{sorted({*found})[:5]}: absolute paths hold on one machine only'

@rule('text', ('https://py'+'pi.org/simple', 'x.md'), ('files.python'+'hosted.org', 'x.txt'))
def no_host_of_a_registry(text, name):
    if found := re.findall(r'[p]ypi\.org|[p]ythonhosted\.org|[n]pmjs\.\w+|\b[d]eb\.debian\.\w+|[a]naconda\.org|[d]ownload\.pytorch\.org/whl', text): yield f'{found[:5]}: packages come from wherever pip is told to look'

# ---- the rules hold ----
def strings(o): # every text of a notebook but its pictures
    if isinstance(o, str): yield o
    elif isinstance(o, list): yield from (s for v in o for s in strings(v))
    elif isinstance(o, dict): yield from (s for k,v in o.items() if not k.startswith(('image/', 'video/')) for s in strings(v))

def texts():
    "Every text file of the project, as git sees it; in a copy without git, what does not look generated."
    ls = subprocess.run(['git', '-C', root, 'ls-files', '-coz', '--exclude-standard'], capture_output=True, text=True) if (root/'.git').exists() else None
    files = [root/o for o in ls.stdout.split('\0') if o] if ls and not ls.returncode else [p for p in root.rglob('*') if not re.search(
        r'__pycache__|\.egg-info|\.venv|/(build|dist|runs|\.git|\.pytest_cache|\.ipynb_checkpoints)/', p.as_posix())]
    for p in (p for p in files if p.is_file()):
        try: text = p.read_bytes().decode('utf-8')
        except UnicodeDecodeError: continue
        if '\0' not in text: yield p, '\n'.join(strings(json.loads(text))) if p.suffix=='.ipynb' else text

chapters = [p for p in nbs if p.relative_to(root/'nbs').parts[0][0].isdigit()]
runs = [p for p in nbs if p.parent==root/'nbs'/'pipelines']
dotted = lambda p: '.'.join(p.relative_to(root/'animlib').with_suffix('').parts)
below = lambda p: p.relative_to(root/'nbs').with_suffix('').as_posix()
WHAT = dict(nb=[(p, read, below) for p in nbs], chapter=[(p, read, below) for p in chapters], run=[(p, read, below) for p in runs],
            module=[(p, lambda p: p.read_text(encoding='utf-8'), dotted) for p in mods])
cases = [pytest.param(f, content, name, p, id=f'{rel(p)}-{f.__name__}') for kind,f,_ in RULES for p,content,name in WHAT.get(kind, [])]

@pytest.mark.parametrize('f,content,name,p', cases)
def test_style(f, content, name, p):
    complaints = list(f(content(p), name(p)))
    if complaints: pytest.fail('\n'.join([f'{rel(p)} {f.__name__}:', *complaints]), pytrace=False)

@pytest.mark.parametrize('f', [pytest.param(f, id=f.__name__) for kind,f,_ in RULES if kind=='text'])
def test_text_files(f):
    complaints = [f'{rel(p)}: {o}' for p,text in texts() for o in f(text, p.name)]
    if complaints: pytest.fail('\n'.join(complaints), pytrace=False)

def test_chapter_numbers_are_unique():
    "Two parts of one subject (05_data.figures, 05_data.toy) may share a number, two subjects may not."
    twice = [n for n,k in Counter(n for n,_ in {(p.name[:2], p.name[3:].split('.')[0]) for p in chapters}).items() if k>1]
    assert not twice, twice

# ---- the rules can fail, and can be satisfied ----
@pytest.mark.parametrize('f,bad', [pytest.param(f, b, id=f'{f.__name__}-{i}') for _,f,bad in RULES for i,b in enumerate(bad)])
def test_rule_refuses_a_bad_example(f, bad): assert list(f(*bad)), bad

def test_every_rule_has_a_bad_example(): assert all(bad for _,_,bad in RULES)

GOOD = [code('#| default_exp dense'), head, exp('import torch\nfrom animlib.core import Flow'), md('## Symbols'), exp('def f(x):\n    "Same."\n    return x'),
        code('def check_f(f): assert f(1)==1\ncheck_f(f)\nwith expect_fail(AssertionError): check_f(lambda x: 2)'), md('## Exercise'), md('## In short'), last]

@pytest.mark.parametrize('f,good', [pytest.param(f, g, id=f.__name__) for kind,f,_ in RULES for g in [dict(
    nb=(GOOD, '2_monkeynet/22_dense'), chapter=(GOOD, '2_monkeynet/22_dense'), run=([head, code('n = 1', ('parameters',))], 'pipelines/train'),
    module=('import torch\nfrom .core import Flow\nfrom animlib.geometry import warp\nfrom animlib import __version__\ndef f(x):\n    "Same."\n    import matplotlib\n    return x', 'dense'),
    text=('/'.join(['nbs','work','x'])+' and https://a.org/home/x and ../data_samples', 'x.md'))[kind]]])
def test_rule_accepts_a_good_example(f, good): assert not list(f(*good)), list(f(*good))
