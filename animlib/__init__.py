"Motion transfer you can read, run and trust."
import sys
from importlib import import_module
from types import ModuleType

__version__ = "0.1.0"
__all__ = ['animate', 'build', 'load', 'models', 'InputError']

class _Late:
    "A public name, fetched from its module on first use: importing the package is light, and no chapter waits for a later one."
    def __init__(self, module): self.module = module
    def __set_name__(self, owner, name): self.name = name
    def __get__(self, package, owner=None):
        if self.name in vars(package): return vars(package)[self.name]
        return getattr(import_module(f'{__name__}.{self.module}'), self.name)
    def __set__(self, package, value): # importing the module `animlib.animate` does not hide the function of that name
        if not (isinstance(value, ModuleType) and value.__name__==f'{__name__}.{self.name}'): vars(package)[self.name] = value
    def __delete__(self, package): vars(package).pop(self.name, None)

class _Package(ModuleType):
    animate = _Late('animate')
    build = _Late('checkpoints')
    load = _Late('checkpoints')
    InputError = _Late('core')
    @property
    def models(self): return import_module(f'{__name__}.models') # a package that can be called
    @models.setter
    def models(self, package): pass # it stays what it is, whoever imports it first
    def __dir__(self): return sorted({*vars(self), *__all__})

sys.modules[__name__].__class__ = _Package
