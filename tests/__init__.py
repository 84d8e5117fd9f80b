"""The project's tests, a folder for each part that they test."""
