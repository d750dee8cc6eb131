"""Make the video lists of Kinetics-400 and Something-Something V2.

    tools/data/prepare.py kinetics kinetics-400_val.csv \\
        --videos data/kinetics400/videos_val \\
        --out data/kinetics400/kinetics400_val_list_videos.txt
    tools/data/prepare.py ssv2 something-something-v2-validation.json \\
        --labels something-something-v2-labels.json \\
        --videos data/sthv2/videos --out data/sthv2/sthv2_val_list_videos.txt

EPIC-KITCHENS-100 needs no preparation: its official files are read as they
are.
"""
import argparse
import sys

from cast_mmaction.datasets.annotations import (make_list, read_kinetics,
                                                read_ssv2, write_list)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('dataset', choices=['kinetics', 'ssv2'])
    parser.add_argument('annotations', help='original CSV or JSON of a split')
    parser.add_argument('--labels', help='ssv2: the labels JSON')
    parser.add_argument(
        '--videos',
        help='folder of the videos; those found there make the list. Without '
        'it the list names every annotated video <id>.mp4')
    parser.add_argument('--out', required=True, help='the list to write')
    args = parser.parse_args()
    if args.dataset == 'ssv2' and not args.labels:
        parser.error('ssv2 needs --labels')
    return args


def main() -> None:
    args = parse_args()
    try:
        if args.dataset == 'kinetics':
            labels = read_kinetics(args.annotations)
        else:
            labels = read_ssv2(args.annotations, args.labels)
        listing = make_list(labels, args.videos)
        if not listing.lines:
            raise ValueError(f'{args.videos}: none of the {len(labels)} '
                             'annotated videos is there')
        write_list(args.out, listing.lines)
    except (ValueError, OSError) as error:
        sys.exit(f'error: {error}')
    print(f'{args.out}: {len(listing.lines)} videos')
    if listing.missing:
        print(f'{len(listing.missing)} annotated videos are not in '
              f'{args.videos}, such as {listing.missing[0]}')


if __name__ == '__main__':
    main()
