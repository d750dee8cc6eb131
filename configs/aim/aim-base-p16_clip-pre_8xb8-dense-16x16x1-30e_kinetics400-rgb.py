# Old name of the file below, whose frames are 8 apart, not 16; it goes
#   with the next release.
_base_ = './aim-base-p16_clip-pre_8xb8-dense-16x8x1-30e_kinetics400-rgb.py'
