"""What should gunicorn leave out in tests? A control socket, which two runs at a time would fight over."""

control_socket_disable = True
