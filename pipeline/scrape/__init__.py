"""Galleries crawled politely: what a site is, how it is asked, what is kept of the answers."""
