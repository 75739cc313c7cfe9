"""A jukebox on GStreamer: songs are added to a running mixer, overlap, and are removed when they are over.

    from jukebox.play import play
    play(["a.ogg", "b.flac"], "evening.wav")

It is the second system that soak was made for: its author found 3.7 kB of growth per song and not the cause. Every
defect of its history can be switched on (`jukebox.faults`). It needs GStreamer 1.22 or later and PyGObject;
``python -m jukebox.missing`` says which packages of Debian are missing.
"""
