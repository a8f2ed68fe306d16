"""README.md is nbs/index.ipynb, read from the top of the project: `python tests/readme.py --write` makes it.
Text stays as it is but for links, which are told from the top; code cells become fenced blocks with their text below."""
import json, re, sys
from pathlib import Path
from posixpath import normpath

root = Path(__file__).parents[1]
note = '<!-- Made from nbs/index.ipynb by `python tests/readme.py --write`. -->'

def from_top(text, folder):
    "Relative link targets of `text`, which stands in `folder`, told from the top."
    def move(m): return m[0] if re.match(r'[a-z]+:|[#/]', m[2]) else m[1] + normpath(f'{folder}/{m[2]}')
    return re.sub(r'(\]\(|(?:src|href)=")([^)"\s]+)', move, text)

def fenced(text, lang=''):
    fence = '`'*max(3, 1+max((len(o) for o in re.findall('`+', text)), default=0))
    return f'{fence}{lang}\n{text.rstrip()}\n{fence}'

def text_of(output):
    "What an output says in words; a picture has to be a file with a link."
    data = output.get('data', {})
    if any(k.startswith('image/') for k in data): raise ValueError('a stored picture cannot go into README.md: save it below nbs/assets and link it in a text cell')
    return ''.join(output.get('text') or data.get('text/plain', ''))

def parts(cells, folder):
    for c in cells:
        src = ''.join(c['source'])
        if c['cell_type']=='markdown': yield from_top(src, folder).strip()
        elif c['cell_type']=='code' and src.strip() and not re.match(r'#\s*\|\s*hide', src):
            yield fenced('\n'.join(o for o in src.splitlines() if not re.match(r'#\s*\|', o)), 'python')
            if out := ''.join(map(text_of, c['outputs'])).strip(): yield fenced(out)

def readme_from(nb_path:Path) -> str: # Markdown
    "The README that a notebook renders to."
    nb_path = Path(nb_path)
    cells = json.loads(nb_path.read_text(encoding='utf-8'))['cells']
    return '\n\n'.join([note, *parts(cells, nb_path.parent.name)]) + '\n'

if __name__=='__main__':
    text = readme_from(root/'nbs'/'index.ipynb')
    if '--write' in sys.argv: (root/'README.md').write_text(text, encoding='utf-8')
    else: print(text, end='')
