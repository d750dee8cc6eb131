# The recipe, its source and its expected result are in the file below.
_base_ = './cast/cast-base-p16_clip-videomae-k400-pre_16xb6-dense-16x4x1-70e_kinetics400-rgb.py'
