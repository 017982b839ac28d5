"""The packet path: Cython modules over plain C. Import what you need from the modules."""
