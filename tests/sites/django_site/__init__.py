"""What does an ordinary Django site look like that knows nothing of the proxy before it?"""
