"""Charts as inline SVG, drawn by the server: they need no script and follow dark mode."""
