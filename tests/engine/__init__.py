"""The engine and its language host, with tiny programs; nothing of Fly or Chatwoot."""
