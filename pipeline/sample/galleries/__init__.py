"""The sample galleries: what they list, the pages and files they serve, the servers themselves."""
