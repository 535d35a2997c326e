"""sitecache: a caching reverse proxy that runs beside one web application."""

__version__ = "0.1.0"
