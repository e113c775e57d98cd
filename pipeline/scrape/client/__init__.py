"""The polite client: pace, robots.txt, retries, limits."""
