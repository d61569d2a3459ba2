"""Where the time of a training goes: it is measured from outside as it runs, and one change is tried."""
