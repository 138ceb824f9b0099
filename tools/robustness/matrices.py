"""Hostile sparse matrices, in every format and type, through every door.

Usage: python tools/robustness/matrices.py [N] [FIRST]

Prints how many were taken and refused. A fault is a corrupt matrix that was taken, one that was read wrong, or another
error than a ValueError or a TypeError; a crash ended a process.
"""

from seeds import main

if __name__ == "__main__":
    main("hostile_doors.py")
