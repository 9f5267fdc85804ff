"""The client for code without an event loop: the asyncio client in a thread of its own (`blocking`).

Each method is the asyncio method itself, wrapped: same arguments, same results, same errors,
known to type checkers and editors, and nothing written twice.
"""
