"""The engine: it turns changes into calls, and knows no database, no framework and no event loop."""
