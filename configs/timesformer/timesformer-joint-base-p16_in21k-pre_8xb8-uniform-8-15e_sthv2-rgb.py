# Old name of the file below, whose batch is 32; it goes with the next
#   release.
_base_ = './timesformer-joint-base-p16_in21k-pre_8xb4-uniform-8-15e_sthv2-rgb.py'
