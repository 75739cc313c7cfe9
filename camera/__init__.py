"""A camera recorder: frames go from a driver's ring of buffers to a writer, an analysis and a preview.

    python -m camera --source simulated --out run.h5

It is the third system that soak was made for: a recorder that must run for twelve hours without missing a frame. Every
defect of its history can be switched on (`camera.faults`). Writing needs h5py; each camera needs its maker's package;
``python -m camera.missing`` says what is missing. The simulated camera needs a C compiler only.
"""
