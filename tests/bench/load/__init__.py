"""How many requests a second does sitecache answer, with nginx and Varnish beside it in the same run?"""
