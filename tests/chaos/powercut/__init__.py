"""The journal through power cuts: what reaches the disk is recorded, and every way to lose the rest tried."""
