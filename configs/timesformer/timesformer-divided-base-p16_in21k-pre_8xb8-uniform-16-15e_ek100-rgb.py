# Old name of the file below, whose batch is 32; it goes with the next
#   release.
_base_ = './timesformer-divided-base-p16_in21k-pre_8xb4-uniform-16-15e_ek100-rgb.py'
