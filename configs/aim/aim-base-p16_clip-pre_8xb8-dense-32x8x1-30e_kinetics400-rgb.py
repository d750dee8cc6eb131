# Old name of the file below, whose frames are 4 apart, not 8; it goes
#   with the next release.
_base_ = './aim-base-p16_clip-pre_8xb8-dense-32x4x1-30e_kinetics400-rgb.py'
