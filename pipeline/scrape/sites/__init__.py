"""The three galleries: their addresses and their markup."""
