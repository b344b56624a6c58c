"""The pages. Each reads state, calls pneumo and draws, from top to bottom."""
