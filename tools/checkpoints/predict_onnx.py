"""Predict with an exported file alone: predict_onnx.py FILE.onnx VIDEO"""
import json
import sys

import av
import numpy as np
import onnxruntime

session = onnxruntime.InferenceSession(sys.argv[1])
notes = session.get_modelmeta().custom_metadata_map
about = json.loads(notes['cast_mmaction'])
count, height, width = about['input']['shape'][2:]
with av.open(sys.argv[2]) as video:
    frames = [x.to_ndarray(format='rgb24') for x in video.decode(video=0)]
places = ((np.arange(count) + .5) * len(frames) / count).astype(int)
if about['sampling']['mode'] == 'dense':  # every n-th, the middle of these
    strided = np.arange(0, len(frames), about['sampling']['frame_interval'])
    places = np.arange(count) + max(len(strided) - count, 0) // 2
    places = strided[np.minimum(places, len(strided) - 1)]
clip = []
for frame in (np.float32(frames[place]) for place in places):
    short = about['resize']['short_side'] / min(frame.shape[:2])
    for size in [int(side * short + 1e-6) for side in frame.shape[:2]]:
        at = (np.arange(size) + .5) * len(frame) / size - .5  # bilinear
        at = np.clip(at, 0, len(frame) - 1)
        low, share = at.astype(int), (at % 1)[:, None, None]
        frame = frame[low] * (1 - share) + share * frame[
            np.minimum(low + 1, len(frame) - 1)]
        frame = frame.swapaxes(0, 1)
    top, left = (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2
    clip.append(np.rint(frame[top:top + height, left:left + width]))
clip = np.float32(clip)
if not about['normalise']['inside']:
    clip -= np.float32(about['normalise']['mean'])
    clip /= np.float32(about['normalise']['std'])
found = session.run(None, {'clips': clip.transpose(3, 0, 1, 2)[None]})
for (task, output), (logits, ) in zip(about['outputs'].items(), found):
    scores = np.exp(logits - logits.max())
    for place in scores.argsort()[:-4:-1]:
        share = scores[place] / scores.sum()
        print(f'{task} {share:.4f} {output["classes"][place]}')
