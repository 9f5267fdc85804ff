"""Messages in the simulator: people who send, block, join and leave, and devices that receive.

story       what was asked and answered, and what was delivered: all that the checkers look at
requests    a command, repeated at any node until it is answered
people      who sends what to whom
devices     who receives and acknowledges, connected or not
checker     the rules, applied to a story
workload    all of them together, as one run has them
"""
