"Packaging, read from settings.ini: the one place where name, version and requirements are written."

from configparser import ConfigParser
from pathlib import Path
from shutil import copytree, ignore_patterns, rmtree

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parent
SHARED = {  # in a wheel: animlib/_share/<name>
    "data_samples": "data_samples",
    "pipelines": "nbs/pipelines",
    "explore": "nbs/explore",
    "web": "nbs/web",
    "assets": "nbs/assets",
}
GENERATED = ignore_patterns("__pycache__", ".*", "_*", "hero.gif", "site")

parser = ConfigParser(delimiters=["="], interpolation=None)
parser.read_string((ROOT / "settings.ini").read_text(encoding="utf-8"))
settings = parser["DEFAULT"]


def words(name: str) -> list[str]:
    "A setting that is a list."
    return settings[name].split()


class BuildWithSamples(build_py):
    """Samples, zoo, papermill notebooks and explorers are part of a wheel.

    An editable install reads them where they lie."""

    def run(self):
        super().run()
        if self.editable_mode:
            return
        share = Path(self.build_lib) / "animlib" / "_share"
        rmtree(share, ignore_errors=True)
        for name, folder in SHARED.items():
            if (ROOT / folder).is_dir():
                copytree(ROOT / folder, share / name, ignore=GENERATED)

    def get_source_files(self):
        "What an sdist needs besides the code."
        files = ["settings.ini"]
        for folder in SHARED.values():
            paths = [path for path in (ROOT / folder).rglob("*") if path.is_file()]
            files += [path.relative_to(ROOT).as_posix() for path in paths]
        return super().get_source_files() + files


versions = [f"Programming Language :: Python :: {version}" for version in words("py_versions")]
notebooks = words("notebooks_requirements")

setup(
    name=settings["lib_name"],
    version=settings["version"],
    description=settings["description"],
    keywords=settings["keywords"],
    author=settings["author"],
    license_expression=settings["license"],
    python_requires=f">={settings['min_python']}",
    long_description=(ROOT / "README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    classifiers=[f"Development Status :: {settings['status']}", *versions],
    packages=find_packages(str(ROOT), include=["animlib", "animlib.*"]),
    zip_safe=False,
    cmdclass=dict(build_py=BuildWithSamples),
    # `pip install -e`: the clone on the path. Setuptools' own way is a hook that is asked after the
    # path, where a folder named animlib (the clone itself) would hide the package.
    options=dict(editable_wheel=dict(mode="compat")),
    install_requires=words("requirements"),
    entry_points=dict(console_scripts=[settings["console_scripts"]]),
    extras_require=dict(
        notebooks=notebooks,
        docs=notebooks + words("docs_requirements"),
        dev=notebooks + words("docs_requirements") + words("dev_requirements"),
        photos=words("photos_requirements"),
        faces=words("faces_requirements"),
        metrics=words("metrics_requirements"),
        parquet=words("parquet_requirements"),
        app=notebooks + words("app_requirements"),
        live=words("live_requirements"),
        cluster=words("cluster_requirements"),
        onnx=words("onnx_requirements"),
        openvino=words("openvino_requirements"),
    ),
)
