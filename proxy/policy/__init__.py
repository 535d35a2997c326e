"""RFC 9111 as pure functions: what may be reused, stored, served and invalidated, and why not."""
