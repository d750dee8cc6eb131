# The recipe, its source and its expected result are in the file below.
_base_ = './cast/cast-base-p16_clip-videomae-ssv2-pre_16xb6-uniform-16-50e_sthv2-rgb.py'
