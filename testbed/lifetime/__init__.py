"""Nothing outlives its command: signals, temporary folders, processes. Imports nothing itself."""
