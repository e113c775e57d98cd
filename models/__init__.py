"""Networks, losses and training loops. Importable with torch alone: no path, no YAML, no HTTP, no CLI."""
