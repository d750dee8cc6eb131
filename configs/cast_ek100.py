# The recipe, its source and its expected result are in the file below.
_base_ = './cast/cast-base-p16_clip-videomae-ek100-pre_16xb6-uniform-16-50e_ek100-rgb.py'
