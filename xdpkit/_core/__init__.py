"""The extension modules: the C library of ``cext/`` as Python sees it."""
