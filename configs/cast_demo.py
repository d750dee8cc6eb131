# Short name, in a clone alone: the wheel has no two files of one name, which
# `mim train cast_mmaction cast_demo.py` could not tell apart.
# The recipe is in the file below; `bash tools/quickstart.sh` runs it.
_base_ = './demo/cast_demo.py'
