"Motion transfer you can read, run and trust."
__version__ = "0.1.0"
