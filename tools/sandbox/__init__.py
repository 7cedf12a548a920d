"""Local stand-ins of both services, for the whole journey without an account: `make sandbox`."""
