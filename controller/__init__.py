"""OpenFlow 1.3 applications, one file each; they run on OS-Ken and on Ryu.

Each file holds the policy (pure: no switch, no clock of its own) and the application that decodes
what a switch sends, asks the policy, and tells the switch. Start one with
``testbed controller learning_switch`` or ``python -m controller learning_switch``.
"""
