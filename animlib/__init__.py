"Motion transfer you can read, run and trust."

from importlib import import_module

__version__ = "0.1.0"

_PUBLIC = {  # public name -> the module that defines it, imported on first use
    "animate": "animlib.animation",
    "build": "animlib.models.registry",
    "list_models": "animlib.zoo.catalog",
    "load": "animlib.zoo.hub",
    "from_official": "animlib.zoo.convert",
    "InputError": "animlib.core",
}
__all__ = list(_PUBLIC)


def __getattr__(name: str):
    "Fetch a public name from its module (PEP 562): importing the package stays light."
    if name not in _PUBLIC:
        raise AttributeError(f"module 'animlib' has no attribute {name!r}")
    explained = import_module("animlib.manual").explained
    return explained(getattr(import_module(_PUBLIC[name]), name))


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
