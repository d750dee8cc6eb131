# The recipe is in the file below; `bash tools/quickstart.sh` runs it.
_base_ = './demo/cast_demo.py'
