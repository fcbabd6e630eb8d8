"""An exposure in focus, of a stage that stands, for what is seen of it alone."""

from runtime.instrument.simulator.truth import TrueExposure

SIZE = {"width_px": 240, "height_px": 200}
STILL = TrueExposure(
    time_s=0.0,
    exposure_ms=10.0,
    objective="10x",
    light_level=1.0,
    centre_um=(0.0, 0.0),
    defocus_um=0.0,
    rotation_rad=0.0,
    pixel_size_um=0.5,
    position_nm=(0, 0, 0),
    frame_index=0,
)
