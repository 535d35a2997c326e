"""What operators see: metrics, the access log, and the listener for health."""
