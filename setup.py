"Packaging, read from settings.ini: the one place where name, version and requirements are written."
from configparser import ConfigParser
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree
from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

root = Path(__file__).parent
cfg = ConfigParser(delimiters=['='], interpolation=None)
cfg.read_string((root/'settings.ini').read_text(encoding='utf-8'))
cfg = cfg['DEFAULT']
words = lambda name: cfg[name].split()
notebooks = words('notebooks_requirements')
shared = {'data_samples': 'data_samples', 'pipelines': 'nbs/pipelines'}  # in a wheel: animlib/_share/<key>
junk = ignore_patterns('__pycache__', '.*', '_*')

class BuildWithSamples(build_py):
    "A wheel carries samples, zoo and papermill notebooks inside the package; an editable install reads them where they lie."
    def run(self):
        super().run()
        if self.editable_mode: return
        share = Path(self.build_lib)/'animlib'/'_share'
        rmtree(share, ignore_errors=True)
        for name,folder in shared.items():
            if (root/folder).is_dir(): copytree(root/folder, share/name, ignore=junk)

    def get_source_files(self):  # what an sdist needs besides the code
        files = [p for folder in shared.values() for p in (root/folder).rglob('*') if p.is_file()]
        return super().get_source_files() + ['settings.ini', *(p.relative_to(root).as_posix() for p in files)]

setup(name=cfg['lib_name'], version=cfg['version'], description=cfg['description'], keywords=cfg['keywords'], author=cfg['author'],
      license_expression=cfg['license'], python_requires=f">={cfg['min_python']}",
      long_description=(root/'README.md').read_text(encoding='utf-8'), long_description_content_type='text/markdown',
      classifiers=[f"Development Status :: {cfg['status']}", *(f'Programming Language :: Python :: {v}' for v in words('py_versions'))],
      packages=find_packages(str(root), include=['animlib', 'animlib.*']), zip_safe=False, cmdclass=dict(build_py=BuildWithSamples),
      install_requires=words('requirements'), entry_points=dict(console_scripts=[cfg['console_scripts']]),
      extras_require=dict(notebooks=notebooks, dev=notebooks+words('dev_requirements'), cluster=words('cluster_requirements')))
