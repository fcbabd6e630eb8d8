"""The microscope: ports, the rig that joins them, and every kind of device."""
