"""The kinds of cache that CACHES can name, each in the module that Django gives it."""
