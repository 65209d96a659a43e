# cython: language_level=3
raise ImportError("the accelerated wire is not written yet")
