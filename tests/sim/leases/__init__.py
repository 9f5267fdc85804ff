"""Leases in the simulator: owners who grant them, keep them alive, forget them for a while, end them.

story       what was asked and answered: all that the checkers look at, beside the log
asks        one command, asked once or until it is answered
commands    what is asked for
owners      who grants, renews, attaches and revokes
farewell    the last leases of a run, one that lapses and one that lasts
clocks      who sets the nodes' clocks
elections   who began to lead when, and what its machine took for the time
lifetimes   what owners can see by themselves: no lease ends too early, and all end in the end
model       the log, applied to dictionaries: which leases and keys there are, and what was to be answered
workload    all of them together, as one run has them
"""
