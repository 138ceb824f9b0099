"""Files of saved models with parts changed.

Usage: python tools/robustness/models.py [N] [FIRST]

Prints how many were refused when loaded, failed when used, or worked; a crash ended a process.
"""

from seeds import main

if __name__ == "__main__":
    main("mutated_models.py")
