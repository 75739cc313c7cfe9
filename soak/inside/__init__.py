"""What runs inside the measured process: stdlib only, any CPython from 3.8 on, nothing imported from outside.

Empty of imports itself, so that a component pays only for what its process uses.
"""
