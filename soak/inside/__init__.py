"""What runs inside the measured process: stdlib only, any CPython from 3.8 on, nothing imported from outside.

This file imports nothing, so that a measured process loads only what it uses.
"""
