"""The client's side: listeners, connections, what is read from them and written to them."""
