"The methods, a file each. Called, the package lists them and what is trained: `animlib.models()`."
import sys
from types import ModuleType

class _Models(ModuleType):
    def __call__(self):
        from animlib.checkpoints import models
        return models()

sys.modules[__name__].__class__ = _Models
