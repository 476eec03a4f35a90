"""The formats of bodies, one file each."""
