"""Documentation that cannot rot: pages, stack files and the vault's example against the code that they speak of."""
