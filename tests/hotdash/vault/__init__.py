"""The vault, module by module; then its commands as a person uses them."""
