"""The machines: one file each, all on firmware_sim/physics."""
