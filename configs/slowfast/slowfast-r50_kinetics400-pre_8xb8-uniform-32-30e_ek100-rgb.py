# Old name of the file below, whose batch is 32; it goes with the next
#   release.
_base_ = './slowfast-r50_kinetics400-pre_8xb4-uniform-32-30e_ek100-rgb.py'
