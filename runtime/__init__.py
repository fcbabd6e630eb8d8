"""All that runs on the microscope's controller during a scan; never torch."""
