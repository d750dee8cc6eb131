"""What the launch scripts refuse, and what they start."""
import os
import subprocess
from pathlib import Path

import pytest

from tests.toy import ROOT

TRAIN, TEST = ROOT / 'tools/dist_train.sh', ROOT / 'tools/dist_test.sh'


@pytest.fixture
def machine(tmp_path):
    """Run a script on a machine with as many GPUs and cores as one likes.

    ``python`` only tells what it would have started.
    """
    python = tmp_path / 'python'
    python.write_text('#!/usr/bin/env bash\n'
                      'if [[ "$1" == -c ]]; then echo "$GPUS"; exit; fi\n'
                      'printf "%s|" "$@"\n'
                      'echo "PYTHONPATH=$PYTHONPATH OMP=$OMP_NUM_THREADS"\n')
    nproc = tmp_path / 'nproc'
    nproc.write_text('#!/usr/bin/env bash\necho "$CORES"\n')
    srun = tmp_path / 'srun'
    srun.write_text('#!/usr/bin/env bash\nprintf "%s|" "$@"\n')
    for file in (python, nproc, srun):
        file.chmod(0o755)

    def run(*command, gpus=0, cores=2, **environment):
        env = {
            key: value
            for key, value in os.environ.items()
            if key not in ('OMP_NUM_THREADS', 'PORT', 'NNODES', 'GPUS')
        }
        env.update(
            PYTHON=str(python),
            PATH=f'{tmp_path}:{env["PATH"]}',
            GPUS=str(gpus),
            CORES=str(cores),
            **environment)
        return subprocess.run(
            [str(x) for x in command], env=env, capture_output=True, text=True)

    return run


def test_sixteen_gpus(machine):
    run = machine(TRAIN, 'a.py', 16, '--amp', gpus=16, PYTHONPATH='/mine')
    assert run.returncode == 0
    assert run.stdout == (
        '-m|torch.distributed.run|--standalone|--nproc-per-node|16|'
        f'{ROOT}/tools/train.py|a.py|--launcher|pytorch|--amp|'
        f'PYTHONPATH={ROOT}:/mine OMP=1\n')


@pytest.mark.parametrize('gpus, cores, have', [(8, 64, '8 GPU(s)'),
                                               (0, 2, '2 CPU core(s)')])
def test_sixteen_on_a_smaller_machine(machine, gpus, cores, have):
    options = 'model.type=A B'
    run = machine(
        TRAIN, 'a.py', 16, '--cfg-options', options, gpus=gpus, cores=cores)
    assert run.returncode == 2 and run.stdout == ''
    assert have in run.stderr
    commands = [x for x in run.stderr.splitlines() if 'NNODES' in x]
    for rank, command in enumerate(commands):
        assert command.startswith(
            f'  NNODES=2 NODE_RANK={rank} MASTER_ADDR=')
        assert command.endswith(
            f'{TRAIN} a.py 8 --cfg-options model.type=A\\ B')
    assert len(commands) == 2


def test_the_printed_command_works(machine):
    run = machine(TRAIN, 'a.py', 16, '--cfg-options', 'x=A B', gpus=8)
    command = next(x for x in run.stderr.splitlines() if 'NODE_RANK=1' in x)
    run = machine('bash', '-c', command, gpus=8)
    assert '--nnodes|2|--node-rank|1|--master-addr|' in run.stdout
    assert '|--master-port|29500|--nproc-per-node|8|' in run.stdout
    assert '|--cfg-options|x=A B|' in run.stdout


def test_threads_of_a_cpu_run(machine):
    run = machine(TRAIN, 'a.py', 2, cores=8)
    assert run.stdout.endswith('OMP=4\n')


def test_a_port(machine):
    run = machine(TRAIN, 'a.py', 1, PORT='1234')
    assert '--nnodes|1|' in run.stdout and '--master-port|1234|' in run.stdout


def test_testing(machine):
    run = machine(TEST, 'a.py', 'b c.pth', 2, '--dump', 'd.pkl')
    assert f'{ROOT}/tools/test.py|a.py|b c.pth|--launcher|pytorch|' \
        '--dump|d.pkl|' in run.stdout
    run = machine(TEST, 'a.py', 'b c.pth', 16)
    assert 'dist_test.sh a.py b c.pth 8' in run.stderr.replace('\\', '')


@pytest.mark.parametrize('command', [(TRAIN, 'a.py'), (TEST, 'a.py', 'b.pth'),
                                     (TRAIN, 'a.py', 'two'),
                                     (TRAIN, 'a.py', '0')])
def test_usage(machine, command):
    run = machine(*command)
    assert run.returncode == 2 and run.stderr


@pytest.mark.parametrize('name, files', [('train', ['a.py']),
                                         ('test', ['a.py', 'b.pth'])])
def test_slurm(machine, name, files):
    script = Path(ROOT, f'tools/slurm_{name}.sh')
    run = machine(
        script,
        'part',
        'job',
        *files,
        '--work-dir',
        'a b',
        gpus=16,
        SRUN_ARGS='--signal=TERM@120 --quotatype=auto')
    assert run.stdout.startswith(
        '--partition|part|--job-name|job|--gres|gpu:8|--ntasks|16|'
        '--ntasks-per-node|8|')
    assert '|--signal=TERM@120|--quotatype=auto|' in run.stdout
    assert run.stdout.endswith(
        f'{ROOT}/tools/{name}.py|{"|".join(files)}|--work-dir|a b|'
        '--launcher|slurm|')
    assert machine(script, 'part', 'job').returncode == 2
