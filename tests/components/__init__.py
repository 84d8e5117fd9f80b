"""What components/ decides by itself, without an engine: settings, and how resources keep what they know."""
