# DDP whose gradients travel in bfloat16: 91 instead of 182 MB a step of
# CAST-B. List it in _base_, or start with --engine ddp_bf16_compressed.
model_wrapper_cfg = dict(
    type='CompressedDataParallel', compression='bfloat16')
