"""The origin's side: connections, their pool, and one request over them."""
